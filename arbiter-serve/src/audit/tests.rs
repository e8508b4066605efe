//! Torn ends, damage, rotation and the first fault that a chain shows, on real files.

mod kept;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::*;

const ALL: Rotation = Rotation {
    bytes: 1 << 30,
    keep: 0,
};

fn rules() -> Vec<u8> {
    br#"{"kind":"rules"}"#.to_vec()
}

/// Starts the writer on a folder, writes so many records, and ends it.
fn write(folder: &Path, rotation: Rotation, records: usize) -> Head {
    let opened = open(folder).expect("the folder can be opened");
    let (audit, writing) =
        start(opened, rotation, Needs::nothing(), rules).expect("the writer starts");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(async {
            for n in 0..records {
                let record = format!(
                    "{{\"kind\":\"event\",\"n\":{n},\"text\":\"{}\"}}",
                    "x".repeat(50)
                );
                let place = audit.place().await.expect("a place");
                place
                    .put(record.into_bytes(), None)
                    .wait()
                    .await
                    .expect("written");
            }
        });
    drop(audit);
    writing.join().expect("the writer ends")
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit");
    (folder, path)
}

fn only_file(folder: &Path) -> PathBuf {
    let mut files = files(folder).expect("files");
    assert_eq!(files.len(), 1);
    files.remove(0)
}

/// The lines of the only file, changed by `change` and written back.
fn with_lines(folder: &Path, change: impl Fn(&mut Vec<String>)) {
    let path = only_file(folder);
    let text = fs::read_to_string(&path).expect("text");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(&path, lines.join("\n") + "\n").expect("written");
}

#[test]
fn a_chain_goes_on_over_restarts_and_verifies() {
    let (_held, folder) = folder();
    let first = write(&folder, ALL, 3);
    let second = write(&folder, ALL, 2);
    let verified = verify(
        &folder,
        &[Anchor(first), Anchor(second)],
        Beginning::FirstOfFolder,
    )
    .expect("it verifies");
    // Each start has a record of the rules.
    assert_eq!(
        (verified.lines, verified.first, verified.head),
        (7, 1, second)
    );
}

#[test]
fn only_one_writer_holds_a_folder() {
    let (_held, folder) = folder();
    let held = open(&folder).expect("it opens");
    assert!(matches!(open(&folder), Err(OpenError::InUse(_))));
    drop(held);
    open(&folder).expect("it opens again");
}

#[test]
fn each_change_is_found_and_its_line_named() {
    type Change = fn(&mut Vec<String>);
    let cases: [(&str, Change, &str, u64); 7] = [
        (
            "edit",
            |lines| lines[3] = lines[3].replace("\"n\":2", "\"n\":7"),
            "was edited",
            4,
        ),
        ("delete", |lines| drop(lines.remove(3)), "1 missing", 4),
        ("reorder", |lines| lines.swap(2, 3), "1 missing", 3),
        (
            "repeat",
            |lines| lines.insert(3, lines[2].clone()),
            "out of order or repeated",
            4,
        ),
        (
            "foreign",
            |lines| lines.insert(3, "{}".to_owned()),
            "no audit record",
            4,
        ),
        (
            "empty line",
            |lines| lines.insert(3, String::new()),
            "no audit record",
            4,
        ),
        (
            "replaced",
            |lines| {
                let mut other = Vec::new();
                let head = Head {
                    seq: 3,
                    hash: chiffon_common::Digest::of_bytes(b"else"),
                };
                line::chain(head, b"{\"kind\":\"event\"}", &mut other);
                lines[3] = String::from_utf8(other).unwrap().trim_end().to_owned();
            },
            "does not follow the one before it",
            4,
        ),
    ];
    for (name, change, why, at) in cases {
        let (_held, folder) = folder();
        write(&folder, ALL, 5);
        with_lines(&folder, change);
        let error = verify(&folder, &[], Beginning::FirstOfFolder).expect_err(name);
        let Unverified::Fault(fault) = &error else {
            panic!("{name}: {error}");
        };
        assert_eq!(fault.line, at, "{name}: {error}");
        assert!(fault.why.contains(why), "{name}: {error}");
        // And nothing is taken off: what is damaged is for a person to look at.
        assert!(
            matches!(open(&folder), Err(OpenError::Damaged { .. })),
            "{name}"
        );
    }
}

