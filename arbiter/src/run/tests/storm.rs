//! Generated event storms: whatever happens in whatever order, no invariant breaks and everything ends.

use proptest::prelude::*;

use super::*;

/// One thing that may happen, in terms that need no knowledge of the slice.
#[derive(Debug, Clone)]
enum Gust {
    Dispatch(usize),
    Report {
        task: usize,
        attempt: u32,
        seq: u64,
        status: u8,
        life: u8,
    },
    End {
        task: usize,
        attempt: u32,
        seq: u64,
        status: u8,
        life: u8,
        passes: u8,
    },
    Answer(u8),
    Resolve(usize, u8),
    RetryNow(usize),
    Cancel,
    Timer {
        nth: usize,
        heard: bool,
    },
    NewJournal(usize),
    SealPreview,
    Planned,
    /// A person freezes or thaws.
    Freeze(bool),
    /// The orchestrator starts again under these rules.
    Restart(u8),
    /// Somebody edits rows in the database.
    Edit(u8),
    /// The clock is set back.
    ClockBack,
}

fn gust() -> impl Strategy<Value = Gust> {
    let at = 0..4_usize;
    prop_oneof![
        4 => at.clone().prop_map(Gust::Dispatch),
        4 => (at.clone(), 1..3_u32, 1..9_u64, 0..4_u8, 1..3_u8).prop_map(|(task, attempt, seq, status, life)| Gust::Report { task, attempt, seq, status, life }),
        4 => (at.clone(), 1..3_u32, 1..9_u64, 0..6_u8, 1..3_u8, 0..4_u8).prop_map(|(task, attempt, seq, status, life, passes)| Gust::End { task, attempt, seq, status, life, passes }),
        1 => (at.clone(), 0..4_u8).prop_map(|(task, choice)| Gust::Resolve(task, choice)),
        1 => at.clone().prop_map(Gust::RetryNow),
        3 => (0..5_u8).prop_map(Gust::Answer),
        1 => Just(Gust::Cancel),
        3 => (0..6_usize, any::<bool>()).prop_map(|(nth, heard)| Gust::Timer { nth, heard }),
        1 => at.prop_map(Gust::NewJournal),
        2 => Just(Gust::SealPreview),
        1 => Just(Gust::Planned),
        1 => any::<bool>().prop_map(Gust::Freeze),
    ]
}

/// The same with a hand in the database, other rules and another clock.
fn foul_gust() -> impl Strategy<Value = Gust> {
    prop_oneof![
        24 => gust(),
        1 => (0..8_u8).prop_map(|n| Gust::Restart(n / 7)),
        1 => (0..6_u8).prop_map(Gust::Edit),
        1 => Just(Gust::ClockBack),
    ]
}

/// What one edit of the stored rows makes of a slice; everything but a whole new question with its answer.
fn edit(world: &mut World, what: u8) {
    let (Some(mut plan), request) = (world.run.plan.clone(), &mut world.run.request) else {
        return;
    };
    match what {
        4 => {
            if let Some(approval) = &mut request.approval {
                approval.good_until = Timestamp::MAX;
            }
            return;
        }
        5 => {
            if let Some(approval) = &mut request.approval {
                approval.used_at = Some(approval.at);
            }
            return;
        }
        _ => {}
    }
    plan.steps[0].timeout_seconds += 1;
    if what == 3 {
        plan.tier = Tier::Zero;
        plan.steps
            .iter_mut()
            .for_each(|step| step.tier = Tier::Zero);
    }
    if what > 0 {
        world.seal(&mut plan);
    }
    if let Some(approval) = world.run.request.approval.as_mut().filter(|_| what == 2) {
        approval.digest = plan.digest;
    }
    world.run.plan = Some(plan);
}

/// What is stored, read again.
fn read_again(run: &Run) -> Run {
    fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }
    Run {
        request: again(&run.request),
        plan: again(&run.plan),
        tasks: run
            .tasks
            .iter()
            .map(|(id, task)| (*id, again(task)))
            .collect(),
        decisions: run
            .decisions
            .iter()
            .map(|(id, one)| (*id, again(one)))
            .collect(),
        timers: run.timers.clone(),
    }
}

