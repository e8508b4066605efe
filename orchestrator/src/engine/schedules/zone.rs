//! Words of a schedule as times and zones, with what is wrong with them.

use chiffon_arbiter::{Cron, CronError, Times};
use chiffon_common::{ErrorCode, Problem, When, visible};
use jiff::{
    Timestamp, Zoned,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

/// What zones look like.
const NAMES: &str = "use a name such as Europe/Berlin or UTC, or an offset such as +02:00";

/// A zone of the IANA database by its name, or one offset for ever.
pub(crate) fn zone(name: &str) -> Result<TimeZone, Problem> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    if let Some(offset) = offset(name) {
        return Ok(TimeZone::fixed(offset));
    }
    if is_of_this_machine(name) {
        let detail = format!(
            "{:?} is another zone on each machine, or none",
            visible(name)
        );
        return Err(Problem::new(ErrorCode::UnknownZone, detail, NAMES));
    }
    TimeZone::get(name).map_err(|_| unknown(name))
}

/// Files beside the zones that a machine has its own for, or that stand for none: the same schedule would mean another
/// time elsewhere.
fn is_of_this_machine(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["localtime", "posixrules", "factory"].contains(&&*name)
        || name.starts_with("posix/")
        || name.starts_with("right/")
}

/// `+02:00`.
fn offset(text: &str) -> Option<Offset> {
    let rest = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = rest.split_once(':')?;
    let number = |digits: &str, below: i32| {
        let is_number = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_number);
        number.filter(|number: &i32| *number < below)
    };
    let seconds = number(hours, 24)? * 3600 + number(minutes, 60)? * 60;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    Offset::from_seconds(sign * seconds).ok()
}

/// The zone that is written at a time itself: `[Europe/Berlin]`, or the offset.
pub(crate) fn zone_at(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains('[') {
        let zoned: Zoned = text.parse().ok()?;
        return zoned.time_zone().iana_name().map(str::to_owned);
    }
    let from = text.len().checked_sub("+02:00".len())?;
    let end = text.get(from..)?;
    let is_one = offset(end)?.seconds() != 0 && text.parse::<Timestamp>().is_ok();
    is_one.then(|| end.to_owned())
}

/// A moment as the clocks of a zone show it.
pub(crate) fn local(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    at.strftime("%a %Y-%m-%d %H:%M %:z").to_string()
}

fn unknown(name: &str) -> Problem {
    let folded = name.to_lowercase();
    let likeness = |known: &str| {
        let known = known.to_lowercase();
        // `berlin` for `Europe/Berlin`.
        let city = known.rsplit('/').next().unwrap_or(&known);
        strsim::jaro_winkler(&folded, &known).max(0.99 * strsim::jaro_winkler(&folded, city))
    };
    let mut nearest: Option<(f64, String)> = None;
    for known in jiff::tz::db().available() {
        let known = known.as_str();
        let like = likeness(known);
        if like > 0.8 && nearest.as_ref().is_none_or(|(best, _)| like > *best) {
            nearest = Some((like, known.to_owned()));
        }
    }
    let todo = match nearest {
        Some((_, nearest)) => format!("did you mean {nearest}?"),
        None => NAMES.to_owned(),
    };
    let detail = format!("there is no time zone {:?}", visible(name));
    Problem::new(ErrorCode::UnknownZone, detail, todo)
}

/// The times of a schedule.
pub(crate) fn times(when: &When) -> Result<Times, Problem> {
    match when {
        When::At(at) => Ok(Times::At(*at)),
        When::Cron(expression) => match expression.parse::<Cron>() {
            Ok(cron) => Ok(Times::Cron(Box::new(cron))),
            Err(error) => Err(unfit(&error)),
        },
    }
}

fn unfit(error: &CronError) -> Problem {
    let (code, todo) = match error {
        CronError::Never => (ErrorCode::TimePassed, "correct the day or the month"),
        CronError::Fields { .. } | CronError::Field { .. } | CronError::Short { .. } => (
            ErrorCode::BadSchedule,
            "write it as `minute hour day-of-month month day-of-week`, for example `30 3 * * *`",
        ),
    };
    Problem::new(code, visible(&error.to_string()), todo)
}

