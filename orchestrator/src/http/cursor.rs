//! Cursors (A4): a place in one list with its filters. A cursor of another list, or of the same with other
//! filters, is refused instead of giving a page that means nothing.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chiffon_common::{Digest, ErrorCode, FieldError, Problem};
use jiff::Timestamp;

use super::problem::Refused;

/// A list with its filters.
#[derive(Debug)]
pub(super) struct List {
    mark: String,
}

impl List {
    /// `filters` in a fixed order, absent ones empty.
    pub(super) fn new(name: &str, filters: &[&str]) -> Self {
        let parts = std::iter::once(name).chain(filters.iter().copied());
        let digest = Digest::of_parts(parts.map(str::as_bytes));
        Self {
            mark: digest.short(),
        }
    }

    /// The cursor of a place.
    pub(super) fn cursor(&self, place: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{place}", self.mark))
    }

    /// The place of a cursor, read by the list.
    pub(super) fn place<T>(
        &self,
        cursor: Option<&str>,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap_or_default();
        let text = String::from_utf8(bytes).unwrap_or_default();
        let place = text
            .split_once(':')
            .filter(|(mark, _)| *mark == self.mark)
            .and_then(|(_, place)| read(place));
        place.map(Some).ok_or_else(foreign)
    }
}

fn foreign() -> Refused {
    let what = "the cursor is not one of this list with these filters";
    let field = FieldError::query("cursor", "not of this list");
    Problem::new(
        ErrorCode::MalformedMessage,
        what,
        "begin again without a cursor",
    )
    .at(field)
    .into()
}

/// A place by time and id.
pub(super) fn timed(at: Timestamp, id: impl std::fmt::Display) -> String {
    format!("{}_{id}", at.as_microsecond())
}

/// Reads what [`timed`] wrote.
pub(super) fn read_timed<T: std::str::FromStr>(place: &str) -> Option<(Timestamp, T)> {
    let (at, id) = place.split_once('_')?;
    Some((
        Timestamp::from_microsecond(at.parse().ok()?).ok()?,
        id.parse().ok()?,
    ))
}

/// Cuts a page off one element more than it has, and the cursor of the next where there is one.
pub(super) fn page<T>(
    mut rows: Vec<T>,
    limit: u32,
    cursor: impl FnOnce(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    (rows, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_list_and_filters() {
        let list = List::new("requests", &["lab", ""]);
        let cursor = list.cursor("17");
        let read = |place: &str| place.parse::<u32>().ok();
        assert_eq!(list.place(Some(&cursor), read).unwrap(), Some(17));
        assert_eq!(list.place(None, read).unwrap(), None);
        for other in [
            List::new("requests", &["", "lab"]),
            List::new("tasks", &["lab", ""]),
        ] {
            assert!(other.place(Some(&cursor), read).is_err());
        }
        let foreign = list.cursor("x");
        for bad in ["", "17", "!!", &foreign] {
            assert!(list.place(Some(bad), read).is_err(), "{bad}");
        }
    }
}
