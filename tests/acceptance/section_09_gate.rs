//! Section 9: generating lock, cooldown, backpressure, rate of the tenant, in this order; whoever is stopped gets
//! do_nothing with a reason_code, which is recorded.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use tokio::task::JoinSet;

use crate::target::{Target, action_of, fresh, gated, nothing_because, with};

/// Gate 1: while a text is generated for a room, no other is; its result opens the room again.
#[tokio::test]
async fn the_generating_lock_holds_a_room_until_the_result() {
    let target = Target::any().await;
    let room = fresh("room");
    let first = target.ask(&room).await;
    assert_eq!(action_of(&first).0, "request_generation");
    for _ in 0..2 {
        assert_eq!(nothing_because(&target.ask(&room).await), "generating_lock");
    }
    assert_eq!(
        action_of(&target.ask(&fresh("room")).await).0,
        "request_generation"
    );
    // A result of another tenant's plan, or of none, opens nothing.
    let strange = with(
        &target.generated(&first),
        "/plan_id",
        Some(json!(uuid::Uuid::now_v7())),
    );
    assert_eq!(
        target.post("/v0/generations", &strange).await.problem(404),
        5021
    );
    assert_eq!(nothing_because(&target.ask(&room).await), "generating_lock");
    for status in ["failed", "completed"] {
        let plan = match status {
            "failed" => first.clone(),
            _ => target.ask(&room).await,
        };
        let result = with(&target.generated(&plan), "/status", Some(json!(status)));
        let result = match status {
            "failed" => with(&result, "/text", None),
            _ => result,
        };
        target.post("/v0/generations", &result).await.plan();
    }
}

