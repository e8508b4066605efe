//! An agent through its life, and the rule that every state but the last is looked at again.

use std::collections::BTreeMap;

use chiffon_common::AttemptRef;
use uuid::Uuid;

use super::*;

fn beat(incarnation: u128, boot: u128, running: usize) -> Box<Heartbeat> {
    let attempt = |n| AttemptRef {
        task_id: chiffon_common::TaskId::from_uuid(Uuid::from_u128(n as u128)),
        attempt: 1,
    };
    Box::new(Heartbeat {
        agent: "infrastructure".parse().unwrap(),
        kind: AgentKind::Infrastructure,
        version: "0.1.0".to_owned(),
        incarnation: Incarnation::from_uuid(Uuid::from_u128(incarnation)),
        boot: BootId::from_uuid(Uuid::from_u128(boot)),
        capabilities: BTreeMap::new(),
        slots: 2,
        running: (0..running).map(attempt).collect(),
        resources: None,
        interval_seconds: 10,
        draining: false,
    })
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn hear(agent: Option<&Agent>, beat: Box<Heartbeat>, second: i64) -> AgentMoved {
    advance_agent(agent, AgentEvent::Heard(beat), at(second)).unwrap()
}

fn states(moved: &AgentMoved) -> Vec<&str> {
    moved.moves.iter().map(|m| m.to.as_str()).collect()
}

#[test]
fn from_first_word_to_lost_and_back() {
    let moved = hear(None, beat(1, 1, 0), 0);
    assert_eq!(states(&moved), ["spawned", "idle"]);
    let moved = hear(Some(&moved.agent), beat(1, 1, 1), 10);
    assert_eq!(states(&moved), ["working"]);
    let quiet = advance_agent(
        Some(&moved.agent),
        AgentEvent::Due { heard: at(30) },
        at(40),
    )
    .unwrap();
    assert!(quiet.moves.is_empty(), "it was heard of in between");
    let lost = advance_agent(
        Some(&quiet.agent),
        AgentEvent::Due { heard: at(30) },
        at(61),
    )
    .unwrap();
    assert_eq!(states(&lost), ["lost"]);
    let back = hear(Some(&lost.agent), beat(1, 1, 0), 100);
    assert_eq!(states(&back), ["idle"]);
    assert_eq!(back.effects, [AgentEffect::AskAll, AgentEffect::Wake]);
}

#[test]
fn a_new_journal_and_a_new_process_are_told_apart() {
    let agent = hear(None, beat(1, 1, 0), 0).agent;
    assert_eq!(
        hear(Some(&agent), beat(1, 2, 0), 5).effects,
        [AgentEffect::AskAll]
    );
    assert_eq!(
        hear(Some(&agent), beat(2, 3, 0), 5).effects,
        [AgentEffect::JournalLost]
    );
}

#[test]
fn every_state_but_shutdown_is_looked_at_again() {
    let mut bye = beat(1, 1, 0);
    bye.draining = true;
    let agent = hear(None, beat(1, 1, 1), 0).agent;
    for moved in [
        hear(Some(&agent), beat(1, 1, 0), 1),
        hear(Some(&agent), bye, 2),
        advance_agent(Some(&agent), AgentEvent::Due { heard: at(0) }, at(31)).unwrap(),
    ] {
        assert_eq!(
            moved.agent.due.is_none(),
            moved.agent.state == AgentState::Shutdown,
            "{moved:?}"
        );
    }
}
