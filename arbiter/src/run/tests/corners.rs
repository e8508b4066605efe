//! The corners of the lifecycles, each by hand.

use super::*;

pub(super) fn running(tier: Tier, on_interrupt: OnInterrupt) -> World {
    let mut world = World::new();
    let plan = world.plan(vec![step(0, tier, Fidelity::Blind, on_interrupt, vec![])]);
    world
        .apply(RunEvent::Planned {
            plan: Box::new(plan),
        })
        .unwrap();
    if tier > Tier::Zero {
        world.answer("approve").unwrap();
    }
    world
}

#[test]
fn tier_0_goes_from_the_plan_to_its_end_by_itself() {
    let mut world = running(Tier::Zero, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    assert_eq!(world.dispatch(task).unwrap(), [Effect::Dispatch { task }]);
    world.report(task, 1, 1, StatusKind::Accepted, 1).unwrap();
    world.report(task, 1, 2, StatusKind::Running, 1).unwrap();
    assert_eq!(
        world.end(task, 1, 3, ResultStatus::Completed).unwrap(),
        [Effect::Record]
    );
    assert_eq!(world.run.request.state, RequestState::Completed);
}

#[test]
fn a_result_implies_that_it_was_accepted_and_ran() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.end(task, 1, 3, ResultStatus::Completed).unwrap();
    assert_eq!(
        world.report(task, 1, 2, StatusKind::Running, 1),
        Err(Refusal::Stale)
    );
    assert_eq!(
        world.end(task, 1, 3, ResultStatus::Failed),
        Err(Refusal::Stale)
    );
}

#[test]
fn nothing_starts_before_the_answer_and_only_with_the_right_digest() {
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
    assert!(
        world.run.tasks.is_empty(),
        "tasks exist before the approval"
    );
    let decision = *world.run.decisions.keys().next().unwrap();
    let right = world.run.plan.as_ref().unwrap().digest;
    let answer = |digest: Digest, choice: &str, kind: &str| {
        RunEvent::Answered(Answered {
            decision,
            choice: choice.to_owned(),
            by: Principal {
                id: "local:anna".to_owned(),
                kind: kind.to_owned(),
            },
            digest: Some(digest),
            confirm: None,
            comment: None,
        })
    };
    assert!(matches!(
        world.apply(answer(Digest::of_bytes(b"other"), "approve", "person")),
        Err(Refusal::WrongDigest { .. })
    ));
    assert_eq!(
        world.apply(answer(right, "approve", "agent")),
        Err(Refusal::NotAPerson)
    );
    assert!(matches!(
        world.apply(answer(right, "maybe", "person")),
        Err(Refusal::InvalidChoice { .. })
    ));
    world.apply(answer(right, "approve", "person")).unwrap();
    assert_eq!(
        world.apply(answer(right, "approve", "person")),
        Err(Refusal::DecisionClosed("resolved"))
    );
}

#[test]
fn tier_2_wants_the_typed_host_name_or_another_person() {
    let ask = |single_person: bool, by: &str, confirm: Option<&str>| {
        let mut world = World::new();
        world.policy.single_person = single_person;
        let plan = world.plan(vec![step(
            0,
            Tier::Two,
            Fidelity::Blind,
            OnInterrupt::Ask,
            vec![],
        )]);
        world
            .apply(RunEvent::Planned {
                plan: Box::new(plan),
            })
            .unwrap();
        let decision = *world.run.decisions.keys().next().unwrap();
        world.apply(RunEvent::Answered(Answered {
            decision,
            choice: "approve".to_owned(),
            by: person(by),
            digest: world.run.plan.as_ref().map(|plan| plan.digest),
            confirm: confirm.map(str::to_owned),
            comment: None,
        }))
    };
    assert!(matches!(
        ask(true, "local:anna", None),
        Err(Refusal::TypeHost { .. })
    ));
    assert!(matches!(
        ask(true, "local:anna", Some("tower")),
        Err(Refusal::TypeHost { .. })
    ));
    assert!(ask(true, "local:anna", Some("nas")).is_ok());
    assert!(matches!(
        ask(false, "local:anna", Some("nas")),
        Err(Refusal::OtherPerson { .. })
    ));
    assert!(ask(false, "local:ben", None).is_ok());
}

