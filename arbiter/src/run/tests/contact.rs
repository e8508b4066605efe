//! Lost contact and cut-off work, each corner by hand: who says how it ended, and what is sent again.

use super::{corners::running, *};

#[test]
fn interrupted_work_is_asked_about_unless_the_catalogue_says_otherwise() {
    let state_after = |word| {
        let mut world = running(Tier::One, word);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        let effects = world.end(task, 1, 5, ResultStatus::Interrupted).unwrap();
        let mark = Effect::MarkHosts {
            task,
            needs_look: true,
        };
        let state = world.run.tasks[&task].state.name();
        (state, effects.contains(&mark))
    };
    assert_eq!(state_after(OnInterrupt::Retry), ("waiting", false));
    assert_eq!(state_after(OnInterrupt::Ask), ("interrupted", true));
    assert_eq!(
        state_after(OnInterrupt::Fail),
        ("failed", true),
        "nobody is asked, so the host is marked"
    );
}

#[test]
fn an_attempt_after_one_that_was_cut_off_knows_of_it() {
    let mut world = running(Tier::One, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    assert!(!world.run.tasks[&task].cut_off_before);
    world.end(task, 1, 5, ResultStatus::Interrupted).unwrap();
    world.dispatch(task).unwrap();
    world.end(task, 2, 5, ResultStatus::Completed).unwrap();
    assert_eq!(world.run.request.state, RequestState::Completed);
    assert!(world.run.tasks[&task].cut_off_before);
}

#[test]
fn silence_becomes_unknown_and_then_a_question_and_then_a_failure() {
    let mut world = running(Tier::One, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
    let mut seen = Vec::new();
    while !world.run.request.state.ended() {
        world.fire_next(None);
        let state = world.run.tasks[&task].state.name();
        if seen.last() != Some(&state) {
            seen.push(state);
        }
    }
    assert_eq!(seen, ["unknown", "failed"]);
    let RequestState::Failed { problem } = &world.run.request.state else {
        panic!("not failed")
    };
    assert_eq!(problem.code, chiffon_common::ErrorCode::OutcomeUnknown);
    assert_eq!(world.starts.len(), 1, "it was started again unasked");
}

#[test]
fn unknown_is_resolved_by_the_journal_that_is_found_again() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
    while world.run.tasks[&task].state.name() != "unknown" {
        world.fire_next(None);
    }
    let effects = world.end(task, 1, 7, ResultStatus::Completed).unwrap();
    assert!(effects.contains(&Effect::MarkHosts {
        task,
        needs_look: false
    }));
    assert_eq!(world.run.request.state, RequestState::Completed);
}

#[test]
fn a_new_journal_is_never_sent_the_old_attempt_again() {
    let mut world = running(Tier::One, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world
        .apply(RunEvent::JournalLost {
            task,
            incarnation: life(2),
        })
        .unwrap();
    let effects = world.report(task, 1, 1, StatusKind::NeverSeen, 2);
    assert!(
        !effects.is_ok_and(|e| e.contains(&Effect::Dispatch { task })),
        "it was sent again"
    );
    assert_eq!(world.run.tasks[&task].state.name(), "unknown");
}

#[test]
fn never_seen_by_the_same_journal_is_sent_again_as_the_same_attempt() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    assert_eq!(
        world.report(task, 1, 1, StatusKind::NeverSeen, 1).unwrap(),
        [Effect::Dispatch { task }]
    );
    assert_eq!(world.run.tasks[&task].attempt, 1);
}

#[test]
fn a_question_about_lost_contact_is_withdrawn_when_the_agent_is_back() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    while !world
        .run
        .decisions
        .values()
        .any(|d| d.kind.name() == "unknown_outcome")
    {
        world.fire_next(None);
    }
    world.report(task, 1, 9, StatusKind::Running, 1).unwrap();
    assert!(world.run.decisions.values().all(|d| d.state.ended()));
    world.end(task, 1, 10, ResultStatus::Completed).unwrap();
    assert_eq!(world.run.request.state, RequestState::Completed);
}

#[test]
fn what_never_arrived_is_not_sent_again_once_it_is_cancelled() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    let by = person("local:anna");
    world
        .apply(RunEvent::CancelAsked {
            by,
            limit_seconds: None,
        })
        .unwrap();
    let effects = world.report(task, 1, 1, StatusKind::NeverSeen, 1).unwrap();
    assert_eq!(effects, [Effect::Record]);
    assert_eq!(world.run.request.state.name(), "cancelled");
}

#[test]
fn a_question_stays_open_as_long_as_it_says_whatever_the_runs_deadline() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.end(task, 1, 5, ResultStatus::Interrupted).unwrap();
    let asked = world.now;
    while world.now < asked + SignedDuration::from_hours(47) {
        assert!(world.fire_next(None));
        assert!(
            !world.run.request.state.ended(),
            "closed after {}",
            world.now - asked
        );
    }
    world.answer("retry").unwrap();
    world.dispatch(task).unwrap();
    world.end(task, 2, 1, ResultStatus::Completed).unwrap();
    assert_eq!(world.run.request.state, RequestState::Completed);
}

#[test]
fn what_was_accepted_runs_or_is_lost_but_does_not_stay_accepted() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Accepted, 1).unwrap();
    let accepted = world.now;
    while world.run.tasks[&task].state.name() == "accepted" {
        let heard = world.next_due();
        assert!(world.fire_next(Some(heard)));
        assert!(
            world.now < accepted + SignedDuration::from_hours(1),
            "still accepted"
        );
    }
    assert_eq!(world.run.tasks[&task].state.name(), "unknown");
}

#[test]
fn a_check_run_that_nobody_can_account_for_asks_nobody_and_sends_nothing() {
    let mut world = World::new();
    let plan = world.plan(vec![step(
        0,
        Tier::One,
        Fidelity::Exact,
        OnInterrupt::Ask,
        vec![],
    )]);
    world
        .apply(RunEvent::Planned {
            plan: Box::new(plan),
        })
        .unwrap();
    let task = world.task(Mode::Check, 0);
    let sent = world.sent();
    world
        .apply(RunEvent::TaskDispatched {
            task,
            sent,
            leases: vec![],
        })
        .unwrap();
    let by = person("local:anna");
    world
        .apply(RunEvent::CancelAsked {
            by,
            limit_seconds: None,
        })
        .unwrap();
    world.end(task, 1, 3, ResultStatus::Unknown).unwrap();
    assert_eq!(world.run.request.state.name(), "cancelled");
    assert!(world.run.decisions.is_empty());
}
