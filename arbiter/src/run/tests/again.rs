//! What is tried again by itself and what never is; what a person says of an outcome that nobody knows; and
//! when a host is free again.

use chiffon_common::{ErrorCode, HostOutcome};

use super::{corners::running, *};

/// How a failed attempt left its one host.
fn left(outcome: HostOutcome, ok: u32, changed: u32) -> Box<Outcome> {
    let host = HostSummary {
        outcome,
        ok,
        changed,
        ..HostSummary::default()
    };
    Box::new(Outcome {
        hosts: BTreeMap::from([("nas".to_owned(), host)]),
        ..Outcome::default()
    })
}

impl World {
    fn fails(&mut self, task: TaskId, code: ErrorCode, outcome: Box<Outcome>) {
        let attempt = self.run.tasks[&task].attempt;
        self.apply(RunEvent::Ended {
            task,
            attempt,
            seq: 9,
            agent: agent(),
            incarnation: life(1),
            status: ResultStatus::Failed,
            outcome,
            problem: Some(Problem::new(code, "nas did not answer: no route", "y")),
        })
        .unwrap();
    }

    /// What the first task waits for, if it waits for another try: until when, and the words.
    fn retry_of(&self, task: TaskId) -> Option<(Timestamp, String)> {
        match &self.run.tasks[&task].state {
            TaskState::Waiting {
                on: WaitingOn::Retry { at, words },
            } => Some((*at, words.clone())),
            _ => None,
        }
    }
}

#[test]
fn a_host_that_does_not_answer_is_tried_again_with_growing_waits_and_then_given_up() {
    // Somebody sits and waits for what only reads; a machine that starts takes its time.
    for (tier, first) in [(Tier::One, 30_000), (Tier::Zero, 1_000)] {
        grow_from(tier, first);
    }
}

fn grow_from(tier: Tier, first: i128) {
    let mut world = running(tier, OnInterrupt::Ask);
    world.policy.attempts = 4;
    let task = world.task(Mode::Apply, 0);
    let mut waits = Vec::new();
    for attempt in 1..=4 {
        world.dispatch(task).unwrap();
        assert_eq!(world.run.tasks[&task].attempt, attempt);
        let silent = left(HostOutcome::Unreachable, 0, 0);
        world.fails(task, ErrorCode::HostUnreachable, silent);
        let Some((at, words)) = world.retry_of(task) else {
            break;
        };
        let next = format!("nas did not answer; attempt {} of 4", attempt + 1);
        assert!(
            words.starts_with("tries again at ") && words.ends_with(&next),
            "{words}"
        );
        assert!(world.run.tasks[&task].leases.is_empty(), "it holds nas up");
        // Nobody may start it before its time, and no dispatcher may talk over its words.
        assert!(matches!(world.dispatch(task), Err(Refusal::OutOfTurn(_))));
        let on = WaitingOn::Agent {
            words: "x".to_owned(),
        };
        assert!(world.apply(RunEvent::TaskHeld { task, on }).is_err());
        waits.push(at.duration_since(world.now).as_millis());
        world.fire_next(None);
        assert!(world.retry_of(task).is_none(), "the timer did not bring it");
    }
    let growing = waits.windows(2).all(|pair| pair[0] * 3 / 2 <= pair[1]);
    assert!(waits.len() == 3 && growing, "{waits:?}");
    let [shortest, longest] = [first * 3 / 4, first * 4];
    assert!(
        waits[0] >= shortest && waits[2] <= longest,
        "{tier:?}: {waits:?}"
    );
    let RequestState::Failed { problem } = &world.run.request.state else {
        panic!("{:?}", world.run.request.state)
    };
    assert_eq!(problem.code, ErrorCode::HostUnreachable);
}

#[test]
fn only_what_passes_by_itself_and_touched_nothing_is_tried_again() {
    let again = |tier, word, code, outcome| {
        let mut world = running(tier, word);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        world.fails(task, code, outcome);
        world.retry_of(task).is_some()
    };
    let (ask, retry) = (OnInterrupt::Ask, OnInterrupt::Retry);
    let (silent, failed) = (HostOutcome::Unreachable, HostOutcome::Failed);
    use ErrorCode::{HostUnreachable, PackagesLocked, PlaybookFailed};
    assert!(again(Tier::One, ask, HostUnreachable, left(silent, 0, 0)));
    assert!(again(Tier::One, ask, PackagesLocked, left(failed, 3, 0)));
    // A playbook that failed fails again, whatever the catalogue says of interruptions.
    for word in [ask, retry] {
        assert!(!again(Tier::Zero, word, PlaybookFailed, left(failed, 0, 0)));
    }
    // It answered once: the connection may have been cut after something had begun.
    assert!(!again(
        Tier::One,
        retry,
        HostUnreachable,
        left(silent, 2, 0)
    ));
    assert!(!again(Tier::One, ask, PackagesLocked, left(failed, 3, 1)));
    assert!(again(Tier::One, retry, PackagesLocked, left(failed, 3, 1)));
    assert!(again(Tier::Zero, ask, PackagesLocked, left(failed, 3, 1)));
    // Nothing is known of what it touched.
    assert!(!again(Tier::One, ask, PackagesLocked, Box::default()));
}

#[test]
fn a_person_may_try_at_once_or_end_what_waits_for_its_next_try() {
    let waiting = || {
        let mut world = running(Tier::One, OnInterrupt::Ask);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        let silent = left(HostOutcome::Unreachable, 0, 0);
        world.fails(task, ErrorCode::HostUnreachable, silent);
        (world, task)
    };
    let by = person("local:anna");
    let (mut world, task) = waiting();
    world
        .apply(RunEvent::RetryNow {
            task,
            by: by.clone(),
        })
        .unwrap();
    assert!(world.retry_of(task).is_none());
    world.dispatch(task).unwrap();
    let again = world.apply(RunEvent::RetryNow {
        task,
        by: by.clone(),
    });
    assert_eq!(again, Err(Refusal::NoRetry));

    let (mut world, _) = waiting();
    world
        .apply(RunEvent::CancelAsked {
            by,
            limit_seconds: None,
        })
        .unwrap();
    assert_eq!(world.run.request.state.name(), "cancelled");
}

