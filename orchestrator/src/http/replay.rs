//! Telling a request again: nothing is changed by it, so it takes no key.

use axum::{Json, extract::State as Extract};
use chiffon_common::{RequestId, api::ReplayReport};

use super::{
    State,
    input::{Id, NoQuery, Nothing},
    problem::Refused,
};

/// Runs the recorded events of a request through the arbiter again, and holds every move against its audit record and
/// the stored rows.
#[utoipa::path(
    post, path = "/api/v1/requests/{id}/replay", tag = "requests", operation_id = "replay_request",
    params(("id" = RequestId, Path)),
    responses((status = 200, description = "What came out, and what came out otherwise", body = ReplayReport))
)]
pub(super) async fn replay(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<RequestId>,
    _: Nothing,
) -> Result<Json<ReplayReport>, Refused> {
    Ok(Json(state.shared.replay(id).await?))
}
