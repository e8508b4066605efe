//! The pipeline's promises: same input, same bytes; one answer for one id; deny means nothing is done.

use chiffon_common::{Actor, Content};

use super::*;

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
        },
        ts: "2026-01-19T12:34:56Z".parse().unwrap(),
    }
}

fn policy() -> Policy {
    Policy {
        jobs: true,
        may_ask: vec!["person".to_owned()],
    }
}

fn fresh(event: &Event, policy: &Policy, authorisation: &Authorisation) -> ResponsePlan {
    match process(event, None, policy, authorisation).unwrap() {
        Judgement::Fresh { plan, .. } => plan,
        other => panic!("expected a fresh plan, got {other:?}"),
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let plan = fresh(&event("ping nas"), &policy(), &Authorisation::Allow);
    let bytes = chiffon_common::to_canonical(&plan).unwrap();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        r#"{"actions":[{"target":"cli:anna","type":"start_agent_job"}],"event_id":"e-1","intent":"REPLY","plan_id":"6ad46490-d77f-5e13-859c-7b652b385a83","reason_code":"accepted","room_id":"cli:anna","tenant_id":"default","v":0}"#
    );
}

#[test]
fn an_id_has_one_answer_and_one_body() {
    let event = event("ping nas");
    let plan = fresh(&event, &policy(), &Authorisation::Allow);
    let prior = Prior {
        body: Digest::of_value(&event).unwrap(),
        plan: plan.clone(),
    };
    let deny = Authorisation::Deny {
        rule: "later".to_owned(),
    };
    assert_eq!(
        process(&event, Some(&prior), &policy(), &deny).unwrap(),
        Judgement::Repeated { plan }
    );
    let other = Event {
        content: Content {
            text: "ping tower".to_owned(),
            ..event.content.clone()
        },
        ..event
    };
    assert_eq!(
        process(&other, Some(&prior), &policy(), &deny).unwrap(),
        Judgement::Conflict
    );
}

#[test]
fn who_may_not_gets_nothing_done() {
    let deny = Authorisation::Deny {
        rule: "no".to_owned(),
    };
    let by_rule = fresh(&event("ping nas"), &policy(), &deny);
    let mut agent = event("ping nas");
    agent.actor.kind = "agent".to_owned();
    let by_kind = fresh(&agent, &policy(), &Authorisation::Allow);
    for plan in [by_rule, by_kind] {
        assert_eq!(
            plan.actions,
            [Action::DoNothing {
                reason_code: ReasonCode::Unauthorized
            }]
        );
    }
}

#[test]
fn the_control_plane_alone_starts_no_work() {
    let alone = Policy {
        jobs: false,
        ..policy()
    };
    let plan = fresh(&event("ping nas"), &alone, &Authorisation::Allow);
    assert_eq!(
        plan.actions,
        [Action::DoNothing {
            reason_code: ReasonCode::ReplyPolicy
        }]
    );
}

#[test]
fn schema_comes_before_everything() {
    let judged = process(&event(" "), None, &policy(), &Authorisation::Allow).unwrap();
    assert_eq!(judged, Judgement::Malformed(EventError::Empty));
}