/// Gate 1: the lock ends by itself, and a result that comes after that is told so and sends nothing.
#[tokio::test]
async fn the_generating_lock_expires() {
    let gate = gated("generation_timeout_ms: 300");
    let Some(target) = Target::own("the end of a lock", &gate).await else {
        return;
    };
    let room = fresh("room");
    let first = target.ask(&room).await;
    // No assertion that it is shut before: a slow machine may take longer than the lock.
    let began = std::time::Instant::now();
    loop {
        let plan = target.ask(&room).await;
        if action_of(&plan).0 == "request_generation" {
            break;
        }
        assert_eq!(nothing_because(&plan), "generating_lock");
        assert!(began.elapsed() < crate::target::LONG, "it ends by itself");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let late = target
        .post("/v0/generations", &target.generated(&first))
        .await;
    assert_eq!(late.problem(409), 5023);
}

/// Gate 2: a room that was answered rests.
#[tokio::test]
async fn the_cooldown_holds_a_room_that_was_answered() {
    let gate = gated("generation_timeout_ms: 3600000, cooldown_ms: 3600000");
    let Some(target) = Target::own("the cooldown", &gate).await else {
        return;
    };
    let room = fresh("room");
    let plan = target.ask(&room).await;
    target.answer(&plan).await;
    assert_eq!(nothing_because(&target.ask(&room).await), "cooldown");
    assert_eq!(
        action_of(&target.ask(&fresh("room")).await).0,
        "request_generation"
    );
}

/// Gate 3: so many generations of a tenant at once, and no more.
#[tokio::test]
async fn backpressure_bounds_the_generations_of_a_tenant() {
    let gate = gated("generation_timeout_ms: 3600000, max_queue: 2");
    let Some(target) = Target::own("backpressure", &gate).await else {
        return;
    };
    let first = target.ask(&fresh("room")).await;
    target.ask(&fresh("room")).await;
    assert_eq!(
        nothing_because(&target.ask(&fresh("room")).await),
        "backpressure"
    );
    let theirs = with(
        &target.event(&fresh("room"), true),
        "/tenant_id",
        Some(json!("acceptance-b")),
    );
    assert_eq!(
        action_of(&target.decide(&theirs).await).0,
        "request_generation"
    );
    target.answer(&first).await;
    assert_eq!(
        action_of(&target.ask(&fresh("room")).await).0,
        "request_generation"
    );
}

/// Gate 4: so many events of a tenant in a time.
#[tokio::test]
async fn the_rate_bounds_the_events_of_a_tenant() {
    let gate = gated("tenant_rate: {events: 1, per_ms: 86400000, burst: 3}");
    let Some(target) = Target::own("the rate of a tenant", &gate).await else {
        return;
    };
    for _ in 0..3 {
        assert_eq!(
            action_of(&target.ask(&fresh("room")).await).0,
            "request_generation"
        );
    }
    assert_eq!(
        nothing_because(&target.ask(&fresh("room")).await),
        "rate_limited"
    );
    let theirs = with(
        &target.event(&fresh("room"), true),
        "/tenant_id",
        Some(json!("acceptance-b")),
    );
    assert_eq!(
        action_of(&target.decide(&theirs).await).0,
        "request_generation"
    );
}

/// The order MUST be this one: where several gates are shut, the first of them is named.
#[tokio::test]
async fn the_gates_are_asked_in_their_order() {
    let gate = gated(
        "generation_timeout_ms: 3600000, cooldown_ms: 3600000, max_queue: 1, \
         tenant_rate: {events: 1, per_ms: 86400000, burst: 2}",
    );
    let Some(target) = Target::own("the order of the gates", &gate).await else {
        return;
    };
    let [a, b, c] = [fresh("room"), fresh("room"), fresh("room")];
    let first = target.ask(&a).await;
    assert_eq!(action_of(&first).0, "request_generation");
    // Lock and backpressure are shut.
    assert_eq!(nothing_because(&target.ask(&a).await), "generating_lock");
    target.answer(&first).await;
    let second = target.ask(&b).await;
    assert_eq!(action_of(&second).0, "request_generation");
    // All four are shut for this room, the last three for the other ones.
    assert_eq!(nothing_because(&target.ask(&b).await), "generating_lock");
    assert_eq!(nothing_because(&target.ask(&a).await), "cooldown");
    assert_eq!(nothing_because(&target.ask(&c).await), "backpressure");
    target.answer(&second).await;
    assert_eq!(nothing_because(&target.ask(&c).await), "rate_limited");
}

/// The reason MUST be recorded.
#[tokio::test]
async fn a_shut_gate_is_recorded() {
    let gate = gated("generation_timeout_ms: 3600000");
    let Some(target) = Target::own("the record of a shut gate", &gate).await else {
        return;
    };
    let room = fresh("room");
    target.ask(&room).await;
    target.ask(&room).await;
    let decisions = target.decisions();
    let [_, stopped] = decisions.as_slice() else {
        panic!("not two records: {decisions:?}");
    };
    assert_eq!(stopped["reason_code"], "generating_lock", "{stopped}");
    assert_eq!(stopped["action"], "do_nothing", "{stopped}");
    let stages = stopped["stages"].as_array().expect("stages");
    let gate = stages.iter().find(|stage| stage["stage"] == "gate");
    assert_eq!(
        gate.map(|gate| &gate["reason_code"]),
        Some(&json!("generating_lock"))
    );
}

/// However many come at once, no gate lets more through than it is set to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_gets_no_more_through_than_configured() {
    let gate = gated("generation_timeout_ms: 3600000, max_queue: 4");
    let Some(target) = Target::own("a storm", &gate).await else {
        return;
    };
    let target = Arc::new(target);
    let rooms: Vec<String> = (0..8).map(|_| fresh("room")).collect();
    let mut sending = JoinSet::new();
    for number in 0..96 {
        let target = target.clone();
        let event = target.event(&rooms[number % rooms.len()], true);
        sending.spawn(async move {
            let plan = target.decide(&event).await;
            // Each comes twice.
            assert_eq!(target.decide(&event).await, plan);
            plan
        });
    }
    let plans = sending.join_all().await;
    let mut through: BTreeMap<&str, u32> = BTreeMap::new();
    for plan in &plans {
        if action_of(plan).0 == "request_generation" {
            *through
                .entry(plan["room_id"].as_str().unwrap_or_default())
                .or_default() += 1;
        }
    }
    assert!(
        through.values().all(|count| *count == 1),
        "one in a room: {through:?}"
    );
    assert_eq!(through.len(), 4, "four of the tenant");
}
