//! Merging packs and folding loose objects: git reads what comes of it, and nothing is lost.

use std::{fs, path::Path};

use super::*;

fn packs(folder: &Path) -> usize {
    let files = fs::read_dir(folder.join("objects/pack")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|one| one == "pack"))
        .count()
}

fn loose(folder: &Path) -> usize {
    let told = git(folder, &["count-objects"]);
    told.split(' ').next().unwrap().parse().unwrap()
}

/// Twenty changes in one burst, as the scribe writes them.
fn burst(folder: &Path, rows: &mut Rows, from: u32) {
    let decided = (from..from + 20).map(|n| rows.decide(&[change(n)]));
    let mut batches: Vec<Batch> = decided.collect();
    let ledger = Ledger::open(folder).unwrap();
    let commits = ledger.begin(&mut batches).unwrap().write().unwrap();
    for ((mut batch, _), commit) in batches.into_iter().zip(commits) {
        batch.commit = Some(commit.to_string());
        let at = batch.batch_no as usize - 1;
        rows.batches[at] = batch;
    }
}

#[test]
fn packs_stay_few_and_nothing_is_lost() {
    let (folder, ledger, mut rows) = written();
    let folder = folder.path();
    for round in 0..9 {
        burst(folder, &mut rows, 100 + 20 * round);
        // By a view that was open before what it reads was merged away.
        if round % 4 == 0 {
            assert_eq!(rows.verify(&ledger), Ok(()));
        }
    }
    // Three small ones of before, one of eight bursts, and the last.
    assert_eq!(packs(folder), 5);
    git(folder, &["fsck", "--strict", "--full"]);
    for file in fs::read_dir(folder.join("objects/pack")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|one| one == "idx") {
            git(folder, &["verify-pack", path.to_str().unwrap()]);
        }
    }
    assert_eq!(rows.verify(&Ledger::open(folder).unwrap()), Ok(()));
    git(folder, &["gc", "--quiet", "--prune=now"]);
    for round in 0..9 {
        burst(folder, &mut rows, 600 + 20 * round);
    }
    assert!(packs(folder) < 5, "{}", packs(folder));
    git(folder, &["fsck", "--strict", "--full"]);
    assert_eq!(rows.verify(&Ledger::open(folder).unwrap()), Ok(()));
}

#[test]
fn a_damaged_pack_is_not_merged_away() {
    let (folder, ledger, mut rows) = written();
    let folder = folder.path();
    for round in 0..7 {
        burst(folder, &mut rows, 100 + 20 * round);
    }
    let files = fs::read_dir(folder.join("objects/pack")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let packed = paths.filter(|path| path.extension().is_some_and(|one| one == "pack"));
    let largest = packed.max_by_key(|path| fs::metadata(path).unwrap().len());
    let largest = largest.unwrap();
    // The last byte of its checksum, also where its index repeats it: everything in it can still be read.
    for (file, from_end) in [(largest.clone(), 1), (largest.with_extension("idx"), 21)] {
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
    }
    let before = packs(folder);
    burst(folder, &mut rows, 400);
    assert_eq!(
        packs(folder),
        before + 1,
        "all of them are there to be looked at"
    );
    let told = ledger.tidy().unwrap_err().to_string();
    assert!(told.contains("does not fit its checksum"), "{told}");
    assert_eq!(packs(folder), before + 1);
}

#[test]
fn loose_objects_are_folded_when_they_are_many() {
    let (folder, _ledger, mut rows) = written();
    let folder = folder.path();
    unpack(folder);
    Ledger::open(folder).unwrap().tidy().unwrap();
    assert!(loose(folder) > 20, "few are left as they are");
    for round in 0..20 {
        burst(folder, &mut rows, 100 + 20 * round);
    }
    unpack(folder);
    assert!(loose(folder) > 3_500, "{}", loose(folder));
    assert_eq!(packs(folder), 0);
    Ledger::open(folder).unwrap().tidy().unwrap();
    assert_eq!((loose(folder), packs(folder)), (0, 1));
    git(folder, &["fsck", "--strict", "--full"]);
    assert_eq!(rows.verify(&Ledger::open(folder).unwrap()), Ok(()));
}

#[test]
fn batches_that_are_decided_and_not_written_are_no_fault() {
    let (folder, ledger, mut rows) = written();
    let decided = (10..13).map(|n| rows.decide(&[change(n)]));
    let mut batches: Vec<Batch> = decided.collect();
    let made = Ledger::open(folder.path())
        .unwrap()
        .begin(&mut batches)
        .unwrap();
    for (batch, _) in &batches {
        rows.batches[batch.batch_no as usize - 1] = batch.clone();
    }
    assert_eq!(rows.verify(&ledger), Ok(()), "before it is written");
    let commits = made.write().unwrap();
    assert_eq!(rows.verify(&ledger), Ok(()), "after it was written");
    // The first of them is told as written, and the one after it not: so no scribe leaves them.
    rows.batches[4].commit = Some(commits[1].to_string());
    assert!(matches!(
        rows.verify(&ledger),
        Err(Fault::Rows { batch_no: 5, .. })
    ));
    rows.batches[3].commit = Some(commits[0].to_string());
    rows.batches[5].commit = Some(commits[2].to_string());
    assert_eq!(rows.verify(&ledger), Ok(()));
}
