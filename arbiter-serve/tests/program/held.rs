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

use serde_json::{Value, json};

use crate::run::{OPEN, Place, action_of, event, generation};

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
