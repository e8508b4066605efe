//! Asking back: rounds, their limit, their end, and what is kept of them.

use chiffon_common::{ErrorCode, api::Nearest};
use proptest::prelude::*;
use serde_json::json;

use super::*;

impl World {
    fn ask_back(&mut self, wants: Wants) -> Result<Vec<Effect>, Refusal> {
        let near = |example: &str| Nearest {
            entry: "ping".parse().unwrap(),
            title: "Check that a host answers".to_owned(),
            example: example.to_owned(),
        };
        self.apply(RunEvent::AskedBack {
            question: "which host?".to_owned(),
            nearest: vec![near("Ping nas"), near("Ping nas"), near(&"x".repeat(300))],
            problem: Problem::new(ErrorCode::UnknownHost, "which host?", "name one"),
            wants,
        })
    }

    fn asked(&self) -> &Decision {
        let mut pending = self.run.decisions.values().filter(|d| !d.state.ended());
        let one = pending.next().expect("nothing is asked");
        assert!(pending.next().is_none(), "two questions at once");
        one
    }

    fn reply(&mut self, by: Principal, words: Words) -> Result<Vec<Effect>, Refusal> {
        let decision = self.run.decisions.values().last().unwrap().decision_id;
        let asked = self.run.decisions.values().find(|d| !d.state.ended());
        self.apply(RunEvent::Replied(Replied {
            decision: asked.map_or(decision, |asked| asked.decision_id),
            words,
            by,
            comment: None,
        }))
    }

    fn say(&mut self, text: &str) -> Result<Vec<Effect>, Refusal> {
        self.reply(person("local:anna"), sentence(text))
    }
}

fn sentence(text: &str) -> Words {
    Words {
        text: text.to_owned(),
        said: Said::Sentence {
            text: text.to_owned(),
        },
        secret: Vec::new(),
    }
}

fn secret_value() -> Words {
    Words {
        text: "key=[secret]".to_owned(),
        said: Said::Missing {
            parameters: serde_json::from_value(json!({"key": "hunter2-hunter2"})).unwrap(),
            hosts: Vec::new(),
        },
        secret: vec!["key".to_owned()],
    }
}

#[test]
fn an_answer_continues_the_same_request() {
    let mut world = World::new();
    world.ask_back(Wants::Hosts).unwrap();
    assert_eq!(world.run.request.state.name(), "needs_input");
    let asked = world.asked().clone();
    assert_eq!(asked.options, ["Ping nas"], "each once, and none too long");
    assert_eq!(asked.deadline, world.now + world.policy.question);
    let effects = world.say("ping nas").unwrap();
    assert!(effects.contains(&Effect::Plan), "{effects:?}");
    assert_eq!(world.run.request.state.name(), "planning");
    let [round] = &world.run.request.rounds[..] else {
        panic!("{:?}", world.run.request.rounds);
    };
    assert_eq!(
        (&round.question[..], &round.by[..]),
        ("which host?", "local:anna")
    );
    let closed = &world.run.decisions[&asked.decision_id].state;
    assert!(matches!(closed, DecisionState::Resolved { choice, .. } if choice == "own words"));

    // One of the options is a sentence too.
    world.ask_back(Wants::Sentence).unwrap();
    world.answer("Ping nas").unwrap();
    let said = &world.run.request.rounds[1].words.said;
    assert_eq!(
        *said,
        Said::Sentence {
            text: "Ping nas".to_owned()
        }
    );
    let plan = world.plan(vec![step(
        0,
        Tier::Zero,
        Fidelity::Exact,
        OnInterrupt::Retry,
        vec![],
    )]);
    world
        .apply(RunEvent::Planned {
            plan: Box::new(plan),
        })
        .unwrap();
    assert_eq!(world.run.request.state.name(), "running");
    assert_eq!(world.run.request.text, "write", "the first words stay");
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let mut world = World::new();
    world.ask_back(Wants::Sentence).unwrap();
    let before = world.run.clone();
    assert!(matches!(
        world.answer("approve"),
        Err(Refusal::InvalidChoice { .. })
    ));
    let agent = Principal {
        id: "agent:infrastructure".to_owned(),
        kind: "agent".to_owned(),
    };
    assert_eq!(
        world.reply(agent, sentence("ping")),
        Err(Refusal::NotAPerson)
    );
    assert_eq!(world.run, before);
    // Who may ask may say what was meant.
    let service = Principal {
        id: "service:backup".to_owned(),
        kind: "service".to_owned(),
    };
    world.reply(service, sentence("ping")).unwrap();
    // Two at once: the second is told.
    assert_eq!(
        world.say("no, pong"),
        Err(Refusal::DecisionClosed("resolved"))
    );
    assert_eq!(world.run.request.rounds.len(), 1);
}

