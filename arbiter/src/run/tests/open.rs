//! What is not known of a change's hosts, by how it ended; and which of them a person should look at, until somebody has
//! said how it ended.

use chiffon_common::{HostName, HostOutcome};

use super::{corners::running, *};

const ASK: OnInterrupt = OnInterrupt::Ask;

impl World {
    fn cancel(&mut self) -> Result<Vec<Effect>, Refusal> {
        let by = person("local:anna");
        self.apply(RunEvent::CancelAsked {
            by,
            limit_seconds: None,
        })
    }

    fn end_on(
        &mut self,
        task: TaskId,
        status: ResultStatus,
        outcome: HostOutcome,
    ) -> Result<Vec<Effect>, Refusal> {
        let summary = HostSummary {
            outcome,
            ..HostSummary::default()
        };
        self.end_with(task, (1, 9), status, summary)
    }
}

fn names(hosts: &[&str]) -> Vec<HostName> {
    hosts.iter().map(|host| host.parse().unwrap()).collect()
}

fn failed(code: ErrorCode) -> TaskState {
    TaskState::Failed {
        problem: Problem::new(code, "it failed", "look"),
    }
}

/// The hosts a task looked at, as its mark was set or taken away last.
fn mark(effects: &[Effect]) -> Option<bool> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::MarkHosts { needs_look, .. } => Some(*needs_look),
        _ => None,
    })
}

fn looks(world: &World, task: TaskId) -> Vec<HostName> {
    let hosts = needs_look(&world.run, &world.run.tasks[&task]);
    hosts.into_iter().collect()
}

#[test]
fn what_was_stopped_before_its_last_count_is_not_known() {
    use HostOutcome::{Changed, CutOff, Failed, NotReached, Ok, Unreachable};
    let world = running(Tier::One, ASK);
    let of_plan = world.run.tasks[&world.task(Mode::Apply, 0)].clone();
    let mut step = world.run.plan.as_ref().unwrap().steps[0].clone();
    step.hosts = names(&["a", "b"]);
    let unknown = || failed(ErrorCode::OutcomeUnknown);
    let interrupted = || failed(ErrorCode::Interrupted);
    let too_long = || failed(ErrorCode::TimedOut);
    let played = || failed(ErrorCode::PlaybookFailed);
    for (state, counted, open) in [
        (unknown(), &[Ok, Ok][..], &["a", "b"][..]),
        (interrupted(), &[], &["a", "b"]),
        (interrupted(), &[Ok, Unreachable], &["b"]),
        (interrupted(), &[CutOff, Ok], &["a"]),
        (TaskState::Cancelled, &[], &["a", "b"]),
        (TaskState::Cancelled, &[Changed], &["b"]),
        (TaskState::Cancelled, &[NotReached, NotReached], &["a", "b"]),
        (TaskState::Cancelled, &[Ok, Failed], &[]),
        (TaskState::Cancelled, &[CutOff, CutOff], &["a", "b"]),
        // A person said so, or a check found it.
        (TaskState::Completed, &[], &["a", "b"]),
        (TaskState::Completed, &[NotReached, NotReached], &["a", "b"]),
        (TaskState::Completed, &[Ok, NotReached], &[]),
        (TaskState::Completed, &[CutOff, Ok], &["a"]),
        (played(), &[CutOff, Failed], &["a"]),
        (played(), &[Failed, NotReached], &[]),
        // Stopped for its time in its first task.
        (too_long(), &[], &["a", "b"]),
        (too_long(), &[Changed, NotReached], &["b"]),
    ] {
        let by_host = ["a", "b"].into_iter().zip(counted);
        let summary = |outcome: &HostOutcome| HostSummary {
            outcome: *outcome,
            ..HostSummary::default()
        };
        let hosts = by_host.map(|(host, outcome)| (host.to_owned(), summary(outcome)));
        let mut task = Task {
            state: state.clone(),
            attempt: 1,
            started_at: Some(world.now),
            outcome: Some(Outcome {
                hosts: hosts.collect(),
                ..Outcome::default()
            }),
            ..of_plan.clone()
        };
        let told: Vec<_> = uncounted(&task, &step).into_iter().collect();
        assert_eq!(told, names(open), "{state:?} {counted:?}");
        // A reading has changed nothing, whatever became of it, and neither has a check.
        let mut reads = step.clone();
        reads.tier = Tier::Zero;
        assert!(uncounted(&task, &reads).is_empty(), "{state:?}");
        task.mode = Mode::Check;
        assert!(uncounted(&task, &step).is_empty(), "{state:?}");
        // An attempt before it was cut off: nobody has counted what that one did.
        task.mode = Mode::Apply;
        task.cut_off_before = true;
        let told: Vec<_> = uncounted(&task, &step).into_iter().collect();
        assert_eq!(told, names(&["a", "b"]), "{state:?}");
    }
}

