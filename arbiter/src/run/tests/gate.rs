//! The gate before every start, by hand: each way to start, with the plan, the approval, the rules, the clock or the
//! freeze changed in between. Storms over the same are in `storm`.

use super::*;

/// A change that was approved and waits for an agent.
fn approved() -> (World, TaskId) {
    let mut world = World::new();
    let steps = vec![step(
        0,
        Tier::One,
        Fidelity::Blind,
        OnInterrupt::Retry,
        vec![],
    )];
    let plan = Box::new(world.plan(steps));
    world.apply(RunEvent::Planned { plan }).unwrap();
    world.answer("approve").unwrap();
    let task = world.task(Mode::Apply, 0);
    (world, task)
}

fn frozen() -> Frozen {
    Frozen {
        by: "local:ada".to_owned(),
        since: Timestamp::from_second(1_800_000_000).unwrap(),
        reason: "backup".to_owned(),
    }
}

fn ack_timer(task: TaskId) -> TimerName {
    TimerName {
        subject: TimerSubject::Task(task),
        kind: TimerKind::Ack,
    }
}

impl World {
    /// Lets the wait for the acknowledgement run out.
    fn unacknowledged(&mut self, task: TaskId) -> Vec<Effect> {
        let timer = ack_timer(task);
        self.now = self.now.max(self.run.timers[&timer]);
        self.apply(RunEvent::TimerFired { timer, heard: None })
            .unwrap()
    }

    fn plan_mut(&mut self) -> &mut Plan {
        self.run.plan.as_mut().unwrap()
    }

    fn approval_mut(&mut self) -> &mut Approval {
        self.run.request.approval.as_mut().unwrap()
    }

    /// Edits the plan as somebody would who knows how its digest is made.
    fn forge(&mut self, edit: impl Fn(&mut Plan)) {
        let mut plan = self.run.plan.clone().unwrap();
        edit(&mut plan);
        self.seal(&mut plan);
        self.run.plan = Some(plan);
    }
}

#[test]
fn whatever_is_edited_in_the_database_is_not_started() {
    type Edit = fn(&mut World);
    let edits: [(&str, Edit); 13] = [
        ("a parameter", |w| {
            drop(
                w.plan_mut().steps[0]
                    .parameters
                    .insert("x".to_owned(), 1.into()),
            )
        }),
        ("a host", |w| {
            w.plan_mut().steps[0].hosts.push("tower".parse().unwrap())
        }),
        ("the entry", |w| {
            w.plan_mut().steps[0].entry = "ping".parse().unwrap()
        }),
        ("the bundle", |w| {
            w.plan_mut().steps[0].bundle = Digest::of_bytes(b"other")
        }),
        ("the time-out", |w| {
            w.plan_mut().steps[0].timeout_seconds += 1
        }),
        ("the tier", |w| w.plan_mut().steps[0].tier = Tier::Zero),
        ("the tier of all", |w| {
            w.forge(|plan| {
                plan.tier = Tier::Zero;
                plan.steps[0].tier = Tier::Zero;
            });
        }),
        ("a step more", |w| {
            let more = w.plan_mut().steps[0].clone();
            w.plan_mut().steps.push(more);
        }),
        ("the digest", |w| {
            w.plan_mut().digest = Digest::of_bytes(b"other")
        }),
        ("the plan with its digest", |w| {
            w.forge(|plan| plan.steps[0].timeout_seconds += 1)
        }),
        ("the plan, its digest and that of the approval", |w| {
            w.forge(|plan| plan.steps[0].timeout_seconds += 1);
            w.approval_mut().digest = w.run.plan.as_ref().unwrap().digest;
        }),
        ("the approver", |w| {
            w.approval_mut().approver = "local:eve".to_owned()
        }),
        ("who asked", |w| {
            w.run.request.requester = person("local:eve")
        }),
    ];
    for (what, edit) in edits {
        // Before the first start.
        let (mut world, task) = approved();
        edit(&mut world);
        assert_eq!(world.dispatch(task), Err(Refusal::PlanAltered), "{what}");
        // Between two sends of the same attempt: it is asked, not sent.
        let (mut world, task) = approved();
        world.dispatch(task).unwrap();
        edit(&mut world);
        assert_eq!(
            world.unacknowledged(task),
            [Effect::Query { task }],
            "{what}"
        );
        world.report(task, 1, 1, StatusKind::NeverSeen, 1).unwrap();
        let TaskState::Failed { problem } = &world.run.tasks[&task].state else {
            panic!("{what}: {:?}", world.run.tasks[&task].state);
        };
        assert_eq!(problem.code, ErrorCode::PlanAltered, "{what}");
        // After an interruption.
        let (mut world, task) = approved();
        world.dispatch(task).unwrap();
        world.end(task, 1, 1, ResultStatus::Interrupted).unwrap();
        edit(&mut world);
        assert_eq!(world.dispatch(task), Err(Refusal::PlanAltered), "{what}");
    }
}

