//! Times as the five fields of cron, where cron can say them. Reading them is left to `when`.

use super::{calendar::Half, when::Part};

/// Hours and minutes, in their order and each once.
fn times(parts: &[Part], day_part: Option<Half>) -> Vec<(u32, u32)> {
    let late = parts
        .iter()
        .any(|part| matches!(part, Part::Half(Half::Evening)))
        || day_part == Some(Half::Evening);
    let mut times: Vec<(u32, u32)> = parts
        .iter()
        .filter_map(|part| match *part {
            Part::Time(hour, minute) if late && (1..12).contains(&hour) => {
                Some((hour + 12, minute))
            }
            Part::Time(hour, minute) => Some((hour, minute)),
            _ => None,
        })
        .collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// Days of the week, as cron writes them.
fn days(parts: &[Part]) -> Vec<String> {
    let days = parts.iter().filter_map(|part| match part {
        Part::Weekday(day) => Some(day.to_string()),
        Part::Weekdays => Some("1-5".to_owned()),
        _ => None,
    });
    days.collect()
}

/// Minutes and hours of what comes several times a day at the same distance, where that is said: nothing within where the
/// distance does not divide the hour or the day.
fn within_day(parts: &[Part]) -> Option<Option<String>> {
    let step = |limit: u32, n: u32| (n > 0 && n < limit && limit.is_multiple_of(n)).then_some(n);
    parts.iter().find_map(|part| match *part {
        Part::Minutes(1) => Some(Some("* *".to_owned())),
        Part::Minutes(n) => Some(step(60, n).map(|n| format!("*/{n} *"))),
        Part::Hours(1) => Some(Some("0 *".to_owned())),
        Part::Hours(n) => Some(step(24, n).map(|n| format!("0 */{n}"))),
        _ => None,
    })
}

/// The five fields; nothing where cron cannot say it, or a person has not said enough.
pub(super) fn cron(parts: &[Part]) -> Option<String> {
    let has = |wanted: Part| parts.contains(&wanted);
    if has(Part::Unclear) {
        return None;
    }
    let days = days(parts);
    if let Some(steps) = within_day(parts) {
        let is_of_day =
            |part: &Part| matches!(part, Part::Weekday(_) | Part::Weekdays | Part::Daily);
        let others = parts.iter().filter(|part| !is_of_day(part)).count();
        let of_week = match days.is_empty() {
            true => "*".to_owned(),
            false => days.join(","),
        };
        return steps
            .filter(|_| others == 1)
            .map(|steps| format!("{steps} * * {of_week}"));
    }
    let often = parts.iter().find_map(|part| match part {
        Part::Often(n) => Some(*n),
        _ => None,
    });
    let of_month = parts.iter().find_map(|part| match part {
        Part::OfMonth(day) => Some(*day),
        _ => None,
    });
    let day_part = parts.iter().find_map(|part| match part {
        Part::Within(half) => Some(*half),
        _ => None,
    });
    let recurs = has(Part::Daily)
        || has(Part::Weekly)
        || has(Part::Monthly)
        || !days.is_empty()
        || of_month.is_some()
        || often.is_some()
        || day_part.is_some();
    if !recurs {
        return None;
    }
    let mut times = times(parts, day_part);
    if often.is_some_and(|often| often != times.len()) {
        return None;
    }
    if times.is_empty() {
        // A morning or an evening has no hour of its own.
        if matches!(day_part, Some(Half::Morning | Half::Evening)) {
            return None;
        }
        times.push((0, 0));
    }
    let minute = times[0].1;
    if times.iter().any(|time| time.1 != minute) {
        return None;
    }
    let hours: Vec<String> = times.iter().map(|time| time.0.to_string()).collect();
    let day_of_month = match of_month {
        Some(day) => day.to_string(),
        None if has(Part::Monthly) => "1".to_owned(),
        None => "*".to_owned(),
    };
    let weekday = match days.is_empty() {
        false => days.join(","),
        true if has(Part::Weekly) => "0".to_owned(),
        true => "*".to_owned(),
    };
    Some(format!(
        "{minute} {} {day_of_month} * {weekday}",
        hours.join(",")
    ))
}
