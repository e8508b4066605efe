//! Section 7: the stages, and their order, which MUST NOT change.

use crate::{
    authorizer::{Authorizer, Word},
    target::{OPEN, Target, action_of, fresh, gated, nothing_because},
};

const STAGES: [&str; 7] = [
    "schema",
    "idempotency",
    "room_state",
    "gate",
    "authorisation",
    "intent",
    "response_plan",
];

/// Each stage stands in the record, in the order of the document; the eighth is the record itself.
#[tokio::test]
async fn the_stages_are_passed_in_their_order() {
    let Some(target) = Target::own("the order of the stages", OPEN).await else {
        return;
    };
    let plan = target.ask(&fresh("room")).await;
    assert_eq!(action_of(&plan).0, "request_generation");
    let decisions = target.decisions();
    let stages = decisions[0]["stages"].as_array().expect("stages");
    let names: Vec<&str> = stages
        .iter()
        .filter_map(|one| one["stage"].as_str())
        .collect();
    assert_eq!(names, STAGES);
}

/// A stage that stops the event is the last but the plan: nothing behind it is asked.
#[tokio::test]
async fn nothing_is_asked_behind_the_stage_that_stops_an_event() {
    let authorizer = Authorizer::start(Word::denies());
    let config = authorizer.config("") + "gate: {generation_timeout_ms: 3600000}\n";
    let Some(target) = Target::own("nothing behind a stop", &config).await else {
        return;
    };
    let room = fresh("room");
    // Authorisation (5) stops before the planner (6).
    let denied = target.ask(&room).await;
    assert_eq!(nothing_because(&denied), "authz_denied");
    authorizer.says(Word::allows());
    assert_eq!(action_of(&target.ask(&room).await).0, "request_generation");
    let asked = authorizer.asked().len();
    // The gate (4) stops before authorisation (5): a shut gate asks nobody.
    authorizer.says(Word::denies());
    let gated = target.ask(&room).await;
    assert_eq!(nothing_because(&gated), "generating_lock");
    assert_eq!(authorizer.asked().len(), asked);
    // Idempotency (2) comes before both.
    let reply = target.post("/v0/events", &target.event(&room, true)).await;
    reply.plan();
    let stopped: Vec<Vec<String>> = target
        .decisions()
        .iter()
        .map(|record| {
            let stages = record["stages"].as_array().expect("stages");
            let names = stages.iter().filter_map(|one| one["stage"].as_str());
            names.map(str::to_owned).collect()
        })
        .collect();
    assert_eq!(stopped[0], [&STAGES[..5], &STAGES[6..]].concat());
    assert_eq!(stopped[2], [&STAGES[..4], &STAGES[6..]].concat());
}

/// Schema validation (1) comes before idempotency (2): what has no form is not looked up, also under a known id.
#[tokio::test]
async fn what_has_no_form_is_refused_under_a_known_id_too() {
    let target = Target::any().await;
    let event = target.event(&fresh("room"), true);
    target.decide(&event).await;
    let wrong = crate::target::with(&event, "/content", None);
    let reply = target.post("/v0/events", &wrong).await;
    reply.problem(reply.status.as_u16());
    target.post("/v0/events", &event).await.is_repeated();
}

/// Idempotency (2) comes before the gate (4): an answer is given again where a new event would be stopped.
#[tokio::test]
async fn an_answer_is_given_again_behind_a_shut_gate() {
    let Some(target) = Target::own(
        "an answer behind a shut gate",
        &gated("generation_timeout_ms: 3600000, max_queue: 1"),
    )
    .await
    else {
        return;
    };
    let event = target.event(&fresh("room"), true);
    let first = target.decide(&event).await;
    assert_eq!(
        nothing_because(&target.ask(&fresh("room")).await),
        "backpressure"
    );
    assert_eq!(target.decide(&event).await, first);
}