#[test]
fn a_person_says_once_how_it_ended_whether_or_not_anybody_had_asked() {
    let lost = || {
        let mut world = running(Tier::One, OnInterrupt::Ask);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        assert_eq!(
            world.resolve(task, "completed"),
            Err(Refusal::OutcomeKnown("dispatched"))
        );
        let incarnation = life(2);
        world
            .apply(RunEvent::JournalLost { task, incarnation })
            .unwrap();
        (world, task)
    };
    let (mut world, task) = lost();
    assert!(world.run.tasks[&task].state.asked().is_none());
    let effects = world.resolve(task, "completed").unwrap();
    assert!(effects.contains(&Effect::MarkHosts {
        task,
        needs_look: false
    }));
    assert_eq!(world.run.request.state, RequestState::Completed);
    let said: Vec<_> = world
        .run
        .decisions
        .values()
        .filter_map(|decision| match (&decision.kind, &decision.state) {
            (DecisionKind::UnknownOutcome { .. }, DecisionState::Resolved { choice, by, .. }) => {
                Some((choice.as_str(), by.as_str()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(said, [("completed", "local:anna")], "not recorded once");
    assert_eq!(
        world.resolve(task, "failed"),
        Err(Refusal::OutcomeKnown("completed"))
    );

    let (mut world, task) = lost();
    let wrong = world.resolve(task, "perhaps");
    assert!(
        matches!(wrong, Err(Refusal::InvalidChoice { .. })),
        "{wrong:?}"
    );
    assert!(
        world.run.tasks[&task].state.asked().is_none(),
        "a refusal moved it"
    );
    world.resolve(task, "retry").unwrap();
    assert_eq!(world.run.tasks[&task].state.name(), "waiting");
    world.dispatch(task).unwrap();
    assert_eq!(world.starts.len(), 2, "a person's word is another attempt");
}

/// It would end as cancelled, as if nothing of it had been unknown, and the person would believe it runs again.
#[test]
fn what_is_unknown_of_a_cancelled_request_is_not_run_again() {
    for (by_answer, choice, state) in [
        (false, "completed", "completed"),
        (true, "failed", "failed"),
    ] {
        let mut world = running(Tier::One, OnInterrupt::Ask);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        let incarnation = life(2);
        world
            .apply(RunEvent::JournalLost { task, incarnation })
            .unwrap();
        let by = person("local:bob");
        world
            .apply(RunEvent::CancelAsked {
                by,
                limit_seconds: None,
            })
            .unwrap();
        let refused = world.resolve(task, "retry").unwrap_err();
        let by = "local:bob".to_owned();
        assert_eq!(refused, Refusal::NothingStarts { by });
        assert!(
            refused.to_string().contains("cancelled by local:bob"),
            "{refused}"
        );
        assert_eq!(world.run.tasks[&task].state.name(), "unknown");
        if by_answer {
            while world.run.tasks[&task].state.asked().is_none() {
                assert!(world.fire_next(None), "nobody is ever asked");
            }
            assert_eq!(world.answer("retry"), Err(refused));
        }
        world.resolve(task, choice).unwrap();
        assert_eq!(world.run.tasks[&task].state.name(), state);
    }
}

#[test]
fn an_interrupted_task_takes_the_same_words() {
    for (choice, state) in [
        ("failed", "failed"),
        ("retry", "waiting"),
        ("completed", "completed"),
    ] {
        let mut world = running(Tier::One, OnInterrupt::Ask);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        world.end(task, 1, 1, ResultStatus::Interrupted).unwrap();
        let wrong = world.resolve(task, "perhaps");
        assert!(
            matches!(wrong, Err(Refusal::InvalidChoice { .. })),
            "{wrong:?}"
        );
        world.resolve(task, choice).unwrap();
        assert_eq!(world.run.tasks[&task].state.name(), state);
    }
}

#[test]
fn a_host_is_free_again_once_no_agent_can_still_run_what_was_lost() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    let sent = world.sent();
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Accepted, 1).unwrap();
    let over = sent.not_after + SignedDuration::from_mins(1 + 3 + 5);
    while !world.run.tasks[&task].leases.is_empty() {
        assert!(world.now < over, "its hosts stay held at {}", world.now);
        world.fire_next(None);
    }
    assert_eq!(world.now, over, "given away before, or after");
    assert_eq!(world.run.tasks[&task].state.name(), "unknown");
    assert!(
        world.run.tasks[&task].state.asked().is_some(),
        "nobody is asked"
    );
    // The journal comes back and has never seen it: the host may be another's by now.
    let effects = world.report(task, 1, 2, StatusKind::NeverSeen, 1).unwrap();
    assert!(
        !effects.contains(&Effect::Dispatch { task }),
        "it goes around the line"
    );
    assert_eq!(world.run.tasks[&task].state.name(), "waiting");
}

#[test]
fn a_journal_that_no_longer_knows_what_ran_begins_nothing_again() {
    let mut world = running(Tier::One, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
    for seq in [2, 3] {
        let effects = world
            .report(task, 1, seq, StatusKind::NeverSeen, 1)
            .unwrap();
        assert!(
            !effects.contains(&Effect::Dispatch { task }),
            "it runs a second time"
        );
        assert_eq!(world.run.tasks[&task].state.name(), "unknown");
    }
}
