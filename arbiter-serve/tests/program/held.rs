//! Audit files and database held against each other at a start: what was cut back, removed, replaced or emptied while
//! nobody looked.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use chiffon_common::{Digest, Event};
use chiffon_store::{
    AuditWrite, ControlCommit, ControlKey, ControlKind, ControlStore, Options, Outcome,
    SqliteControl,
};
use serde_json::{Value, json};

use crate::run::{OPEN, Place, action_of, event, generation, records_in};

/// What the log says where the database lacked decisions.
const LACKED: &str = "were not in the database";
const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

fn place() -> Place {
    Place::new(&format!(
        "{OPEN}\nstore: {{type: sqlite}}\naudit: {{rotate_bytes: 65536}}\n"
    ))
}

/// The audit files, oldest first.
fn files(place: &Place) -> Vec<PathBuf> {
    let folder = fs::read_dir(place.audit()).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    files.sort();
    files
}

/// Takes so many lines off the end of a file.
fn cut(file: &Path, lines: usize) {
    let text = fs::read_to_string(file).unwrap();
    let all: Vec<&str> = text.lines().collect();
    let kept = all[..all.len() - lines].iter();
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    fs::write(file, kept).unwrap();
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A database with what lies beside it; named as the configuration does.
fn database(place: &Place) -> [PathBuf; 3] {
    ["arbiter.db", "arbiter.db-wal", "arbiter.db-shm"].map(|name| place.path().join(name))
}

fn remove_database(place: &Place) {
    for file in database(place) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
    }
}

/// Until there are some files, with answers in each; what was answered last.
fn talk(place: &Place) -> Vec<(Value, Value)> {
    let served = place.serve();
    let mut answered = Vec::new();
    for n in 0..2_000 {
        let sent = event("t", &format!("e-{n}"), &format!("room-{n}"));
        let (status, plan) = served.post("/v0/events", &sent);
        assert_eq!(status, 200, "{plan}");
        answered.push((sent, plan));
        if files(place).len() > 4 && n % 7 == 6 {
            assert!(served.terminate().success(), "{}", place.log());
            return answered;
        }
    }
    panic!("the files do not become so many");
}

/// The program does not start, and says why, with the code and what to do.
#[track_caller]
fn is_refused(place: &Place, words: &[&str]) {
    let said = place.refused(&SERVE);
    for word in ["5508", "audit.path"].iter().chain(words) {
        assert!(said.contains(word), "{word}: {said}");
    }
    // Nor does a second try find it in order.
    place.refused(&SERVE);
}

#[test]
fn files_that_were_cut_back_or_removed_are_refused() {
    let place = place();
    talk(&place);
    let whole = place.path().join("whole");
    copied(&place.audit(), &whole);
    let restored = || {
        fs::remove_dir_all(place.audit()).unwrap();
        copied(&whole, &place.audit());
    };
    let last = files(&place).pop().unwrap();
    // Whole lines off the end: the chain itself shows nothing.
    for lines in [1, 2] {
        cut(&last, lines);
        place.done(&["audit", "verify", "audit"]);
        is_refused(&place, &["its end was cut off"]);
        restored();
    }
    // The last file, and the last two.
    fs::remove_file(&last).unwrap();
    place.done(&["audit", "verify", "audit"]);
    is_refused(&place, &["its end was cut off"]);
    fs::remove_file(files(&place).pop().unwrap()).unwrap();
    is_refused(&place, &["its end was cut off"]);
    restored();
    // All of them, with and without their folder.
    for file in files(&place) {
        fs::remove_file(file).unwrap();
    }
    is_refused(&place, &["has no record"]);
    restored();
    fs::remove_dir_all(place.audit()).unwrap();
    is_refused(&place, &["was removed"]);
    fs::remove_dir_all(place.audit()).unwrap();
    copied(&whole, &place.audit());
    // One in the middle.
    fs::remove_file(&files(&place)[1]).unwrap();
    let said = place.refused(&SERVE);
    assert!(said.contains("5508") && said.contains("missing"), "{said}");
    restored();
    // With the files back, it is as if nothing had been.
    let served = place.serve();
    let (status, _) = served.post("/v0/events", &event("t", "later", "later"));
    assert_eq!(status, 200);
    assert!(served.terminate().success());
    place.done(&["audit", "verify", "audit"]);
    place.done(&["replay", "audit"]);
    // Or with another folder, a new chain, beside the same answers.
    cut(&files(&place).pop().unwrap(), 1);
    is_refused(&place, &[]);
    place.configure(&format!(
        "{OPEN}\nstore: {{type: sqlite}}\naudit: {{path: new}}\n"
    ));
    let served = place.serve();
    let (_, again) = served.post("/v0/events", &event("t", "e-0", "room-0"));
    assert_eq!(again["event_id"], "e-0");
    let (status, _) = served.post("/v0/events", &event("t", "e-0", "elsewhere"));
    assert_eq!(status, 409, "it is remembered");
}

