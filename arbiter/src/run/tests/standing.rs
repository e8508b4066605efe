//! The standing approval of a schedule: good for exactly what was read, and for nothing else.

use chiffon_common::{ScheduleId, Scheduled, Standing};

use super::*;

fn schedule(n: u128) -> ScheduleId {
    ScheduleId::from_uuid(Uuid::from_u128(n))
}

/// A request of schedule 1 that asks for approval, and the standing approval of its plan.
fn asking(tier: Tier) -> (World, StandingApproved) {
    let mut world = World::new();
    world.run.request.schedule = Some(Scheduled {
        schedule_id: schedule(1),
        due_at: Some(world.now),
    });
    let plan = world.plan(vec![step(
        0,
        tier,
        Fidelity::Blind,
        OnInterrupt::Ask,
        vec![],
    )]);
    let request = &world.run.request;
    let digest = plan.standing_digest(&request.tenant_id, &request.requester.id, world.rules);
    let given = StandingApproved {
        schedule_id: schedule(1),
        standing: Standing {
            digest: digest.unwrap(),
            approver: person("local:berta"),
            given_at: world.now,
            until: world.now + SignedDuration::from_hours(1),
        },
    };
    let plan = Box::new(plan);
    world.apply(RunEvent::Planned { plan }).unwrap();
    (world, given)
}

#[test]
fn it_answers_as_its_person_would_and_passes_the_same_gate() {
    let (mut world, given) = asking(Tier::One);
    world
        .apply(RunEvent::StandingApproved(given.clone()))
        .unwrap();
    let approval = world.run.request.approval.clone().unwrap();
    assert_eq!(approval.approver, "local:berta");
    assert_eq!(approval.standing, Some(schedule(1)));
    assert_eq!(approval.digest, world.run.plan.as_ref().unwrap().digest);
    let decision = &world.run.decisions[&approval.decision];
    assert!(
        matches!(&decision.state, DecisionState::Resolved { choice, by, comment: Some(said), .. }
            if choice == "approve" && by == "local:berta" && said.contains("standing approval")),
        "{decision:?}"
    );
    let task = world.task(Mode::Apply, 0);
    world.dispatch(task).unwrap();
    // It is no second answer to what was answered.
    let again = world.apply(RunEvent::StandingApproved(given));
    assert_eq!(again, Err(Refusal::OutOfTurn("running")));
}

#[test]
fn it_is_for_no_other_plan_schedule_date_tier_or_approver() {
    type Spoil = fn(&mut World, &mut StandingApproved);
    let spoils: [(&str, Spoil); 9] = [
        ("another schedule", |_, given| {
            given.schedule_id = schedule(2)
        }),
        ("no schedule", |world, _| world.run.request.schedule = None),
        ("too late", |world, _| {
            world.now += SignedDuration::from_hours(2)
        }),
        ("a service", |_, given| {
            given.standing.approver.kind = "service".to_owned()
        }),
        ("another policy", |world, _| {
            world.rules = Digest::of_bytes(b"other")
        }),
        ("another requester", |world, _| {
            world.run.request.requester = person("local:eve")
        }),
        ("another host", |world, _| {
            let plan = world.run.plan.as_mut().unwrap();
            plan.steps[0].hosts.push("tower".parse().unwrap());
        }),
        ("another playbook", |world, _| {
            let plan = world.run.plan.as_mut().unwrap();
            plan.steps[0].bundle = Digest::of_bytes(b"edited");
        }),
        ("another parameter", |world, _| {
            let plan = world.run.plan.as_mut().unwrap();
            plan.steps[0].parameters.insert("x".to_owned(), 1.into());
        }),
    ];
    for (name, spoil) in spoils {
        let (mut world, mut given) = asking(Tier::One);
        spoil(&mut world, &mut given);
        let refused = world.apply(RunEvent::StandingApproved(given));
        assert!(
            matches!(refused, Err(Refusal::NotStanding(_) | Refusal::NotAPerson)),
            "{name}: {refused:?}"
        );
        assert_eq!(world.run.request.approval, None, "{name}");
    }
    let (mut world, given) = asking(Tier::Two);
    let refused = world.apply(RunEvent::StandingApproved(given));
    assert_eq!(
        refused,
        Err(Refusal::NotStanding("tier 2 is approved each time"))
    );
}

#[test]
fn words_and_times_of_the_day_are_no_part_of_what_was_read() {
    let (mut world, given) = asking(Tier::One);
    let plan = world.run.plan.as_mut().unwrap();
    plan.expires_at += SignedDuration::from_hours(24);
    plan.because = "said otherwise".to_owned();
    plan.steps[0].fidelity_because = Some("of today".to_owned());
    world.apply(RunEvent::StandingApproved(given)).unwrap();
}
