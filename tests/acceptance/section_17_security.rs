//! Section 17: fail_mode is deny by default, a failed authorisation denies, its time-out is controlled, the audit log cannot
//! be changed unseen. Each is held where it belongs (sections 11 and 12); here is what lies between them.

use serde_json::json;

use crate::{
    authorizer::{Authorizer, Word},
    target::{Target, action_of, fresh, nothing_because, with},
};

/// The time-out is the configured one, not the authoriser's: two that never answer give answers all the same.
#[tokio::test]
async fn the_time_out_of_authorisation_is_controlled() {
    let authorizer = Authorizer::start(Word::Silent);
    let config = authorizer.config(", timeout_ms: 50");
    let Some(target) = Target::own("the time-out of authorisation", &config).await else {
        return;
    };
    for _ in 0..3 {
        assert_eq!(
            nothing_because(&target.ask(&fresh("room")).await),
            "authz_unavailable"
        );
    }
}

/// What was denied moved nothing: the room is as open as before.
#[tokio::test]
async fn a_denial_changes_no_state() {
    let authorizer = Authorizer::start(Word::denies());
    let gate = "gate: {generation_timeout_ms: 3600000, cooldown_ms: 3600000, max_queue: 1}\n";
    let Some(target) = Target::own("a denial", &(authorizer.config("") + gate)).await else {
        return;
    };
    let room = fresh("room");
    for _ in 0..3 {
        assert_eq!(nothing_because(&target.ask(&room).await), "authz_denied");
    }
    authorizer.says(Word::allows());
    assert_eq!(action_of(&target.ask(&room).await).0, "request_generation");
}

/// A tenant's plan is nobody else's to close.
#[tokio::test]
async fn a_result_of_another_tenant_reaches_no_plan() {
    let target = Target::any().await;
    let room = fresh("room");
    let plan = target.ask(&room).await;
    let theirs = with(
        &target.generated(&plan),
        "/tenant_id",
        Some(json!(fresh("acceptance"))),
    );
    let reply = target.post("/v0/generations", &theirs).await;
    assert!(matches!(reply.status.as_u16(), 403 | 404), "{reply:?}");
    assert_eq!(nothing_because(&target.ask(&room).await), "generating_lock");
}

/// What a sender wrote cannot break out of the record: one answer, one line.
#[tokio::test]
async fn what_was_said_cannot_forge_a_record() {
    let Some(target) = Target::own("forged records", crate::target::OPEN).await else {
        return;
    };
    let event = target.event(&fresh("room"), true);
    let forged = "x\n{\"kind\":\"event\",\"action\":\"forged\"}\r\n\u{2028}\u{85}";
    let event = with(
        &event,
        "/content/text",
        Some(json!(forged.replace('\u{85}', ""))),
    );
    target.decide(&event).await;
    let decisions = target.decisions();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_ne!(decisions[0]["action"], "forged");
}
