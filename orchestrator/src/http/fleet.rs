//! The fleet and what it may do: health, agents, catalogue, inventory.

use std::{collections::BTreeMap, sync::PoisonError};

use axum::{Json, extract::State as Extract};
use chiffon_arbiter::Agent;
use chiffon_common::api::{AgentView, CatalogueView, Health, HostView, InventoryView, Page};

use super::{State, problem::Refused};

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
    let bus = shared.bus.depth(&chiffon_bus::QueueName::results()).await;
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

pub(super) async fn agents(
    Extract(state): Extract<State>,
) -> Result<Json<Page<AgentView>>, Refused> {
    let heard = state.shared.registry.all();
    let mut items = Vec::new();
    for row in state
        .shared
        .store
        .agents(&state.shared.settings.tenant)
        .await?
    {
        let agent: Agent =
            serde_json::from_value(row.doc).map_err(crate::engine::AdvanceError::from)?;
        let latest = heard.get(&agent.agent_id);
        items.push(AgentView {
            kind: agent.kind,
            state: row.state,
            version: latest
                .map(|heard| heard.beat.version.clone())
                .unwrap_or_default(),
            last_seen: latest.map_or(agent.last_seen, |heard| heard.at),
            capabilities: latest
                .map(|heard| heard.beat.capabilities.clone())
                .unwrap_or_default(),
            resources: latest.and_then(|heard| heard.beat.resources.clone()),
            agent_id: agent.agent_id,
        });
    }
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}

pub(super) async fn catalogue(
    Extract(state): Extract<State>,
) -> Result<Json<CatalogueView>, Refused> {
    Ok(Json(state.shared.library.current().await?.catalogue.view()))
}

pub(super) async fn inventory(
    Extract(state): Extract<State>,
) -> Result<Json<InventoryView>, Refused> {
    let loaded = state.shared.library.current().await?;
    let inventory = match loaded.inventory() {
        Ok(inventory) => inventory,
        Err(problem) => {
            return Ok(Json(InventoryView {
                hosts: Vec::new(),
                problem: Some(problem),
            }));
        }
    };
    let host = |host: &crate::inventory::Host| {
        // A host that cannot be reached as it is written is shown with the reason, and the others as ever.
        let key = inventory.unpinned_one(host);
        HostView {
            name: host.name.clone(),
            aliases: host.aliases.clone(),
            groups: host.groups.clone(),
            local: host.is_local(),
            pinned: matches!(key, Ok(None)),
            problem: key.err(),
        }
    };
    Ok(Json(InventoryView {
        hosts: inventory.hosts().map(host).collect(),
        problem: None,
    }))
}
