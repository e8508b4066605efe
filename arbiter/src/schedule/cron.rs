//! Cron expressions: five fields (minute, hour, day of month, month, day of week) and the short forms, as in crontab(5)
//! of Vixie cron. Where both day fields are restricted, either is enough; a field that begins with `*` does not count
//! as restricted.
//!
//! Where clocks are put forward, a time that is left out is taken as late as it would have come by the old clock
//! (02:30 becomes 03:30). Where they are put back, an expression that runs in every hour runs in both of the doubled
//! hours, any other one in the first. What clocks of a zone do comes in with the zone.

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time},
    tz::{Offset, TimeZone},
};

use super::field::{FIELDS, Set};

/// How far the next time is looked for. 29 February is away eight years at most.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 10);

/// A cron expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
}

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error(
        "a cron expression has five fields (minute, hour, day of month, month, day of week), this one has {found}"
    )]
    Fields {
        /// How many there are.
        found: usize,
    },
    /// A field that does not fit.
    #[error("the field {field} ({text:?}) does not fit: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// What it holds.
        text: String,
        /// Why it does not fit.
        why: String,
    },
    /// A short form that is not known.
    #[error(
        "{text:?} is none of the short forms @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually{}",
        if text == "@reboot" { "; a start of the program is no time" } else { "" }
    )]
    Short {
        /// What was said.
        text: String,
    },
    /// No month has such a day.
    #[error("no month that it names has such a day, so it never comes")]
    Never,
}

impl std::str::FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let text = text.trim();
        let long = match text.to_ascii_lowercase().as_str() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            short if short.starts_with('@') => {
                return Err(CronError::Short {
                    text: short.to_owned(),
                });
            }
            _ => text,
        };
        let parts: Vec<&str> = long.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = read(&parts)?;
        let cron = Self {
            minutes,
            hours,
            days,
            months,
            weekdays,
        };
        if cron.ever() {
            Ok(cron)
        } else {
            Err(CronError::Never)
        }
    }
}

fn read(parts: &[&str]) -> Result<[Set; 5], CronError> {
    let Ok(parts) = <[&str; 5]>::try_from(parts) else {
        return Err(CronError::Fields { found: parts.len() });
    };
    let mut sets = Vec::with_capacity(5);
    for (field, text) in FIELDS.iter().zip(parts) {
        sets.push(field.read(text).map_err(|why| CronError::Field {
            field: field.name,
            text: text.to_owned(),
            why,
        })?);
    }
    let found = sets.len();
    sets.try_into().map_err(|_| CronError::Fields { found })
}

impl Cron {
    /// The first time after this one; none within ten years is none at all.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let end = after.checked_add(HORIZON).unwrap_or(Timestamp::MAX);
        // The next whole second, so that `after` itself is not found again.
        let mut from = Timestamp::from_second(after.as_second().checked_add(1)?).ok()?;
        while from < end {
            // Between two changes of the clock everything is plain.
            let change = zone.following(from).next().map(|next| next.timestamp());
            let until = change.map_or(end, |change| change.min(end));
            if let Some(found) = self.next_between(from, until, zone) {
                return Some(found);
            }
            from = until;
        }
        None
    }

    /// The first time from one moment to before another, between which the clock is not changed.
    fn next_between(
        &self,
        from: Timestamp,
        until: Timestamp,
        zone: &TimeZone,
    ) -> Option<Timestamp> {
        let now = zone.to_offset(from);
        let nanosecond = SignedDuration::from_nanos(1);
        let inclusive = from.checked_add(nanosecond).ok()?;
        let changed = zone.preceding(inclusive).next().map(|one| one.timestamp());
        let before = changed
            .and_then(|changed| changed.checked_sub(nanosecond).ok())
            .map_or(now, |earlier| zone.to_offset(earlier));
        let forward = i64::from(now.seconds()) - i64::from(before.seconds());
        let shifted = SignedDuration::from_secs(forward.abs());
        let settled = changed.and_then(|changed| changed.checked_add(shifted).ok());
        match settled.filter(|settled| forward != 0 && from < *settled) {
            // Times that were left out come by the old clock.
            Some(settled) if forward > 0 => {
                let late = self.first(before, from, until.min(settled));
                let own = self.first(now, from, until);
                late.into_iter().chain(own).min()
            }
            // Times that were there before the clock was put back.
            Some(settled) if !FIELDS[1].is_full(self.hours) => self.first(now, settled, until),
            _ => self.first(now, from, until),
        }
    }

    /// The first time from one moment to before another, by a clock of this offset.
    fn first(&self, offset: Offset, from: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let civil = offset.to_datetime(from);
        let is_whole = civil.second() == 0 && civil.subsec_nanosecond() == 0;
        let minute = civil.date().at(civil.hour(), civil.minute(), 0, 0);
        let start = match is_whole {
            true => minute,
            false => minute.checked_add(SignedDuration::from_mins(1)).ok()?,
        };
        let last = offset.to_datetime(until).date();
        let found = offset.to_timestamp(self.next_civil(start, last)?).ok()?;
        (found < until).then_some(found)
    }

    /// The first fitting minute at or after this one, on this day at the latest.
    fn next_civil(&self, start: DateTime, last: Date) -> Option<DateTime> {
        let mut date = start.date();
        while date <= last {
            if !self.months.has(number(date.month())) {
                date = date.last_of_month().tomorrow().ok()?;
                continue;
            }
            let begin = if date == start.date() {
                start.time()
            } else {
                Time::midnight()
            };
            if self.has_day(date)
                && let Some(time) = self.next_time(begin)
            {
                return Some(date.to_datetime(time));
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn next_time(&self, begin: Time) -> Option<Time> {
        let mut hour = self.hours.from(number(begin.hour()))?;
        loop {
            let is_first = hour == number(begin.hour());
            let from = if is_first { number(begin.minute()) } else { 0 };
            if let Some(minute) = self.minutes.from(from) {
                let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
                return Time::new(hour, minute, 0, 0).ok();
            }
            hour = self.hours.from(hour + 1)?;
        }
    }

    /// Whether a day fits, whose month does.
    fn has_day(&self, date: Date) -> bool {
        let day = self.days.has(number(date.day()));
        let weekday = self
            .weekdays
            .has(number(date.weekday().to_sunday_zero_offset()));
        if self.days.is_star || self.weekdays.is_star {
            day && weekday
        } else {
            day || weekday
        }
    }

    /// Whether a local time fits, to the minute.
    #[cfg(test)]
    pub(super) fn fits(&self, at: DateTime) -> bool {
        self.months.has(number(at.month()))
            && self.has_day(at.date())
            && self.hours.has(number(at.hour()))
            && self.minutes.has(number(at.minute()))
    }

    /// Whether it runs in every hour.
    #[cfg(test)]
    pub(super) fn is_hourly(&self) -> bool {
        FIELDS[1].is_full(self.hours)
    }

    /// Whether such a day is in any month that is named; a day of the week always is.
    fn ever(&self) -> bool {
        let by_weekday = !self.days.is_star && !self.weekdays.is_star;
        let longest = |month: u32| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let first = self.days.from(1).unwrap_or(u32::MAX);
        by_weekday || (1..=12).any(|month| self.months.has(month) && first <= longest(month))
    }
}

fn number(small: i8) -> u32 {
    u32::from(small.unsigned_abs())
}
