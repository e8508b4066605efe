//! The fleet's store in Postgres keeps the contract of the store room, against a real server, with two orchestrators at
//! once. Faults of the server are left to `faults`, its tables and their views to `tables`.

#[path = "fleet_store/faults.rs"]
mod faults;
#[path = "fleet_store/tables.rs"]
mod tables;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chiffon_store::{
    Commit, Error, Expected, NewLogLine, Postgres as Database, PostgresOptions, Store,
    StreamSource, Write,
    conformance::{CASES, at, commit, entry, message, request_row, task_row},
    verify_audit,
};
use chiffon_tests::Postgres;
use serde_json::json;
use tokio::{
    task::{JoinError, JoinSet, spawn_blocking},
    time::{Instant, sleep, timeout},
};

/// Promises that are looked at together.
const AT_ONCE: usize = 4;

/// The longest that anything here may take.
const LONG: Duration = Duration::from_secs(120);

async fn started(what: &str) -> Option<Postgres> {
    let what = format!("fleet's store in Postgres: {what}");
    let started = spawn_blocking(move || Postgres::start_or_report(&what)).await;
    started.expect("the fixture does not panic")
}

async fn connect(url: &str) -> Arc<dyn Store> {
    let options = PostgresOptions {
        connections: 4,
        ..PostgresOptions::new(url)
    };
    let store = Database::connect(&options).await;
    Arc::new(store.expect("the database lets us in"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let Some(server) = started("the contract").await else {
        return;
    };
    // The tables are made once, and copied.
    let ready = server.database("ready");
    drop(connect(&ready).await);
    let began = Instant::now();
    let users = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'ready'";
    while server.sql("postgres", users) != "0" {
        assert!(began.elapsed() < LONG, "its connections stay");
        sleep(Duration::from_millis(20)).await;
    }
    let (mut running, mut broken) = (JoinSet::new(), Vec::new());
    let note = |broken: &mut Vec<String>, ended: Option<Result<(&str, bool), JoinError>>| {
        if let Some(Ok((name, false))) = ended {
            broken.push(name.to_owned());
        }
    };
    for (number, case) in CASES.iter().enumerate() {
        let database = format!("case{number}");
        server.sql(
            "postgres",
            &format!("CREATE DATABASE {database} TEMPLATE ready"),
        );
        let store = connect(&server.url(&database)).await;
        // A task of its own, so that a promise that is broken leaves the others to be looked at.
        running.spawn(async move { (case.name, tokio::spawn((case.run)(store)).await.is_ok()) });
        if running.len() >= AT_ONCE {
            note(&mut broken, running.join_next().await);
        }
    }
    while !running.is_empty() {
        note(&mut broken, running.join_next().await);
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(CASES.len() > 60);
}

/// Two on one database that has no tables yet.
async fn two(server: &Postgres, database: &str) -> [Arc<dyn Store>; 2] {
    let url = server.database(database);
    let (a, b) = tokio::join!(connect(&url), connect(&url));
    [a, b]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_orchestrators_number_and_chain_as_one() {
    const COMMITS: u64 = 30;
    let Some(server) = started("two orchestrators").await else {
        return;
    };
    let stores = two(&server, "shared").await;
    let history = server.sql(
        "shared",
        "SELECT count(*) = max(version) FROM chiffon_schema_history",
    );
    assert_eq!(history, "t", "each migration was applied once");
    let shared = request_row(at(0));
    let made = Write::Request(Expected::Absent, shared.clone());
    stores[0].commit(commit([made])).await.expect("it is new");
    let mut writers = JoinSet::new();
    for writer in 0..8_usize {
        let (store, mut shared) = (stores[writer % 2].clone(), shared.clone());
        writers.spawn(async move {
            let task = task_row(shared.request_id, at(0)).task_id;
            let (mut seqs, mut won) = (Vec::new(), 0);
            for number in 1..=COMMITS {
                let line = NewLogLine {
                    request_id: shared.request_id,
                    task_id: task,
                    attempt: 1,
                    ts: at(1),
                    line: format!("{writer}/{number}"),
                };
                let own = Commit {
                    audit: vec![entry("request:1"), entry(&format!("own:{writer}"))],
                    outbox: vec![message("q", at(0))],
                    ..commit([Write::Logs(vec![line])])
                };
                seqs.extend(
                    store
                        .commit(own)
                        .await
                        .expect("nothing is in its way")
                        .audit_seqs,
                );
                // All want to be the one who makes this version.
                shared.doc = json!({ "by": writer });
                let change = Write::Request(Expected::Version(number), shared.clone());
                match store.commit(commit([change])).await {
                    Ok(_) => won += 1,
                    Err(Error::Conflict { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
                // Until somebody has, it is there to be made.
                let seen = store.run(&shared.tenant_id, shared.request_id).await;
                let seen = seen.expect("it can be read").expect("it is there");
                assert!(seen.request.version > number, "a version that nobody made");
            }
            (seqs, won)
        });
    }
    let (mut seqs, mut won) = (BTreeSet::new(), 0);
    for (own, of_one) in writers.join_all().await {
        assert!(own.is_sorted(), "numbers go up with the commits");
        won += of_one;
        for seq in own {
            assert!(seqs.insert(seq), "{seq} was given twice");
        }
    }
    assert_eq!(won, COMMITS, "each version was made once");
    let all: BTreeSet<u64> = (1..=8 * COMMITS * 2).collect();
    assert_eq!(seqs, all, "no hole");
    for store in &stores {
        let report = verify_audit(&**store).await.expect("it can be read");
        assert_eq!(report.faults, []);
        assert_eq!((report.records, report.streams), (8 * COMMITS * 2, 9));
        assert_eq!(
            store.check().await.expect("it can be read"),
            Vec::<String>::new()
        );
        assert_eq!(events(&**store).await, 8 * COMMITS * 3);
    }
    claim_all(&stores, 8 * COMMITS).await;
}

/// Walks over the event stream, which must have no hole; its last number.
async fn events(store: &dyn Store) -> u64 {
    let mut last = 0;
    loop {
        let page = store.stream_after(last, 50).await.expect("it can be read");
        if page.is_empty() {
            return last;
        }
        for row in page {
            assert_eq!(row.first, last + 1, "a hole");
            if let StreamSource::Lines { lines, .. } = &row.source {
                assert_eq!(lines.len(), 1);
            }
            last = row.last;
        }
    }
}

/// Two relays: each message goes to one of them.
async fn claim_all(stores: &[Arc<dyn Store>; 2], count: u64) {
    let mut relays = JoinSet::new();
    for (number, store) in stores.iter().cloned().enumerate() {
        relays.spawn(async move {
            let (owner, mut own) = (format!("relay {number}"), Vec::new());
            loop {
                let rows = store.claim_outbox(&owner, at(1), at(60), 7).await;
                let rows = rows.expect("nothing is in its way");
                if rows.is_empty() {
                    return own;
                }
                let ids: Vec<_> = rows.iter().map(|row| row.message_id).collect();
                store.outbox_sent(&owner, &ids).await.expect("it has them");
                own.extend(ids);
            }
        });
    }
    let claimed: Vec<_> = relays.join_all().await.into_iter().flatten().collect();
    assert_eq!(claimed.len() as u64, count, "none twice");
    let different: BTreeSet<_> = claimed.into_iter().collect();
    assert_eq!(different.len() as u64, count, "none lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_orchestrators_one_has_the_lease_and_both_hear_of_news() {
    let Some(server) = started("leases and wake-ups").await else {
        return;
    };
    let stores = two(&server, "leases").await;
    let mut last = 0;
    for round in 0..20 {
        let take = |owner: usize| {
            let store = stores[owner].clone();
            let write = Write::TakeLease {
                name: "job:scribe".to_owned(),
                owner: format!("orchestrator:{owner}"),
                now: at(round * 10),
                expires_at: Some(at(round * 10 + 10)),
            };
            async move { store.commit(commit([write])).await }
        };
        let (a, b) = tokio::join!(take(0), take(1));
        // It ran out in the round before: one of them takes it, and is not to be mistaken for the one before.
        let epochs: Vec<u64> = [&a, &b]
            .into_iter()
            .filter_map(|one| one.as_ref().ok())
            .flat_map(|receipt| receipt.epochs.clone())
            .collect();
        assert_eq!(epochs.len(), 1, "{a:?} {b:?}");
        let held = |one: &Result<_, Error>| matches!(one, Err(Error::LeaseHeld { .. }));
        assert!(held(&a) || held(&b), "{a:?} {b:?}");
        assert!(
            epochs[0] == last || epochs[0] == last + 1,
            "{epochs:?} {last}"
        );
        last = epochs[0];
    }
    let mut heard = stores[1].wakes().expect("others may be there");
    // The first word is its own: it listens now.
    let listens = heard.wait_for(|count| *count > 0);
    drop(
        timeout(LONG, listens)
            .await
            .expect("it listens")
            .expect("it is there"),
    );
    heard.mark_unchanged();
    let began = Instant::now();
    loop {
        let news = Commit {
            outbox: vec![message("q", at(0))],
            ..Commit::default()
        };
        stores[0].commit(news).await.expect("nothing is in its way");
        // The other one may still be connecting to tell; so it is told again.
        if timeout(Duration::from_secs(1), heard.changed())
            .await
            .is_ok()
        {
            break;
        }
        assert!(began.elapsed() < LONG, "nothing was heard");
    }
}
