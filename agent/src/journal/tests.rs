//! The journal against torn writes, flipped bits and many writers.

use chiffon_common::{AttemptRef, TaskId};
use uuid::Uuid;

use super::*;

fn agent() -> AgentId {
    "infrastructure".parse().unwrap()
}

fn life(n: u128) -> Incarnation {
    Incarnation::from_uuid(Uuid::from_u128(n))
}

fn started(n: u32) -> Record {
    let task_id = TaskId::from_uuid(Uuid::from_u128(7));
    Record::Started {
        attempt: AttemptRef {
            task_id,
            attempt: n,
        },
    }
}

/// The bytes of a journal with these records.
async fn written(records: &[Record]) -> Vec<u8> {
    let home = tempfile::tempdir().unwrap();
    let writer = open(home.path(), &agent(), life(1))
        .unwrap()
        .start(&[])
        .unwrap();
    for record in records {
        writer
            .append(vec![record.clone()])
            .await
            .await
            .unwrap()
            .unwrap();
    }
    writer.close().await;
    fs::read(home.path().join(NAME)).unwrap()
}

fn reopened(bytes: &[u8]) -> (tempfile::TempDir, Opened) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(NAME), bytes).unwrap();
    let opened = open(home.path(), &agent(), life(2)).unwrap();
    (home, opened)
}

#[tokio::test]
async fn what_was_answered_is_read_again() {
    let records = [started(1), started(2)];
    let (_home, opened) = reopened(&written(&records).await);
    assert_eq!(opened.incarnation, life(1));
    assert_eq!(opened.history, records);
}

#[tokio::test]
async fn torn_at_any_byte_it_keeps_every_whole_record() {
    let records = [started(1), started(2), started(3)];
    let bytes = written(&records).await;
    let ends: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at] == b'\n')
        .map(|at| at + 1)
        .collect();
    assert_eq!(ends.len(), 4);
    for len in 0..bytes.len() {
        let (home, opened) = reopened(&bytes[..len]);
        let whole = ends.iter().filter(|end| **end <= len).count();
        if whole == 0 {
            assert_eq!(
                opened.incarnation,
                life(2),
                "torn at {len}: nothing was ever promised"
            );
        } else {
            assert_eq!(opened.incarnation, life(1), "torn at {len}");
            assert_eq!(opened.history, records[..whole - 1], "torn at {len}");
        }
        assert_eq!(
            fs::read_dir(home.path()).unwrap().count(),
            1,
            "nothing is set aside"
        );
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_begins_a_new_life() {
    let bytes = written(&[started(1), started(2)]).await;
    for at in 0..bytes.len() {
        for bit in [0, 3, 6] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let (home, opened) = reopened(&flipped);
            assert_eq!(opened.incarnation, life(2), "byte {at}, bit {bit}");
            assert_eq!(opened.history, [], "byte {at}, bit {bit}");
            assert_eq!(
                fs::read(home.path().join("journal.damaged-1")).unwrap(),
                flipped
            );
        }
    }
}

#[tokio::test]
async fn damaged_ones_are_all_kept_aside() {
    let home = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        fs::write(home.path().join(NAME), format!("garbage {n}\n")).unwrap();
        assert_eq!(
            open(home.path(), &agent(), life(5)).unwrap().incarnation,
            life(5)
        );
        assert!(home.path().join(format!("journal.damaged-{n}")).exists());
    }
}

#[tokio::test]
async fn of_another_agent_or_a_later_version_it_is_left_alone() {
    let bytes = written(&[started(1)]).await;
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(NAME), &bytes).unwrap();
    let other = open(home.path(), &"desktop.x".parse().unwrap(), life(2));
    assert!(matches!(other, Err(JournalError::OtherAgent { .. })));
    let mut later = bytes;
    let json = br#"{"record":"from_the_future"}"#;
    later.extend(format!("{:08x} {:08x} ", json.len(), crc32fast::hash(json)).into_bytes());
    later.extend(json);
    later.push(b'\n');
    fs::write(home.path().join(NAME), &later).unwrap();
    assert!(matches!(
        open(home.path(), &agent(), life(2)),
        Err(JournalError::Newer { .. })
    ));
    assert_eq!(fs::read(home.path().join(NAME)).unwrap(), later);
}

#[tokio::test]
async fn many_appends_share_few_syncs() {
    let home = tempfile::tempdir().unwrap();
    let writer = open(home.path(), &agent(), life(1))
        .unwrap()
        .start(&[])
        .unwrap();
    let mut answers = Vec::new();
    for n in 0..200 {
        answers.push(writer.append(vec![started(n)]).await);
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert!(
        writer.syncs() < 150,
        "{} syncs for 200 appends",
        writer.syncs()
    );
    writer.close().await;
    let history = open(home.path(), &agent(), life(2)).unwrap().history;
    assert_eq!(
        history,
        (0..200).map(started).collect::<Vec<_>>(),
        "in order"
    );
}

#[tokio::test]
async fn a_compaction_replaces_what_was_and_keeps_what_comes() {
    let home = tempfile::tempdir().unwrap();
    let writer = open(home.path(), &agent(), life(1))
        .unwrap()
        .start(&[])
        .unwrap();
    let mut answers = vec![writer.append((0..50).map(started).collect()).await];
    answers.push(writer.compact(vec![started(49)]).await);
    answers.push(writer.append(vec![started(50)]).await);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(
        writer.len(),
        fs::metadata(home.path().join(NAME)).unwrap().len()
    );
    writer.close().await;
    let opened = open(home.path(), &agent(), life(2)).unwrap();
    assert_eq!(
        (opened.incarnation, opened.history),
        (life(1), vec![started(49), started(50)])
    );
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_a_fault_and_stays_one() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let first = Record::Life {
        version: VERSION,
        agent: agent(),
        incarnation: life(1),
    };
    let place = writer::Place {
        path: PathBuf::from("/dev/full"),
        first,
        file: full,
        len: 0,
    };
    let writer = Writer::start(place).unwrap();
    for n in 0..2 {
        assert!(
            writer
                .append(vec![started(n)])
                .await
                .await
                .unwrap()
                .is_err()
        );
    }
    writer.close().await;
}
