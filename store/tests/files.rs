//! Files that must be refused or reported: newer, foreign, damaged, read-only, on a full disk.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
    sync::Arc,
};

use chiffon_store::{
    Commit, Error, Expected, ListRequests, Options, Sqlite, Store, Write,
    conformance::{at, commit, entry, request_row},
    verify_audit,
};
use rusqlite::Connection;

fn open(path: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(path, Options::default())
}

fn a_commit() -> Commit {
    let mut row = request_row(at(0));
    row.doc = serde_json::json!("x".repeat(1000));
    Commit {
        audit: vec![entry("request:1")],
        ..commit([Write::Request(Expected::Absent, row)])
    }
}

#[test]
fn an_older_program_refuses_a_newer_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(open(&path).unwrap());
    let sql = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
               VALUES (99, 'later', '2030-01-01T00:00:00Z', '1')";
    Connection::open(&path).unwrap().execute(sql, []).unwrap();
    match open(&path) {
        Err(Error::Newer { found: 99, known }) => assert!(known < 99),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let marked = "PRAGMA application_id = 7";
    for (name, sql) in [
        ("a.db", "CREATE TABLE theirs (id INTEGER)"),
        ("b.db", marked),
    ] {
        let path = folder.path().join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&path).unwrap();
        match open(&path) {
            Err(Error::Corrupt(why)) => assert!(why.contains("another program"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            fs::read(&path).unwrap(),
            before,
            "nothing was written to it"
        );
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    assert!(matches!(open(&path), Err(Error::Corrupt(_))));
}

#[tokio::test]
async fn a_damaged_database_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let store = open(&path).unwrap();
    for _ in 0..200 {
        store.commit(a_commit()).await.unwrap();
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    // All but the schema: what a failing disk might leave.
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let told = match open(&path) {
        Ok(store) => match store.check().await {
            Ok(faults) => !faults.is_empty(),
            Err(error) => matches!(error, Error::Corrupt(_)),
        },
        Err(error) => matches!(error, Error::Corrupt(_)),
    };
    assert!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(open(&path).unwrap());
    let pages: u32 = {
        let conn = Connection::open(&path).unwrap();
        conn.pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    };
    let options = Options {
        max_pages: Some(pages + 60),
        ..Options::default()
    };
    let store = Arc::new(Sqlite::open(&path, options).unwrap());
    let mut writing = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        writing.spawn(async move { store.commit(a_commit()).await });
    }
    let results = writing.join_all().await;
    let kept = results.iter().filter(|result| result.is_ok()).count();
    assert!(kept > 0 && kept < 200, "{kept} were kept");
    for error in results.into_iter().filter_map(Result::err) {
        assert!(matches!(error, Error::Full), "{error:?}");
    }
    let list = ListRequests {
        limit: 500,
        ..ListRequests::default()
    };
    let tenant = Commit::default().tenant_id;
    let rows = store.requests(&tenant, list).await.unwrap();
    assert_eq!(rows.len(), kept, "those acknowledged and no others");
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    drop(store);
    let store = open(&path).unwrap();
    store.commit(a_commit()).await.unwrap();
    let report = verify_audit(&store).await.unwrap();
    assert_eq!(report.faults, []);
    assert_eq!(report.records, kept as u64 + 1);
}

const READ_ONLY: &str = "CHIFFON_STORE_TEST_READ_ONLY";

/// Not a test by itself: what the next one starts as another user.
#[test]
fn as_another_user() {
    let Some(path) = std::env::var_os(READ_ONLY) else {
        return;
    };
    match open(Path::new(&path)) {
        Err(Error::ReadOnly(why)) => println!("REFUSED {why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    drop(open(&path).unwrap());
    let set =
        |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    // Of the superuser no file is safe; so the program runs as nobody, from where nobody may read it.
    let program = folder.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(&program);
    command
        .args(["--exact", "as_another_user", "--nocapture"])
        .env(READ_ONLY, &path)
        .current_dir(folder.path());
    set(&program, 0o755);
    set(&path, 0o444);
    set(folder.path(), 0o755);
    let superuser = fs::OpenOptions::new().write(true).open(&path).is_ok();
    if superuser {
        command.uid(65534).gid(65534);
    } else {
        set(folder.path(), 0o555);
    }
    let output = command.output().unwrap();
    set(folder.path(), 0o755);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("REFUSED"),
        "{output:?}"
    );
}
