//! What strangers, lost files and changed rows do to a ledger, and that it is told.

use super::*;

#[test]
fn a_foreign_commit_is_named_and_nothing_is_written_over_it() {
    let (folder, mut ledger, mut rows) = written();
    let tree = git(folder.path(), &["rev-parse", "HEAD^{tree}"]);
    let who = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"];
    let commit = [
        "commit-tree",
        "-p",
        "HEAD",
        "-m",
        "slip this in",
        tree.trim(),
    ];
    let foreign = git(folder.path(), &[&who[..], &commit[..]].concat());
    git(
        folder.path(),
        &["update-ref", "refs/heads/main", foreign.trim()],
    );
    let expected = format!("foreign commit {} by Mallory: slip this in", foreign.trim());
    assert_eq!(rows.verify(&ledger), Err(Fault::Head(expected.clone())));
    let (batch, entries) = rows.decide(&[change(5)]);
    let refused = ledger.write(&batch, &entries);
    assert_eq!(refused, Err(LedgerError::Foreign(expected)));
    assert_eq!(ledger.head().unwrap().unwrap().to_string(), foreign.trim());
}

#[test]
fn rewritten_history_is_told() {
    let (folder, ledger, rows) = written();
    git(folder.path(), &["update-ref", "refs/heads/main", "HEAD~2"]);
    let told = rows.verify(&ledger).unwrap_err().to_string();
    assert!(told.contains("history was rewritten"), "{told}");
    git(folder.path(), &["update-ref", "-d", "refs/heads/main"]);
    let told = rows.verify(&ledger).unwrap_err().to_string();
    assert!(told.contains("main is gone"), "{told}");
}

#[test]
fn a_missing_object_is_named() {
    let (folder, _ledger, rows) = written();
    unpack(folder.path());
    let path = "records/2026/11/20/17/00/02/01939f00-0000-7000-8000-000000000002.yml";
    let blob = git(folder.path(), &["rev-parse", &format!("HEAD:{path}")]);
    let (shard, rest) = blob.trim().split_at(2);
    let object = folder.path().join("objects").join(shard).join(rest);
    let before = std::fs::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    let fault = |rows: &Rows| {
        rows.verify(&Ledger::open(folder.path()).unwrap())
            .unwrap_err()
    };
    let Fault::Damaged {
        batch_no: 2,
        object: named,
        ..
    } = fault(&rows)
    else {
        panic!("{:?}", fault(&rows));
    };
    assert_eq!(named, blob.trim());
    // What a loss of power leaves: the name is there, the content is not.
    std::fs::write(&object, "").unwrap();
    assert!(matches!(fault(&rows), Fault::Damaged { batch_no: 2, .. }));
    std::fs::write(&object, before).unwrap();
    assert_eq!(rows.verify(&Ledger::open(folder.path()).unwrap()), Ok(()));
}

#[test]
fn a_changed_row_is_told() {
    let (_folder, ledger, mut rows) = written();
    rows.entries[0].doc["requester"] = json!("local:somebody");
    let fault = rows.verify(&ledger).unwrap_err();
    assert!(
        matches!(fault, Fault::Differs { batch_no: 1, .. }),
        "{fault}"
    );
    rows.entries[0].doc["requester"] = json!("local:bob");
    assert_eq!(rows.verify(&ledger), Ok(()));
    rows.batches.remove(1);
    let fault = rows.verify(&ledger).unwrap_err();
    assert!(matches!(fault, Fault::Rows { batch_no: 3, .. }), "{fault}");
}

/// Puts the loose file of one object into the place of another's.
fn forge(folder: &Path, real: &str, forged: &str) -> Vec<u8> {
    let file = |id: &str| {
        let (shard, rest) = id.trim().split_at(2);
        folder.join("objects").join(shard).join(rest)
    };
    let before = std::fs::read(file(real)).unwrap();
    put_back(folder, real, &std::fs::read(file(forged)).unwrap());
    before
}

fn put_back(folder: &Path, object: &str, content: &[u8]) {
    let (shard, rest) = object.trim().split_at(2);
    let file = folder.join("objects").join(shard).join(rest);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, content).unwrap();
}

/// gix, as git when it only shows, takes a loose file for what its name says.
#[test]
fn an_object_under_the_name_of_another_is_named() {
    let (folder, _ledger, rows) = written();
    let folder = folder.path();
    unpack(folder);
    let told = || rows.verify(&Ledger::open(folder).unwrap());
    assert_eq!(told(), Ok(()));
    let who = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"];
    let tree = git(folder, &["rev-parse", "HEAD~1^{tree}"]);
    let words = ["commit-tree", "-p", "HEAD~2", "-m", "mine", tree.trim()];
    let commit = git(folder, &[&who[..], &words[..]].concat());
    let other_tree = git(folder, &["rev-parse", "HEAD~1:hosts"]);
    let other_blob = git(folder, &["hash-object", "-w", "--no-filters", "--", "HEAD"]);
    let path = format!(
        "HEAD~2:{}/write_file.yml",
        host_folder(&"nas".parse().unwrap())
    );
    for (batch, real, forged) in [
        (2, "HEAD~1", &commit),
        (1, "HEAD~2^{tree}", &other_tree),
        (2, "HEAD~1:records", &other_tree),
        (1, &path, &other_blob),
    ] {
        let object = git(folder, &["rev-parse", real]);
        let before = forge(folder, &object, forged);
        if real == "HEAD~1" {
            let log = git(folder, &["log", "--format=%an"]);
            assert!(log.contains("Mallory"), "git shows the forgery:\n{log}");
        }
        let fault = told().unwrap_err();
        let Fault::Damaged {
            batch_no,
            object: named,
            why,
        } = &fault
        else {
            panic!("{real}: {fault}");
        };
        assert_eq!(
            (*batch_no, named.as_str()),
            (batch, object.trim()),
            "{real}"
        );
        assert!(why.contains(forged.trim()), "{real}: {why}");
        put_back(folder, &object, &before);
        assert_eq!(told(), Ok(()), "{real}");
    }
}
