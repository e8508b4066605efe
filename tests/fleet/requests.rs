//! What other programs ask over the bus: one event is one request however often and whenever it comes, what is none goes
//! to the dead letters and is told, and nothing is approved that way.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use chiffon_bus::{
    Bus, DeclareError, Delivery, MemoryBus, Message, Overflow, PublishError, QueueName, QueueSpec,
    Reject, SubscribeError, Subscription,
};
use chiffon_common::MessageId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    WRITE,
    world::{Act, World},
};

/// The longest that anything here may take.
const LONG: Duration = Duration::from_secs(60);

/// A queue for answers.
const REPLIES: &str = "replies.test";

pub(super) fn event(id: &str, text: &str) -> Value {
    json!({
        "v": 0, "event_id": id, "tenant_id": "default", "source": "bus", "room_id": "team",
        "actor": {"id": "ci:deploy", "kind": "service"},
        "content": {"type": "text", "text": text, "mentions_chiffon": true},
        "ts": "2026-02-13T09:00:00Z",
    })
}

pub(super) fn envelope(event: &Value) -> Value {
    json!({
        "message_id": Uuid::now_v7(), "trace_id": Uuid::now_v7(), "message_type": "request",
        "timestamp": "2026-02-13T09:00:01Z", "version": 1, "payload": event, "reply_to": REPLIES,
    })
}

fn bytes(sender: &str, body: &[u8]) -> Message {
    Message {
        message_id: MessageId::from_uuid(Uuid::now_v7()),
        sender: sender.to_owned(),
        body: body.into(),
    }
}

pub(super) fn message(envelope: &Value) -> Message {
    bytes("ci", envelope.to_string().as_bytes())
}

pub(super) async fn send(world: &World, message: Message) {
    let sent = world.bus.publish(&QueueName::requests(), message).await;
    sent.unwrap();
}

