//! The inventory: where it may run, and where a person should look first.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{HostName, Problem, RequestId};

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
    /// Other hosts for which the same key is pinned, though by their addresses they are other machines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares_key_with: Vec<HostName>,
    /// Why a person should look at it before anything else is asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_look: Option<NeedsLook>,
}

/// What a change did on this machine is not known: contact with it was lost, or it was cut off or stopped on its way, and
/// nobody has said since how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NeedsLook {
    /// Since when.
    pub since: Timestamp,
    /// What is open, for people.
    pub because: String,
    /// The request whose change it was; the first, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The other requests of which the same is to be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<RequestId>,
    /// The first of these requests of which it may still be said how its change ended, and is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<RequestId>,
}

impl NeedsLook {
    /// In words, for whoever reads of this host.
    pub fn words(&self, host: &HostName) -> String {
        let Self {
            since,
            because,
            request_id,
            others,
            asked: _,
        } = self;
        let of = request_id.map_or_else(String::new, |id| format!(" of request {id}"));
        let since = since.strftime("%Y-%m-%d %H:%M UTC");
        let others = match others.as_slice() {
            [] => String::new(),
            [one] => format!("; so is how one of request {one} did"),
            [one, more @ ..] => {
                let count = more.len();
                format!("; so is how one of request {one} did, and of {count} more")
            }
        };
        format!(
            "{host} needs a look since {since}: how a change{of} ended there is open ({because}){others}"
        )
    }
}
