//! The ledger: its commits, newest first. Read from the stored batch rows: the database is the truth, git its
//! projection.

use axum::{Json, extract::State as Extract};
use chiffon_common::api::{LedgerLine, Page};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::List,
    input::{Asked, page_size},
    problem::Refused,
};

/// Which commits to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LedgerQuery {
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Lists the ledger's commits, newest first.
#[utoipa::path(
    get, path = "/api/v1/ledger", tag = "ledger", operation_id = "list_ledger",
    params(LedgerQuery),
    responses((status = 200, description = "A page", body = Page<LedgerLine>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<LedgerQuery>,
) -> Result<Json<Page<LedgerLine>>, Refused> {
    let limit = page_size(asked.limit, 20)?;
    let cursors = List::new("ledger", &[]);
    let before = cursors.place(asked.cursor.as_deref(), |place| place.parse::<u64>().ok())?;
    let (items, next) = state.shared.ledger_lines(before, limit).await?;
    Ok(Json(Page::new(
        items,
        next.map(|next| cursors.cursor(&next.to_string())),
    )))
}