fn blow(world: &mut World, gust: &Gust, steps: &[Step]) {
    let ids: Vec<_> = world.run.tasks.keys().copied().collect();
    let pick = |n: usize| ids.get(n % ids.len().max(1)).copied();
    // Refusals are lawful answers; what counts is that nothing breaks an invariant.
    let _ = match gust {
        Gust::Planned => {
            let plan = world.plan(steps.to_vec());
            world
                .apply(RunEvent::Planned {
                    plan: Box::new(plan),
                })
                .map(drop)
        }
        Gust::SealPreview => {
            let plan = world.run.plan.clone();
            plan.map_or(Ok(()), |plan| {
                world
                    .apply(RunEvent::PreviewSealed {
                        plan: Box::new(plan),
                    })
                    .map(drop)
            })
        }
        Gust::Dispatch(n) => pick(*n).map_or(Ok(()), |task| world.dispatch(task).map(drop)),
        Gust::Report {
            task,
            attempt,
            seq,
            status,
            life,
        } => {
            let kinds = [
                StatusKind::Accepted,
                StatusKind::NeedsBundle,
                StatusKind::Running,
                StatusKind::NeverSeen,
            ];
            let status = kinds[usize::from(*status)];
            pick(*task).map_or(Ok(()), |task| {
                world.report(task, *attempt, *seq, status, *life).map(drop)
            })
        }
        Gust::End {
            task,
            attempt,
            seq,
            status,
            life: n,
            passes,
        } => {
            let kinds = [
                ResultStatus::Completed,
                ResultStatus::Failed,
                ResultStatus::Cancelled,
                ResultStatus::Interrupted,
                ResultStatus::Refused,
                ResultStatus::Unknown,
            ];
            let status = kinds[usize::from(*status)];
            pick(*task).map_or(Ok(()), |task| {
                let incarnation = life(*n);
                let (attempt, seq, agent) = (*attempt, *seq, agent());
                let (outcome, problem) = failure(*passes);
                world
                    .apply(RunEvent::Ended {
                        task,
                        attempt,
                        seq,
                        agent,
                        incarnation,
                        status,
                        outcome,
                        problem,
                    })
                    .map(drop)
            })
        }
        Gust::Resolve(n, choice) => pick(*n).map_or(Ok(()), |task| {
            let choice = ["completed", "failed", "retry", "approve"][usize::from(*choice)];
            world.resolve(task, choice).map(drop)
        }),
        Gust::RetryNow(n) => pick(*n).map_or(Ok(()), |task| {
            let by = person("local:anna");
            world.apply(RunEvent::RetryNow { task, by }).map(drop)
        }),
        Gust::Answer(n) => {
            let choice = ["approve", "reject", "retry", "completed", "failed"][usize::from(*n)];
            let pending = world.run.decisions.values().any(|d| !d.state.ended());
            if pending {
                world.answer(choice).map(drop)
            } else {
                Ok(())
            }
        }
        Gust::Cancel => world
            .apply(RunEvent::CancelAsked {
                by: person("local:anna"),
                limit_seconds: None,
            })
            .map(drop),
        Gust::Timer { nth, heard } => {
            let timers: Vec<_> = world
                .run
                .timers
                .iter()
                .map(|(name, due)| (*name, *due))
                .collect();
            timers
                .get(nth % timers.len().max(1))
                .copied()
                .map_or(Ok(()), |(timer, due)| {
                    world.now = world.now.max(due);
                    let heard = heard.then_some(world.now);
                    world.apply(RunEvent::TimerFired { timer, heard }).map(drop)
                })
        }
        Gust::Freeze(is_on) => {
            world.frozen = is_on.then(|| Frozen {
                by: "local:ada".to_owned(),
                since: world.now,
                reason: "backup".to_owned(),
            });
            Ok(())
        }
        Gust::Restart(rules) => {
            world.run = read_again(&world.run);
            world.rules = Digest::of_bytes(if *rules == 0 { b"rules" } else { b"other" });
            Ok(())
        }
        Gust::Edit(what) => {
            edit(world, *what);
            Ok(())
        }
        Gust::ClockBack => {
            world.now -= SignedDuration::from_hours(1);
            Ok(())
        }
        Gust::NewJournal(n) => pick(*n).map_or(Ok(()), |task| {
            world
                .apply(RunEvent::JournalLost {
                    task,
                    incarnation: life(2),
                })
                .map(drop)
        }),
    };
}

