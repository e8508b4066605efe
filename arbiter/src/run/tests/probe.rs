//! Probes: the checks of an entry look how a step ended of which nobody else can say it.

use super::*;

/// A change with checks after it, lost with its agent, at the moment at which no agent can still run it.
fn lost(check_tier: Tier, checks: u32) -> (World, TaskId) {
    let mut world = World::new();
    let word = OnInterrupt::Ask;
    let mut steps = vec![step(0, Tier::One, Fidelity::Blind, word, vec![])];
    for no in 1..=checks {
        let before = vec![no - 1];
        let mut check = step(no, check_tier, Fidelity::Blind, word, before);
        check.verifies = Some(0);
        steps.push(check);
    }
    let plan = Box::new(world.plan(steps));
    world.apply(RunEvent::Planned { plan }).unwrap();
    world.answer("approve").unwrap();
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    world.report(task, 1, 1, StatusKind::Running, 1).unwrap();
    while !world.run.tasks[&task].leases.is_empty() {
        assert!(world.probes().is_empty(), "it looks while it may still run");
        let is_unknown = world.state(task) == "unknown";
        let only_read = check_tier == Tier::Zero && checks > 0;
        let told = world.run.checks_look_at(task);
        assert_eq!(told.is_some(), is_unknown && only_read, "{told:?}");
        assert!(told.is_none_or(|at| at >= world.now), "{told:?}");
        world.fire_next(None);
    }
    assert_eq!(world.run.checks_look_at(task), None, "they have been sent");
    (world, task)
}

impl World {
    fn probes(&self) -> Vec<TaskId> {
        let probes = self.run.tasks.values();
        let mut probes: Vec<_> = probes.filter(|task| task.probes.is_some()).collect();
        probes.sort_by_key(|task| task.step);
        probes.into_iter().map(|task| task.task_id).collect()
    }

    fn state(&self, task: TaskId) -> &'static str {
        self.run.tasks[&task].state.name()
    }

    fn question(&self, task: TaskId) -> &Decision {
        let asked = self.run.tasks[&task].state.asked().unwrap();
        &self.run.decisions[&asked]
    }
}

#[test]
fn checks_that_hold_settle_it_and_the_plan_goes_on() {
    let (mut world, task) = lost(Tier::Zero, 2);
    let asked = world.question(task).decision_id;
    let probes = world.probes();
    assert_eq!(probes.len(), 2);
    for probe in &probes {
        assert_eq!(world.state(task), "unknown");
        world.dispatch(*probe).unwrap();
        world.end(*probe, 1, 1, ResultStatus::Completed).unwrap();
    }
    assert_eq!(world.state(task), "completed");
    assert_eq!(world.run.decisions[&asked].state.name(), "resolved");
    // The step's checks follow in their own turn, as after every change.
    for no in [1, 2] {
        let check = world.run.tasks.values().find(|task| task.does(no)).unwrap();
        let check = check.task_id;
        world.dispatch(check).unwrap();
        world.end(check, 1, 1, ResultStatus::Completed).unwrap();
    }
    assert_eq!(world.run.request.state, RequestState::Completed);
}

#[test]
fn a_check_that_does_not_hold_leaves_it_to_the_person_who_is_told_so() {
    let (mut world, task) = lost(Tier::Zero, 2);
    for probe in world.probes() {
        let problem = Problem::new(ErrorCode::PlaybookFailed, "port 80 is closed", "y");
        world.dispatch(probe).unwrap();
        world
            .apply(RunEvent::Ended {
                task: probe,
                attempt: 1,
                seq: 1,
                agent: agent(),
                incarnation: life(1),
                status: ResultStatus::Failed,
                outcome: Box::default(),
                problem: Some(problem),
            })
            .unwrap();
    }
    assert_eq!(world.state(task), "unknown");
    assert!(!world.run.request.state.ended());
    let question = &world.question(task).question;
    assert!(question.ends_with("port 80 is closed"), "{question}");
    assert_eq!(question.matches("port 80").count(), 1, "{question}");
    world.resolve(task, "retry").unwrap();
    assert_eq!(world.state(task), "waiting");
    world.dispatch(task).unwrap();
    assert_eq!(
        world.starts.len(),
        4,
        "the word of a person is another attempt"
    );
}

#[test]
fn whoever_is_sooner_makes_the_looking_needless() {
    let (mut world, task) = lost(Tier::Zero, 2);
    let probes = world.probes();
    world.dispatch(probes[0]).unwrap();
    world.resolve(task, "failed").unwrap();
    assert_eq!(world.state(probes[1]), "cancelled");
    assert!(
        !world.run.request.state.ended(),
        "something runs there still"
    );
    world.end(probes[0], 1, 1, ResultStatus::Completed).unwrap();
    assert_eq!(world.state(task), "failed");
    let RequestState::Failed { problem } = &world.run.request.state else {
        panic!("{:?}", world.run.request.state)
    };
    assert_eq!(problem.code, ErrorCode::OutcomeUnknown);
}

#[test]
fn what_may_do_more_than_read_does_not_look() {
    for (tier, checks) in [(Tier::One, 2), (Tier::Zero, 0)] {
        let (world, task) = lost(tier, checks);
        assert!(world.probes().is_empty());
        assert_eq!(world.question(task).state, DecisionState::Pending);
    }
    let (mut world, _) = lost(Tier::Zero, 1);
    // One that is lost itself is no reason to ask, and nobody speaks for it.
    let probe = world.probes()[0];
    world.dispatch(probe).unwrap();
    let incarnation = life(2);
    let lost = RunEvent::JournalLost {
        task: probe,
        incarnation,
    };
    world.apply(lost).unwrap();
    assert_eq!(
        world.resolve(probe, "completed"),
        Err(Refusal::OutcomeKnown("unknown"))
    );
    while !world.run.tasks[&probe].state.ended() {
        world.fire_next(None);
    }
    assert_eq!(world.state(probe), "failed");
}