/// A kill leaves lines that are not noted yet: what was noted is there, and nothing is refused.
#[test]
fn a_kill_is_no_loss() {
    let place = place();
    for round in 0..3 {
        let served = place.serve();
        for n in 0..20 {
            let id = format!("e-{round}-{n}");
            let (status, _) = served.post("/v0/events", &event("t", &id, &id));
            assert_eq!(status, 200);
        }
        served.kill();
    }
    let served = place.serve();
    assert!(!place.log().contains(LACKED), "{}", place.log());
    drop(served);
    let brought = |it: &Value| it["action"] == "bring_back_decisions";
    assert!(!place.records().iter().any(brought));
    place.done(&["audit", "verify", "audit"]);
}

#[test]
fn files_of_another_audit_are_refused() {
    let mine = place();
    talk(&mine);
    let other = place();
    let served = other.serve();
    for n in 0..2_000 {
        let id = format!("other-{n}");
        served.post("/v0/events", &event("t", &id, &id));
        if other.records().len() > mine.records().len() {
            break;
        }
    }
    drop(served);
    // The name stays, and what is in the files is another's.
    let name = fs::read(mine.audit().join("replica")).unwrap();
    fs::remove_dir_all(mine.audit()).unwrap();
    copied(&other.audit(), &mine.audit());
    fs::write(mine.audit().join("replica"), name).unwrap();
    is_refused(&mine, &["is not the one that the database has noted"]);
}

/// The files are the truth: answers, conflicts, the lock of a room and the plan that its result names are all there again.
#[test]
fn a_database_that_was_removed_is_brought_back_from_the_files() {
    let place = place();
    let answered = talk(&place);
    let served = place.serve();
    let (_, open) = served.post("/v0/events", &event("t", "open", "open"));
    assert_eq!(action_of(&open), "request_generation");
    let (_, closed) = served.post("/v0/events", &event("t", "closed", "closed"));
    let (status, said) = served.post("/v0/generations", &generation(&closed, "done"));
    assert_eq!(status, 200, "{said}");
    served.kill();
    remove_database(&place);
    let served = place.serve();
    assert!(place.log().contains(LACKED), "{}", place.log());
    for (sent, plan) in answered.iter().step_by(17) {
        let (status, again) = served.post("/v0/events", sent);
        assert_eq!((status, &again), (200, plan));
    }
    let (status, problem) = served.post("/v0/events", &event("t", "e-0", "elsewhere"));
    assert_eq!((status, &problem["code"]), (409, &json!(5020)), "{problem}");
    let (_, shut) = served.post("/v0/events", &event("t", "late", "open"));
    assert_eq!(shut["reason_code"], "generating_lock", "{shut}");
    let (status, hello) = served.post("/v0/generations", &generation(&open, "hello"));
    assert_eq!((status, action_of(&hello)), (200, "send_reply"), "{hello}");
    let again = served.post("/v0/generations", &generation(&closed, "done"));
    assert_eq!(again, (200, said));
    let (_, free) = served.post("/v0/events", &event("t", "next", "closed"));
    assert_eq!(action_of(&free), "request_generation", "{free}");
    assert!(served.terminate().success());
    let records = place.records();
    let told: Vec<&Value> = records
        .iter()
        .filter(|it| it["action"] == "bring_back_decisions")
        .collect();
    let [told] = told[..] else {
        panic!("told once: {told:?}");
    };
    assert_eq!(
        (&told["kind"], &told["result"]),
        (&json!("repair"), &json!("noted"))
    );
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.starts_with(&format!("{} decisions", answered.len() + 3)),
        "{detail}"
    );
    place.done(&["audit", "verify", "audit"]);
    place.done(&["replay", "audit"]);
    // Once is enough.
    drop(place.serve());
    assert_eq!(place.log(), "");
}

