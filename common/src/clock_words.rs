//! Moments in words for people who read them today.

use jiff::Timestamp;

/// A moment by this form of `strftime` for its time of day: with the day in front where that is another than the one of
/// `now`, and always with the zone.
pub fn clock_words(at: Timestamp, now: Timestamp, time: &str) -> String {
    let day = |moment: Timestamp| moment.strftime("%Y-%m-%d").to_string();
    let clock = at.strftime(time);
    match day(at) == day(now) {
        true => format!("{clock} UTC"),
        false => format!("{} {clock} UTC", day(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_said_where_it_is_not_today() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-29T23:30:00Z");
        let words = |text: &str| clock_words(at(text), now, "%H:%M");
        assert_eq!(words("2026-11-29T00:00:59Z"), "00:00 UTC");
        assert_eq!(words("2026-11-28T23:59:59Z"), "2026-11-28 23:59 UTC");
        assert_eq!(words("2026-11-30T00:05:00Z"), "2026-11-30 00:05 UTC");
    }
}
