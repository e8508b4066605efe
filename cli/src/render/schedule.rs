//! Schedules: a line each, one in full, its next times, and the plan that a standing approval is for.

use chiffon_common::api::{MissedRuns, NextTimes, SchedulePlan, ScheduleView};

use jiff::Timestamp;

use super::{
    table::table,
    words::{self, one_line, state},
};
use crate::terminal::Paint;

/// How late a fleet at work may be, in seconds: who is later waits for one.
const LATE: i64 = 60;

/// Many of them, as they are at this moment.
pub fn schedules(paint: Paint, schedules: &[ScheduleView], now: Timestamp) -> String {
    let row = |schedule: &ScheduleView| {
        let next = match (due_since(schedule, now), schedule.next_at) {
            (Some(at), _) => format!("due since {}", words::time(at)),
            (None, Some(at)) if waits_for_last(schedule, now) => {
                format!("{}, after the open one", words::time(at))
            }
            (None, Some(at)) => words::time(at),
            (None, None) => "-".to_owned(),
        };
        let last = match (schedule.last_at, schedule.last_is_open) {
            (None, _) => "-".to_owned(),
            (Some(at), false) => words::time(at),
            (Some(at), true) => format!("{}, open", words::time(at)),
        };
        vec![
            schedule.schedule_id.to_string(),
            state(paint, &schedule.state),
            when(schedule),
            next,
            last,
            asks(schedule),
        ]
    };
    let rows: Vec<_> = schedules.iter().map(row).collect();
    let heading = ["SCHEDULE", "STATE", "WHEN", "NEXT", "LAST", "ASKS"];
    let mut text = table(paint, &heading, &rows);
    if schedules.iter().any(|one| due_since(one, now).is_some()) {
        text += &format!("\nWhat is due {WHEN_DUE}.");
    }
    text
}

/// What becomes of a time that has passed.
const WHEN_DUE: &str = "is asked, or passed over, as soon as `chiffon up` runs";

/// Since when nobody is there to ask.
fn due_since(schedule: &ScheduleView, now: Timestamp) -> Option<Timestamp> {
    let next = schedule.next_at?;
    let is_late = now.duration_since(next).as_secs() > LATE;
    (is_late && schedule.state == "active" && !schedule.last_is_open).then_some(next)
}

/// Whether its next time has passed, and is looked at once the run that is open has ended.
fn waits_for_last(schedule: &ScheduleView, now: Timestamp) -> bool {
    schedule.last_is_open && schedule.next_at.is_some_and(|next| next < now)
}

/// One in full.
pub fn schedule(paint: Paint, schedule: &ScheduleView, now: Timestamp) -> String {
    let id = schedule.schedule_id.to_string();
    let title = match schedule.title.as_str() {
        "" => String::new(),
        title => format!(": {}", one_line(title, 200)),
    };
    let mut text = format!("{}{title}", paint.bold(&format!("Schedule {id}")));
    let mut line = |name: &str, value: String| text += &format!("\n  {name:<10} {value}");
    let because = one_line(&schedule.because, 300);
    line(
        "state",
        format!("{}: {because}", state(paint, &schedule.state)),
    );
    line("when", when(schedule));
    line("asks", one_line(&what(schedule), 400));
    line("as", one_line(&schedule.owner, 80));
    line("missed", missed(schedule));
    if let Some(next) = schedule.next_at {
        let late = match due_since(schedule, now) {
            Some(_) => format!(", which has passed: it {WHEN_DUE}"),
            None if waits_for_last(schedule, now) => {
                ", which has passed: it is asked, or passed over, when the open run has ended"
                    .to_owned()
            }
            None => String::new(),
        };
        line("next", words::time(next) + &late);
    }
    if let (Some(request), Some(at)) = (schedule.last_request, schedule.last_at) {
        let open = if schedule.last_is_open {
            ", which has not ended"
        } else {
            ""
        };
        line(
            "last",
            format!("{}: request {request}{open}", words::time(at)),
        );
    }
    if schedule.missed_count > 0 {
        line(
            "unused",
            format!("{} times passed unused", schedule.missed_count),
        );
    }
    if let Some(standing) = &schedule.standing {
        let by = one_line(&standing.approver, 80);
        let until = words::time(standing.until);
        line(
            "approved",
            format!("by {by}, exactly this plan, until {until}"),
        );
        line("", standing.digest.to_string());
    }
    line(
        "history",
        format!("chiffon request list --room {}", schedule.room_id),
    );
    text
}

/// The times on one line each, as the clocks of the zone show them.
pub fn next_times(times: &NextTimes) -> String {
    if times.times.is_empty() {
        return "It never comes again.".to_owned();
    }
    let zone = one_line(&times.zone, 64);
    let lines = times.times.iter().zip(&times.local);
    let lines =
        lines.map(|(at, local)| format!("{}  {zone}  ({})", one_line(local, 64), words::time(*at)));
    lines.collect::<Vec<_>>().join("\n")
}