#[test]
fn a_last_line_that_was_edited_is_damage_and_stays() {
    for is_ended in [true, false] {
        let (_held, folder) = folder();
        write(&folder, ALL, 3);
        let path = only_file(&folder);
        let text = fs::read_to_string(&path).unwrap();
        let mut edited = text.replace("\"n\":2", "\"n\":7");
        assert_ne!(edited, text);
        if !is_ended {
            // As some editors leave it.
            edited.pop();
        }
        fs::write(&path, &edited).unwrap();
        let opened = open(&folder);
        assert!(
            matches!(opened, Err(OpenError::Damaged { line: 4, .. })),
            "{opened:?}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    }
    // A line of somebody's own at the end.
    let (_held, folder) = folder();
    write(&folder, ALL, 3);
    with_lines(&folder, |lines| lines.push("{}".to_owned()));
    let opened = open(&folder);
    assert!(matches!(opened, Err(OpenError::Damaged { .. })));
}

#[test]
fn a_beginning_that_was_removed_is_found() {
    let (_held, folder) = folder();
    let small = Rotation {
        bytes: 1_000,
        keep: 0,
    };
    write(&folder, small, 20);
    let all = files(&folder).unwrap();
    // The head of the first file, and one within it.
    let end = verify(&all[0], &[], Beginning::First)
        .expect("it begins at 1")
        .head;
    let text = fs::read_to_string(&all[0]).unwrap();
    let second = line::read(text.lines().nth(1).unwrap().as_bytes()).unwrap();
    let second = Head {
        seq: second.seq,
        hash: second.hash,
    };
    verify(&folder, &[Anchor(second), Anchor(end)], Beginning::First).expect("both are there");
    // The first line of a file.
    fs::write(&all[0], text.split_once('\n').unwrap().1).unwrap();
    let error = verify(&folder, &[], Beginning::FirstOfFolder).expect_err("a line is missing");
    assert!(error.to_string().contains("named after"), "{error}");
    let opened = open(&folder);
    assert!(
        matches!(&opened, Err(OpenError::Damaged { file, line: 1, .. }) if *file == all[0]),
        "{opened:?}"
    );
    // The whole file.
    fs::remove_file(&all[0]).unwrap();
    let rest =
        verify(&folder, &[Anchor(end)], Beginning::Any).expect("the next record names that head");
    assert_eq!(rest.first, end.seq + 1);
    let cut = verify(&folder, &[Anchor(second)], Beginning::Any);
    assert!(
        matches!(cut, Err(Unverified::Removed { seq: 2, .. })),
        "{cut:?}"
    );
    let other = Head {
        seq: end.seq,
        ..second
    };
    let other = verify(&folder, &[Anchor(other)], Beginning::FirstOfFolder);
    assert!(
        matches!(other, Err(Unverified::OtherThanNoted { .. })),
        "{other:?}"
    );
    for wanted in [Beginning::First, Beginning::FirstOfFolder] {
        let cut = verify(&folder, &[], wanted);
        let Err(Unverified::NotWhole { first, file }) = cut else {
            panic!("{wanted:?}: {cut:?}");
        };
        assert_eq!((first, &file), (end.seq + 1, &all[1]));
    }
    // A file alone is a part of a chain, and promises no more.
    verify(&all[1], &[], Beginning::FirstOfFolder).expect("it begins where it says");
}

#[test]
fn files_of_others_are_left_alone() {
    let (_held, folder) = folder();
    let head = write(&folder, ALL, 2);
    for name in [
        "audit-notes.jsonl",
        "audit-1.jsonl",
        "audit-00000000000000000x01.jsonl",
    ] {
        fs::write(folder.join(name), "mine\n").unwrap();
    }
    let opened = open(&folder).expect("it opens");
    assert_eq!((opened.head, &opened.torn), (head, &None));
    drop(opened);
    write(&folder, Rotation { bytes: 1, keep: 2 }, 4);
    verify(&folder, &[], Beginning::Any).expect("it verifies");
    let notes = fs::read_to_string(folder.join("audit-notes.jsonl"));
    assert_eq!(notes.unwrap(), "mine\n");
}

#[test]
fn a_file_that_was_moved_away_is_not_written_to() {
    let (_held, folder) = folder();
    write(&folder, ALL, 1);
    let opened = open(&folder).expect("it opens");
    let (audit, writing) = start(opened, ALL, Needs::nothing(), rules).expect("the writer starts");
    let path = only_file(&folder);
    let away = folder.join("elsewhere");
    fs::rename(&path, &away).unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(async {
        let first = audit.place().await.expect("a place");
        let first = first.put(b"{\"n\":1}".to_vec(), None);
        let error = first.wait().await.expect_err("nobody would find it");
        assert!(error.0.contains("moved away"), "{error}");
        assert!(audit.place().await.is_err(), "nothing new is taken");
        fs::rename(&away, &path).unwrap();
        let begun = std::time::Instant::now();
        while audit.fault().is_some() {
            assert!(begun.elapsed().as_secs() < 60, "it is tried again");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    drop(audit);
    writing.join().expect("it ends");
    let head = verify(&folder, &[], Beginning::First)
        .expect("it verifies")
        .head;
    assert_eq!(head.seq, 4, "rules twice, and both records");
}

#[test]
fn an_end_that_was_cut_off_is_found_by_an_anchor_alone() {
    let (_held, folder) = folder();
    let noted = write(&folder, ALL, 5);
    with_lines(&folder, |lines| lines.truncate(4));
    verify(&folder, &[], Beginning::FirstOfFolder).expect("a chain cannot know its end");
    let cut = verify(&folder, &[Anchor(noted)], Beginning::FirstOfFolder);
    assert!(
        matches!(cut, Err(Unverified::CutOff { seq: 6, end: 4 })),
        "{cut:?}"
    );
    let other = Anchor(Head { seq: 2, ..noted });
    let other = verify(&folder, &[other], Beginning::FirstOfFolder);
    assert!(
        matches!(other, Err(Unverified::OtherThanNoted { seq: 2, .. })),
        "{other:?}"
    );
}

#[test]
fn a_torn_end_is_taken_off_kept_and_told_wherever_it_was_torn() {
    let (_held, folder) = folder();
    write(&folder, ALL, 4);
    let path = only_file(&folder);
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for cut in [last + 1, last + 40, whole.len() - 2] {
        fs::write(&path, &whole[..cut]).unwrap();
        let error = verify(&folder, &[], Beginning::FirstOfFolder)
            .expect_err("it is torn")
            .to_string();
        assert!(error.contains("in the middle"), "{error}");
        let mut opened = open(&folder).expect("it opens");
        assert_eq!(fs::read(&path).unwrap(), &whole[..cut], "it is as it was");
        let torn = opened.mend().expect("it is mended").expect("told");
        assert!(opened.mend().expect("once").is_none());
        assert_eq!(torn.bytes, (cut - last) as u64);
        assert_eq!(fs::read(&torn.kept).unwrap(), &whole[last..cut]);
        assert_eq!(fs::read(&path).unwrap(), &whole[..last]);
        assert_eq!(opened.head.seq, 4);
    }
    // Zeros, as some file systems leave them, and a line that lost its middle.
    let mut holes = whole.clone();
    holes[last + 5..].fill(0);
    fs::write(&path, &holes).unwrap();
    assert!(open(&folder).expect("it opens").torn.is_some());
    write(&folder, ALL, 1);
    verify(&folder, &[], Beginning::FirstOfFolder).expect("the chain goes on behind it");
}

/// A start reads those files through that have changed since they were found whole, and holds all others at their ends.
#[test]
fn an_earlier_file_that_was_edited_is_refused() {
    let (_held, folder) = folder();
    let small = Rotation {
        bytes: 1_000,
        keep: 0,
    };
    write(&folder, small, 30);
    let all = files(&folder).unwrap();
    assert!(all.len() > 5, "{all:?}");
    drop(open(&folder).expect("it opens"));
    for file in &all[..all.len() - 1] {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text.replacen("xxx", "xyx", 1)).unwrap();
        let opened = open(&folder);
        assert!(
            matches!(&opened, Err(OpenError::Damaged { file: found, .. }) if found == file),
            "{opened:?}"
        );
        // Nor where it fits in itself.
        let records = text.lines().map(|line| {
            let record = line.split_once("\",").expect("a chained line").1;
            let record = record.rsplit_once(",\"hash\"").expect("a hash").0;
            format!("{{{record}}}").replacen("xxx", "xyx", 1)
        });
        let first = scan::first_of(file).expect("a number");
        let link = line::read(text.lines().next().expect("a line").as_bytes()).expect("a link");
        let mut head = Head {
            seq: first - 1,
            hash: link.prev,
        };
        let mut forged = Vec::new();
        for record in records {
            head = line::chain(head, record.as_bytes(), &mut forged);
        }
        fs::write(file, forged).unwrap();
        let opened = open(&folder);
        assert!(
            matches!(&opened, Err(OpenError::Damaged { line: 1, why, .. }) if why.contains("replaced")),
            "{opened:?}"
        );
        fs::write(file, text).unwrap();
    }
    drop(open(&folder).expect("all is as it was"));
}

#[test]
fn files_rotate_in_one_chain_and_old_ones_go() {
    let (_held, folder) = folder();
    let small = Rotation {
        bytes: 1_000,
        keep: 0,
    };
    write(&folder, small, 20);
    let all = files(&folder).unwrap();
    assert!(all.len() > 3, "{all:?}");
    for file in &all {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.lines().next().unwrap().contains("\"kind\":\"rules\""));
        verify(file, &[], Beginning::FirstOfFolder).expect("each file verifies by itself");
    }
    verify(&folder, &[], Beginning::FirstOfFolder).expect("so do all together");
    let head = write(&folder, Rotation { keep: 2, ..small }, 12);
    let kept = files(&folder).unwrap();
    assert_eq!(kept.len(), 2);
    let verified = verify(&folder, &[Anchor(head)], Beginning::Any).expect("what is kept verifies");
    assert!(verified.first > 1);
    // A file in the middle that is missing is found.
    let (_held, folder) = self::folder();
    write(&folder, small, 20);
    fs::remove_file(&files(&folder).unwrap()[1]).unwrap();
    let error = verify(&folder, &[], Beginning::FirstOfFolder)
        .expect_err("a file is missing")
        .to_string();
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn a_last_file_without_a_line_is_gone_on_with() {
    let (_held, folder) = folder();
    let head = write(&folder, ALL, 3);
    fs::write(folder.join(scan::file_name(head.seq + 1)), b"").unwrap();
    assert_eq!(open(&folder).expect("it opens").head, head);
    write(&folder, ALL, 1);
    assert_eq!(
        verify(&folder, &[], Beginning::FirstOfFolder)
            .expect("it verifies")
            .lines,
        6
    );
}

#[test]
fn what_cannot_be_written_is_kept_and_written_later_and_nothing_new_is_taken() {
    // A folder where a file can be neither made nor written: the writer's next file is a folder.
    let (_held, folder) = folder();
    let head = write(&folder, ALL, 1);
    let opened = open(&folder).expect("it opens");
    let tiny = Rotation { bytes: 1, keep: 0 };
    let (audit, writing) = start(opened, tiny, Needs::nothing(), rules).expect("the writer starts");
    let in_the_way = folder.join(scan::file_name(head.seq + 2));
    fs::create_dir(&in_the_way).unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(async {
        let first = audit
            .place()
            .await
            .expect("a place")
            .put(b"{\"n\":1}".to_vec(), None);
        first.wait().await.expect_err("it cannot be written");
        assert!(audit.place().await.is_err(), "nothing new is taken");
        fs::remove_dir(&in_the_way).unwrap();
        let begun = std::time::Instant::now();
        while audit.fault().is_some() {
            assert!(begun.elapsed().as_secs() < 60, "it is tried again");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let second = audit
            .place()
            .await
            .expect("a place")
            .put(b"{\"n\":2}".to_vec(), None);
        second.wait().await.expect("written");
    });
    drop(audit);
    writing.join().expect("it ends");
    verify(&folder, &[], Beginning::FirstOfFolder).expect("it verifies");
    let all = files(&folder).unwrap();
    let texts: String = all
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(
        texts.contains("\"n\":1") && texts.contains("\"n\":2"),
        "{texts}"
    );
}
