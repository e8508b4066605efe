//! A database that goes back to an older state while the program serves, and a file that is cut off meanwhile: it is noticed,
//! told, and nothing is decided by what is not so.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use std::{
    fs,
    time::{Duration, Instant},
};

use chiffon_store::{AuditMark, ControlStore, Marked, Noting, Options, SqliteControl};
use serde_json::{Value, json};

use crate::{
    http,
    run::{OPEN, Place, Served, event},
};

const LIMIT: Duration = Duration::from_secs(60);

fn health(served: &Served) -> (u16, Value) {
    let (status, text) = http::call(served.address(), "GET", "/v0/healthz", &[], b"");
    (status, serde_json::from_str(&text).unwrap())
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every answer is forgotten, and the mark is what it was at the first record.
async fn put_back(place: &Place) {
    let store = SqliteControl::open(&place.path().join("arbiter.db"), Options::default());
    let store = store.unwrap();
    let marks = store.marks().await.unwrap();
    let [Marked { replica, mark }] = marks.as_slice() else {
        panic!("one audit: {marks:?}");
    };
    let first = place.records().swap_remove(0);
    let noting = Noting {
        before: Some(mark.clone()),
        now: AuditMark {
            seq: 1,
            hash: first["hash"].as_str().unwrap().parse().unwrap(),
            folder: mark.folder.clone(),
        },
    };
    let far = jiff::Timestamp::MAX;
    while store.forget(far, far, 1_000).await.unwrap() > 0 {}
    assert!(store.audited(replica, &[], Some(noting)).await.unwrap());
}

#[test]
fn a_database_that_is_put_back_while_it_serves_is_given_what_it_lacks() {
    let place = Place::new(&format!("{OPEN}\nstore: {{type: sqlite}}\n"));
    let served = place.serve();
    let mut answered = Vec::new();
    for n in 0..6 {
        // Two in one room: the second one finds it locked, and must go on to do so.
        let sent = event("t", &format!("e-{n}"), &format!("room-{}", n / 2));
        let (status, plan) = served.post("/v0/events", &sent);
        assert_eq!(status, 200, "{plan}");
        answered.push((sent, plan));
    }
    let head = place.records().len() as u64;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    // Once all of it is noted, nothing but a look finds it.
    runtime.block_on(async {
        let store = SqliteControl::open(&place.path().join("arbiter.db"), Options::default());
        let store = store.unwrap();
        let begun = Instant::now();
        while store
            .marks()
            .await
            .unwrap()
            .iter()
            .all(|it| it.mark.seq < head)
        {
            assert!(begun.elapsed() < LIMIT, "it is noted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    runtime.block_on(put_back(&place));
    let told = |it: &&Value| it["action"] == "bring_back_decisions";
    until("it is told", || place.records().iter().any(|it| told(&it)));
    for (sent, plan) in &answered {
        let (status, again) = served.post("/v0/events", sent);
        assert_eq!((status, &again), (200, plan), "{}", place.log());
    }
    let (_, shut) = served.post("/v0/events", &event("t", "late", "room-0"));
    assert_eq!(shut["reason_code"], "generating_lock", "{shut}");
    assert_eq!(health(&served).0, 200);
    assert!(served.terminate().success(), "{}", place.log());
    let records = place.records();
    let [told] = records.iter().filter(told).collect::<Vec<_>>()[..] else {
        panic!("it is told once: {records:?}");
    };
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("while arbiter served"), "{detail}");
    place.done(&["audit", "verify", "audit"]);
    place.done(&["replay", "audit"]);
}

/// As `logrotate` does with `copytruncate`.
#[test]
fn a_file_that_is_cut_off_while_it_serves_ends_decisions_until_it_is_back() {
    let place = Place::new(OPEN);
    let served = place.serve();
    for n in 0..5 {
        served.post(
            "/v0/events",
            &event("t", &format!("e-{n}"), &format!("room-{n}")),
        );
    }
    let path = place.audit().join("audit-00000000000000000001.jsonl");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, b"").unwrap();
    let (status, problem) = served.post("/v0/events", &event("t", "later", "later"));
    assert_eq!((status, &problem["code"]), (503, &json!(5030)), "{problem}");
    let (status, said) = health(&served);
    assert_eq!(status, 503, "{said}");
    assert!(
        said["audit"].as_str().unwrap().contains("cut off"),
        "{said}"
    );
    assert_eq!(fs::read(&path).unwrap(), b"", "nothing was added");
    fs::write(&path, whole).unwrap();
    until("it goes on by itself", || health(&served).0 == 200);
    let (status, plan) = served.post("/v0/events", &event("t", "later", "later"));
    assert_eq!(status, 200, "{plan}");
    assert!(served.terminate().success(), "{}", place.log());
    place.done(&["audit", "verify", "audit"]);
}