/// The same for one that was put back to an older state, which the files have gone on from.
#[test]
fn a_database_of_before_is_given_what_it_lacks() {
    let place = place();
    let answered = talk(&place);
    let old = place.path().join("old");
    fs::create_dir(&old).unwrap();
    for file in database(&place).iter().filter(|file| file.exists()) {
        fs::copy(file, old.join(file.file_name().unwrap())).unwrap();
    }
    let served = place.serve();
    let (_, first) = served.post("/v0/events", &event("t", "after-1", "after"));
    assert_eq!(action_of(&first), "request_generation");
    served.post("/v0/generations", &generation(&first, "hello"));
    let (_, second) = served.post("/v0/events", &event("t", "after-2", "after"));
    assert_eq!(action_of(&second), "request_generation");
    assert!(served.terminate().success());
    remove_database(&place);
    for entry in fs::read_dir(&old).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), place.path().join(entry.file_name())).unwrap();
    }
    let served = place.serve();
    let detail = "3 decisions that stand in the audit";
    assert!(place.log().contains(detail), "{}", place.log());
    for (sent, plan) in [
        &answered[0],
        &(event("t", "after-1", "after"), first),
        &(event("t", "after-2", "after"), second.clone()),
    ] {
        assert_eq!(served.post("/v0/events", sent), (200, plan.clone()));
    }
    // The last state of the room is the one that holds.
    let (_, shut) = served.post("/v0/events", &event("t", "after-3", "after"));
    assert_eq!(shut["reason_code"], "generating_lock", "{shut}");
    let (status, _) = served.post("/v0/generations", &generation(&second, "hello again"));
    assert_eq!(status, 200);
}

/// The name may be lost with the end: the place says all the same whose files these must be.
#[test]
fn files_without_their_name_are_held_against_the_database_all_the_same() {
    let place = place();
    talk(&place);
    let name = place.audit().join("replica");
    let named = fs::read(&name).unwrap();
    for other in [None, Some("0199e2f4-77a1-7c40-8000-000000000001\n")] {
        let whole = place.path().join(format!("whole-{}", other.is_some()));
        copied(&place.audit(), &whole);
        let last = files(&place).pop().unwrap();
        let lose = || match other {
            None => fs::remove_file(&name).unwrap(),
            Some(other) => fs::write(&name, other).unwrap(),
        };
        cut(&last, 1);
        lose();
        is_refused(&place, &["its end was cut off"]);
        fs::remove_dir_all(place.audit()).unwrap();
        copied(&whole, &place.audit());
        // With all their records they are the same audit, here and elsewhere, and get their name back.
        lose();
        assert!(place.serve().terminate().success());
        assert_eq!(fs::read(&name).unwrap(), named);
    }
    fs::rename(place.audit(), place.path().join("moved")).unwrap();
    fs::remove_file(place.path().join("moved/replica")).unwrap();
    place.configure(&format!(
        "{OPEN}\nstore: {{type: sqlite}}\naudit: {{path: moved, rotate_bytes: 65536}}\n"
    ));
    let served = place.serve();
    let (status, _) = served.post("/v0/events", &event("t", "later", "later"));
    assert_eq!(status, 200);
    assert!(served.terminate().success());
    let found = fs::read(place.path().join("moved/replica")).unwrap();
    assert_eq!(found, named);
}

/// Whoever looks for why a start was refused finds what was found.
#[test]
fn a_start_that_is_refused_changes_nothing() {
    let place = place();
    talk(&place);
    let last = files(&place).pop().unwrap();
    cut(&last, 2);
    let mut text = fs::read(&last).unwrap();
    text.extend_from_slice(b"{\"seq\":77,\"prev\":\"sha2");
    fs::write(&last, &text).unwrap();
    let all = || {
        let folder = fs::read_dir(place.audit()).unwrap();
        let mut all: Vec<_> = folder
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        all.sort();
        all
    };
    let before = all();
    is_refused(&place, &["its end was cut off"]);
    assert!(all() == before, "every file is as it was");
}

#[test]
fn an_earlier_file_that_was_edited_is_refused() {
    let place = place();
    talk(&place);
    for file in &files(&place)[..3] {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text.replacen("hello from", "hello form", 1)).unwrap();
        let said = place.refused(&SERVE);
        let name = file.file_name().unwrap().to_str().unwrap();
        for word in ["5508", name, "edited"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        fs::write(file, text).unwrap();
    }
    assert!(place.serve().terminate().success());
}

/// A record without what chains it.
fn unchained(record: &Value) -> String {
    let mut record = record.clone();
    let fields = record.as_object_mut().unwrap();
    for chained in ["seq", "prev", "hash"] {
        fields.remove(chained);
    }
    record.to_string()
}

