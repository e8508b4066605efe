//! Ids as people type them: whole, or the beginning of one.

use chiffon_common::RequestId;

use super::{Client, ListRequests};
use crate::{exit::Exit, failure::Failure};

/// More than that never lies between two prefixes that people type.
const MOST_PAGES: usize = 20;

/// The shortest abbreviation of a request id.
const SHORTEST: usize = 6;

impl Client {
    /// The request that is meant by an id or by the beginning of one.
    pub async fn resolve(&self, text: &str) -> Result<RequestId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let prefix = text.to_ascii_lowercase();
        let is_prefix = prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if !is_prefix || prefix.len() < SHORTEST {
            return Err(Failure::usage(
                format!("{text:?} is no request id."),
                format!(
                    "Give the id or at least its first {SHORTEST} characters; `chiffon request list` shows them."
                ),
            ));
        }
        let found = self.ids_that_begin_with(&prefix).await?;
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::plain(
                Exit::NotFound,
                format!("No request begins with {prefix}."),
                "`chiffon request list` shows the requests there are.",
            )),
            several => Err(Failure::usage(
                format!("{} requests begin with {prefix}.", several.len()),
                "Give more characters; `chiffon request list` shows the ids.",
            )),
        }
    }

    async fn ids_that_begin_with(&self, prefix: &str) -> Result<Vec<RequestId>, Failure> {
        let mut list = ListRequests {
            limit: 500,
            ..ListRequests::default()
        };
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.requests(&list).await?;
            let ids = page.items.iter().map(|request| request.request_id);
            found.extend(ids.filter(|id| id.to_string().starts_with(prefix)));
            match page.next_cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => break,
            }
        }
        Ok(found)
    }
}
