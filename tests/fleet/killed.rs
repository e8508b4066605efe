//! A process that is killed between taking an event of the bus and acknowledging it, before its commit or behind it: what
//! the bus then gives to the next one is taken once. The database is a file that outlives the kill; the bus of this
//! profile ends with its process, so what a bus that stays would give out again is sent again.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    num::NonZeroU32,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chiffon_bus::{
    Bus, DeclareError, Delivery, MemoryBus, Message, PublishError, QueueName, QueueSpec, Reject,
    SubscribeError, Subscription,
};
use chiffon_common::MessageId;
use chiffon_store::{Options, Sqlite};
use serde_json::Value;
use uuid::Uuid;

use super::{
    requests::{all_taken, audit, envelope, event, requests, send},
    world::{Act, PATIENCE, World},
};

/// What the life that is killed is told: the database, the message, and the moment.
const VICTIM: &str = "CHIFFON_FLEET_TEST_VICTIM";
const ASKED: &str = "CHIFFON_FLEET_TEST_ASKED";
const MOMENT: &str = "CHIFFON_FLEET_TEST_MOMENT";

/// A bus on which whoever acknowledges a request is killed in that moment.
struct Deadly(MemoryBus);

fn die() -> ! {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
    // It ends at some moment from here on.
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[async_trait]
impl Bus for Deadly {
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        self.0.declare(spec).await
    }

    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        self.0.publish(to, message).await
    }

    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError> {
        let inner = self.0.subscribe(queue, prefetch).await?;
        Ok(match *queue == QueueName::requests() {
            true => Box::new(DeadlyTo(inner)),
            false => inner,
        })
    }

    async fn depth(&self, queue: &QueueName) -> Option<u64> {
        self.0.depth(queue).await
    }

    async fn close(&self, grace: Duration) {
        self.0.close(grace).await;
    }
}

struct DeadlyTo(Box<dyn Subscription>);

#[async_trait]
impl Subscription for DeadlyTo {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        Some(Box::new(Last(self.0.next().await?)))
    }
}

#[derive(Debug)]
struct Last(Box<dyn Delivery>);

#[async_trait]
impl Delivery for Last {
    fn message(&self) -> &Message {
        // It is taken, and nothing is done about it yet.
        if std::env::var(MOMENT).is_ok_and(|moment| moment == "taken") {
            die();
        }
        self.0.message()
    }

    fn delivery_count(&self) -> u32 {
        self.0.delivery_count()
    }

    async fn ack(self: Box<Self>) {
        die();
    }

    async fn reject(self: Box<Self>, _: Reject) {
        die();
    }
}

fn on_file(bus: Arc<dyn Bus>, database: &Path) -> World {
    let mut world = World::at_rest(bus, Act::Complete);
    world.store = Arc::new(Sqlite::open(database, Options::default()).unwrap());
    world
}

fn message(body: &str) -> Message {
    Message {
        message_id: MessageId::from_uuid(Uuid::now_v7()),
        sender: "ci".to_owned(),
        body: body.as_bytes().into(),
    }
}

/// Not a test by itself: what the next one starts, and what kills itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_and_is_killed() {
    let Some(database) = std::env::var_os(VICTIM) else {
        return;
    };
    let bus = Arc::new(Deadly(MemoryBus::new()));
    let mut world = on_file(bus, Path::new(&database));
    world.start_orchestrator().await;
    send(&world, message(&std::env::var(ASKED).unwrap())).await;
    tokio::time::sleep(PATIENCE).await;
    panic!("nobody has taken it");
}

/// Runs a life to its end, which must be the kill.
async fn killed(folder: &Path, database: &Path, asked: &str, moment: &str) {
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim
        .args(["--exact", "killed::takes_and_is_killed", "--nocapture"])
        .env(VICTIM, database)
        .env(ASKED, asked)
        .env(MOMENT, moment)
        // Whoever is killed clears nothing away.
        .env("TMPDIR", folder)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || victim.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(9), "{moment}: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_killed_between_taking_and_acknowledging_takes_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("fleet.db");
    let asked = |id: &str| envelope(&event(id, "ping nas")).to_string();
    let [taken, stored, twice] = ["taken", "stored", "twice"].map(asked);
    killed(folder.path(), &database, &taken, "taken").await;
    killed(folder.path(), &database, &stored, "stored").await;
    for _ in 0..2 {
        killed(folder.path(), &database, &twice, "stored").await;
    }
    let world = on_file(Arc::new(MemoryBus::new()), &database);
    let world = world.start().await;
    let here: Vec<Value> = requests(&world).await;
    assert_eq!(here.len(), 2, "what was stored, once: {here:#?}");
    for body in [&taken, &stored, &twice] {
        send(&world, message(body)).await;
    }
    all_taken(&world).await;
    let found = requests(&world).await;
    assert_eq!(found.len(), 3, "{found:#?}");
    assert_eq!(audit(&world, "request.received").await.len(), 3);
    for request in &found {
        let id = request["request_id"].as_str().unwrap();
        world.until(id, &["completed"]).await;
    }
    assert_eq!(world.worker.starts().len(), 3);
    world.holds_together().await;
}
