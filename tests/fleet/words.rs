//! The words of agents: acked once they are stored, counted once however often they come, and heard from the attempt
//! in hand alone.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use chiffon_bus::{
    Bus, DeclareError, Delivery, MemoryBus, Message, PublishError, QueueName, QueueSpec, Reject,
    SubscribeError, Subscription,
};
use chiffon_common::{
    AttemptRef, Envelope, MessageId, Payload, RequestId, ResourceUsage, ResultStatus, TraceId,
    WorkResult,
};
use chiffon_orchestrator::{Clock as _, SystemClock};
use chiffon_store::Store;
use serde_json::Value;

use super::{
    WRITE,
    world::{Act, World},
};

/// What was acked on the way from agents to the orchestrator.
#[derive(Default)]
struct Acks {
    store: OnceLock<Arc<dyn Store>>,
    acked: Mutex<Vec<MessageId>>,
    /// Results that were acked while their task was still at work in the store.
    early: Mutex<Vec<AttemptRef>>,
}

impl Acks {
    async fn note(&self, message: &Message) {
        let envelope = Envelope::from_bytes(&message.body).unwrap();
        if let Payload::WorkResult(result) = envelope.open().unwrap()
            && self.is_at_work(result.attempt).await
            && result.agent.as_str() == "infrastructure"
            && result.seq > 0
        {
            self.early.lock().unwrap().push(result.attempt);
        }
        self.acked.lock().unwrap().push(message.message_id);
    }

    async fn is_at_work(&self, attempt: AttemptRef) -> bool {
        let store = self.store.get().unwrap();
        let found = store.request_of_task(attempt.task_id).await.unwrap();
        let (tenant, request) = found.unwrap();
        let rows = store.run(&tenant, request).await.unwrap().unwrap();
        rows.tasks.iter().any(|task| {
            task.task_id == attempt.task_id
                && ["dispatched", "accepted", "running"].contains(&task.state.as_str())
        })
    }
}

/// A bus that delivers everything an agent says twice, and tells what was acked.
struct Twice {
    inner: MemoryBus,
    acks: Arc<Acks>,
}

#[async_trait]
impl Bus for Twice {
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        self.inner.declare(spec).await
    }

    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        if *to == QueueName::results() {
            self.inner.publish(to, message.clone()).await?;
        }
        self.inner.publish(to, message).await
    }

    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError> {
        let inner = self.inner.subscribe(queue, prefetch).await?;
        if *queue != QueueName::results() {
            return Ok(inner);
        }
        let acks = Arc::clone(&self.acks);
        Ok(Box::new(Watched { inner, acks }))
    }

    async fn depth(&self, queue: &QueueName) -> Option<u64> {
        self.inner.depth(queue).await
    }

    async fn close(&self, grace: Duration) {
        self.inner.close(grace).await;
    }
}

struct Watched {
    inner: Box<dyn Subscription>,
    acks: Arc<Acks>,
}

#[async_trait]
impl Subscription for Watched {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let inner = self.inner.next().await?;
        let acks = Acking(Arc::clone(&self.acks));
        Some(Box::new(WatchedDelivery { inner, acks }))
    }
}

struct Acking(Arc<Acks>);

impl std::fmt::Debug for Acking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acking")
    }
}

#[derive(Debug)]
struct WatchedDelivery {
    inner: Box<dyn Delivery>,
    acks: Acking,
}

#[async_trait]
impl Delivery for WatchedDelivery {
    fn message(&self) -> &Message {
        self.inner.message()
    }

    fn delivery_count(&self) -> u32 {
        self.inner.delivery_count()
    }

    async fn ack(self: Box<Self>) {
        self.acks.0.note(self.inner.message()).await;
        self.inner.ack().await;
    }

    async fn reject(self: Box<Self>, how: Reject) {
        self.inner.reject(how).await;
    }
}

