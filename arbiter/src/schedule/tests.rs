//! Expressions that are read and refused, times held against a walk over every minute, clocks that are put forward and
//! back, and what becomes of times that passed.

use std::collections::BTreeSet;

use chiffon_common::Missed;
use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, TimeZone},
};
use proptest::prelude::*;

use super::{Cron, CronError, Look, MOST_MISSED, Passed, Times, Verdict};

fn cron(text: &str) -> Cron {
    text.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Central Europe: forward on 29 March 2026 at 02:00, back on 25 October 2026 at 03:00.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// Lord Howe puts its clocks by half an hour.
fn lord_howe() -> TimeZone {
    TimeZone::posix("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0").unwrap()
}

fn times(cron: &Cron, zone: &TimeZone, after: &str, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut last = at(after);
    while found.len() < count {
        last = cron.next_after(last, zone).unwrap();
        found.push(
            last.to_zoned(zone.clone())
                .strftime("%m-%d %H:%M %:z")
                .to_string(),
        );
    }
    found
}

#[test]
fn all_forms_of_fields_are_read() {
    let same = [
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * SUN"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 jan *"),
        (
            "*/15 0-6/2 1,15 JAN-MAR mon-FRI",
            "0,15,30,45 0,2,4,6 15,1 1-3 1-5",
        ),
        ("5/20 * * * 5-7", "5,25,45 * * * 5,6,0"),
        (" 0\t3  * * * ", "0 3 * * *"),
    ];
    for (one, other) in same {
        let utc = TimeZone::UTC;
        let (one, other) = (cron(one), cron(other));
        let of = |cron: &Cron| times(cron, &utc, "2026-01-01T00:00:00Z", 20);
        assert_eq!(of(&one), of(&other), "{one:?} {other:?}");
    }
}

