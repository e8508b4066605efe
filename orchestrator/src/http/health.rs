//! Whether the fleet is well.

use std::{collections::BTreeMap, sync::PoisonError};

use axum::{Json, extract::State as Extract};
use chiffon_bus::QueueName;
use chiffon_common::{
    ErrorCode, Problem,
    api::{Alive, Health},
};

use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    input::{Asked, NoQuery},
    problem::Refused,
};

/// Tells how the orchestrator and its parts are.
#[utoipa::path(
    get, path = "/health", tag = "short", operation_id = "health",
    params(HealthQuery),
    responses((status = 200, description = "How it is", body = Health))
)]
pub(super) async fn health(
    Extract(state): Extract<State>,
    Asked(asked): Asked<HealthQuery>,
) -> Json<Health> {
    if asked.read_database
        && let Err(error) = state.shared.store.look_at_pages().await
    {
        tracing::warn!(%error, "the database could not be read to its end");
    }
    Json(look(&state).await)
}

/// How closely to look.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HealthQuery {
    /// Whether every page of the database is read first, which takes a while where it is large.
    #[serde(default)]
    read_database: bool,
}

/// Tells that the process answers: for whoever would start it again otherwise.
#[utoipa::path(
    get, path = "/healthz", tag = "short", operation_id = "alive",
    responses((status = 200, description = "It answers", body = Alive))
)]
pub(super) async fn alive() -> Json<Alive> {
    Json(Alive {
        status: "ok".to_owned(),
    })
}

/// Tells whether it can do its work: for whoever would send it requests otherwise.
#[utoipa::path(
    get, path = "/readyz", tag = "short", operation_id = "ready",
    responses(
        (status = 200, description = "It can", body = Health),
        (status = 503, description = "It cannot, or drains; `detail` says what is wrong")
    )
)]
pub(super) async fn ready(
    Extract(state): Extract<State>,
    _: NoQuery,
) -> Result<Json<Health>, Refused> {
    let health = look(&state).await;
    // A ledger that cannot be written holds nothing up (R41).
    let wrong: Vec<String> = health
        .components
        .iter()
        .filter(|(name, said)| *said != "ok" && !name.starts_with("ledger"))
        .map(|(name, said)| format!("{name}: {said}"))
        .collect();
    if health.status == "draining" {
        let detail = "Chiffon is shutting down and takes nothing new";
        return Err(Problem::new(ErrorCode::ShuttingDown, detail, "ask another one").into());
    }
    if !wrong.is_empty() {
        let todo = "run `chiffon doctor` on its machine";
        return Err(Problem::new(ErrorCode::StoreUnavailable, wrong.join("; "), todo).into());
    }
    Ok(Json(health))
}

async fn look(state: &State) -> Health {
    let shared = &state.shared;
    let mut components = BTreeMap::new();
    let mut agents = BTreeMap::new();
    match shared.store.agents(&shared.settings.tenant).await {
        Ok(rows) => {
            let damage = shared.store.damage();
            let said = damage.or_else(|| shared.store_fault());
            let said = said.unwrap_or_else(|| "ok".to_owned());
            components.insert("store".to_owned(), said);
            for row in rows {
                *agents.entry(row.state).or_insert(0) += 1;
            }
        }
        Err(error) => {
            components.insert("store".to_owned(), error.to_string());
        }
    }
    let frozen = match shared.freeze_row().await {
        Ok(row) => row.frozen,
        // Said above already, as a fault of the store.
        Err(_) => None,
    };
    let bus = match shared.bus.trouble() {
        Some(trouble) => trouble,
        None => match shared.bus.depth(&QueueName::results()).await {
            Some(_) => "ok".to_owned(),
            None => "queue orchestrator.results is missing".to_owned(),
        },
    };
    components.insert("bus".to_owned(), bus);
    // One that ends looks at nothing any more.
    let ledger = match state.draining.is_cancelled() {
        true => None,
        false => shared.ledger_state().await,
    };
    let said = ledger.unwrap_or_else(|| "ok".to_owned());
    components.insert("ledger".to_owned(), said);
    if shared.settings.ledger_remote.is_some() {
        // What nobody has tried yet is neither well nor broken.
        let known = shared.remote_state().await;
        components.extend(known.map(|said| ("ledger_remote".to_owned(), said)));
    }
    let parts = shared
        .part_faults
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    components.extend(parts.clone());
    drop(parts);
    for agent in shared.registry.all().keys() {
        if let Some(fault) = shared.agent_fault(agent) {
            components.insert(format!("agent {agent}"), fault);
        }
    }
    let well = components.values().all(|said| said == "ok");
    let status = if state.draining.is_cancelled() {
        "draining"
    } else if well {
        "ok"
    } else {
        "degraded"
    };
    Health {
        status: status.to_owned(),
        version: shared.settings.version.clone(),
        components,
        agents,
        frozen,
        notices: shared
            .notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
    }
}
