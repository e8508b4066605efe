//! Single rules of the core, each in a few lines.

use std::{collections::BTreeMap, time::Duration};

use chiffon_common::{
    ErrorCode, HostSummary, Payload, Problem, ResultStatus, Signer, StatusKind, WorkResult,
};
use proptest::prelude::*;

use super::{
    super::{Effect, Event, fit},
    model::{World, attempt},
};
use crate::worker::StopReason;

/// A world with one run.
fn running() -> World {
    let mut world = World::new();
    world.ask(attempt(1, 1));
    world.answer(0, true);
    world.send_bundle(true);
    world.answer(0, true);
    world.answer(0, true);
    assert_eq!(world.started, [attempt(1, 1)]);
    world
}

fn told(world: &World, task: u8, number: u32) -> (ResultStatus, Option<ErrorCode>) {
    let result = &world.told[&attempt(task, number)];
    (result.status, result.error.as_ref().map(|error| error.code))
}

#[test]
fn how_a_run_ends_follows_from_the_workers_word_and_our_reason() {
    use ResultStatus::{Cancelled, Completed, Failed, Interrupted, Refused, Unknown};
    use StopReason::{Cancelled as ByPerson, ShuttingDown, TimedOut};
    let table = [
        (None, Completed, Completed),
        (None, Failed, Failed),
        (None, Unknown, Unknown),
        (None, Refused, Refused),
        (Some(ByPerson), Completed, Completed),
        (Some(ByPerson), Failed, Cancelled),
        (Some(ByPerson), Cancelled, Cancelled),
        (Some(ByPerson), Unknown, Unknown),
        (Some(TimedOut), Failed, Failed),
        (Some(TimedOut), Cancelled, Failed),
        (Some(TimedOut), Completed, Completed),
        (Some(TimedOut), Unknown, Unknown),
        (Some(ShuttingDown), Cancelled, Interrupted),
        (Some(ShuttingDown), Refused, Refused),
        (Some(ShuttingDown), Unknown, Unknown),
    ];
    for (reason, says, becomes) in table {
        let mut world = running();
        match reason {
            None => {}
            Some(ByPerson) => world.cancel(attempt(1, 1)),
            Some(TimedOut) => world.pass(60),
            Some(ShuttingDown) => world.event(Event::GraceOver),
        }
        assert_eq!(world.running[&attempt(1, 1)], reason);
        world.end_run(0, says);
        assert_eq!(told(&world, 1, 1).0, becomes, "{reason:?}, {says:?}");
    }
}

#[test]
fn a_worker_that_does_not_stop_is_given_up_after_twenty_seconds() {
    let mut world = running();
    world.pass(60);
    world.pass(19);
    assert!(world.running.contains_key(&attempt(1, 1)));
    world.pass(1);
    assert!(!world.running.contains_key(&attempt(1, 1)), "abandoned");
    world.answer(0, true);
    assert_eq!(
        told(&world, 1, 1),
        (ResultStatus::Unknown, Some(ErrorCode::OutcomeUnknown))
    );
}

#[test]
fn the_limit_counts_on_the_boot_clock_alone() {
    let mut world = running();
    // The wall jumps by a day; then the machine sleeps for a minute.
    world.now.now += Duration::from_secs(86_400);
    world.event(Event::Ticked);
    assert_eq!(world.running[&attempt(1, 1)], None);
    world.now.boot += Duration::from_secs(60);
    world.event(Event::Ticked);
    assert_eq!(world.running[&attempt(1, 1)], Some(StopReason::TimedOut));
}

#[test]
fn work_that_waits_too_long_expires() {
    let mut world = World::new();
    world.ask(attempt(1, 1));
    world.answer(0, true);
    world.pass(601);
    assert_eq!(
        told(&world, 1, 1),
        (ResultStatus::Refused, Some(ErrorCode::WorkExpired))
    );
    world.send_bundle(true);
    world.settle();
    assert!(world.started.is_empty());
}

#[test]
fn a_missing_bundle_is_asked_for_again() {
    let mut world = World::new();
    world.ask(attempt(1, 1));
    world.answer(0, true);
    let wishes = |world: &World| {
        world
            .statuses
            .iter()
            .filter(|one| one.status == StatusKind::NeedsBundle)
            .count()
    };
    assert_eq!(wishes(&world), 1);
    world.pass(29);
    assert_eq!(wishes(&world), 1);
    world.pass(1);
    assert_eq!(wishes(&world), 2);
}

#[test]
fn nothing_starts_while_it_drains() {
    let mut world = World::new();
    world.event(Event::DrainAsked);
    world.ask(attempt(1, 1));
    world.answer(0, true);
    world.send_bundle(true);
    world.answer(0, true);
    assert!(world.open.is_empty(), "{:?}", world.open);
    world.crash();
    world.settle();
    assert_eq!(world.started, [attempt(1, 1)]);
}

