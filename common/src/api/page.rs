//! Pages of lists.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Problem, RequestId};

/// A page of a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// In the order of the list: newest first where nothing else is said.
    pub items: Vec<T>,
    /// What belongs on this page, but cannot be read from the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<UnreadableRow>,
    /// Pass it as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of which everything could be read.
    pub fn new(items: Vec<T>, next_cursor: Option<String>) -> Self {
        Self {
            items,
            unreadable: Vec::new(),
            next_cursor,
        }
    }
}

/// What is known of a row whose document cannot be read, or belongs to a request one of whose documents cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UnreadableRow {
    /// `request`, `task`, `decision`, `plan`.
    pub kind: String,
    /// Its id; that of the request for a plan.
    pub id: String,
    /// The request that it belongs to.
    pub request_id: RequestId,
    /// The state that it is listed under; a plan has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// When it came.
    pub created_at: Timestamp,
    /// What cannot be read, and what to do.
    pub problem: Problem,
}