/// What a crash has kept from files that `audit.path` does not name any more is in force, and gets its record.
#[test]
fn decisions_that_wait_for_files_not_in_use_any_more_are_written_to_those_that_are() {
    // An answer with its record, as a crash between commit and file leaves it.
    let other = place();
    let served = other.serve();
    let sent = event("t", "kept", "kept");
    let (_, plan) = served.post("/v0/events", &sent);
    assert!(served.terminate().success());
    let lost = other.records().pop().unwrap();
    assert_eq!(lost["result"], "decided");
    let mark = |place: &Place, lines: &[&Value]| {
        let name = fs::read_to_string(place.audit().join("replica")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let database = place.path().join("arbiter.db");
        let store = SqliteControl::open(&database, Options::default()).unwrap();
        for (at, line) in (0..).zip(lines) {
            let parsed = |pointer: &str| line.pointer(pointer).unwrap().as_str().unwrap();
            let commit = ControlCommit {
                key: ControlKey {
                    tenant_id: parsed("/tenant_id").parse().unwrap(),
                    kind: ControlKind::Event,
                    id: parsed("/judged/event/event/event_id").to_owned(),
                },
                room_id: parsed("/room_id").parse().unwrap(),
                plan_id: Some(parsed("/judged/event/plan/plan_id").parse().unwrap()),
                body: {
                    let event =
                        serde_json::from_value::<Event>(line["judged"]["event"]["event"].clone());
                    Digest::of_value(&event.unwrap()).unwrap()
                },
                answer: line["judged"]["event"]["plan"].to_string(),
                at: parsed("/ts").parse().unwrap(),
                needed_until: None,
                room: None,
                tenant: None,
                audit: Some(AuditWrite {
                    replica: name.trim().to_owned(),
                    line: unchained(line),
                }),
            };
            let done = runtime.block_on(store.commit(commit)).unwrap();
            assert!(matches!(done, Outcome::Committed { .. }), "{at}: {done:?}");
        }
    };
    for is_gone in [false, true] {
        let place = place();
        let served = place.serve();
        served.post("/v0/events", &event("t", "first", "first"));
        assert!(served.terminate().success());
        let old = place.records();
        mark(&place, &[&lost]);
        if is_gone {
            fs::rename(place.audit(), place.path().join("away")).unwrap();
        }
        place.configure(&format!(
            "{OPEN}\nstore: {{type: sqlite}}\naudit: {{path: new}}\n"
        ));
        for round in 0..2 {
            let served = place.serve();
            let (status, again) = served.post("/v0/events", &sent);
            assert_eq!((status, &again["plan_id"]), (200, &plan["plan_id"]));
            assert!(served.terminate().success());
            let records = records_in(&place.path().join("new"));
            let kept = records
                .iter()
                .filter(|it| it["audit_id"] == lost["audit_id"]);
            assert_eq!(kept.count(), 1, "round {round}: {}", place.log());
            let told: Vec<&Value> = records
                .iter()
                .filter(|it| it["action"] == "take_over_decisions")
                .collect();
            let [told] = told[..] else {
                panic!("told once: {told:?}");
            };
            let detail = told["detail"].as_str().unwrap();
            for folder in ["audit", "new"] {
                let folder = fs::canonicalize(place.path()).unwrap().join(folder);
                assert!(detail.contains(folder.to_str().unwrap()), "{detail}");
            }
        }
        place.done(&["audit", "verify", "new"]);
        place.done(&["replay", "new"]);
        // The files that were left are as they were, and can be gone back to.
        if !is_gone {
            assert_eq!(place.records(), old);
            place.configure(&format!("{OPEN}\nstore: {{type: sqlite}}\n"));
            assert!(place.serve().terminate().success());
        }
    }
}

/// What is on file there already is not written twice.
#[test]
fn what_the_files_that_were_left_hold_is_not_written_again() {
    let place = place();
    let served = place.serve();
    let sent = event("t", "first", "first");
    let (_, plan) = served.post("/v0/events", &sent);
    // Before it is confirmed, or after.
    served.kill();
    place.configure(&format!(
        "{OPEN}\nstore: {{type: sqlite}}\naudit: {{path: new}}\n"
    ));
    let served = place.serve();
    assert_eq!(served.post("/v0/events", &sent), (200, plan));
    assert!(served.terminate().success());
    let records = records_in(&place.path().join("new"));
    assert!(!records.iter().any(|it| it["result"] == "decided"));
    assert!(!records.iter().any(|it| it["kind"] == "repair"));
}