#[test]
fn old_results_are_forgotten_and_unconfirmed_ones_never() {
    let mut world = running();
    world.ask(attempt(2, 1));
    world.answer(0, true);
    world.answer(0, true);
    world.end_run(0, ResultStatus::Completed);
    world.end_run(0, ResultStatus::Completed);
    world.event(Event::Confirmed {
        attempt: attempt(1, 1),
    });
    world.pass(8 * 86_400);
    world.query(attempt(1, 1));
    assert_eq!(world.statuses.last().unwrap().status, StatusKind::NeverSeen);
    world.told.clear();
    world.query(attempt(2, 1));
    assert!(world.told.contains_key(&attempt(2, 1)));
}

#[test]
fn forged_work_is_refused_and_bars_nothing() {
    let mut world = World::new();
    let stranger = Signer::from_secret([1; 32]);
    let request = world.request(attempt(1, 1));
    for number in 0..3 {
        let mut request = request.clone();
        request.attempt.attempt = number;
        world.deliver(&Payload::WorkRequest(Box::new(request)), &stranger);
    }
    assert_eq!(world.told.len(), 3);
    // And raises no number: the real one still runs.
    world.ask(attempt(1, 7));
    world.settle();
    assert_eq!(world.started, [attempt(1, 7)]);
}

#[test]
fn pieces_come_in_any_order_twice_and_within_bounds() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let mut world = World::new();
    world.ask(attempt(1, 1));
    world.answer(0, true);
    let bytes = super::model::bundle().to_bytes().unwrap();
    let mut send = |piece: u32, pieces: u32, data: &[u8]| {
        let piece = chiffon_common::BundlePiece {
            agent: "infrastructure".parse().unwrap(),
            digest: super::model::bundle().digest(),
            piece,
            pieces,
            data: BASE64_STANDARD.encode(data),
        };
        world.deliver(&Payload::Bundle(piece), &super::model::signer());
        (world.open.len(), world.errors.len())
    };
    let (first, second) = bytes.split_at(4);
    assert_eq!(send(2, 2, b""), (0, 1), "beyond the end");
    assert_eq!(send(0, 0, b""), (0, 2), "of none");
    assert_eq!(send(0, 100_000, b""), (0, 3), "of too many");
    assert_eq!(send(1, 2, second), (0, 3));
    assert_eq!(send(1, 2, second), (0, 3));
    assert_eq!(send(0, 2, first), (1, 3));
    assert!(matches!(&world.open[0], Effect::StoreBundle { bytes: whole, .. } if *whole == bytes));
}

#[test]
fn texts_are_cut_between_characters_and_marked() {
    for (text, most) in [
        ("äöü".repeat(100), 101),
        ("x".repeat(500), 120),
        ("🦀".repeat(99), 123),
    ] {
        let (mut end, mut beginning) = (text.clone(), text.clone());
        fit::tail(&mut end, most);
        fit::head(&mut beginning, most);
        assert!(end.len() <= most && end.starts_with("[... cut"), "{end}");
        assert!(
            beginning.len() <= most && beginning.ends_with("[cut]"),
            "{beginning}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_result_always_fits_into_an_envelope(
        unit in prop_oneof![Just("\u{1}"), Just("a"), Just("ü"), Just("\"\n"), Just("🦀")],
        output in 0..600_000_usize, diff in 0..600_000_usize, hosts in 0..2_000_usize, answer in 0..800_usize,
    ) {
        let host = HostSummary { answer: Some(unit.repeat(answer)), ..HostSummary::default() };
        let hosts: BTreeMap<String, HostSummary> = (0..hosts).map(|n| (format!("host-{n}"), host.clone())).collect();
        let result = fit::fit(WorkResult {
            attempt: attempt(1, 1),
            agent: "infrastructure".parse().unwrap(),
            incarnation: chiffon_common::Incarnation::from_uuid(uuid::Uuid::nil()),
            seq: 1,
            status: ResultStatus::Failed,
            output: unit.repeat(output),
            duration_seconds: f64::INFINITY,
            resource_usage: chiffon_common::ResourceUsage::default(),
            hosts,
            diff: Some(unit.repeat(diff)),
            error: Some(Problem::new(ErrorCode::PlaybookFailed, unit.repeat(answer * 10), "")),
            isolation: String::new(),
            done_before: None,
        });
        prop_assert!(result.output.len() <= fit::MAX_TEXT);
        let bytes = serde_json::to_vec(&result).unwrap();
        prop_assert!(bytes.len() < chiffon_common::MAX_ENVELOPE_BYTES - 16 * 1024, "{}", bytes.len());
        let back: WorkResult = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(back, result);
    }
}
