//! Values of the contracts read as their schemas have them, so that schema and program take and refuse the same: a whole
//! number is whole however it is written (`0.0`), and a time is one of RFC 3339 that can be counted with.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

/// The times that the contracts know, beside what `format: date-time` says: no leap second, at most nanoseconds, and a
/// year from 0000 to 9998 also in UTC, in which it is written: the first and the last year are taken without an offset.
#[cfg(feature = "openapi")]
pub(super) const TIME: &str = r"^((000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-7])-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})|(0000|9998)-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?[Zz])$";

/// A whole number that is not negative: the schemas know no other.
pub(crate) fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    number_of(&number).ok_or_else(|| refused(&number))
}

/// The same where it may be left out.
pub(super) fn whole_if_there<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else {
        return Ok(None);
    };
    number_of(&number).map(Some).ok_or_else(|| refused(&number))
}

fn refused<E: de::Error>(number: &serde_json::Number) -> E {
    E::custom(format!(
        "invalid value {number}, expected a whole number within bounds"
    ))
}

fn number_of<T: TryFrom<u64>>(number: &serde_json::Number) -> Option<T> {
    /// Up to here every whole number has a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = match number.as_u64() {
        Some(whole) => whole,
        None => {
            let float = number.as_f64()?;
            let is_whole = float.fract() == 0.0 && (0.0..=EXACT).contains(&float);
            // The text of a whole float is that of the number.
            is_whole
                .then(|| format!("{:.0}", float.abs()))?
                .parse()
                .ok()?
        }
    };
    T::try_from(whole).ok()
}

/// A time of RFC 3339.
pub(crate) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    let wrong = || {
        de::Error::custom(
            "it is no time; one of RFC 3339 is wanted, such as 2026-01-02T03:04:05Z, in a year up to 9998",
        )
    };
    if !is_time(text.as_bytes()) {
        return Err(wrong());
    }
    text.parse().map_err(|_| wrong())
}

/// Whether a text is a time in form. That there is such a day and hour is left to the calendar.
fn is_time(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let (fraction, offset) = match rest.strip_prefix(b".") {
        None => (None, rest),
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (Some(digits), &rest[digits..])
        }
    };
    // An offset could bring it into a year that is not taken when what was written is read again.
    let is_edge = matches!(&date[..4], b"0000" | b"9998");
    let is_offset = match offset {
        b"Z" | b"z" => true,
        _ if is_edge => false,
        [b'+' | b'-', time @ ..] => {
            fits(time, b"##:##") && time[..2] <= b"23"[..] && time[3..] <= b"59"[..]
        }
        _ => false,
    };
    (fits(date, b"####-##-##T##:##:##") || fits(date, b"####-##-##t##:##:##"))
        && date[..4] <= b"9998"[..]
        && date[17..] <= b"59"[..]
        && fraction.is_none_or(|digits| (1..=9).contains(&digits))
        && is_offset
}

/// `#` is a digit, everything else itself.
fn fits(text: &[u8], form: &[u8]) -> bool {
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'#' => byte.is_ascii_digit(),
        form => byte == form,
    };
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Values {
        #[serde(deserialize_with = "whole")]
        v: u32,
        #[serde(default, deserialize_with = "whole_if_there")]
        ms: Option<u64>,
    }

    #[test]
    fn a_whole_number_is_whole_however_it_is_written() {
        let read = |text: &str| serde_json::from_str::<Values>(text);
        for v in ["0", "0.0", "-0", "-0.0", "0e5"] {
            assert_eq!(read(&format!("{{\"v\":{v}}}")).unwrap().v, 0, "{v}");
        }
        let values = read(r#"{"v":7.0,"ms":6e4}"#).unwrap();
        assert_eq!((values.v, values.ms), (7, Some(60_000)));
        for v in ["0.5", "-1", "1e300", "4294967296", "\"0\"", "null", "[0]"] {
            assert!(read(&format!("{{\"v\":{v}}}")).is_err(), "{v}");
        }
        assert!(read("{}").is_err(), "it is required");
    }

    #[test]
    fn a_time_is_one_that_can_be_counted_with() {
        let read = |text: &str| {
            let text = serde_json::Value::from(text);
            time(text).map_err(|error| error.to_string())
        };
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02t03:04:05.123456789z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+23:59",
            "9997-12-31T23:59:59-23:59",
            "9998-12-31T23:59:59.999999999Z",
        ] {
            let taken = read(text).unwrap();
            let written = serde_json::to_value(taken).unwrap();
            assert_eq!(read(written.as_str().unwrap()), Ok(taken), "{text}");
        }
        for text in [
            "",
            "2026-01-02",
            "2026-01-02 03:04:05Z",
            "2026-01-02T03:04Z",
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:60Z",
            "2026-01-02T24:00:00Z",
            "2026-02-30T03:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05.1234567890Z",
            "2026-01-02T03:04:05+24:00",
            "2026-01-02T03:04:05+0100",
            "2026-01-02T03:04:05Z[UTC]",
            "9999-12-31T23:59:59Z",
            "9998-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
            "-000001-01-02T03:04:05Z",
            "2026-01-0\u{663}T03:04:05Z",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