#[test]
fn an_approval_that_somebody_prolongs_in_the_database_is_not_longer_good() {
    let (mut world, task) = approved();
    world.now += SignedDuration::from_secs(3601);
    world.approval_mut().good_until = Timestamp::MAX;
    assert_eq!(world.dispatch(task), Err(Refusal::NotApproved));
    world.approval_mut().used_at = Some(world.now);
    assert_eq!(world.dispatch(task), Err(Refusal::NotApproved));
}

#[test]
fn what_was_approved_under_other_rules_is_not_started() {
    let (mut world, task) = approved();
    world.rules = Digest::of_bytes(b"other rules");
    assert_eq!(world.dispatch(task), Err(Refusal::PolicyChanged));
    let problem = turned_away(&Refusal::PolicyChanged).unwrap();
    let event = RunEvent::DispatchRefused { task, problem };
    world.apply(event).unwrap();
    let RequestState::Failed { problem } = &world.run.request.state else {
        panic!("{:?}", world.run.request.state);
    };
    assert_eq!(problem.code, ErrorCode::PolicyChanged);
    assert!(problem.todo.contains("ask again"), "{}", problem.todo);
}

#[test]
fn a_check_run_passes_the_same_gate_and_is_good_for_nothing_else() {
    let mut world = World::new();
    let steps = vec![step(
        0,
        Tier::One,
        Fidelity::Exact,
        OnInterrupt::Retry,
        vec![],
    )];
    let plan = Box::new(world.plan(steps));
    world.apply(RunEvent::Planned { plan }).unwrap();
    let task = world.task(Mode::Check, 0);
    world.frozen = Some(frozen());
    assert_eq!(world.dispatch(task), Err(Refusal::Frozen(frozen())));
    world.frozen = None;
    let planned = world.run.clone();
    world.plan_mut().steps[0].timeout_seconds += 1;
    assert_eq!(world.dispatch(task), Err(Refusal::PlanAltered));
    // What was edited meanwhile gets no new digest over the edit either.
    let task_mut = world.run.tasks.get_mut(&task).unwrap();
    task_mut.state = TaskState::Completed;
    world
        .run
        .timers
        .retain(|name, _| name.subject == TimerSubject::Request);
    let plan = Box::new(world.run.plan.clone().unwrap());
    world.apply(RunEvent::PreviewSealed { plan }).unwrap();
    let RequestState::Failed { problem } = &world.run.request.state else {
        panic!("{:?}", world.run.request.state);
    };
    assert_eq!(problem.code, ErrorCode::PlanAltered);
    // A task that calls itself the real one before anybody was asked.
    world.run = planned;
    world.run.tasks.get_mut(&task).unwrap().mode = Mode::Apply;
    assert_eq!(world.dispatch(task), Err(Refusal::OutOfTurn("previewing")));
}

#[test]
fn nothing_starts_in_a_frozen_fleet_and_what_runs_goes_on() {
    let (mut world, task) = approved();
    world.frozen = Some(frozen());
    assert_eq!(world.dispatch(task), Err(Refusal::Frozen(frozen())));
    world.frozen = None;
    world.dispatch(task).unwrap();
    world.frozen = Some(frozen());
    // Not sent again, but asked; and what it says of itself counts as ever.
    assert_eq!(world.unacknowledged(task), [Effect::Query { task }]);
    assert_eq!(
        world.report(task, 1, 1, StatusKind::NeverSeen, 1).unwrap(),
        []
    );
    assert_eq!(world.unacknowledged(task), [Effect::Query { task }]);
    world.frozen = None;
    assert_eq!(
        world.unacknowledged(task),
        [Effect::Dispatch { task }],
        "the thaw sends it"
    );
    world.frozen = Some(frozen());
    world.report(task, 1, 2, StatusKind::Running, 1).unwrap();
    world.end(task, 1, 3, ResultStatus::Completed).unwrap();
    assert_eq!(world.run.request.state, RequestState::Completed);
}

