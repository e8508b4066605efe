//! What a loss of power, rot and a full disk leave, what of it counts as damage, and making a ledger anew.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// A ledger in a folder of its own, so that there is room beside it.
fn home() -> (TempDir, PathBuf, Rows) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ledger");
    let mut ledger = Ledger::open(&path).unwrap();
    let mut rows = Rows::default();
    for n in 1..=3 {
        rows.write(&mut ledger, &[change(n)]);
    }
    (home, path, rows)
}

/// As a loss of power leaves an object: its name is there, its content is not.
fn empty(folder: &Path, object: &str) {
    unpack(folder);
    let (shard, rest) = object.trim().split_at(2);
    let file = folder.join("objects").join(shard).join(rest);
    fs::remove_file(&file).unwrap();
    fs::write(&file, "").unwrap();
}

/// What the scribe does: opens, and writes the next batch.
fn attempt(path: &Path, rows: &mut Rows) -> Result<CommitId, LedgerError> {
    let (batch, entries) = rows.decide(&[change(9)]);
    let written = Ledger::open(path).and_then(|mut ledger| ledger.write(&batch, &entries));
    rows.batches.pop();
    rows.entries.truncate(rows.entries.len() - entries.len());
    written
}

fn place(path: &Path) -> Place {
    Place {
        path: path.to_owned(),
        key: None,
        key_fault: None,
    }
}

fn rebuild(path: &Path, rows: &Rows) -> Option<PathBuf> {
    let mut rebuild = Rebuild::begin(&place(path)).unwrap();
    let batches = rows.batches.iter().zip(&rows.entries);
    let batches: Vec<Batch> = batches
        .map(|(batch, entry)| (batch.clone(), vec![entry.clone()]))
        .collect();
    let (first, rest) = batches.split_at(1);
    rebuild.write(first).unwrap();
    rebuild.write(rest).unwrap();
    let aside = rebuild.aside().map(Path::to_owned);
    rebuild.into_place().unwrap();
    aside
}

/// The next write finds the damage, a rebuild heals it, and writing goes on.
fn is_healed(path: &Path, mut rows: Rows) {
    let found = attempt(path, &mut rows).unwrap_err();
    assert!(found.is_damage(), "{found}");
    let aside = rebuild(path, &rows).unwrap();
    assert_eq!(aside, path.with_file_name("ledger.damaged-1"));
    assert!(aside.is_dir() && !path.with_file_name("ledger.rebuilt-1").exists());
    let mut ledger = Ledger::open(path).unwrap();
    assert_eq!(rows.verify(&ledger), Ok(()));
    rows.write(&mut ledger, &[change(9)]);
    assert_eq!(rows.verify(&Ledger::open(path).unwrap()), Ok(()));
    git(path, &["fsck", "--strict", "--full"]);
}

#[test]
fn a_main_that_is_no_commit_is_found_and_healed() {
    let (_home, path, rows) = home();
    git(&path, &["update-ref", "refs/heads/two", "main"]);
    git(
        &path,
        &["symbolic-ref", "refs/heads/main", "refs/heads/two"],
    );
    is_healed(&path, rows);

    let (_home, path, rows) = home();
    fs::remove_file(path.join("refs/heads/main")).unwrap();
    fs::create_dir_all(path.join("refs/heads/main/x")).unwrap();
    is_healed(&path, rows);
}

#[test]
fn emptied_objects_of_the_head_are_found_and_healed() {
    for what in ["HEAD", "HEAD^{tree}", "HEAD:hosts"] {
        let (_home, path, rows) = home();
        let object = git(&path, &["rev-parse", what]);
        empty(&path, &object);
        let ledger = Ledger::read(&path).unwrap();
        let damage = rows.verify(&ledger).unwrap_err().damage();
        assert!(damage.is_some(), "{what}");
        is_healed(&path, rows);
    }
}

#[test]
fn an_emptied_file_is_damage_to_a_look_at_the_end() {
    let (_home, path, rows) = home();
    let record = record_path(rows.entries[2].created_at, rows.entries[2].request_id);
    let object = git(&path, &["rev-parse", &format!("HEAD:{record}")]);
    empty(&path, &object);
    let ledger = Ledger::read(&path).unwrap();
    let mut verifier = ledger.verifier_after(&rows.batches[1]).unwrap();
    let fault = verifier.check(&rows.batches[2], &rows.entries[2..]);
    assert!(fault.unwrap_err().damage().is_some());
    rebuild(&path, &rows);
    assert_eq!(rows.verify(&Ledger::open(&path).unwrap()), Ok(()));
}

