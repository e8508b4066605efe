//! The inventory: where it may run.

use serde::{Deserialize, Serialize};

use crate::{HostName, Problem};

/// `GET /api/v1/inventory`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InventoryView {
    /// Every host.
    pub hosts: Vec<HostView>,
    /// Why the inventory does not load, where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// One host of the inventory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostView {
    /// Its name.
    pub name: HostName,
    /// What else people call it.
    pub aliases: Vec<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Whether it is the machine of the agent itself.
    pub local: bool,
    /// Whether its key is pinned, or it needs none.
    pub pinned: bool,
    /// Why nothing can run there as it is written, such as an address that is a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}
