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