#[test]
fn an_approval_that_is_not_used_in_time_is_gone() {
    let mut world = running(Tier::One, OnInterrupt::Ask);
    world.policy.start = SignedDuration::from_hours(5);
    let mut world = {
        let plan = world.plan(vec![step(
            0,
            Tier::One,
            Fidelity::Blind,
            OnInterrupt::Ask,
            vec![],
        )]);
        let mut fresh = World {
            policy: world.policy,
            ..World::new()
        };
        fresh
            .apply(RunEvent::Planned {
                plan: Box::new(plan),
            })
            .unwrap();
        fresh.answer("approve").unwrap();
        fresh
    };
    let task = world.task(Mode::Apply, 0);
    world.now += SignedDuration::from_secs(3601);
    assert_eq!(world.dispatch(task), Err(Refusal::NotApproved));
    world.fire_next(None);
    assert_eq!(world.run.request.state.name(), "expired");
}

#[test]
fn a_lower_attempt_never_wins() {
    let mut world = running(Tier::One, OnInterrupt::Retry);
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.end(task, 1, 5, ResultStatus::Interrupted).unwrap();
    world.dispatch(task).unwrap();
    assert_eq!(world.run.tasks[&task].attempt, 2);
    assert_eq!(
        world.end(task, 1, 9, ResultStatus::Completed),
        Err(Refusal::Stale)
    );
    world.end(task, 2, 1, ResultStatus::Completed).unwrap();
}

#[test]
fn cancelling_stops_what_waits_at_once_and_what_runs_through_its_agent() {
    let mut world = World::new();
    let chain = vec![
        step(0, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![]),
        step(1, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![0]),
    ];
    let plan = world.plan(chain);
    world
        .apply(RunEvent::Planned {
            plan: Box::new(plan),
        })
        .unwrap();
    world.answer("approve").unwrap();
    let (first, second) = (world.task(Mode::Apply, 0), world.task(Mode::Apply, 1));
    world.dispatch(first).unwrap();
    let effects = world
        .apply(RunEvent::CancelAsked {
            by: person("local:anna"),
            limit_seconds: None,
        })
        .unwrap();
    assert_eq!(effects, [Effect::Cancel { task: first }]);
    assert_eq!(world.run.tasks[&second].state, TaskState::Cancelled);
    assert!(
        !world.run.request.state.ended(),
        "it ended before its agent said so"
    );
    world.end(first, 1, 3, ResultStatus::Cancelled).unwrap();
    assert_eq!(world.run.request.state.name(), "cancelled");
    assert_eq!(
        world.apply(RunEvent::CancelAsked {
            by: person("x"),
            limit_seconds: None
        }),
        Err(Refusal::Nothing),
        "asked for twice is asked for once"
    );
}

#[test]
fn a_failed_step_takes_its_dependents_along_and_lets_the_others_finish() {
    let mut world = World::new();
    let fork = vec![
        step(0, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![]),
        step(1, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![0]),
        step(2, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![1]),
        step(3, Tier::One, Fidelity::Blind, OnInterrupt::Ask, vec![]),
    ];
    let plan = world.plan(fork);
    world
        .apply(RunEvent::Planned {
            plan: Box::new(plan),
        })
        .unwrap();
    world.answer("approve").unwrap();
    let (failing, free) = (world.task(Mode::Apply, 0), world.task(Mode::Apply, 3));
    world.dispatch(failing).unwrap();
    world.dispatch(free).unwrap();
    world.end(failing, 1, 3, ResultStatus::Failed).unwrap();
    for step in [1, 2] {
        assert_eq!(
            world.run.tasks[&world.task(Mode::Apply, step)].state,
            TaskState::Cancelled
        );
    }
    assert!(
        !world.run.request.state.ended(),
        "an independent step still runs"
    );
    world.end(free, 1, 3, ResultStatus::Completed).unwrap();
    assert_eq!(world.run.request.state.name(), "failed");
}

