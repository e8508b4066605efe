//! The server dies, or cuts its connections, while two orchestrators write: nothing that was acknowledged is lost, nothing is
//! written twice, and nobody is told that nothing was written where it was.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use chiffon_common::{RequestId, TenantId};
use chiffon_store::{
    Commit, Error, Expected, ListRequests, NewLogLine, RequestRow, Store, Write,
    conformance::{at, commit, entry, message, request_row, task_row},
    verify_audit,
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep},
};

use super::{LONG, events, started, two};

/// What writers over a fault share.
struct Shared {
    began: Instant,
    stop: AtomicBool,
    /// How many commits were acknowledged.
    done: AtomicU64,
    /// How often somebody was told that the server does not answer.
    told: AtomicU64,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            stop: AtomicBool::new(false),
            done: AtomicU64::new(0),
            told: AtomicU64::new(0),
        })
    }

    /// Waits until a count is larger than this.
    async fn more(&self, number: fn(&Self) -> &AtomicU64, than: u64) {
        while number(self).load(Ordering::Acquire) <= than {
            assert!(self.began.elapsed() < LONG, "nothing goes on");
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn count(&self, number: fn(&Self) -> &AtomicU64) -> u64 {
        number(self).load(Ordering::Acquire)
    }
}

/// Makes one request after the other, each with a record, a message and a line, until it is told to stop, whatever the server
/// does. Told that nothing was written, it says the same again, and a conflict would be a lie of before; told that nobody
/// knows, it looks.
async fn keep_on(store: Arc<dyn Store>, shared: Arc<Shared>) -> Vec<RequestId> {
    let mut written = Vec::new();
    while !shared.stop.load(Ordering::Acquire) {
        let row = request_row(at(0));
        let id = row.request_id;
        let line = NewLogLine {
            request_id: id,
            task_id: task_row(id, at(0)).task_id,
            attempt: 1,
            ts: at(1),
            line: "changed".to_owned(),
        };
        let all = Commit {
            audit: vec![entry("request:1"), entry(&format!("request:{id}"))],
            outbox: vec![message("q", at(0))],
            ..commit([
                Write::Request(Expected::Absent, row.clone()),
                Write::Logs(vec![line]),
            ])
        };
        loop {
            match store.commit(all.clone()).await {
                Ok(_) => break,
                Err(Error::Unavailable(_)) => {
                    shared.told.fetch_add(1, Ordering::AcqRel);
                }
                Err(Error::OutcomeUnknown(_)) => {
                    shared.told.fetch_add(1, Ordering::AcqRel);
                    if is_there(&*store, &row, &shared).await {
                        break;
                    }
                }
                Err(other) => panic!("an error that does not pass: {other:?}"),
            }
            assert!(shared.began.elapsed() < LONG, "the server is there again");
            sleep(Duration::from_millis(20)).await;
        }
        shared.done.fetch_add(1, Ordering::AcqRel);
        written.push(id);
    }
    written
}

async fn is_there(store: &dyn Store, row: &RequestRow, shared: &Shared) -> bool {
    loop {
        match store.run(&row.tenant_id, row.request_id).await {
            Ok(found) => return found.is_some(),
            Err(error) => assert!(shared.began.elapsed() < LONG, "{error:?}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn begin(stores: &[Arc<dyn Store>; 2], shared: &Arc<Shared>) -> JoinSet<Vec<RequestId>> {
    let mut writers = JoinSet::new();
    for writer in 0..6_usize {
        writers.spawn(keep_on(stores[writer % 2].clone(), shared.clone()));
    }
    writers
}

/// Everything that was acknowledged is there, once, and nothing else is.
async fn assert_kept(store: &dyn Store, written: &[RequestId]) {
    let told: BTreeSet<_> = written.iter().copied().collect();
    assert_eq!(told.len(), written.len());
    let (mut found, mut after) = (BTreeSet::new(), None);
    loop {
        let list = ListRequests {
            after,
            limit: 1000,
            ..ListRequests::default()
        };
        let page = store
            .requests(&TenantId::default(), list)
            .await
            .expect("it is there");
        let Some(last) = page.last() else { break };
        after = Some((last.created_at, last.request_id));
        found.extend(page.iter().map(|row| row.request_id));
    }
    assert_eq!(found, told);
    let report = verify_audit(store).await.expect("it can be read");
    assert_eq!(report.faults, []);
    assert_eq!(report.records, 2 * written.len() as u64);
    assert_eq!(events(store).await, 3 * written.len() as u64);
    assert_eq!(
        store.check().await.expect("it can be read"),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_and_repeats_nothing() {
    let Some(mut server) = started("the death of the server").await else {
        return;
    };
    let stores = two(&server, "killed").await;
    let shared = Shared::new();
    let mut writers = begin(&stores, &shared);
    for _ in 0..3 {
        shared
            .more(
                |shared| &shared.done,
                shared.count(|shared| &shared.done) + 20,
            )
            .await;
        server = spawn_blocking(move || {
            server.kill();
            server
        })
        .await
        .expect("it ends");
        // Somebody has met the hole before it closes.
        shared
            .more(|shared| &shared.told, shared.count(|shared| &shared.told))
            .await;
        server = spawn_blocking(move || {
            server.start();
            server
        })
        .await
        .expect("it starts again");
    }
    shared
        .more(
            |shared| &shared.done,
            shared.count(|shared| &shared.done) + 20,
        )
        .await;
    shared.stop.store(true, Ordering::Release);
    let mut written = Vec::new();
    while let Some(one) = writers.join_next().await {
        written.extend(one.expect("no writer was lied to"));
    }
    assert_kept(&*stores[0], &written).await;
    let twice = "SELECT count(*) FROM outbox";
    assert_eq!(server.sql("killed", twice), written.len().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing_and_repeat_nothing() {
    let Some(server) = started("cut connections").await else {
        return;
    };
    let stores = two(&server, "cut").await;
    let shared = Shared::new();
    let mut writers = begin(&stores, &shared);
    for _ in 0..10 {
        shared
            .more(
                |shared| &shared.done,
                shared.count(|shared| &shared.done) + 10,
            )
            .await;
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = 'cut' AND application_name LIKE 'chiffon%'";
        let gone: u32 = server.sql("cut", cut).parse().expect("a number");
        assert!(gone > 0, "there are connections to cut");
    }
    shared
        .more(
            |shared| &shared.done,
            shared.count(|shared| &shared.done) + 10,
        )
        .await;
    shared.stop.store(true, Ordering::Release);
    let mut written = Vec::new();
    while let Some(one) = writers.join_next().await {
        written.extend(one.expect("no writer was lied to"));
    }
    assert!(shared.count(|shared| &shared.told) > 0, "nobody noticed");
    assert_kept(&*stores[1], &written).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'cut' AND state LIKE 'idle in transaction%'";
    let began = Instant::now();
    while server.sql("cut", open) != "0" {
        assert!(began.elapsed() < LONG, "a transaction was left open");
        sleep(Duration::from_millis(20)).await;
    }
}
