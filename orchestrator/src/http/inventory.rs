//! The inventory: where it may run.

use axum::{Json, extract::State as Extract};
use chiffon_common::{
    HostName,
    api::{HostView, InventoryView},
};

use super::{
    State,
    input::{Id, NoQuery, none_such},
    problem::Refused,
};
use crate::inventory::{Host, Inventory};

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
        Ok(inventory) => InventoryView {
            hosts: inventory
                .hosts()
                .map(|host| view(inventory, host))
                .collect(),
            problem: None,
        },
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
    Ok(Json(view(inventory, host)))
}

/// A host that cannot be reached as it is written is shown with the reason, and the others as ever.
fn view(inventory: &Inventory, host: &Host) -> HostView {
    let key = inventory.unpinned_one(host);
    HostView {
        name: host.name.clone(),
        aliases: host.aliases.clone(),
        groups: host.groups.clone(),
        local: host.is_local(),
        pinned: matches!(key, Ok(None)),
        problem: key.err(),
    }
}