async fn world(act: Act) -> (World, Arc<Acks>) {
    let acks = Arc::new(Acks::default());
    let bus = Twice {
        inner: MemoryBus::new(),
        acks: Arc::clone(&acks),
    };
    let world = World::at_rest(Arc::new(bus), act);
    assert!(acks.store.set(Arc::clone(&world.store)).is_ok());
    (world.start().await, acks)
}

/// Until each copy of everything that was said is acked.
async fn all_acked(world: &World, acks: &Acks) {
    let queue = QueueName::results();
    loop {
        let left = world.bus.depth(&queue).await.unwrap();
        if left == 0 && !acks.acked.lock().unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_says_is_stored_before_it_is_acked() {
    let (world, acks) = world(Act::Complete).await;
    for host in ["nas", "tower", "localhost"] {
        let id = world.ask(&format!("ping {host}")).await;
        world.until(&id, &["completed"]).await;
    }
    let drained = tokio::time::timeout(super::world::PATIENCE, all_acked(&world, &acks));
    drained.await.unwrap();
    let early = acks.early.lock().unwrap().clone();
    assert!(early.is_empty(), "acked and not stored: {early:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_says_counts_once_however_often_it_comes() {
    let (world, acks) = world(Act::Complete).await;
    let id = world.ask("ping nas").await;
    world.until(&id, &["completed"]).await;
    let drained = tokio::time::timeout(super::world::PATIENCE, all_acked(&world, &acks));
    drained.await.unwrap();
    let request: RequestId = id.parse().unwrap();
    let lines = world.store.logs(request, 0, 100).await.unwrap();
    let lines: Vec<&str> = lines.iter().map(|row| row.line.as_str()).collect();
    assert_eq!(lines, ["running ping"], "a line for each time it came");
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_attempt_in_hand_is_heard() {
    let (world, acks) = world(Act::Hold).await;
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    let runs = |request: &Value| {
        let tasks = request["tasks"].as_array().unwrap();
        tasks.iter().any(|task| task["state"] == "running")
    };
    let request = world.until_it(&id, "its run", runs).await;
    let task = request["tasks"].as_array().unwrap().iter();
    let mut task = task.filter(|task| task["state"] == "running");
    let task_id = task.next().unwrap()["task_id"].as_str().unwrap();
    let incarnation = world.agent.as_ref().unwrap().incarnation();
    for (what, agent, attempt, seq) in [
        (
            "of an attempt that is over",
            "infrastructure",
            0,
            u64::MAX >> 12,
        ),
        ("of another agent", "stranger", 1, u64::MAX >> 12),
        ("older than what was heard", "infrastructure", 1, 0),
    ] {
        let result = WorkResult {
            attempt: AttemptRef {
                task_id: task_id.parse().unwrap(),
                attempt,
            },
            agent: agent.parse().unwrap(),
            incarnation,
            seq,
            status: ResultStatus::Completed,
            output: String::new(),
            duration_seconds: 0.0,
            resource_usage: ResourceUsage::default(),
            hosts: std::collections::BTreeMap::new(),
            diff: None,
            error: None,
            isolation: String::new(),
            done_before: None,
        };
        let message_id = MessageId::from_uuid(SystemClock.fresh_id());
        let trace = TraceId::from_uuid(SystemClock.fresh_id());
        let payload = Payload::WorkResult(Box::new(result));
        let envelope = Envelope::new(&payload, message_id, trace, None, SystemClock.now());
        let message = Message {
            message_id,
            sender: agent.to_owned(),
            body: envelope.unwrap().to_bytes().unwrap().into(),
        };
        let queue = QueueName::results();
        world.bus.publish(&queue, message).await.unwrap();
        let heard = || acks.acked.lock().unwrap().contains(&message_id);
        world.wait_for("the ack of the stale word", heard).await;
        let now = world.show(&id).await;
        assert!(runs(&now), "{what}, and it was heard: {now:#}");
    }
    world.worker.let_go();
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
    world.holds_together().await;
}