/// Waits until a queue holds so many.
async fn depth(world: &World, queue: &QueueName, wanted: u64) {
    let waiting = async {
        while world.bus.depth(queue).await != Some(wanted) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(LONG, waiting).await;
    let now = world.bus.depth(queue).await;
    assert!(waited.is_ok(), "{queue} holds {now:?}, not {wanted}");
}

pub(super) async fn all_taken(world: &World) {
    depth(world, &QueueName::requests(), 0).await;
}

async fn dead(world: &World, wanted: u64) {
    depth(world, &QueueName::requests().dead_letters(), wanted).await;
}

pub(super) async fn requests(world: &World) -> Vec<Value> {
    let (status, page) = world.get("/api/v1/requests?limit=500").await;
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().clone()
}

pub(super) async fn audit(world: &World, action: &str) -> Vec<Value> {
    let (status, page) = world.get("/api/v1/audit?limit=500").await;
    assert_eq!(status, 200, "{page}");
    let records = page["items"].as_array().unwrap().iter();
    let records = records.map(|item| item["record"]["entry"].clone());
    records.filter(|one| one["action"] == action).collect()
}

/// The queue of who asks.
async fn with_replies(world: &World) {
    let spec = QueueSpec {
        name: QueueName::stored(REPLIES),
        capacity: NonZeroU32::new(100).unwrap(),
        overflow: Overflow::Refuse,
        delivery_limit: NonZeroU32::new(5).unwrap(),
        single_active_consumer: false,
    };
    world.bus.declare(spec).await.unwrap();
}

/// The next answer.
async fn reply(world: &World) -> Value {
    let one = NonZeroU32::MIN;
    let queue = QueueName::stored(REPLIES);
    let mut heard = world.bus.subscribe(&queue, one).await.unwrap();
    let heard = tokio::time::timeout(LONG, heard.next()).await;
    let delivery = heard.unwrap().unwrap();
    let envelope: Value = serde_json::from_slice(&delivery.message().body).unwrap();
    delivery.ack().await;
    assert_eq!(envelope["message_type"], "error", "{envelope}");
    assert!(envelope["signature"].is_object(), "{envelope}");
    envelope["payload"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_the_bus_is_one_request_however_often_it_comes() {
    let world = World::plain(Act::Complete).await;
    let asked = envelope(&event("deploy-1", "ping nas"));
    for _ in 0..3 {
        send(&world, message(&asked)).await;
    }
    // The same event in another message, as of a program that does not know whether it was heard.
    let again = envelope(&event("deploy-1", "ping nas"));
    send(&world, message(&again)).await;
    all_taken(&world).await;
    let found = requests(&world).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    let id = found[0]["request_id"].as_str().unwrap();
    let ended = world.until(id, &["completed"]).await;
    assert_eq!(ended["room_id"], "team", "{ended:#}");
    let [record] = &audit(&world, "request.received").await[..] else {
        panic!("it came once");
    };
    assert_eq!(record["actor"]["id"], "ci:deploy", "{record:#}");
    assert_eq!(record["data"]["source"], "bus", "{record:#}");
    // The trace goes on from the message that was heard first.
    let traces = [&asked["trace_id"], &again["trace_id"]];
    assert!(traces.contains(&&record["trace_id"]), "{record:#}");
    dead(&world, 0).await;
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_events_at_once_and_twice_are_as_many_requests() {
    let world = World::plain(Act::Complete).await;
    for n in 0..40 {
        let asked = envelope(&event(&format!("storm-{}", n % 20), "ping nas"));
        send(&world, message(&asked)).await;
    }
    all_taken(&world).await;
    assert_eq!(requests(&world).await.len(), 20);
    world.holds_together().await;
}

/// A bus that never hears an acknowledgement while it is deaf, as if whoever acknowledges died in that moment.
struct Deaf {
    inner: MemoryBus,
    deaf: Arc<AtomicBool>,
}

#[async_trait]
impl Bus for Deaf {
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        self.inner.declare(spec).await
    }

    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        self.inner.publish(to, message).await
    }

    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError> {
        let inner = self.inner.subscribe(queue, prefetch).await?;
        let deaf = Arc::clone(&self.deaf);
        Ok(match *queue == QueueName::requests() {
            true => Box::new(DeafTo { inner, deaf }),
            false => inner,
        })
    }

    async fn depth(&self, queue: &QueueName) -> Option<u64> {
        self.inner.depth(queue).await
    }

    async fn close(&self, grace: Duration) {
        self.inner.close(grace).await;
    }
}

struct DeafTo {
    inner: Box<dyn Subscription>,
    deaf: Arc<AtomicBool>,
}

#[async_trait]
impl Subscription for DeafTo {
    async fn next(&mut self) -> Option<Box<dyn Delivery>> {
        let inner = self.inner.next().await?;
        let deaf = Arc::clone(&self.deaf);
        Some(Box::new(Unheard { inner, deaf }))
    }
}

#[derive(Debug)]
struct Unheard {
    inner: Box<dyn Delivery>,
    deaf: Arc<AtomicBool>,
}

#[async_trait]
impl Delivery for Unheard {
    fn message(&self) -> &Message {
        self.inner.message()
    }

    fn delivery_count(&self) -> u32 {
        self.inner.delivery_count()
    }

    async fn ack(self: Box<Self>) {
        if self.deaf.load(Ordering::SeqCst) {
            // Held until whoever acknowledges is gone.
            std::future::pending::<()>().await;
        }
        self.inner.ack().await;
    }

    async fn reject(self: Box<Self>, how: Reject) {
        if self.deaf.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.reject(how).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_between_taking_and_acknowledging_takes_it_once() {
    let deaf = Arc::new(AtomicBool::new(true));
    let bus = Arc::new(Deaf {
        inner: MemoryBus::new(),
        deaf: Arc::clone(&deaf),
    });
    let mut world = World::at_rest(bus, Act::Complete).start().await;
    send(&world, message(&envelope(&event("crash-1", "ping nas")))).await;
    send(&world, bytes("ci", b"no event at all")).await;
    let taken = async {
        while requests(&world).await.is_empty() || audit(&world, "message.refused").await.is_empty()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, taken).await.unwrap();
    depth(&world, &QueueName::requests(), 2).await;
    world.crash_orchestrator().await;
    deaf.store(false, Ordering::SeqCst);
    world.start_orchestrator().await;
    all_taken(&world).await;
    dead(&world, 1).await;
    let found = requests(&world).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(audit(&world, "message.refused").await.len(), 1);
    let id = found[0]["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_event_goes_to_the_dead_letters_and_is_told() {
    let world = World::plain(Act::Complete).await;
    with_replies(&world).await;
    let good = event("good", "ping nas");
    let edited = |pointer: &str, value: Value| {
        let mut envelope = envelope(&event("bad", "ping nas"));
        *envelope.pointer_mut(pointer).unwrap() = value;
        envelope
    };
    send(&world, message(&envelope(&good))).await;
    all_taken(&world).await;
    // Of these nothing can be answered, for nobody knows where.
    send(&world, bytes("ci", b"\xff\x00")).await;
    send(&world, message(&edited("/version", json!(2)))).await;
    send(&world, message(&edited("/message_type", json!("wish")))).await;
    let astray = edited("/reply_to", json!("agent.infrastructure"));
    send(&world, message(&astray)).await;
    dead(&world, 4).await;
    let taken = |text: &str| event("good", text);
    let cases = [
        (edited("/payload/content/text", json!(" ")), 5007),
        (edited("/payload/actor", json!("anna")), 5001),
        // A list of its fields is no object.
        (
            edited("/payload/actor", json!(["ci:deploy", "service"])),
            5001,
        ),
        (
            edited("/payload/content", json!(["text", "ping nas", true])),
            5001,
        ),
        (edited("/payload/ts", json!("9999-12-31T23:59:59Z")), 5001),
        (edited("/payload/tenant_id", json!("elsewhere")), 5202),
        (envelope(&taken("ping tower")), 5020),
        (edited("/message_type", json!("heartbeat")), 5001),
    ];
    let mut expected = 4;
    for (envelope, code) in cases {
        let sent = message(&envelope);
        let id = sent.message_id;
        send(&world, sent).await;
        expected += 1;
        dead(&world, expected).await;
        let told = reply(&world).await;
        assert_eq!(told["code"], code, "{envelope}: {told}");
        assert_eq!(told["details"]["message_id"], json!(id), "{told}");
    }
    // An agent speaks for no person.
    let posing = edited("/payload/actor/kind", json!("person"));
    send(
        &world,
        bytes("infrastructure", posing.to_string().as_bytes()),
    )
    .await;
    assert_eq!(reply(&world).await["code"], 5202);
    dead(&world, expected + 1).await;
    // Each has its record, and the good ones before and behind are taken.
    send(&world, message(&envelope(&event("behind", "ping nas")))).await;
    all_taken(&world).await;
    assert_eq!(requests(&world).await.len(), 2);
    let records = audit(&world, "message.refused").await;
    assert_eq!(records.len() as u64, expected + 1, "{records:#?}");
    for record in &records {
        assert!(record["data"]["because"].is_string(), "{record:#}");
        assert!(record["data"]["code"].is_u64(), "{record:#}");
    }
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_passes_the_same_judgement_and_approves_nothing() {
    let world = World::plain(Act::Complete).await;
    with_replies(&world).await;
    // Agents may not ask here, and are told.
    let mut agent = event("agent-1", "ping nas");
    agent["actor"]["kind"] = json!("agent");
    send(&world, message(&envelope(&agent))).await;
    let told = reply(&world).await;
    assert_eq!(told["code"], 5202, "{told}");
    assert_eq!(told["details"]["reason_code"], "unauthorized", "{told}");
    // The same again is answered the same.
    send(&world, message(&envelope(&agent))).await;
    assert_eq!(
        reply(&world).await["details"]["plan_id"],
        told["details"]["plan_id"]
    );
    assert_eq!(requests(&world).await.len(), 0);
    assert_eq!(audit(&world, "event.judged").await.len(), 1);

    send(&world, message(&envelope(&event("write", WRITE)))).await;
    all_taken(&world).await;
    let id = requests(&world).await[0]["request_id"].clone();
    let waits = world
        .until(id.as_str().unwrap(), &["awaiting_approval"])
        .await;
    let question = waits["decisions"][0]["decision_id"].clone();
    for (n, answers) in [Value::Null, question].into_iter().enumerate() {
        let mut yes = event(&format!("yes-{n}"), "yes");
        yes["actor"] = json!({"id": "local:anna", "kind": "person"});
        if !answers.is_null() {
            yes["content"]["answers"] = answers;
        }
        send(&world, message(&envelope(&yes))).await;
        let told = reply(&world).await;
        assert_eq!(told["details"]["reason_code"], "nothing_asked", "{told}");
    }
    let still = world.show(id.as_str().unwrap()).await;
    assert_eq!(still["state"], "awaiting_approval", "{still:#}");
    assert_eq!(requests(&world).await.len(), 1, "a yes is no work");
    dead(&world, 0).await;
    world.holds_together().await;
}
