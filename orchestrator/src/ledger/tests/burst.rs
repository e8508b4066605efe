//! Bursts against one by one, against plain git, and repeated.

use super::*;

/// Twenty changes, decided at once and linked.
fn burst(ledger: &Ledger, rows: &mut Rows) -> Vec<Batch> {
    let decided = (10..30).map(|n| rows.decide(&[change(n)]));
    let mut batches: Vec<Batch> = decided.collect();
    ledger.chain(&mut batches).unwrap();
    for (batch, _) in &batches {
        rows.batches[batch.batch_no as usize - 1] = batch.clone();
    }
    batches
}

#[test]
fn a_burst_gives_the_same_commits_as_one_by_one() {
    let (folder, mut ledger, mut rows) = written();
    let (_other, mut slowly, _) = written();
    let batches = burst(&ledger, &mut rows);
    let commits = ledger.write_all(&batches).unwrap();
    for ((batch, entries), commit) in batches.iter().zip(&commits) {
        assert_eq!(slowly.write(batch, entries), Ok(*commit));
        rows.batches[batch.batch_no as usize - 1].commit = Some(commit.to_string());
    }
    let packs = std::fs::read_dir(folder.path().join("objects/pack")).unwrap();
    assert_eq!(
        packs.count(),
        8,
        "each of four writes is a pack and its index"
    );
    git(folder.path(), &["fsck", "--strict", "--full"]);
    assert_eq!(rows.verify(&ledger), Ok(()));
    rows.write(&mut ledger, &[change(40)]);
    assert_eq!(rows.verify(&Ledger::open(folder.path()).unwrap()), Ok(()));
    git(folder.path(), &["gc", "--quiet", "--prune=now"]);
    assert_eq!(rows.verify(&Ledger::open(folder.path()).unwrap()), Ok(()));
}

#[test]
fn a_burst_may_be_repeated_from_anywhere() {
    let (_folder, mut ledger, mut rows) = written();
    let batches = burst(&ledger, &mut rows);
    // Some of it was written before, as by a crash between two ways of writing.
    for (batch, entries) in &batches[..3] {
        ledger.write(batch, entries).unwrap();
    }
    let commits = ledger.write_all(&batches).unwrap();
    assert_eq!(ledger.write_all(&batches), Ok(commits.clone()));
    assert_eq!(ledger.head().unwrap(), commits.last().copied());
    assert_eq!(ledger.write_all(&[]), Ok(Vec::new()));
    let (again, entries) = batches.last().unwrap();
    assert_eq!(ledger.write(again, entries).ok(), commits.last().copied());
}

#[test]
fn a_burst_that_does_not_begin_at_the_head_changes_nothing() {
    let (folder, mut ledger, mut rows) = written();
    let batches = burst(&ledger, &mut rows);
    let head = ledger.head().unwrap();
    let refused = ledger.write_all(&batches[1..]);
    assert!(refused.is_err(), "{refused:?}");
    let swapped = [batches[0].clone(), batches[2].clone()];
    let refused = ledger.write_all(&swapped);
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(ledger.head().unwrap(), head);
    assert!(git(folder.path(), &["count-objects", "-v"]).contains("packs: 3"));
}
