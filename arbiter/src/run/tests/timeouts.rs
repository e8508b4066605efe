//! The four time-outs of a run, by Temporal's names (R49), each by itself: whatever stays away, the request ends, and says
//! which time was over. Heartbeat to heartbeat is `silence_becomes_unknown...` of `contact`.

use chiffon_common::ErrorCode;

use super::{corners::running, *};

/// Lets time pass until the request has ended, while its agent is heard of all the time. The states of the task on the way.
fn until_the_end(world: &mut World, task: TaskId) -> Vec<&'static str> {
    let mut seen = Vec::new();
    // A request that waits for a person for days ends within so many looks.
    for _look in 0..100_000 {
        let state = world.run.tasks[&task].state.name();
        if seen.last() != Some(&state) {
            seen.push(state);
        }
        if world.run.request.state.ended() {
            return seen;
        }
        let soon = world.now + SignedDuration::from_mins(10);
        world.fire_next(Some(soon));
    }
    panic!("it never ends: {seen:?}");
}

fn problem(world: &World) -> (ErrorCode, String) {
    match &world.run.request.state {
        RequestState::Failed { problem } | RequestState::Expired { problem } => {
            (problem.code, problem.detail.clone())
        }
        other => panic!("it ended as {other:?}"),
    }
}

#[test]
fn what_nobody_starts_in_time_has_failed() {
    let mut world = running(Tier::Zero, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    let begun = world.now;
    assert_eq!(until_the_end(&mut world, task), ["waiting", "failed"]);
    let (code, detail) = problem(&world);
    assert_eq!(code, ErrorCode::NotStartedInTime, "{detail}");
    assert!(world.now >= begun + world.policy.start);
    assert_eq!(world.starts, [], "it was started");
    world.tells_the_same_again();
}

#[test]
fn what_does_not_end_in_time_is_unknown_though_its_agent_lives() {
    for tier in [Tier::Zero, Tier::One] {
        let mut world = running(tier, OnInterrupt::Retry);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
        let seen = until_the_end(&mut world, task);
        assert_eq!(seen, ["running", "unknown", "failed"], "{tier:?}");
        assert_eq!(problem(&world).0, ErrorCode::OutcomeUnknown);
        assert_eq!(world.starts.len(), 1, "it was started again unasked");
        world.tells_the_same_again();
    }
}

#[test]
fn what_was_accepted_and_does_not_begin_in_time_is_unknown_though_its_agent_lives() {
    let mut world = running(Tier::One, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Accepted, 1).unwrap();
    let seen = until_the_end(&mut world, task);
    assert_eq!(seen, ["accepted", "unknown", "failed"]);
    assert_eq!(world.starts.len(), 1, "it was started again unasked");
    world.tells_the_same_again();
}

#[test]
fn a_run_as_a_whole_has_its_time_too() {
    let mut world = running(Tier::Zero, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    let RequestState::Running { deadline } = world.run.request.state else {
        panic!("it does not run");
    };
    // However often what it waits for begins anew.
    world.now = deadline;
    let timer = TimerName {
        subject: TimerSubject::Request,
        kind: TimerKind::Deadline,
    };
    let heard = Some(world.now);
    world.apply(RunEvent::TimerFired { timer, heard }).unwrap();
    until_the_end(&mut world, task);
    let because = &world.run.tasks[&task].because;
    assert!(because.contains("the run's deadline"), "{because}");
    assert_eq!(problem(&world).0, ErrorCode::NotStartedInTime);
    assert_eq!(world.starts, [], "it was started");
    world.tells_the_same_again();
}

#[test]
fn what_had_begun_before_the_deadline_of_its_run_is_not_said_to_have_never_been_started() {
    let mut world = running(Tier::Zero, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
    let RequestState::Running { deadline } = world.run.request.state else {
        panic!("it does not run");
    };
    world.now = deadline;
    let timer = TimerName {
        subject: TimerSubject::Request,
        kind: TimerKind::Deadline,
    };
    let heard = Some(world.now);
    world.apply(RunEvent::TimerFired { timer, heard }).unwrap();
    world.end(task, 1, 2, ResultStatus::Cancelled).unwrap();
    let (code, detail) = problem(&world);
    assert_eq!(code, ErrorCode::TimedOut, "{detail}");
    assert!(detail.contains("was stopped"), "{detail}");
    world.tells_the_same_again();
}

#[test]
fn a_plan_that_is_not_made_in_time_ends_its_request() {
    let mut world = World::new();
    while !world.run.request.state.ended() {
        assert!(world.fire_next(None), "nothing ends it");
    }
    assert_eq!(problem(&world).1, "no plan was made in time");
    world.tells_the_same_again();
}

/// A reading that is lost is called one: nothing is to be looked at because of it.
#[test]
fn a_reading_that_is_lost_is_called_a_reading() {
    for (tier, words) in [(Tier::Zero, "the reading"), (Tier::One, "the run")] {
        let mut world = running(tier, OnInterrupt::Ask);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
        while world.run.decisions.values().all(|one| one.state.ended()) {
            assert!(world.fire_next(None), "nobody is asked");
        }
        let asked = world.run.decisions.values().find(|one| !one.state.ended());
        let asked = asked.unwrap().question.clone();
        assert_eq!(asked.contains("the reading"), tier == Tier::Zero, "{asked}");
        until_the_end(&mut world, task);
        let (code, detail) = problem(&world);
        assert_eq!(code, ErrorCode::OutcomeUnknown);
        assert!(detail.contains(words), "{detail}");
    }
}