/// What an attempt left behind, and why it failed: for no reason, or for one that passes by itself.
fn failure(kind: u8) -> (Box<Outcome>, Option<Problem>) {
    use chiffon_common::{ErrorCode, HostOutcome};
    let (code, outcome, changed) = match kind {
        1 => (ErrorCode::HostUnreachable, HostOutcome::Unreachable, 0),
        2 => (ErrorCode::PackagesLocked, HostOutcome::Failed, 1),
        3 => (ErrorCode::WorkExpired, HostOutcome::NotReached, 0),
        _ => return (Box::default(), None),
    };
    let host = HostSummary {
        outcome,
        changed,
        ..HostSummary::default()
    };
    let outcome = Outcome {
        hosts: BTreeMap::from([("nas".to_owned(), host)]),
        ..Outcome::default()
    };
    (Box::new(outcome), Some(Problem::new(code, "x", "y")))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tier = prop_oneof![Just(Tier::Zero), Just(Tier::One), Just(Tier::Two)];
    let fidelity = prop_oneof![
        Just(Fidelity::Exact),
        Just(Fidelity::Blind),
        Just(Fidelity::Acts)
    ];
    let word = prop_oneof![
        Just(OnInterrupt::Retry),
        Just(OnInterrupt::Ask),
        Just(OnInterrupt::Fail)
    ];
    prop::collection::vec((tier, fidelity, word, any::<bool>()), 1..4).prop_map(|parts| {
        parts
            .into_iter()
            .zip(0_u32..)
            .map(|((tier, fidelity, word, chained), no)| {
                let depends_on = if chained && no > 0 {
                    vec![no - 1]
                } else {
                    Vec::new()
                };
                let verifies = depends_on.first().copied();
                let mut step = step(no, tier, fidelity, word, depends_on);
                // What follows something and only reads is its check.
                step.verifies = verifies.filter(|_| tier == Tier::Zero);
                step
            })
            .collect()
    })
}

/// Nothing happens any more but timers, and everything reaches its end.
fn ends(world: &mut World, alive: bool) -> Result<(), TestCaseError> {
    // The shell answers SealPreview whenever it is asked for; agents have fallen silent, or say that
    // they live and nothing else.
    for _ in 0..20_000 {
        if world.run.request.state.ended() && world.run.timers.is_empty() {
            break;
        }
        let preview_done = world.run.request.state == RequestState::Previewing
            && world.run.tasks.values().all(|t| t.state.ended());
        // A preview of what was edited meanwhile ends its request instead.
        if preview_done {
            let plan = world.run.plan.clone().unwrap();
            world
                .apply(RunEvent::PreviewSealed {
                    plan: Box::new(plan),
                })
                .unwrap();
        } else {
            let heard = alive.then(|| world.next_due());
            world.fire_next(heard);
        }
    }
    prop_assert!(
        world.run.request.state.ended(),
        "still {}",
        world.run.request.state.name()
    );
    prop_assert!(
        world.run.tasks.values().all(|t| t.state.ended()),
        "a task has not ended"
    );
    prop_assert!(
        world.run.timers.is_empty(),
        "timers are left: {:?}",
        world.run.timers
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Whatever is edited, frozen, restarted under other rules or set back in between: on no path does anything start
    /// but what was planned and approved ([`witness`](super::witness) looks at every start), and everything ends.
    #[test]
    fn no_path_leads_around_the_gate(steps in steps(), gusts in prop::collection::vec(foul_gust(), 1..80)) {
        let mut world = World::new();
        let plan = world.plan(steps.clone());
        world.apply(RunEvent::Planned { plan: Box::new(plan) }).unwrap();
        for gust in &gusts {
            blow(&mut world, gust, &steps);
        }
        ends(&mut world, false)?;
    }

    /// Whatever happens in whatever order, the invariants hold after every event; and when nothing
    /// happens any more but timers, everything reaches its end.
    #[test]
    fn a_storm_breaks_no_invariant_and_then_everything_ends(steps in steps(), gusts in prop::collection::vec(gust(), 1..80), alive in any::<bool>()) {
        let mut world = World::new();
        let plan = world.plan(steps.clone());
        world.apply(RunEvent::Planned { plan: Box::new(plan) }).unwrap();
        for gust in &gusts {
            blow(&mut world, gust, &steps);
        }
        ends(&mut world, alive)?;
        world.tells_the_same_again();
        let mut starts = world.starts.clone();
        starts.sort();
        starts.dedup();
        prop_assert_eq!(starts.len(), world.starts.len(), "an attempt was started twice");
    }
}
