//! What is known of a room: which requests there were, and which of them were still open when they were last
//! seen. News is what differs.

use std::collections::BTreeMap;

use chiffon_common::{
    RequestId, RoomId,
    api::{Page, RequestView},
};

use crate::{
    client::{Client, ListRequests},
    failure::Failure,
    render::{self, one_line},
    terminal::Paint,
};

/// Requests that are looked at for news; of a room with more, the newest count.
const LOOKED_AT: u32 = 50;

/// Requests that are shown at once.
const SHOWN: usize = 5;

/// How a request was when it was last told.
#[derive(Debug, Clone, Copy)]
struct Told {
    ended: bool,
    /// A person was asked for something.
    waits: bool,
}

impl Told {
    fn now(request: &RequestView) -> Self {
        Self {
            ended: request.ended,
            waits: request.waits_for_person,
        }
    }
}

/// A room and what was told of it.
#[derive(Debug)]
pub(super) struct Room {
    id: RoomId,
    told: BTreeMap<RequestId, Told>,
}

impl Room {
    pub(super) fn new(id: RoomId) -> Self {
        Self {
            id,
            told: BTreeMap::new(),
        }
    }

    pub(super) fn id(&self) -> &RoomId {
        &self.id
    }

    pub(super) fn name(&self) -> &str {
        self.id.as_str()
    }

    /// The last requests, newest first; everything up to here counts as told.
    pub(super) async fn enter(&mut self, client: &Client) -> Result<Vec<RequestView>, Failure> {
        let page = self.page(client).await?;
        for request in &page.items {
            self.told.insert(request.request_id, Told::now(request));
        }
        Ok(page.items.into_iter().take(SHOWN).collect())
    }

    /// The last requests, newest first.
    pub(super) async fn last(&self, client: &Client) -> Result<Vec<RequestView>, Failure> {
        Ok(self.page(client).await?.items)
    }

    /// A request that was followed here, and what was seen of it: of one that was left, the end is still news.
    pub(super) fn own(&mut self, id: RequestId, ended: bool) {
        self.told.insert(id, Told { ended, waits: true });
    }

    /// What happened since, oldest first, a line each.
    pub(super) async fn news(
        &mut self,
        paint: Paint,
        client: &Client,
    ) -> Result<Vec<String>, Failure> {
        let page = self.page(client).await?;
        let mut news: Vec<String> = page
            .items
            .iter()
            .filter_map(|request| self.tell(paint, request))
            .collect();
        news.reverse();
        Ok(news)
    }

    fn tell(&mut self, paint: Paint, request: &RequestView) -> Option<String> {
        let now = Told::now(request);
        let before = self.told.insert(request.request_id, now);
        let state = render::state(paint, &request.state);
        let text = one_line(&request.text, 100);
        let id = request.request_id;
        match before {
            None => {
                let by = one_line(&request.requester, 80);
                Some(format!("  {by} has asked \"{text}\": {state} ({id})"))
            }
            Some(before) if now.ended && !before.ended => {
                Some(format!("  \"{text}\" has ended: {state} ({id})"))
            }
            Some(before) if now.waits && !before.waits => Some(format!(
                "  \"{text}\" waits for a person: {state}; /answer {id}"
            )),
            Some(_) => None,
        }
    }

    async fn page(&self, client: &Client) -> Result<Page<RequestView>, Failure> {
        let list = ListRequests {
            limit: LOOKED_AT,
            room: Some(self.id.to_string()),
            ..ListRequests::default()
        };
        client.requests(&list).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(id: u8, state: &str, ended: bool) -> RequestView {
        serde_json::from_value(json!({
            "request_id": format!("0199e2f4-77a1-7c40-8000-0000000000{id:02}"), "project_id": "default",
            "room_id": "r", "requester": "local:\u{1b}ada", "text": "Ping\nnas", "state": state, "ended": ended,
            "because": "", "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        }))
        .unwrap()
    }

    #[test]
    fn news_is_what_was_not_told_before() {
        let mut room = Room::new("r".parse().unwrap());
        let mut tell = |request: &RequestView| room.tell(Paint::PLAIN, request);
        let new = tell(&request(1, "running", false)).unwrap();
        assert!(
            new.contains("\\u{1b}ada has asked \"Ping nas\": running"),
            "{new}"
        );
        assert_eq!(tell(&request(1, "running", false)), None);
        let ended = tell(&request(1, "completed", true)).unwrap();
        assert!(ended.contains("has ended: completed"), "{ended}");
        assert_eq!(tell(&request(1, "completed", true)), None);
        assert!(tell(&request(3, "running", false)).is_some());
        let mut asks = request(3, "awaiting_approval", false);
        asks.waits_for_person = true;
        let waits = tell(&asks).unwrap();
        assert!(waits.contains("waits for a person"), "{waits}");
        assert_eq!(tell(&asks), None);
        room.own(asks.request_id, false);
        let ended = room.tell(Paint::PLAIN, &request(3, "rejected", true));
        assert!(ended.is_some(), "the end of one that was left is news");
        let own = request(2, "completed", true);
        room.own(own.request_id, true);
        assert_eq!(room.tell(Paint::PLAIN, &own), None);
    }
}