#[test]
fn a_change_that_was_stopped_on_the_way_leaves_its_mark_and_says_so() {
    for (outcome, open) in [(HostOutcome::CutOff, true), (HostOutcome::Changed, false)] {
        let mut world = running(Tier::One, ASK);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        world.cancel().unwrap();
        let effects = world
            .end_on(task, ResultStatus::Cancelled, outcome)
            .unwrap();
        assert_eq!(mark(&effects), open.then_some(true), "{outcome:?}");
        let because = &world.run.request.because;
        let words = "what was changed on nas is not known";
        assert_eq!(because.contains(words), open, "{because}");
        let because = &world.run.tasks[&task].because;
        assert_eq!(because.contains(words), open, "{because}");
        world.tells_the_same_again();
    }
}

#[test]
fn what_was_cancelled_before_it_began_leaves_no_mark() {
    let mut world = running(Tier::One, ASK);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.cancel().unwrap();
    let ended = RunEvent::Ended {
        task,
        attempt: 1,
        seq: 2,
        agent: agent(),
        incarnation: life(1),
        status: ResultStatus::Cancelled,
        outcome: Box::default(),
        problem: None,
    };
    let effects = world.apply(ended).unwrap();
    assert_eq!(mark(&effects), None);
    assert!(looks(&world, task).is_empty());
    assert_eq!(world.run.tasks[&task].state, TaskState::Cancelled);
}

#[test]
fn a_cut_off_change_is_marked_until_somebody_says_how_it_ended() {
    let interrupted = || {
        let mut world = running(Tier::One, ASK);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        let effects = world.end(task, 1, 5, ResultStatus::Interrupted).unwrap();
        assert_eq!(mark(&effects), Some(true));
        (world, task)
    };
    for word in ["completed", "failed", "retry"] {
        let (mut world, _) = interrupted();
        let effects = world.answer(word).unwrap();
        assert_eq!(mark(&effects), Some(false), "{word}");
    }
    // Nobody says it: the request is cancelled, or the time for an answer passes.
    let (mut world, task) = interrupted();
    world.cancel().unwrap();
    assert_eq!(looks(&world, task), names(&["nas"]));
    let because = &world.run.request.because;
    assert!(because.contains("on nas is not known"), "{because}");
    let (mut world, task) = interrupted();
    while !world.run.request.state.ended() {
        world.fire_next(None);
    }
    assert_eq!(looks(&world, task), names(&["nas"]));
}

#[test]
fn contact_that_is_found_again_takes_the_mark_away() {
    let mut world = running(Tier::One, ASK);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
    while world.run.tasks[&task].state.name() != "unknown" {
        world.fire_next(None);
    }
    assert_eq!(looks(&world, task), names(&["nas"]));
    let effects = world.report(task, 1, 2, StatusKind::Running, 1).unwrap();
    assert_eq!(mark(&effects), Some(false));
    let effects = world
        .end_on(task, ResultStatus::Completed, HostOutcome::Changed)
        .unwrap();
    assert_eq!(mark(&effects), None);
}

#[test]
fn what_another_attempt_failed_at_after_a_cut_is_still_open() {
    let mut world = running(Tier::One, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    let effects = world.end(task, 1, 5, ResultStatus::Interrupted).unwrap();
    assert_eq!(mark(&effects), None, "it is run again by itself");
    world.cancel().unwrap();
    assert_eq!(world.run.tasks[&task].state, TaskState::Cancelled);
    assert_eq!(looks(&world, task), names(&["nas"]));
}