/// What may run every time.
pub fn standing_plan(paint: Paint, read: &SchedulePlan) -> String {
    let mut text = paint.bold("What would run each time");
    for step in &read.plan.steps {
        let hosts: Vec<_> = step.hosts.iter().map(|host| host.as_str()).collect();
        let title = one_line(&step.title, 200);
        text += &format!("\n  {}. {title}", step.no + 1);
        text += &format!("\n     {} on {}", step.entry, hosts.join(", "));
        for (name, value) in &step.parameters {
            text += &format!(
                "\n     {}: {}",
                one_line(name, 64),
                one_line(&words::value(value), 200)
            );
        }
    }
    text += &format!("\n  risk    {}", words::tier(read.plan.tier));
    for warning in &read.warnings {
        text += &format!("\n  {}", paint.warn(&one_line(warning, 400)));
    }
    text += &format!("\n  digest  {}", read.standing_digest);
    text
}

/// In the zone that was given, where that is another than the one of all other times.
fn when(schedule: &ScheduleView) -> String {
    let zone = one_line(&schedule.zone, 64);
    match (&schedule.cron, schedule.at, &schedule.at_local) {
        (Some(cron), ..) => format!("{} {zone}", one_line(cron, 100)),
        (None, Some(at), Some(local)) if !zone.eq_ignore_ascii_case("UTC") => {
            let local = one_line(local, 64);
            let zone = match local.ends_with(&zone) {
                true => String::new(),
                false => format!(" {zone}"),
            };
            format!("once, {local}{zone} ({})", words::time(at))
        }
        (None, Some(at), _) => format!("once, {}", words::time(at)),
        (None, None, _) => "-".to_owned(),
    }
}

/// What it is called, where it is, and what it asks.
fn asks(schedule: &ScheduleView) -> String {
    let what = one_line(&what(schedule), 60);
    match schedule.title.as_str() {
        "" => what,
        title => format!("{}: {what}", one_line(title, 40)),
    }
}

fn what(schedule: &ScheduleView) -> String {
    let Some(entry) = &schedule.entry else {
        return schedule.text.clone().unwrap_or_default();
    };
    let mut text = entry.to_string();
    for (name, value) in &schedule.parameters {
        text += &format!(" {name}={}", words::value(value));
    }
    let hosts: Vec<_> = schedule.hosts.iter().map(|host| host.as_str()).collect();
    format!("{text} on {}", hosts.join(", "))
}

fn missed(schedule: &ScheduleView) -> String {
    match (schedule.missed, schedule.missed_within_seconds) {
        (MissedRuns::Skip, _) => "skip: times that passed unused are passed over".to_owned(),
        (MissedRuns::Once, _) => "once: it asks once, however many passed".to_owned(),
        (MissedRuns::All, within) => {
            let within = words::duration(within.unwrap_or_default());
            format!("all: it asks for each of the last {within}, one after the other")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_that_has_passed_is_not_called_the_next_one() {
        let schedule = |state: &str| -> ScheduleView {
            serde_json::from_value(json!({
                "schedule_id": "0199e2f4-77a1-7c40-8000-000000000001", "title": "", "state": state,
                "because": "made", "owner": "local:ada", "cron": "0 7 * * *", "zone": "UTC",
                "missed": "once", "text": "ping nas", "project_id": "default", "room_id": "schedule:x",
                "next_at": "2026-01-02T07:00:00Z", "last_is_open": false, "missed_count": 0,
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            }))
            .unwrap()
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let late = at("2026-01-02T09:00:00Z");
        let told = schedules(Paint::PLAIN, &[schedule("active")], late);
        assert!(told.contains("due since 2026-01-02 07:00:00 UTC"), "{told}");
        assert!(told.contains(WHEN_DUE), "{told}");
        let told = super::schedule(Paint::PLAIN, &schedule("active"), late);
        assert!(told.contains("which has passed"), "{told}");
        for (state, now) in [
            ("paused", late),
            ("active", at("2026-01-02T07:00:03Z")),
            ("active", at("2026-01-01T00:00:00Z")),
        ] {
            let told = schedules(Paint::PLAIN, &[schedule(state)], now);
            assert!(!told.contains("due since"), "{state} {told}");
        }
        // As long as one is open no other is asked, and that is no fault of a fleet that is not there.
        let open = ScheduleView {
            last_is_open: true,
            ..schedule("active")
        };
        let told = schedules(Paint::PLAIN, std::slice::from_ref(&open), late);
        assert!(told.contains("07:00:00 UTC, after the open one"), "{told}");
        let told = super::schedule(Paint::PLAIN, &open, late);
        assert!(told.contains("when the open run has ended"), "{told}");
    }
}
