//! What comes over the broker and must not be believed: garbage, foreign versions, forged senders, words on what is not known,
//! and a second program under the name of the first. Nothing of it stops anybody, and what cannot be handled is kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chiffon_bus::{AmqpBus, AmqpOptions, Bus, Message, PublishError, QueueName};
use chiffon_tests::{Chiffon, Home, wait_for};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::yard::{LONG, Yard, chiffon, ends, infra, json_of, orchestrator, wait_for_agents};

/// Somebody who has an agent's password and none of its manners.
struct Forger {
    runtime: Runtime,
    bus: AmqpBus,
    user: &'static str,
}

impl Forger {
    fn new(yard: &Yard, user: &'static str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let options = AmqpOptions::new(&yard.url(user), None).expect("a URL");
        let inside = runtime.enter();
        let bus = AmqpBus::start(options.with_pause(Duration::from_millis(200)));
        drop(inside);
        Self { runtime, bus, user }
    }

    fn send(&self, to: &QueueName, body: &[u8]) -> Result<(), PublishError> {
        let message = Message {
            message_id: chiffon_common::MessageId::from_uuid(Uuid::now_v7()),
            sender: self.user.to_owned(),
            body: Arc::from(body),
        };
        self.runtime.block_on(self.bus.publish(to, message))
    }

    /// Until the broker has taken it: the connection may still be made.
    #[track_caller]
    fn sent(&self, to: &QueueName, body: &[u8]) {
        wait_for("the broker to take it", LONG, || self.send(to, body).ok());
    }
}

fn envelope(kind: &str, version: u32, payload: &Value) -> Vec<u8> {
    let envelope = json!({
        "message_id": Uuid::now_v7(),
        "trace_id": Uuid::now_v7(),
        "request_id": Uuid::now_v7(),
        "message_type": kind,
        "timestamp": "2026-11-30T12:00:00Z",
        "version": version,
        "payload": payload,
    });
    serde_json::to_vec(&envelope).expect("JSON")
}

fn status_of(agent: &str) -> Value {
    json!({
        "agent": agent,
        "incarnation": Uuid::now_v7(),
        "task_id": Uuid::now_v7(),
        "attempt": 1,
        "seq": 1,
        "status": "running",
        "progress": 50,
        "message": "half",
        "metrics": {},
        "lines": [],
    })
}

/// How many messages wait in each queue of the fleet.
fn waiting(yard: &Yard) -> BTreeMap<String, u64> {
    let said = yard.rabbit.ctl(&[
        "list_queues",
        "-p",
        "fleet",
        "name",
        "messages",
        "--no-table-headers",
    ]);
    let line = |line: &str| {
        let (name, count) = line.split_once(char::is_whitespace)?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    said.lines().filter_map(line).collect()
}

#[track_caller]
fn buried(yard: &Yard, queue: &QueueName, count: u64) {
    let dead = queue.dead_letters().to_string();
    wait_for(&format!("{count} in {dead}"), LONG, || {
        (waiting(yard).get(&dead) == Some(&count)).then_some(())
    });
}

fn works(home: &Home) {
    chiffon(home).run(&["run", "ping localhost"]).expect_code(0);
}

#[test]
fn what_must_not_be_believed_stops_nobody() {
    let Some(yard) = Yard::start_or_report("bad input") else {
        return;
    };
    let home = yard.orchestrator();
    let agent_home = yard.agent("infrastructure", &[&home]);
    let agent = infra(&agent_home);
    let boss = orchestrator(&home);
    wait_for_agents(&home, 1);
    works(&home);

    // From an agent, to the orchestrator.
    let forger = Forger::new(&yard, "infrastructure");
    let results = QueueName::results();
    let bodies: [Vec<u8>; 7] = [
        b"garbage".to_vec(),
        b"{\"message_id\":".to_vec(),
        vec![0xff; 1000],
        envelope("work_status", 2, &status_of("infrastructure")),
        envelope("no_such_type", 1, &json!({})),
        // Forged: it speaks for another one.
        envelope("work_status", 1, &status_of("desktop.here")),
        // Of a task that nobody knows.
        envelope("work_status", 1, &status_of("infrastructure")),
    ];
    for body in &bodies {
        forger.sent(&results, body);
    }
    buried(&yard, &results, 7);
    let beats = QueueName::heartbeats();
    forger.sent(&beats, b"garbage");
    forger.sent(
        &beats,
        &envelope("heartbeat", 1, &json!({ "agent": "desktop.here" })),
    );
    buried(&yard, &beats, 2);
    // Where an agent may not write: to others.
    let to_other = QueueName::stored("agent.infrastructure");
    let refused = forger.send(&to_other, b"x");
    assert!(
        matches!(refused, Err(PublishError::Refused(_))),
        "{refused:?}"
    );

    // From somebody with the orchestrator's password and without its key, to an agent.
    let master = Forger::new(&yard, "orchestrator");
    master.sent(&to_other, b"garbage");
    master.sent(
        &to_other,
        &envelope("work_request", 1, &json!({ "task_id": Uuid::now_v7() })),
    );
    works(&home);

    // A broker that has lost everything is laid out anew while all of them run.
    let mut yard = yard;
    yard.rabbit.kill();
    yard.rabbit.wipe();
    yard.rabbit.start();
    works(&home);
    let queues = waiting(&yard);
    assert!(
        queues.contains_key("agent.infrastructure.dead"),
        "{queues:?}"
    );

    // Two programs under one name: neither is given anything until one is ended.
    let second_home = yard.agent("infrastructure", &[&home]);
    let second = infra(&second_home);
    wait_for("both to be noticed", LONG, || {
        let said = chiffon(&home).run(&["status", "--json"]).stdout;
        let said: Value = serde_json::from_str(&said).ok()?;
        let fault = said["health"]["components"]["agent infrastructure"].as_str()?;
        fault
            .contains("two programs log in as infrastructure")
            .then_some(())
    });
    ends(second);
    works(&home);
    let agents = json_of(&home, &["fleet", "--json"]).to_string();
    assert!(agents.contains("infrastructure"), "{agents}");

    // An agent is taken away by deleting its user, which closes its connections (S40).
    yard.rabbit.ctl(&["delete_user", "infrastructure"]);
    wait_for("the agent to be shut out", LONG, || {
        let said = Chiffon::agent_infra(&agent_home)
            .run(&["healthcheck"])
            .stdout;
        said.contains("it refuses the user infrastructure")
            .then_some(())
    });
    ends(agent);
    ends(boss);
}
