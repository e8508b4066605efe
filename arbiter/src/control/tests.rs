//! The pipeline's promises: same input, same bytes; one answer for one id; deny means nothing is done.

use chiffon_common::{
    Action, Actor, Content, Digest, Event, EventError, Permission, ReasonCode, ResponsePlan,
};
use jiff::Timestamp;

use super::*;

mod gates;
mod golden;
mod storm;
mod world;

fn event(text: &str) -> Event {
    Event {
        v: 0,
        event_id: "e-1".parse().unwrap(),
        tenant_id: "default".parse().unwrap(),
        source: "cli".to_owned(),
        room_id: "cli:anna".parse().unwrap(),
        project_id: "default".parse().unwrap(),
        actor: Actor {
            id: "local:anna".to_owned(),
            kind: "person".to_owned(),
        },
        content: Content {
            kind: "text".to_owned(),
            text: text.to_owned(),
            mentions_chiffon: true,
            call: None,
            retry_of: None,
            undo_of: None,
            answers: None,
        },
        ts: "2026-01-19T12:34:56Z".parse().unwrap(),
    }
}

/// Persons may have work started, in the orchestrator; nobody else may anything.
fn work() -> Policy {
    Policy {
        jobs: true,
        authz: Authz {
            roles: [("asker".to_owned(), [Permission::StartAgentJob].into())].into(),
            grants: vec![Grant {
                role: "asker".to_owned(),
                kind: Pattern("person".to_owned()),
                ..Grant::default()
            }],
            ..Authz::default()
        },
        ..Policy::default()
    }
}

fn judged(event: &Event, prior: Option<&Prior>, policy: &Policy) -> Judgement {
    process(&Case {
        event,
        prior,
        room: &RoomState::default(),
        tenant: &TenantState::default(),
        policy,
        authorisation: None,
        now: Timestamp::UNIX_EPOCH,
    })
    .unwrap()
}

fn fresh(event: &Event, policy: &Policy) -> ResponsePlan {
    match judged(event, None, policy) {
        Judgement::Fresh { plan, .. } => plan,
        other => panic!("expected a fresh plan, got {other:?}"),
    }
}

fn is_nothing(plan: &ResponsePlan, why: ReasonCode) {
    assert_eq!(plan.reason_code, why);
    let [Action::DoNothing { reason_code, .. }] = &plan.actions[..] else {
        panic!("expected do_nothing, got {plan:?}");
    };
    assert_eq!(*reason_code, why);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let plan = fresh(&event("ping nas"), &work());
    let bytes = chiffon_common::to_canonical(&plan).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        r#"{"actions":[{"action_id":"2c555a34-5c1b-56cd-bb0e-dfb905c9c5a8","target":"cli:anna","type":"start_agent_job"}],"event_id":"e-1","intent":"REPLY","plan_id":"6ad46490-d77f-5e13-859c-7b652b385a83","reason_code":"accepted","room_id":"cli:anna","tenant_id":"default","v":0}"#
    );
}

#[test]
fn an_id_has_one_answer_and_one_body() {
    let event = event("ping nas");
    let plan = fresh(&event, &work());
    let prior = Prior {
        body: Digest::of_value(&event).unwrap(),
        plan: plan.clone(),
    };
    let nobody = Policy::default();
    assert_eq!(
        judged(&event, Some(&prior), &nobody),
        Judgement::Repeated { plan }
    );
    let other = Event {
        content: Content {
            text: "ping tower".to_owned(),
            ..event.content.clone()
        },
        ..event
    };
    assert_eq!(judged(&other, Some(&prior), &nobody), Judgement::Conflict);
}

#[test]
fn who_may_not_gets_nothing_done() {
    is_nothing(
        &fresh(&event("ping nas"), &Policy::default()),
        ReasonCode::Unauthorized,
    );
    let mut agent = event("ping nas");
    agent.actor.kind = "agent".to_owned();
    is_nothing(&fresh(&agent, &work()), ReasonCode::Unauthorized);
}

#[test]
fn schema_comes_before_everything() {
    let judged = judged(&event(" "), None, &work());
    assert_eq!(judged, Judgement::Malformed(EventError::Empty));
}

#[test]
fn a_word_is_alone_and_what_is_meant_is_not_taken_for_it() {
    for (text, word, meant) in [
        ("yes", Some(Word::Yes), Some(Word::Yes)),
        (" Approve! ", Some(Word::Yes), Some(Word::Yes)),
        ("No.", Some(Word::No), Some(Word::No)),
        ("yes please", None, Some(Word::Yes)),
        ("OK, do it!", None, Some(Word::Yes)),
        ("Sure, go ahead. Thanks", None, Some(Word::Yes)),
        ("no thanks", None, Some(Word::No)),
        ("please don't do that", None, Some(Word::No)),
        ("yes, no", None, None),
        ("please do it now", None, None),
        ("yes, restart cron on nas", None, None),
        ("no space on nas?", None, None),
        ("stop cron on nas", None, None),
        ("", None, None),
    ] {
        assert_eq!(
            (Word::of(text), Word::meant(text)),
            (word, meant),
            "{text:?}"
        );
    }
}