#[test]
fn a_preview_that_finds_nothing_to_do_ends_the_request_only_if_it_is_exact() {
    let end_of = |fidelity| {
        let mut world = World::new();
        let plan = world.plan(vec![step(0, Tier::One, fidelity, OnInterrupt::Ask, vec![])]);
        world
            .apply(RunEvent::Planned {
                plan: Box::new(plan),
            })
            .unwrap();
        let task = world.task(Mode::Check, 0);
        world
            .apply(RunEvent::TaskDispatched {
                task,
                sent: world.sent(),
                leases: vec![],
            })
            .unwrap();
        let (agent, incarnation) = (agent(), life(1));
        let outcome = Outcome {
            hosts: BTreeMap::from([("nas".to_owned(), HostSummary::default())]),
            ..Outcome::default()
        };
        let ended = RunEvent::Ended {
            task,
            attempt: 1,
            seq: 1,
            agent,
            incarnation,
            status: ResultStatus::Completed,
            outcome: Box::new(outcome),
            problem: None,
        };
        assert_eq!(world.apply(ended).unwrap(), [Effect::SealPreview]);
        let plan = world.run.plan.clone().unwrap();
        world
            .apply(RunEvent::PreviewSealed {
                plan: Box::new(plan),
            })
            .unwrap();
        world.run.request.state.name()
    };
    assert_eq!(end_of(Fidelity::Exact), "completed");
    assert_eq!(end_of(Fidelity::Simulated), "awaiting_approval");
}

#[test]
fn work_that_came_too_late_is_tried_again_and_other_refusals_are_not() {
    let after = |code| {
        let mut world = running(Tier::One, OnInterrupt::Ask);
        let task = world.task(Mode::Apply, 0);
        world.dispatch(task).unwrap();
        let problem = Some(Problem::new(code, "x", "y"));
        let (agent, incarnation) = (agent(), life(1));
        let status = ResultStatus::Refused;
        world
            .apply(RunEvent::Ended {
                task,
                attempt: 1,
                seq: 1,
                agent,
                incarnation,
                status,
                outcome: Box::default(),
                problem,
            })
            .unwrap();
        world.run.tasks[&task].state.name()
    };
    assert_eq!(after(chiffon_common::ErrorCode::WorkExpired), "waiting");
    assert_eq!(after(chiffon_common::ErrorCode::SealRefused), "failed");
}

#[test]
fn the_audit_keeps_no_words_of_people_or_hosts() {
    let mut world = World::new();
    let mut plan = world.plan(vec![step(
        0,
        Tier::One,
        Fidelity::Blind,
        OnInterrupt::Ask,
        vec![],
    )]);
    plan.because = "the word hunter2hunter2 fits".to_owned();
    plan.steps[0].title = "Write hunter2hunter2".to_owned();
    plan.steps[0]
        .parameters
        .insert("password".to_owned(), "hunter2hunter2".into());
    plan.steps[0].secret_parameters = vec!["password".to_owned()];
    world.run.request.text = "write hunter2hunter2".to_owned();
    let context = Context {
        now: world.now,
        policy: &world.policy,
        rules: world.rules,
        frozen: None,
        ids: Ids::new(vec![Uuid::from_u128(77)]),
    };
    let moved = apply(
        &world.run,
        RunEvent::Planned {
            plan: Box::new(plan),
        },
        context,
    )
    .unwrap();
    let lines = format!("{:?}", moved.moves);
    assert!(!lines.contains("hunter2"), "{lines}");
    assert!(
        !moved.run.request.text.contains("hunter2"),
        "{}",
        moved.run.request.text
    );
}