#[test]
fn a_freeze_that_outlasts_the_patience_is_named() {
    let held = |world: &mut World, task| {
        world.frozen = Some(frozen());
        let on = WaitingOn::Freeze {
            words: frozen().words(),
        };
        world.apply(RunEvent::TaskHeld { task, on }).unwrap();
    };
    // The approval is good as long as a start is waited for, and its timer comes first.
    let (mut world, task) = approved();
    held(&mut world, task);
    world.fire_next(None);
    let RequestState::Expired { problem } = &world.run.request.state else {
        panic!("{:?}", world.run.request.state);
    };
    assert_eq!(problem.code, ErrorCode::ApprovalExpired);
    assert!(
        problem.detail.contains("frozen by local:ada"),
        "{}",
        problem.detail
    );
    let mut world = World::new();
    let steps = vec![step(
        0,
        Tier::Zero,
        Fidelity::Exact,
        OnInterrupt::Retry,
        vec![],
    )];
    let plan = Box::new(world.plan(steps));
    world.apply(RunEvent::Planned { plan }).unwrap();
    let task = world.task(Mode::Apply, 0);
    held(&mut world, task);
    world.fire_next(None);
    let RequestState::Failed { problem } = &world.run.request.state else {
        panic!("{:?}", world.run.request.state);
    };
    assert_eq!(problem.code, ErrorCode::Frozen);
    assert!(
        problem.detail.contains("frozen by local:ada since"),
        "{}",
        problem.detail
    );
}

#[test]
fn a_clock_that_is_set_back_revives_nothing() {
    // An approval that has run out.
    let (mut world, task) = approved();
    world.now += SignedDuration::from_secs(3600);
    let timer = TimerName {
        subject: TimerSubject::Request,
        kind: TimerKind::Approval,
    };
    world
        .apply(RunEvent::TimerFired { timer, heard: None })
        .unwrap();
    world.now -= SignedDuration::from_hours(1);
    assert_eq!(world.run.request.state.name(), "expired");
    assert!(world.dispatch(task).is_err());
    // A question that has run out.
    let mut world = World::new();
    let steps = vec![step(
        0,
        Tier::One,
        Fidelity::Blind,
        OnInterrupt::Ask,
        vec![],
    )];
    let plan = Box::new(world.plan(steps));
    world.apply(RunEvent::Planned { plan }).unwrap();
    let decision = *world.run.decisions.keys().next().unwrap();
    let digest = world.run.plan.as_ref().map(|plan| plan.digest);
    world.now = world.next_due();
    world.fire_next(None);
    world.now -= SignedDuration::from_hours(1);
    let answer = Answered {
        decision,
        choice: "approve".to_owned(),
        by: person("local:anna"),
        digest,
        confirm: None,
        comment: None,
    };
    let refused = world.apply(RunEvent::Answered(answer));
    assert!(
        matches!(refused, Err(Refusal::DecisionClosed(_))),
        "{refused:?}"
    );
    // One that lives is good until the same moment as before.
    let (mut world, task) = approved();
    let until = world.run.request.approval.as_ref().unwrap().good_until;
    world.now -= SignedDuration::from_hours(1);
    world.dispatch(task).unwrap();
    let used = world.run.request.approval.as_ref().unwrap().used_at;
    assert!(
        used.is_some_and(|used| used <= until && used >= until - SignedDuration::from_hours(1))
    );
}

#[test]
fn an_approval_of_what_is_cancelled_is_told_so() {
    let mut world = World::new();
    let steps = vec![step(
        0,
        Tier::One,
        Fidelity::Blind,
        OnInterrupt::Ask,
        vec![],
    )];
    let plan = Box::new(world.plan(steps));
    world.apply(RunEvent::Planned { plan }).unwrap();
    let decision = *world.run.decisions.keys().next().unwrap();
    let by = person("local:ada");
    world
        .apply(RunEvent::CancelAsked {
            by,
            limit_seconds: None,
        })
        .unwrap();
    let answer = Answered {
        decision,
        choice: "approve".to_owned(),
        by: person("local:anna"),
        digest: world.run.plan.as_ref().map(|plan| plan.digest),
        confirm: None,
        comment: None,
    };
    let by = "local:ada".to_owned();
    let refused = world.apply(RunEvent::Answered(answer));
    assert_eq!(refused, Err(Refusal::Cancelled { by }));
}
