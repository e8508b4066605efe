//! Whether the fleet is well.

use std::{collections::BTreeMap, sync::PoisonError};

use axum::{Json, extract::State as Extract};
use chiffon_bus::QueueName;
use chiffon_common::api::Health;

use super::State;

/// Tells how the orchestrator and its parts are.
#[utoipa::path(
    get, path = "/health", tag = "short", operation_id = "health",
    responses((status = 200, description = "How it is", body = Health))
)]
pub(super) async fn health(Extract(state): Extract<State>) -> Json<Health> {
    let shared = &state.shared;
    let mut components = BTreeMap::new();
    let mut agents = BTreeMap::new();
    match shared.store.agents(&shared.settings.tenant).await {
        Ok(rows) => {
            components.insert("store".to_owned(), "ok".to_owned());
            for row in rows {
                *agents.entry(row.state).or_insert(0) += 1;
            }
        }
        Err(error) => {
            components.insert("store".to_owned(), error.to_string());
        }
    }
    let bus = shared.bus.depth(&QueueName::results()).await;
    components.insert(
        "bus".to_owned(),
        bus.map_or("queue orchestrator.results is missing", |_| "ok")
            .to_owned(),
    );
    let ledger = shared
        .ledger_fault
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    components.insert(
        "ledger".to_owned(),
        ledger.clone().unwrap_or_else(|| "ok".to_owned()),
    );
    drop(ledger);
    let well = components.values().all(|said| said == "ok");
    let status = if state.draining.is_cancelled() {
        "draining"
    } else if well {
        "ok"
    } else {
        "degraded"
    };
    Json(Health {
        status: status.to_owned(),
        version: shared.settings.version.clone(),
        components,
        agents,
    })
}
