//! The event stream: `GET /api/v1/events/stream` (Server-Sent Events) and `GET /api/v1/events`, in the data
//! shape of document 001.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One event. In the stream its `id:` is the number in [`id`](Self::id), its `event:` the type, and its
/// `data:` this object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventView {
    /// `evt-124`: 124 is its number; numbers rise without holes.
    pub id: String,
    /// `agent.spawned`, `bead.created`, `decision.resolved`, `log.message`, `request.completed`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, by the orchestrator's clock.
    pub timestamp: Timestamp,
    /// What happened: `project_id` and the ids it concerns, the state before and after, why, and by whom.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub data: Map<String, Value>,
}

/// Why a reader of events has to fetch everything anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// It asked to go on further back than is told again.
    TooOld,
    /// It read more slowly than events came.
    TooSlow,
    /// It asked to go on after an event that has not happened: the data was restored from a backup.
    FromTheFuture,
}

/// A part of the stream: `GET /api/v1/events?after=`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventsPage {
    /// Events after the number that was given, lowest first.
    pub items: Vec<EventView>,
    /// Pass it as `after` next time: events up to here were looked at.
    pub next_after: u64,
    /// The number of the last event there is; there is more to read while `next_after` is lower.
    pub head: u64,
    /// Present where `after` is higher than `head`: fetch everything anew, and go on from `next_after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetReason>,
}