#[test]
fn a_ledger_without_its_objects_or_with_garbled_references_is_healed() {
    let ways: [fn(&Path); 5] = [
        |path| fs::remove_dir_all(path.join("objects")).unwrap(),
        |path| fs::write(path.join("HEAD"), "\0\x01garbage").unwrap(),
        |path| fs::write(path.join("HEAD"), "").unwrap(),
        |path| fs::write(path.join("refs/heads/main"), "").unwrap(),
        |path| fs::write(path.join("refs/heads/main"), "\0".repeat(41)).unwrap(),
    ];
    for way in ways {
        let (_home, path, rows) = home();
        way(&path);
        is_healed(&path, rows);
    }
}

#[test]
fn a_foreign_head_is_no_damage_and_is_told_without_git() {
    let (_home, path, mut rows) = home();
    let tree = git(&path, &["rev-parse", "HEAD^{tree}"]);
    let who = ["-c", "user.name=M", "-c", "user.email=m@example.org"];
    let commit = ["commit-tree", "-p", "HEAD", "-m", "mine", tree.trim()];
    let foreign = git(&path, &[&who[..], &commit[..]].concat());
    git(&path, &["update-ref", "refs/heads/main", foreign.trim()]);
    let told = attempt(&path, &mut rows).unwrap_err();
    assert!(matches!(told, LedgerError::Foreign(_)), "{told}");
    assert!(!told.is_damage());
    let foreign = foreign.trim().parse().ok();
    assert_eq!(claimed_head(&path), foreign);
    git(&path, &["pack-refs", "--all"]);
    assert!(!path.join("refs/heads/main").exists());
    fs::remove_dir_all(path.join("objects")).unwrap();
    assert_eq!(claimed_head(&path), foreign, "it is read from packed-refs");
}

/// The kernel's own answer to a write on a full disk, on the way that every write goes.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_no_damage_and_leaves_nothing_behind() {
    let (_home, path, mut rows) = home();
    let (batch, entries) = rows.decide(&[change(4)]);
    let mut ledger = Ledger::open(&path).unwrap();
    let head = ledger.head().unwrap();
    // What the next pack is called, another ledger of the same rows says.
    let (_other, elsewhere, _) = home();
    let packs = |path: &Path| -> BTreeSet<_> {
        let files = fs::read_dir(path.join("objects/pack")).unwrap();
        files.map(|file| file.unwrap().file_name()).collect()
    };
    let before = packs(&elsewhere);
    let commit = Ledger::open(&elsewhere).unwrap().write(&batch, &entries);
    let made = &packs(&elsewhere) - &before;
    let mut made = made.iter().map(|name| name.to_str().unwrap());
    let pack = made.find(|name| name.ends_with(".pack")).unwrap();
    let unfinished = path.join(format!("objects/pack/tmp_{pack}"));
    std::os::unix::fs::symlink("/dev/full", &unfinished).unwrap();
    let refused = ledger.write(&batch, &entries).unwrap_err();
    assert!(refused.to_string().contains("No space left"), "{refused}");
    assert!(!refused.is_damage(), "{refused}");
    assert_eq!(ledger.head().unwrap(), head);
    assert_eq!(packs(&path), before, "nothing is left of it");
    assert_eq!(ledger.write(&batch, &entries), commit, "there is room");
}

#[test]
fn what_a_disk_refuses_is_no_damage() {
    use std::io::ErrorKind as Kind;
    for kind in [
        Kind::StorageFull,
        Kind::QuotaExceeded,
        Kind::PermissionDenied,
        Kind::ReadOnlyFilesystem,
        Kind::Other,
    ] {
        assert!(!LedgerError::io("try", &kind.into()).is_damage(), "{kind}");
        let error: gix::Error = gix::Error::from_error(std::io::Error::from(kind));
        assert!(!LedgerError::git("try", &error).is_damage(), "{kind}");
        assert!(!LedgerError::read("try", &error).is_damage(), "{kind}");
    }
    assert!(LedgerError::io("try", &Kind::NotFound.into()).is_damage());
}

#[test]
fn a_rebuild_that_broke_off_is_removed_and_damaged_ones_are_bounded() {
    let (home, path, rows) = home();
    let mut broken_off = Rebuild::begin(&place(&path)).unwrap();
    broken_off
        .write(&[(rows.batches[0].clone(), vec![rows.entries[0].clone()])])
        .unwrap();
    drop(broken_off);
    assert!(home.path().join("ledger.rebuilt-1").is_dir());
    fs::create_dir(home.path().join("ledger.rebuilt-mine")).unwrap();
    remove_unfinished(&path).unwrap();
    assert!(!home.path().join("ledger.rebuilt-1").exists());
    assert!(home.path().join("ledger.rebuilt-mine").is_dir());
    for n in 1..=9 {
        let aside = rebuild(&path, &rows).unwrap();
        assert_eq!(aside, home.path().join(format!("ledger.damaged-{n}")));
    }
    let refused = Rebuild::begin(&place(&path)).err().unwrap();
    assert!(refused.to_string().contains("look at the disk"));
    assert!(!refused.is_damage());
    assert_eq!(rows.verify(&Ledger::open(&path).unwrap()), Ok(()));
}