#[test]
fn own_words_answer_no_other_question() {
    let mut world = World::new();
    let plan = world.plan(vec![step(
        0,
        Tier::One,
        Fidelity::Blind,
        OnInterrupt::Ask,
        vec![],
    )]);
    world
        .apply(RunEvent::Planned {
            plan: Box::new(plan),
        })
        .unwrap();
    let refused = world.say("approve");
    assert!(
        matches!(refused, Err(Refusal::InvalidChoice { .. })),
        "{refused:?}"
    );
    assert_eq!(world.run.request.state.name(), "awaiting_approval");
}

#[test]
fn after_so_many_rounds_it_has_failed() {
    let mut world = World::new();
    for round in 0..MAX_ROUNDS {
        world.ask_back(Wants::Sentence).unwrap();
        world.say(&format!("words {round}")).unwrap();
    }
    world.ask_back(Wants::Sentence).unwrap();
    let problem = world.run.request.state.problem().unwrap();
    assert_eq!(problem.code, ErrorCode::TooManyRounds);
    assert_eq!(world.run.request.state.name(), "failed");
    assert_eq!(world.run.request.rounds.len(), MAX_ROUNDS);
}

#[test]
fn a_question_that_nobody_answers_times_out_and_takes_its_request_along() {
    let mut world = World::new();
    world.ask_back(Wants::Sentence).unwrap();
    let asked = world.asked().decision_id;
    world.now = world.asked().deadline + SignedDuration::from_secs(1);
    assert_eq!(
        world.say("too late"),
        Err(Refusal::DecisionClosed("expired"))
    );
    while world.fire_next(None) {}
    let problem = world.run.request.state.problem().unwrap();
    assert_eq!(problem.code, ErrorCode::QuestionExpired);
    assert_eq!(world.run.request.state.name(), "expired");
    assert_eq!(world.run.decisions[&asked].state.name(), "timed_out");
    assert_eq!(
        world.say("far too late"),
        Err(Refusal::DecisionClosed("timed_out"))
    );
}

#[test]
fn cancelled_in_the_middle_the_question_is_closed() {
    let mut world = World::new();
    world.ask_back(Wants::Sentence).unwrap();
    world
        .apply(RunEvent::CancelAsked {
            by: person("local:bob"),
            limit_seconds: None,
        })
        .unwrap();
    assert_eq!(world.run.request.state.name(), "cancelled");
    let by = "local:bob".to_owned();
    assert_eq!(world.say("ping"), Err(Refusal::Cancelled { by }));
    assert!(world.run.timers.is_empty(), "{:?}", world.run.timers);
}

#[test]
fn a_secret_that_was_answered_is_forgotten_once_it_stands_in_the_plan_or_is_not_needed() {
    let holds = |world: &World| {
        let text = serde_json::to_string(&world.run.request).unwrap();
        text.contains("hunter2-hunter2")
    };
    let mut world = World::new();
    world.run.request.text = "write with hunter2-hunter2".to_owned();
    world.ask_back(Wants::Sentence).unwrap();
    world.say("write with hunter2-hunter2, please").unwrap();
    world.ask_back(Wants::Sentence).unwrap();
    world.reply(person("local:anna"), secret_value()).unwrap();
    assert!(holds(&world), "the planner needs it");
    let mut secretive = step(0, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![]);
    secretive.secret_parameters = vec!["key".to_owned()];
    secretive.parameters = serde_json::from_value(json!({"key": "hunter2-hunter2"})).unwrap();
    let plan = world.plan(vec![secretive]);
    world
        .apply(RunEvent::Planned {
            plan: Box::new(plan),
        })
        .unwrap();
    assert!(!holds(&world), "{:?}", world.run.request);

    let mut world = World::new();
    world.ask_back(Wants::Sentence).unwrap();
    world.reply(person("local:anna"), secret_value()).unwrap();
    world
        .apply(RunEvent::CancelAsked {
            by: person("local:anna"),
            limit_seconds: None,
        })
        .unwrap();
    assert!(!holds(&world), "{:?}", world.run.request);
}

proptest! {
    /// Whatever is said, and whenever: no invariant breaks, and it comes to an end.
    #[test]
    fn a_storm_of_questions_ends(gusts in proptest::collection::vec(0..6_u8, 0..40)) {
        let mut world = World::new();
        for gust in gusts {
            // Refusals are lawful answers; what counts is that nothing breaks an invariant.
            let _ = match gust {
                0 | 1 => world.ask_back(Wants::Sentence).map(drop),
                2 if !world.run.decisions.is_empty() => world.say("other words").map(drop),
                3 if world.run.decisions.values().any(|d| !d.state.ended()) => {
                    world.answer("Ping nas").map(drop)
                }
                4 => {
                    let step = step(0, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![]);
                    let plan = world.plan(vec![step]);
                    world.apply(RunEvent::Planned { plan: Box::new(plan) }).map(drop)
                }
                _ => {
                    world.fire_next(None);
                    Ok(())
                }
            };
            prop_assert!(world.run.request.rounds.len() <= MAX_ROUNDS);
        }
        for _ in 0..200 {
            if !world.fire_next(None) {
                break;
            }
        }
        prop_assert!(world.run.request.state.ended(), "{:?}", world.run.request.state);
    }
}
