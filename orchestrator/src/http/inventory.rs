//! The inventory: where it may run, and which of it needs a look.

use axum::{Json, extract::State as Extract};
use chiffon_common::{
    HostName,
    api::{HostView, InventoryView},
};

use super::{
    State,
    frame::Trace,
    input::{Id, NoQuery, Nothing, none_such},
    problem::Refused,
};
use crate::{
    engine::Editor,
    inventory::{Host, Inventory},
};

/// Shows every host, or why the inventory does not load.
#[utoipa::path(
    get, path = "/api/v1/inventory", tag = "inventory", operation_id = "show_inventory",
    responses((status = 200, description = "All hosts", body = InventoryView))
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
) -> Result<Json<InventoryView>, Refused> {
    let loaded = state.shared.library.current().await?;
    Ok(Json(match loaded.inventory() {
        Ok(inventory) => {
            let mut hosts = Vec::new();
            for host in inventory.hosts() {
                hosts.push(view(&state, inventory, host).await?);
            }
            InventoryView {
                hosts,
                problem: None,
            }
        }
        Err(problem) => InventoryView {
            hosts: Vec::new(),
            problem: Some(problem),
        },
    }))
}

/// Shows one host.
#[utoipa::path(
    get, path = "/api/v1/inventory/{id}", tag = "inventory", operation_id = "show_host",
    params(("id" = HostName, Path)),
    responses((status = 200, description = "The host", body = HostView))
)]
pub(super) async fn host(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<HostName>,
) -> Result<Json<HostView>, Refused> {
    let loaded = state.shared.library.current().await?;
    let inventory = loaded.inventory()?;
    let host = inventory.hosts().find(|host| host.name == id);
    let host = host.ok_or_else(none_such::<HostName>)?;
    Ok(Json(view(&state, inventory, host).await?))
}

/// A person has looked at a host: how changes ended there is open no more, under none of its names. Said twice is said
/// once. Refused with 5317 while somebody is still asked how one ended.
#[utoipa::path(
    post, path = "/api/v1/inventory/{id}/clear", tag = "inventory", operation_id = "clear_host",
    params(("id" = HostName, Path)),
    responses((status = 200, description = "The host", body = HostView))
)]
pub(super) async fn clear(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Id(id): Id<HostName>,
    _: Nothing,
) -> Result<Json<HostView>, Refused> {
    let loaded = state.shared.library.current().await?;
    let inventory = loaded.inventory()?;
    let host = inventory.host(&id).ok_or_else(none_such::<HostName>)?;
    let editor = Editor {
        by: state.principal.clone(),
        trace,
    };
    state.shared.clear_host(&id, inventory, &editor).await?;
    Ok(Json(view(&state, inventory, host).await?))
}

/// A host that cannot be reached as it is written is shown with the reason, and the others as ever.
async fn view(state: &State, inventory: &Inventory, host: &Host) -> Result<HostView, Refused> {
    let key = inventory.unpinned_one(host);
    Ok(HostView {
        needs_look: state.shared.needs_look(&host.name, Some(inventory)).await?,
        name: host.name.clone(),
        aliases: host.aliases.clone(),
        groups: host.groups.clone(),
        local: host.is_local(),
        pinned: matches!(key, Ok(None)),
        problem: key.err(),
        shares_key_with: inventory.sharing_key(host),
    })
}
