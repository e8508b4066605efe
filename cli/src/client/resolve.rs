//! Ids as people type them: whole, or the beginning of one.

use std::fmt::Display;

use chiffon_common::{DecisionId, RequestId, ScheduleId};

use super::{Client, ListDecisions, ListRequests};
use crate::{exit::Exit, failure::Failure};

/// More than that never lies between two prefixes that people type.
const MOST_PAGES: usize = 20;

/// The shortest abbreviation of an id.
const SHORTEST: usize = 6;

/// What is looked for, in words.
struct Noun {
    one: &'static str,
    /// The command that lists them.
    list: &'static str,
}

const REQUEST: Noun = Noun {
    one: "request",
    list: "chiffon request list",
};
const SCHEDULE: Noun = Noun {
    one: "schedule",
    list: "chiffon schedule list",
};
const DECISION: Noun = Noun {
    one: "decision",
    list: "chiffon decision list --all",
};

impl Client {
    /// The request that is meant by an id or by the beginning of one.
    pub async fn resolve(&self, text: &str) -> Result<RequestId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let prefix = REQUEST.prefix(text)?;
        let mut list = ListRequests {
            limit: 500,
            ..ListRequests::default()
        };
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.requests(&list).await?;
            let spoiled = page.unreadable.iter().map(|row| row.request_id);
            let ids = page.items.iter().map(|request| request.request_id);
            let ids = ids.chain(spoiled);
            found.extend(ids.filter(|id| id.to_string().starts_with(&prefix)));
            match page.next_cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => break,
            }
        }
        REQUEST.the_only(&prefix, &found)
    }

    /// The decision that is meant by an id or by the beginning of one.
    pub async fn resolve_decision(&self, text: &str) -> Result<DecisionId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let prefix = DECISION.prefix(text)?;
        let mut list = ListDecisions {
            limit: 500,
            ..ListDecisions::default()
        };
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.decisions(&list).await?;
            let spoiled = page.unreadable.iter().filter_map(|row| row.id.parse().ok());
            let ids = page.items.iter().map(|decision| decision.decision_id);
            let ids = ids.chain(spoiled);
            found.extend(ids.filter(|id| id.to_string().starts_with(&prefix)));
            match page.next_cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => break,
            }
        }
        DECISION.the_only(&prefix, &found)
    }

    /// The schedule that is meant by an id or by the beginning of one.
    pub async fn resolve_schedule(&self, text: &str) -> Result<ScheduleId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let prefix = SCHEDULE.prefix(text)?;
        let mut found = Vec::new();
        let mut cursor = None;
        for _ in 0..MOST_PAGES {
            let page = self.schedules(500, cursor.as_deref(), None).await?;
            let ids = page.items.iter().map(|schedule| schedule.schedule_id);
            found.extend(ids.filter(|id| id.to_string().starts_with(&prefix)));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        SCHEDULE.the_only(&prefix, &found)
    }
}

impl Noun {
    fn prefix(&self, text: &str) -> Result<String, Failure> {
        let prefix = text.to_ascii_lowercase();
        let is_prefix = prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if is_prefix && prefix.len() >= SHORTEST {
            return Ok(prefix);
        }
        let Self { one, list } = self;
        let shown = crate::render::one_line(text, 80);
        // Nothing can have such an id, so there is none of it.
        if !is_prefix {
            let todo = format!("`{list}` shows the {one}s there are.");
            return Err(Failure::plain(
                Exit::NotFound,
                format!("There is no {one} \"{shown}\"."),
                todo,
            ));
        }
        Err(Failure::usage(
            format!("{shown:?} is no {one} id."),
            format!(
                "Give the id or at least its first {SHORTEST} characters; `{list}` shows them."
            ),
        ))
    }

    fn the_only<I: Copy + Display>(&self, prefix: &str, found: &[I]) -> Result<I, Failure> {
        let Self { one, list } = self;
        match found {
            [id] => Ok(*id),
            [] => Err(Failure::plain(
                Exit::NotFound,
                format!("No {one} begins with {prefix}."),
                format!("`{list}` shows the {one}s there are."),
            )),
            several => Err(Failure::usage(
                format!("{} {one}s begin with {prefix}.", several.len()),
                format!("Give more characters; `{list}` shows the ids."),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_beginning_that_leads_to_one_is_an_id() {
        assert_eq!(DECISION.prefix("0199E2F4").unwrap(), "0199e2f4");
        for (bad, exit) in [
            ("", Exit::Usage),
            ("0199", Exit::Usage),
            ("0199e2xx", Exit::NotFound),
            ("nightly", Exit::NotFound),
            ("\u{1b}[2J0199", Exit::NotFound),
        ] {
            let failure = DECISION.prefix(bad).unwrap_err();
            assert_eq!(failure.exit, exit, "{bad:?}");
            assert!(!failure.what.contains('\u{1b}'), "{failure:?}");
        }
        assert_eq!(DECISION.the_only("a", &[7]), Ok(7));
        let none = DECISION.the_only::<u8>("a", &[]).unwrap_err();
        assert_eq!(none.exit, Exit::NotFound);
        let two = DECISION.the_only("a", &[7, 8]).unwrap_err();
        assert!(two.what.contains("2 decisions begin with a"), "{two:?}");
    }
}