/// One moment: RFC 3339, or date and time of a zone. Where clocks are put, a time that is left out is as late as by
/// the old clock, and of two the first is meant.
pub(crate) fn moment(text: &str, zone: &TimeZone) -> Result<Timestamp, Problem> {
    let text = text.trim();
    let local = || {
        let civil = text.parse::<DateTime>().ok()?;
        zone.to_ambiguous_timestamp(civil).compatible().ok()
    };
    // A date alone would mean midnight, which few who write it mean.
    let has_time = text.contains(':');
    let meant = match text.contains('[') {
        true => text.parse::<Zoned>().ok().map(|at| at.timestamp()),
        false => text.parse::<Timestamp>().ok().or_else(local),
    };
    // To the second, which the database keeps exactly.
    let whole = meant.and_then(|at| Timestamp::from_second(at.as_second()).ok());
    whole.filter(|_| has_time).ok_or_else(|| {
        if let Some(named) = other_offset(text) {
            let detail = format!(
                "{:?} names an offset that {named} does not have at that time",
                visible(text)
            );
            let todo = "leave the offset out, or the zone";
            return Problem::new(ErrorCode::BadSchedule, detail, todo);
        }
        let detail = format!("{:?} is no date and time", visible(text));
        let todo = "write it like 2030-05-01T03:00, or with an offset like 2030-05-01T03:00+02:00";
        Problem::new(ErrorCode::BadSchedule, detail, todo)
    })
}

/// The zone that is written at a time whose offset is not one of it.
fn other_offset(text: &str) -> Option<&str> {
    let (at, named) = text.strip_suffix(']')?.split_once('[')?;
    let is_both = at.parse::<Timestamp>().is_ok() && zone(named).is_ok();
    is_both.then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_that_is_written_at_a_time_is_kept() {
        for (text, written) in [
            ("2030-05-01T03:00", None),
            ("2030-05-01T03:00Z", None),
            ("2030-05-01T03:00+00:00", None),
            ("2030-05-01T03:00+02:00", Some("+02:00")),
            (" 2030-05-01T03:00:00-09:30 ", Some("-09:30")),
            ("2030-05-01T03:00[Europe/Berlin]", Some("Europe/Berlin")),
            ("2030-05-01T03:00[Mars/Olympus]", None),
            ("+02:00", None),
            ("\u{2603}+02:00", None),
        ] {
            assert_eq!(zone_at(text).as_deref(), written, "{text}");
        }
        let two = zone("+02:00").unwrap();
        let at = moment("2030-05-01T03:00", &two).unwrap();
        assert_eq!(at.to_string(), "2030-05-01T01:00:00Z");
        assert_eq!(local(at, &two), "Wed 2030-05-01 03:00 +02:00");
        for bad in ["+2:00", "+24:00", "+02:60", "+02", "02:00", "+0x:00"] {
            assert!(zone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_zone_names_the_nearest() {
        for (name, nearest) in [
            ("Europe/Berln", "Europe/Berlin"),
            ("berlin", "Europe/Berlin"),
            ("america/new york", "America/New_York"),
        ] {
            let problem = zone(name).unwrap_err();
            assert_eq!(problem.code, ErrorCode::UnknownZone);
            assert!(problem.todo.contains(nearest), "{problem:?}");
        }
        assert!(zone("xyz").unwrap_err().todo.contains("such as"));
        for not_one in ["localtime", "Factory", "right/Europe/Berlin"] {
            let problem = zone(not_one).unwrap_err();
            assert!(!problem.todo.contains("did you mean"), "{problem:?}");
        }
        for good in [
            "UTC",
            "utc",
            "Europe/Berlin",
            "Australia/Lord_Howe",
            "+02:00",
            "-09:30",
        ] {
            assert!(zone(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_moment_is_of_its_zone_unless_it_says_otherwise() {
        let berlin = zone("Europe/Berlin").unwrap();
        for (text, meant) in [
            ("2030-05-01T03:00", "2030-05-01T01:00:00Z"),
            ("2030-05-01 03:00", "2030-05-01T01:00:00Z"),
            ("2030-05-01T03:00Z", "2030-05-01T03:00:00Z"),
            ("2030-05-01T03:00:30.9+05:00", "2030-04-30T22:00:30Z"),
            ("2030-03-31T02:30", "2030-03-31T01:30:00Z"),
            ("2030-10-27T02:30", "2030-10-27T00:30:00Z"),
            ("2030-05-01T03:00[Asia/Tokyo]", "2030-04-30T18:00:00Z"),
            ("2030-05-01T03:00+09:00[Asia/Tokyo]", "2030-04-30T18:00:00Z"),
        ] {
            assert_eq!(moment(text, &berlin).unwrap().to_string(), meant, "{text}");
        }
        for bad in [
            "",
            "tomorrow",
            "2030-05-01",
            "2030-02-30T00:00",
            "25:00",
            "2030-05-01T03:00[Mars/Olympus]",
            "2030-05-01T03:00+01:00[Asia/Tokyo]",
        ] {
            assert!(moment(bad, &berlin).is_err(), "{bad}");
        }
        let other = moment("2030-05-01T03:00+01:00[Asia/Tokyo]", &berlin).unwrap_err();
        assert!(
            other.detail.contains("an offset that Asia/Tokyo"),
            "{other:?}"
        );
    }
}
