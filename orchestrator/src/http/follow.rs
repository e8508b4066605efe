//! Following one request by long poll: its state and its output lines, from where the follower stands.

use std::time::Duration;

use axum::{Json, extract::State as Extract};
use chiffon_common::{
    RequestId,
    api::{Follow, LogLine},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    input::{Asked, Id},
    problem::Refused,
    requests::view,
};
use crate::engine::Changed;

/// How long a follower waits for something new. Below the idle limits of common proxies.
const FOLLOW: Duration = Duration::from_secs(25);
/// Lines in one answer to a follower.
pub(super) const LINES: u32 = 1000;

/// Where a follower stands.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct FollowQuery {
    /// `last_line` of the answer before.
    #[serde(default)]
    after: u64,
    /// `version` of the answer before.
    #[serde(default)]
    version: u64,
}

/// Waits for something new about a request.
///
/// Answers at once if there is something newer than the follower has, else as soon as there is, and after 25
/// seconds in any case.
#[utoipa::path(
    get, path = "/api/v1/requests/{id}/follow", tag = "requests", operation_id = "follow_request",
    params(("id" = RequestId, Path), FollowQuery),
    responses((status = 200, description = "How it stands, and what it said", body = Follow))
)]
pub(super) async fn follow(
    Extract(state): Extract<State>,
    Id(id): Id<RequestId>,
    Asked(asked): Asked<FollowQuery>,
) -> Result<Json<Follow>, Refused> {
    // Listening begins before looking, so nothing falls between the two.
    let mut changes = state.shared.changes.subscribe();
    state.shared.care_for(id);
    let waited = tokio::time::sleep(FOLLOW);
    tokio::pin!(waited);
    loop {
        let found = look(&state, id, &asked).await?;
        let newer = found.version > asked.version || !found.lines.is_empty();
        if newer || waited.is_elapsed() || state.ending.is_cancelled() {
            return Ok(Json(found));
        }
        loop {
            tokio::select! {
                () = &mut waited => break,
                () = state.ending.cancelled() => break,
                changed = changes.recv() => match changed {
                    Ok(Changed::Request(other)) if other != id => {}
                    // Lagging behind means that anything may have changed.
                    Ok(_) | Err(_) => break,
                },
            }
        }
    }
}

async fn look(state: &State, id: RequestId, asked: &FollowQuery) -> Result<Follow, Refused> {
    let (request, version) = view(state, id).await?;
    // The ledger's commit comes after the last move and moves nothing: it counts as one version more.
    let version = version * 2 + u64::from(request.ledger_commit.is_some());
    let after = asked.after.min(i64::MAX as u64);
    let rows = state.shared.store.logs(id, after, LINES).await?;
    let last_line = rows.last().map_or(asked.after, |row| row.id);
    Ok(Follow {
        request,
        version,
        lines: rows.into_iter().map(line).collect(),
        last_line,
    })
}

/// One output line.
pub(super) fn line(row: chiffon_store::LogRow) -> LogLine {
    LogLine {
        id: row.id,
        task_id: row.task_id,
        attempt: row.attempt,
        ts: row.ts,
        line: row.line,
    }
}
