//! Events by chance. A failing case is shrunk and printed by proptest.

use std::collections::BTreeSet;

use chiffon_common::{AttemptRef, MessageId, ResultStatus, TraceId};
use proptest::prelude::*;
use uuid::Uuid;

use super::{
    super::{Meta, Record},
    model::{World, attempt},
};

pub(super) fn no_meta() -> Meta {
    Meta {
        message: MessageId::from_uuid(Uuid::nil()),
        trace: TraceId::from_uuid(Uuid::nil()),
        request: None,
    }
}

#[derive(Debug, Clone)]
enum Step {
    Ask(u8, u32),
    Cancel(u8, u32),
    Query(u8, u32),
    Bundle(bool),
    Answer(usize, bool),
    EndRun(usize, ResultStatus),
    PanicRun(usize),
    Pass(u64),
    Crash,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        Just(ResultStatus::Completed),
        Just(ResultStatus::Failed),
        Just(ResultStatus::Unknown),
        Just(ResultStatus::Refused),
    ];
    prop_oneof![
        6 => (0..4_u8, 1..4_u32).prop_map(|(task, number)| Step::Ask(task, number)),
        2 => (0..4_u8, 1..4_u32).prop_map(|(task, number)| Step::Cancel(task, number)),
        1 => (0..4_u8, 1..4_u32).prop_map(|(task, number)| Step::Query(task, number)),
        3 => prop::bool::weighted(0.8).prop_map(Step::Bundle),
        12 => (0..8_usize, prop::bool::weighted(0.85)).prop_map(|(choice, good)| Step::Answer(choice, good)),
        3 => (0..4_usize, status).prop_map(|(choice, status)| Step::EndRun(choice, status)),
        1 => (0..4_usize).prop_map(Step::PanicRun),
        2 => prop_oneof![Just(1), Just(30), Just(70), Just(400)].prop_map(Step::Pass),
        1 => Just(Step::Crash),
        1 => Just(Step::Compact),
    ]
}

fn take(world: &mut World, step: &Step) {
    match *step {
        Step::Ask(task, number) => world.ask(attempt(task, number)),
        Step::Cancel(task, number) => world.cancel(attempt(task, number)),
        Step::Query(task, number) => world.query(attempt(task, number)),
        Step::Bundle(good) => world.send_bundle(good),
        Step::Answer(choice, good) => world.answer(choice, good),
        Step::EndRun(choice, status) => world.end_run(choice, status),
        Step::PanicRun(choice) => world.panic_run(choice),
        Step::Pass(seconds) => world.pass(seconds),
        Step::Crash => world.crash(),
        Step::Compact => world.compact(),
    }
}

/// Attempts that the journal has taken, and those that it has ended, each with how often.
fn ends(world: &World) -> (BTreeSet<AttemptRef>, Vec<AttemptRef>) {
    let mut accepted = BTreeSet::new();
    let mut ended = Vec::new();
    for record in &world.journal {
        match record {
            Record::Accepted { request, .. } => {
                accepted.insert(request.attempt);
            }
            Record::Ended { result, .. } => ended.push(result.attempt),
            _ => {}
        }
    }
    (accepted, ended)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_accepted_attempt_starts_at_most_once_and_ends_once(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
        }
        world.settle();
        let (accepted, ended) = ends(&world);
        let once: BTreeSet<AttemptRef> = ended.iter().copied().collect();
        prop_assert_eq!(once.len(), ended.len(), "an attempt ended twice");
        prop_assert!(accepted.is_subset(&once), "accepted and never ended");
        for attempt in &world.started {
            prop_assert!(once.contains(attempt), "started and never ended");
        }
        for attempt in &once {
            prop_assert!(world.told.contains_key(attempt), "ended and never told");
        }
    }

    #[test]
    fn memory_is_what_its_journal_says(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
        }
        // The same journal, whole or compacted, leads to the same snapshot.
        world.crash();
        let whole = world.core.snapshot(world.now);
        world.journal = whole.clone();
        world.crash();
        let again = world.core.snapshot(world.now);
        prop_assert_eq!(&whole[1..], &again[1..]);
    }

    #[test]
    fn numbers_of_an_attempt_rise(steps in prop::collection::vec(step(), 1..100)) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
        }
        world.settle();
        let mut last = std::collections::BTreeMap::new();
        for status in &world.statuses {
            if status.status == chiffon_common::StatusKind::NeverSeen {
                continue;
            }
            let before = last.insert(status.attempt, status.seq).unwrap_or_default();
            prop_assert!(status.seq > before);
            if let Some(result) = world.told.get(&status.attempt) {
                prop_assert!(status.seq < result.seq || result.error.as_ref().is_some_and(
                    |error| error.code == chiffon_common::ErrorCode::StaleAttempt));
            }
        }
    }

    #[test]
    fn bytes_by_chance_are_never_work(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut world = World::new();
        world.deliver_bytes(&bytes);
        prop_assert_eq!(world.errors.len(), 1);
        prop_assert!(world.core.open_attempts().is_empty());
    }
}
