//! What disks, strangers and other programs do to the ledger and the database: the damage is named, and what can be
//! mended by itself is mended. An agent's journal is left to `journals`.

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    process::Command,
};

use chiffon_tests::{Chiffon, not_run, rot, wait_for};

use crate::fresh::{Fresh, LIMIT, ends, id_of, json, newest, up};

struct Ledger(PathBuf);

impl Ledger {
    fn of(fresh: &Fresh) -> Self {
        Self(fresh.home.path().join("ledger"))
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=Mallory", "-c", "user.email=m@example.org"];
        let done = Command::new("git")
            .arg("-C")
            .arg(&self.0)
            .args(who)
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "git {arguments:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }
}

#[track_caller]
fn component(chiffon: &Chiffon, part: &str) -> String {
    let status = chiffon.run(&["status", "--json"]);
    let status = json(&status.stdout);
    status["health"]["components"][part]
        .as_str()
        .unwrap()
        .to_owned()
}

#[track_caller]
fn until_well(chiffon: &Chiffon) {
    wait_for("the ledger to be well and whole", LIMIT, || {
        let is_well = component(chiffon, "ledger") == "ok";
        (is_well && chiffon.run(&["audit", "verify"]).code() == Some(0)).then_some(())
    });
}

#[test]
fn locks_and_foreign_files_in_the_ledger_hold_nothing_up() {
    let fresh = Fresh::new();
    let ledger = Ledger::of(&fresh);
    let chiffon = fresh.chiffon();
    let litter = || {
        for name in [
            "index.lock",
            "HEAD.lock",
            "packed-refs.lock",
            "refs/heads/main.lock",
            "a foreign file",
        ] {
            fs::write(ledger.0.join(name), "").unwrap();
        }
    };
    let running = up(&fresh);
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    litter();
    let done = chiffon.run(&["run", "ping localhost"]).expect_code(0);
    assert!(done.stdout.contains("ledger  "), "{}", done.stdout);
    until_well(&chiffon);
    ends(running);
    litter();
    let done = chiffon.run(&["run", "ping localhost"]).expect_code(0);
    assert!(done.stdout.contains("ledger  "), "{}", done.stdout);
    chiffon.run(&["audit", "verify"]).expect_code(0);
    assert!(ledger.0.join("a foreign file").exists(), "it was not ours");
    chiffon.run(&["doctor"]).expect_code(0);
}

/// Told also where something waits to be written, and not written over. Put back, it goes on.
#[test]
fn a_foreign_commit_is_an_alarm_until_it_is_taken_back() {
    let fresh = Fresh::new();
    let ledger = Ledger::of(&fresh);
    let chiffon = fresh.chiffon();
    let running = up(&fresh);
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    let ours = ledger.git(&["rev-parse", "main"]);
    let foreign = ledger.git(&["commit-tree", "-p", "main", "-m", "slip in", "main^{tree}"]);
    ledger.git(&["update-ref", "refs/heads/main", &foreign]);
    let alarm = |when: &str| {
        wait_for("an alarm", LIMIT, || {
            component(&chiffon, "ledger")
                .contains(&foreign)
                .then_some(())
        });
        let verified = chiffon.run(&["audit", "verify"]).expect_code(1);
        let told = verified.stdout + &verified.stderr;
        assert!(
            told.contains("by Mallory: slip in") && told.contains(&foreign),
            "{when}: {told}"
        );
        let doctor = chiffon.run(&["doctor"]).expect_code(1);
        assert!(
            doctor.stdout.contains("update-ref") && doctor.stdout.contains("5507"),
            "{when}: {}",
            doctor.stdout
        );
    };
    alarm("nothing waits");
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    alarm("a record waits");
    assert!(running.stderr().contains("5507"), "{}", running.stderr());
    assert_eq!(ledger.git(&["rev-parse", "main"]), foreign);
    ledger.git(&["update-ref", "refs/heads/main", &ours]);
    until_well(&chiffon);
    assert_eq!(ledger.git(&["rev-parse", "main~1"]), ours);
    ends(running);
    // Where nothing runs, whoever looks first hears it.
    let ours = ledger.git(&["rev-parse", "main"]);
    ledger.git(&["update-ref", "refs/heads/main", &foreign]);
    for look in ["doctor", "status"] {
        let told = chiffon.run(&[look]).expect_code(1);
        assert!(told.stdout.contains(&foreign), "{look}: {}", told.stdout);
    }
    ledger.git(&["update-ref", "refs/heads/main", &ours]);
    chiffon.run(&["doctor"]).expect_code(0);
}

#[test]
fn a_flipped_deleted_or_moved_ledger_is_named_and_made_anew() {
    let fresh = Fresh::new();
    let ledger = Ledger::of(&fresh);
    let chiffon = fresh.chiffon();
    let running = up(&fresh);
    for _ in 0..2 {
        chiffon.run(&["run", "ping localhost"]).expect_code(0);
    }
    let head = ledger.git(&["rev-parse", "main"]);
    // An old record that no write needs: found by whoever looks.
    let path = ledger.git(&["ls-tree", "-r", "--name-only", "main~1", "records"]);
    let path = path.lines().next().unwrap();
    let object = rot(&ledger.0, &format!("main:{path}")).unwrap();
    let found = chiffon.run(&["audit", "verify"]).expect_code(1);
    let is_named = found.stdout.contains(&object) || found.stdout.contains(path);
    assert!(
        is_named && found.stdout.contains("made anew"),
        "{}",
        found.stdout
    );
    assert!(found.stdout.contains("explain 5507"), "{}", found.stdout);
    until_well(&chiffon);
    assert!(fresh.home.path().join("ledger.damaged-1").is_dir());
    fs::remove_dir_all(&ledger.0).unwrap();
    let is_back = || {
        (ledger.0.join("refs/heads/main").exists() && ledger.git(&["rev-parse", "main"]) == head)
            .then_some(())
    };
    wait_for("the deleted ledger, filled in", LIMIT, is_back);
    until_well(&chiffon);
    fs::rename(&ledger.0, fresh.home.scratch().join("moved")).unwrap();
    wait_for("the moved ledger, filled in", LIMIT, is_back);
    until_well(&chiffon);
    ends(running);
    // The same while nobody looks.
    rot(&ledger.0, "main").unwrap();
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    told_once(&chiffon);
    fs::remove_dir_all(&ledger.0).unwrap();
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    told_once(&chiffon);
    // Also where it is not even a folder.
    fs::remove_dir_all(&ledger.0).unwrap();
    fs::write(&ledger.0, "a letter").unwrap();
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    told_once(&chiffon);
    // And where the verification itself is the first to look.
    fs::remove_dir_all(&ledger.0).unwrap();
    told_once(&chiffon);
    assert_eq!(ledger.git(&["rev-parse", "main~3"]), head);
}

#[track_caller]
fn told_once(chiffon: &Chiffon) {
    let told = chiffon.run(&["audit", "verify"]).expect_code(1);
    let words = "was put back from the database";
    assert!(told.stdout.contains(words), "{}", told.stdout);
    let told = chiffon.run(&["audit", "verify"]).expect_code(0);
    let is_noted = told.stdout.contains("This was told before") && told.stdout.contains(words);
    assert!(is_noted, "{}", told.stdout);
}

/// The pages of a database that hold this text.
fn pages_with(bytes: &[u8], text: &str) -> Vec<usize> {
    let pages = bytes.chunks(4096).enumerate();
    let with = pages.filter(|(_, page)| page.windows(text.len()).any(|at| at == text.as_bytes()));
    with.map(|(number, _)| number).collect()
}

#[test]
fn a_database_that_is_damaged_is_refused_and_not_touched() {
    let fresh = Fresh::new();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    let id = id_of(&newest(&fresh));
    let database = fresh.home.path().join("chiffon.db");
    // A reader that was at work at the end may have left the log beside it; whoever closes the database last takes
    // it in.
    let last = rusqlite::Connection::open(&database).unwrap();
    last.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    last.close().unwrap();
    let whole = fs::read(&database).unwrap();
    let log = fresh.home.path().join("chiffon.db-wal");
    assert!(!log.exists(), "a closed database is not in one file");
    let half = whole[..whole.len() / 2 / 4096 * 4096].to_vec();
    let cases: [(&str, Option<Vec<u8>>); 6] = [
        ("missing", None),
        ("of zero bytes", Some(Vec::new())),
        (
            "text",
            Some(b"This is no database, it is a letter.\n".repeat(40)),
        ),
        (
            "noise",
            Some(
                (0..9000_u32)
                    .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect(),
            ),
        ),
        ("cut in the middle", Some(half)),
        ("cut in its first page", Some(whole[..1000].to_vec())),
    ];
    for (what, content) in cases {
        fs::remove_file(&database).unwrap();
        if let Some(content) = &content {
            fs::write(&database, content).unwrap();
        }
        for args in [
            vec!["status"],
            vec!["run", "ping localhost", "--no-input"],
            vec!["audit", "verify"],
            vec!["up", "--listen", "127.0.0.1:0"],
        ] {
            let refused = fresh.run(&args);
            assert_eq!(
                refused.code(),
                Some(1),
                "{what}, {args:?}: {}",
                refused.stdout
            );
            assert!(
                refused.stderr.contains("5505") && refused.stderr.contains("backup"),
                "{what}, {args:?}: {}",
                refused.stderr
            );
        }
        assert_eq!(fs::read(&database).ok(), content, "{what}: it was touched");
        fs::write(&database, &whole).unwrap();
    }
    let doctor = {
        fs::write(&database, "").unwrap();
        fresh.run(&["doctor"]).expect_code(1)
    };
    assert!(
        doctor.stdout.contains("is missing or empty"),
        "{}",
        doctor.stdout
    );
    // Flipped where something lies: whoever comes upon it says so, and a look at everything does.
    let mut flipped = whole.clone();
    let pages = pages_with(&whole, &id);
    assert!(pages.len() > 3, "{pages:?}");
    for page in pages.into_iter().filter(|page| *page > 0) {
        flipped[page * 4096..page * 4096 + 16]
            .iter_mut()
            .for_each(|byte| *byte ^= 0x55);
    }
    fs::write(&database, &flipped).unwrap();
    for args in [&["request", "show", &id][..], &["audit", "verify"]] {
        let told = fresh.run(args);
        assert_eq!(
            told.code(),
            Some(1),
            "{args:?}: {}{}",
            told.stdout,
            told.stderr
        );
        assert!(told.stderr.contains("5505"), "{args:?}: {}", told.stderr);
    }
    fs::write(&database, &whole).unwrap();
    fresh.run(&["run", "ping localhost"]).expect_code(0);
    fresh.run(&["audit", "verify"]).expect_code(0);
}

#[test]
fn a_row_that_nobody_can_read_is_named_under_the_list_of_all_others() {
    let fresh = Fresh::new();
    let mut ids = Vec::new();
    for _request in 0..2 {
        fresh.run(&["run", "ping localhost"]).expect_code(0);
        ids.push(id_of(&newest(&fresh)));
    }
    let database = rusqlite::Connection::open(fresh.home.path().join("chiffon.db")).unwrap();
    let sql = "UPDATE requests SET doc = '{}' WHERE request_id = ?1";
    assert_eq!(database.execute(sql, [&ids[0]]).unwrap(), 1);
    database.close().unwrap();
    let listed = fresh.run(&["request", "list"]).expect_code(0);
    assert!(listed.stdout.contains(&ids[1]), "{}", listed.stdout);
    assert!(!listed.stdout.contains(&ids[0]), "{}", listed.stdout);
    let named = format!("The request {} (completed) cannot be shown", ids[0]);
    for said in [&named, "5510", "backup"] {
        assert!(listed.stderr.contains(said), "{said}: {}", listed.stderr);
    }
    let whole = json(
        &fresh
            .run(&["request", "list", "--json"])
            .expect_code(0)
            .stdout,
    );
    assert_eq!(whole["unreadable"][0]["id"], ids[0], "{whole:#}");
    // By the beginning of its id, too.
    for id in [ids[0].as_str(), &ids[0][..24]] {
        let shown = fresh.run(&["request", "show", id]).expect_code(1);
        let names_it = shown.stderr.contains(&format!("stored request {}", ids[0]));
        assert!(
            names_it && shown.stderr.contains("5510"),
            "{id}: {}",
            shown.stderr
        );
    }
    let verified = fresh.run(&["audit", "verify"]).expect_code(1);
    assert!(verified.stdout.contains(&ids[0]), "{}", verified.stdout);
}

#[test]
fn a_database_that_somebody_else_holds_or_made_read_only_is_told_and_goes_on() {
    let fresh = Fresh::new();
    let chiffon = fresh.chiffon();
    let running = up(&fresh);
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    let database = fresh.home.path().join("chiffon.db");
    let hold = "import sqlite3,sys
c=sqlite3.connect(sys.argv[1],isolation_level=None); c.execute('BEGIN IMMEDIATE'); print('held',flush=True); sys.stdin.read()";
    let mut holder = Command::new("python3")
        .args(["-c", hold])
        .arg(&database)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut said).unwrap();
    let refused = chiffon.run(&["ask", "ping localhost"]);
    assert_eq!(refused.code(), Some(1), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("5501") && refused.stderr.contains("locked"),
        "{}",
        refused.stderr
    );
    assert!(component(&chiffon, "store").contains("locked"));
    drop(holder.stdin.take());
    holder.wait().unwrap();
    wait_for("the database to be well", LIMIT, || {
        (component(&chiffon, "store") == "ok").then_some(())
    });
    chiffon.run(&["run", "ping localhost"]).expect_code(0);
    chiffon.run(&["audit", "verify"]).expect_code(0);
    ends(running);
    let Some(_shut) = crate::bad_input::ReadOnly::make(&database) else {
        not_run(
            "a read-only database",
            "it cannot be mounted read-only here",
        );
        return;
    };
    for args in [vec!["status"], vec!["run", "ping localhost"], vec!["up"]] {
        let refused = chiffon.run(&args);
        assert_eq!(refused.code(), Some(1), "{args:?}: {}", refused.stdout);
        assert!(
            refused.stderr.contains("5503") && refused.stderr.contains("writable"),
            "{args:?}: {}",
            refused.stderr
        );
    }
}

/// Nothing but `forget` reads that index, so no command meets the damage: whoever asks how it is hears of it all the same.
#[test]
fn damage_that_nothing_has_met_yet_is_found_by_doctor() {
    let fresh = Fresh::new();
    fresh.run(&["status"]).expect_code(0);
    let path = fresh.home.path().join("chiffon.db");
    let root: u64 = {
        let conn = rusqlite::Connection::open(&path).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'resource_metrics_by_age'";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start((root - 1) * 4096)).unwrap();
    file.write_all(&[0xa5; 4096]).unwrap();
    drop(file);
    let doctor = fresh.run(&["doctor"]).expect_code(1);
    assert!(
        doctor.stdout.contains("is damaged") && doctor.stdout.contains("explain 5505"),
        "{}",
        doctor.stdout
    );
}
