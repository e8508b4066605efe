//! Damage of the files that hold objects: what `git fsck` finds is found, and what it reads well is no fault.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// Whether the real git reads everything well.
fn is_well(folder: &Path) -> bool {
    let fsck = Command::new("git")
        .args(["fsck", "--strict", "--full"])
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .expect("git is there");
    fsck.status.success()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

fn put(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

type Damage = (&'static str, fn(&mut Vec<u8>));

const DAMAGES: [Damage; 7] = [
    ("emptied", Vec::clear),
    ("without its last byte", |bytes| {
        bytes.truncate(bytes.len() - 1);
    }),
    ("without its last checksum", |bytes| {
        bytes.truncate(bytes.len().saturating_sub(20));
    }),
    ("cut in its middle", |bytes| bytes.truncate(bytes.len() / 2)),
    ("flipped at its beginning", |bytes| bytes[0] ^= 0x41),
    ("flipped in its middle", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x41;
    }),
    ("flipped at its end", |bytes| {
        *bytes.last_mut().unwrap() ^= 1;
    }),
];

/// Damages each file of these in each way, one after the other, and holds what we say against what git says.
fn as_git_says(folder: &Path, files: &[PathBuf]) -> usize {
    let mut found = 0;
    for file in files {
        let before = fs::read(file).unwrap();
        for (how, damage) in DAMAGES {
            let mut after = before.clone();
            damage(&mut after);
            put(file, &after);
            let ours = Ledger::read(folder).and_then(|ledger| ledger.sound());
            let git = is_well(folder);
            let what = format!("{} {how}: git {git}, and {ours:?}", file.display());
            assert!(git || ours.is_err(), "{what}");
            if let Err(error) = &ours {
                assert!(error.is_damage(), "{what}");
                found += 1;
            }
            put(file, &before);
        }
        assert_eq!(Ledger::read(folder).unwrap().sound(), Ok(()));
        assert!(is_well(folder));
    }
    found
}

#[test]
fn a_damaged_pack_or_index_is_found_as_git_finds_it() {
    let (folder, ..) = written();
    let folder = folder.path();
    let files = files(&folder.join("objects/pack"));
    assert_eq!(files.len(), 6, "{files:?}");
    // One pack is as good as the other.
    let found = as_git_says(folder, &files[..2]);
    assert_eq!(found, 2 * DAMAGES.len(), "each of them is damage");
}

/// Whoever opened it would wait until somebody writes into it.
#[test]
fn a_pipe_in_place_of_a_file_is_damage_and_nothing_that_is_waited_for() {
    let (folder, ..) = written();
    let folder = folder.path();
    let pack = files(&folder.join("objects/pack")).remove(0);
    let stray = folder.join("objects/ab/0123");
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    for file in [
        folder.join("HEAD"),
        folder.join("config"),
        folder.join("refs/heads/main"),
        pack,
        stray,
    ] {
        let before = fs::read(&file).ok();
        let _not_there = fs::remove_file(&file);
        let made = Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(made.success());
        let (told, hears) = std::sync::mpsc::sync_channel(1);
        let path = folder.to_owned();
        std::thread::spawn(move || {
            let _head = claimed_head(&path);
            let found = Ledger::read(&path).map(drop);
            let _nobody_hears = told.send(found);
        });
        let found = hears.recv_timeout(std::time::Duration::from_secs(20));
        let error = found.expect("it waits").expect_err("a pipe is no file");
        assert!(error.is_damage(), "{}: {error:?}", file.display());
        fs::remove_file(&file).unwrap();
        if let Some(before) = before {
            fs::write(&file, before).unwrap();
        }
        Ledger::read(folder).unwrap();
    }
}

#[test]
fn a_damaged_loose_object_is_found_as_git_finds_it() {
    let (folder, ..) = written();
    let folder = folder.path();
    unpack(folder);
    let files = files(&folder.join("objects"));
    assert!(files.len() > 10, "{files:?}");
    let found = as_git_says(folder, &files[..2]);
    assert_eq!(found, 2 * DAMAGES.len(), "each of them is damage");
}

/// What a person's `git gc` and the like leave beside packs.
#[test]
fn what_git_puts_beside_a_pack_is_looked_at_too() {
    let (folder, ..) = written();
    let folder = folder.path();
    git(
        folder,
        &["repack", "-a", "-d", "-q", "--write-bitmap-index"],
    );
    git(folder, &["commit-graph", "write", "--reachable"]);
    git(folder, &["multi-pack-index", "write"]);
    let files = files(&folder.join("objects"));
    let hashed = |name: &str| {
        let is_it = |path: &&PathBuf| path.to_string_lossy().ends_with(name);
        files.iter().find(is_it).cloned()
    };
    let names = [".pack", ".bitmap", "commit-graph", "multi-pack-index"];
    let files: Vec<PathBuf> = names.into_iter().filter_map(hashed).collect();
    assert_eq!(files.len(), names.len(), "{files:?}");
    let found = as_git_says(folder, &files);
    assert_eq!(found, files.len() * DAMAGES.len());
}

/// Looked at before each write, so that nothing goes on top of it; what rots in the middle is left to who reads all.
#[test]
fn nothing_is_written_on_top_of_a_pack_that_git_cannot_read() {
    for (how, damage) in &DAMAGES[..5] {
        let (folder, _ledger, mut rows) = written();
        let folder = folder.path();
        let head = git(folder, &["rev-parse", "main"]);
        // The first commit, of which the next needs nothing.
        let old = files(&folder.join("objects/pack"));
        let old: Vec<_> = old
            .iter()
            .filter(|path| path.extension() == Some("pack".as_ref()))
            .collect();
        let before = fs::read(old[0]).unwrap();
        let mut after = before.clone();
        damage(&mut after);
        put(old[0], &after);
        let (batch, entries) = rows.decide(&[change(9)]);
        let refused = Ledger::open(folder).and_then(|mut ledger| ledger.write(&batch, &entries));
        let refused = refused.unwrap_err();
        assert!(refused.is_damage(), "{how}: {refused}");
        assert!(
            refused.to_string().contains(".pack is damaged"),
            "{how}: {refused}"
        );
        assert_eq!(
            fs::read_to_string(folder.join("refs/heads/main")).unwrap(),
            head
        );
        put(old[0], &before);
        Ledger::open(folder)
            .unwrap()
            .write(&batch, &entries)
            .unwrap();
    }
}

#[test]
fn a_pack_that_is_gone_is_damage_and_one_without_an_index_is_not_looked_at() {
    let (folder, ..) = written();
    let folder = folder.path();
    let all = files(&folder.join("objects/pack"));
    let of = |ending: &str| {
        all.iter()
            .find(|path| path.extension() == Some(ending.as_ref()))
            .unwrap()
    };
    let (index, pack) = (fs::read(of("idx")).unwrap(), fs::read(of("pack")).unwrap());
    fs::remove_file(of("pack")).unwrap();
    let told = Ledger::read(folder).unwrap().sound().unwrap_err();
    assert!(
        told.is_damage() && told.to_string().contains("missing"),
        "{told}"
    );
    fs::write(of("pack"), pack).unwrap();
    // As between the two steps of a merge.
    fs::remove_file(of("idx")).unwrap();
    assert_eq!(Ledger::read(folder).unwrap().shape(), Ok(()));
    fs::write(of("idx"), index).unwrap();
    assert!(is_well(folder));
}
