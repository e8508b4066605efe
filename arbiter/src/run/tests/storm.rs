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
    },
    Answer(u8),
    Cancel,
    Timer {
        nth: usize,
        heard: bool,
    },
    NewJournal(usize),
    SealPreview,
    Planned,
}

fn gust() -> impl Strategy<Value = Gust> {
    let at = 0..4_usize;
    prop_oneof![
        4 => at.clone().prop_map(Gust::Dispatch),
        4 => (at.clone(), 1..3_u32, 1..9_u64, 0..4_u8, 1..3_u8).prop_map(|(task, attempt, seq, status, life)| Gust::Report { task, attempt, seq, status, life }),
        4 => (at.clone(), 1..3_u32, 1..9_u64, 0..6_u8, 1..3_u8).prop_map(|(task, attempt, seq, status, life)| Gust::End { task, attempt, seq, status, life }),
        3 => (0..5_u8).prop_map(Gust::Answer),
        1 => Just(Gust::Cancel),
        3 => (0..6_usize, any::<bool>()).prop_map(|(nth, heard)| Gust::Timer { nth, heard }),
        1 => at.prop_map(Gust::NewJournal),
        2 => Just(Gust::SealPreview),
        1 => Just(Gust::Planned),
    ]
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
                let outcome = Box::default();
                world
                    .apply(RunEvent::Ended {
                        task,
                        attempt,
                        seq,
                        agent,
                        incarnation,
                        status,
                        outcome,
                        problem: None,
                    })
                    .map(drop)
            })
        }
        Gust::Answer(n) => {
            let choice = ["approve", "reject", "retry", "completed", "fail"][usize::from(*n)];
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
                step(no, tier, fidelity, word, depends_on)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

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
        // The shell answers SealPreview whenever it is asked for; agents have fallen silent, or say that
        // they live and nothing else.
        for _ in 0..20_000 {
            if world.run.request.state.ended() && world.run.timers.is_empty() {
                break;
            }
            let preview_done = world.run.request.state == RequestState::Previewing && world.run.tasks.values().all(|t| t.state.ended());
            if preview_done {
                let plan = world.run.plan.clone().unwrap();
                world.apply(RunEvent::PreviewSealed { plan: Box::new(plan) }).unwrap();
            } else {
                let heard = alive.then(|| world.next_due());
                world.fire_next(heard);
            }
        }
        prop_assert!(world.run.request.state.ended(), "still {}", world.run.request.state.name());
        prop_assert!(world.run.tasks.values().all(|t| t.state.ended()), "a task has not ended");
        prop_assert!(world.run.timers.is_empty(), "timers are left: {:?}", world.run.timers);
        world.tells_the_same_again();
        let mut starts = world.starts.clone();
        starts.sort();
        starts.dedup();
        prop_assert_eq!(starts.len(), world.starts.len(), "an attempt was started twice");
    }
}