#[test]
fn what_does_not_fit_is_named_with_its_field_and_why() {
    for (text, words) in [
        ("* * * *", "this one has 4"),
        ("* * * * * *", "this one has 6"),
        ("", "this one has 0"),
        (
            "61 * * * *",
            "the field minute (\"61\") does not fit: \"61\" is not from 0 to 59",
        ),
        ("* 24 * * *", "the field hour (\"24\")"),
        ("* * 0 * *", "the field day of month (\"0\")"),
        (
            "* * * 13 *",
            "\"13\" is not from 1 to 12, nor from JAN to DEC",
        ),
        ("* * * * 8", "\"8\" is not from 0 to 7, nor from SUN to SAT"),
        (
            "* * L * *",
            "L, W, # and ? of other programs are not understood",
        ),
        (
            "*/0 * * * *",
            "a step is a whole number from 1 to 59, not \"0\"",
        ),
        ("*/x * * * *", "a step is"),
        ("30-10 * * * *", "the range 30-10 goes backwards"),
        ("1,,2 * * * *", "a number is missing"),
        ("-1 * * * *", "a number is missing"),
        ("+1 * * * *", "\"+1\" is not"),
        ("001 * * * *", "\"001\" is not"),
        ("@reboot", "a start of the program is no time"),
        ("@often", "is none of the short forms"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
    ] {
        let error = text.parse::<Cron>().unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
    // Either of two day fields is enough, so this comes every Monday of February.
    assert!("0 0 30 2 1".parse::<Cron>().is_ok());
    let no_fields: CronError = CronError::Fields { found: 0 };
    assert_eq!("  ".parse::<Cron>().unwrap_err(), no_fields);
}

#[test]
fn rare_days_are_found_and_days_of_month_and_week_are_either_or() {
    let utc = TimeZone::UTC;
    let leap = cron("0 0 29 2 *");
    assert_eq!(
        leap.next_after(at("2096-03-01T00:00:00Z"), &utc),
        Some(at("2104-02-29T00:00:00Z")),
        "2100 is no leap year"
    );
    let either = times(&cron("0 0 13 * FRI"), &utc, "2026-02-01T00:00:00Z", 4);
    assert_eq!(
        either,
        ["02-06", "02-13", "02-20", "02-27"].map(|day| format!("{day} 00:00 +00:00"))
    );
    let both = times(&cron("0 0 */2 * FRI"), &utc, "2026-02-01T00:00:00Z", 2);
    assert_eq!(both, ["02-13 00:00 +00:00", "02-27 00:00 +00:00"]);
    assert_eq!(leap.next_after(Timestamp::MAX, &utc), None);
    assert!(cron("* * * * *").next_after(Timestamp::MIN, &utc).is_some());
}

#[test]
fn a_time_that_is_left_out_comes_as_late_as_by_the_old_clock() {
    let nightly = times(&cron("30 2 * * *"), &berlin(), "2026-03-27T12:00:00Z", 3);
    assert_eq!(
        nightly,
        [
            "03-28 02:30 +01:00",
            "03-29 03:30 +02:00",
            "03-30 02:30 +02:00"
        ]
    );
    let often = times(&cron("*/30 * * * *"), &berlin(), "2026-03-29T00:29:00Z", 3);
    assert_eq!(
        often,
        [
            "03-29 01:30 +01:00",
            "03-29 03:00 +02:00",
            "03-29 03:30 +02:00"
        ]
    );
    // Left out, and there an hour later: once.
    let twice = times(
        &cron("0,30 2,3 * * *"),
        &berlin(),
        "2026-03-29T00:00:00Z",
        3,
    );
    assert_eq!(
        twice,
        [
            "03-29 03:00 +02:00",
            "03-29 03:30 +02:00",
            "03-30 02:00 +02:00"
        ]
    );
}

#[test]
fn a_time_that_is_there_twice_comes_once_unless_it_comes_every_hour() {
    let nightly = times(&cron("30 2 * * *"), &berlin(), "2026-10-24T12:00:00Z", 2);
    assert_eq!(nightly, ["10-25 02:30 +02:00", "10-26 02:30 +01:00"]);
    let often = times(&cron("*/30 * * * *"), &berlin(), "2026-10-25T00:00:00Z", 4);
    assert_eq!(
        often,
        [
            "10-25 02:30 +02:00",
            "10-25 02:00 +01:00",
            "10-25 02:30 +01:00",
            "10-25 03:00 +01:00"
        ]
    );
    // From within the doubled hour, too.
    let late = times(&cron("30 2 * * *"), &berlin(), "2026-10-25T01:10:00Z", 1);
    assert_eq!(late, ["10-26 02:30 +01:00"]);
    let half = times(
        &cron("*/15 1-2 * * *"),
        &lord_howe(),
        "2026-04-04T14:29:00Z",
        6,
    );
    assert_eq!(half.iter().collect::<BTreeSet<_>>().len(), 6, "{half:?}");
}

/// Every time of a few days, from every local minute of them.
fn walk(cron: &Cron, zone: &TimeZone, from: Timestamp, days: i64) -> Vec<Timestamp> {
    let mut found = BTreeSet::new();
    let start: DateTime = from.to_zoned(zone.clone()).datetime();
    let mut local = start.date().yesterday().unwrap().at(0, 0, 0, 0);
    for _minute in 0..(days + 3) * 24 * 60 {
        if cron.fits(local) {
            let both = zone.to_ambiguous_timestamp(local);
            found.insert(both.compatible().unwrap());
            if matches!(both.offset(), AmbiguousOffset::Fold { .. }) && cron.is_hourly() {
                found.insert(both.later().unwrap());
            }
        }
        local = local.checked_add(SignedDuration::from_mins(1)).unwrap();
    }
    let end = from + SignedDuration::from_hours(24 * days);
    found
        .into_iter()
        .filter(|at| *at > from && *at <= end)
        .collect()
}

fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
    let number = first..=last;
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => number.clone().prop_map(|n| n.to_string()),
        1 => (2..last).prop_map(|step| format!("*/{step}")),
        1 => (number.clone(), number.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => proptest::collection::vec(number, 1..4).prop_map(|list| {
            list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    let fields = (
        field(0, 59),
        field(0, 23),
        field(1, 28),
        field(1, 12),
        field(0, 7),
    );
    fields.prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"))
}

/// Days on which clocks are put, and one on which they are not.
fn begin() -> impl Strategy<Value = Timestamp> {
    let days = [
        "2026-03-28",
        "2026-10-24",
        "2026-04-04",
        "2026-10-03",
        "2026-07-01",
    ];
    (proptest::sample::select(days.to_vec()), 0..86_400_i64).prop_map(|(day, second)| {
        at(&format!("{day}T00:00:00Z")) + SignedDuration::from_secs(second)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_times_are_those_that_a_walk_over_every_minute_finds(
        text in expression(), from in begin(), zone in 0..3_usize,
    ) {
        let zone = [TimeZone::UTC, berlin(), lord_howe()][zone].clone();
        let cron = cron(&text);
        let expected = walk(&cron, &zone, from, 3);
        let end = from + SignedDuration::from_hours(72);
        let mut found = Vec::new();
        let mut last = from;
        while let Some(next) = cron.next_after(last, &zone).filter(|next| *next <= end) {
            prop_assert!(next > last, "{text}: {next} is not after {last}");
            found.push(next);
            last = next;
        }
        prop_assert_eq!(found, expected, "{} from {}", text, from);
    }

    /// However long nothing was looked at, and whatever the policy: no time is used twice, none is lost in silence,
    /// and what is used is within the policy's bounds.
    #[test]
    fn every_time_is_used_once_or_passed_over_once(
        text in expression(), from in begin(), policy in 0..3_usize,
        pauses in proptest::collection::vec(1..200_000_i64, 1..12),
    ) {
        let missed = [Missed::Skip, Missed::Once, Missed::All { within_seconds: 7_200 }][policy];
        let times = Times::Cron(Box::new(cron(&text)));
        let zone = berlin();
        let mut considered = from;
        let mut now = from;
        let mut used = BTreeSet::new();
        let mut passed = 0_u64;
        let mut capped = false;
        for pause in pauses {
            now += SignedDuration::from_secs(pause);
            // One run after the other, each of a second.
            loop {
                let look = Look { times: &times, zone: &zone, missed, considered, now };
                let verdict = look.decide();
                prop_assert!(verdict.considered >= considered);
                if let Some(gone) = verdict.passed {
                    passed += gone.count;
                    capped |= gone.more;
                }
                considered = verdict.considered;
                let Some(at) = verdict.fire else { break };
                prop_assert!(at <= now && at == considered);
                prop_assert!(used.insert(at), "{at} is used twice");
                if let Missed::All { .. } = missed {
                    prop_assert!(now.duration_since(at) <= SignedDuration::from_secs(7_200));
                }
                now += SignedDuration::from_secs(1);
            }
        }
        let mut all = 0;
        let mut last = from;
        while let Some(next) = times.next_after(last, &zone).filter(|next| *next <= now) {
            all += 1;
            last = next;
            if all > 50_000 { break }
        }
        if !capped {
            prop_assert_eq!(used.len() as u64 + passed, all);
        }
    }
}

fn look(times: &Times, missed: Missed, considered: &str, now: &str) -> Verdict {
    Look {
        times,
        zone: &TimeZone::UTC,
        missed,
        considered: at(considered),
        now: at(now),
    }
    .decide()
}

#[test]
fn after_a_day_without_looking_the_policy_decides() {
    let hourly = Times::Cron(Box::new(cron("@hourly")));
    let (monday, tuesday) = ("2026-06-01T00:00:00Z", "2026-06-02T00:30:00Z");
    let skip = look(&hourly, Missed::Skip, monday, tuesday);
    assert_eq!(
        (skip.fire, skip.considered),
        (None, at("2026-06-02T00:00:00Z"))
    );
    let all_day = Passed {
        first: at("2026-06-01T01:00:00Z"),
        last: at("2026-06-02T00:00:00Z"),
        count: 24,
        more: false,
    };
    assert_eq!(skip.passed, Some(all_day));
    let once = look(&hourly, Missed::Once, monday, tuesday);
    assert_eq!(once.fire, Some(at("2026-06-02T00:00:00Z")));
    assert_eq!(once.passed.unwrap().count, 23);
    let all = Missed::All {
        within_seconds: 3 * 3600,
    };
    let all = look(&hourly, all, monday, tuesday);
    assert_eq!(all.fire, Some(at("2026-06-01T22:00:00Z")));
    assert_eq!(all.passed.unwrap().count, 21);
    // What has come just now is missed by nobody.
    let prompt = look(&hourly, Missed::Skip, monday, "2026-06-01T01:00:59Z");
    assert_eq!(
        (prompt.fire, prompt.passed),
        (Some(at("2026-06-01T01:00:00Z")), None)
    );
    let nothing = look(&hourly, Missed::Once, monday, "2026-06-01T00:59:59Z");
    assert_eq!((nothing.fire, nothing.considered), (None, at(monday)));
}

#[test]
fn a_year_of_minutes_makes_no_flood() {
    let minutely = Times::Cron(Box::new(cron("* * * * *")));
    let all = Missed::All {
        within_seconds: u64::MAX,
    };
    let year = look(
        &minutely,
        all,
        "2025-06-01T00:00:00Z",
        "2026-06-01T00:00:30Z",
    );
    let first = at("2026-06-01T00:00:00Z") - SignedDuration::from_mins(MOST_MISSED as i64 - 1);
    assert_eq!(year.fire, Some(first));
    let passed = year.passed.unwrap();
    assert!(passed.more && passed.count == 1000, "{passed:?}");
    let once = look(
        &minutely,
        Missed::Once,
        "2025-06-01T00:00:00Z",
        "2026-06-01T00:00:30Z",
    );
    assert_eq!(once.fire, Some(at("2026-06-01T00:00:00Z")));
}

#[test]
fn one_time_comes_once() {
    let noon = Times::At(at("2026-06-01T12:00:00Z"));
    let before = look(
        &noon,
        Missed::Once,
        "2026-06-01T00:00:00Z",
        "2026-06-01T11:59:59Z",
    );
    assert_eq!(before.fire, None);
    let late = look(
        &noon,
        Missed::Once,
        "2026-06-01T00:00:00Z",
        "2026-06-03T00:00:00Z",
    );
    assert_eq!(late.fire, Some(at("2026-06-01T12:00:00Z")));
    let skipped = look(
        &noon,
        Missed::Skip,
        "2026-06-01T00:00:00Z",
        "2026-06-03T00:00:00Z",
    );
    assert_eq!((skipped.fire, skipped.passed.unwrap().count), (None, 1));
    let again = look(
        &noon,
        Missed::Once,
        "2026-06-01T12:00:00Z",
        "2026-06-03T00:00:00Z",
    );
    assert_eq!((again.fire, again.passed), (None, None));
    let odd = at("2026-06-01T12:00:00.123456789Z");
    let late = look(
        &Times::At(odd),
        Missed::Once,
        "2026-06-01T00:00:00Z",
        "2026-06-01T12:00:01Z",
    );
    assert_eq!(late.fire, Some(odd));
}
