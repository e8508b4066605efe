//! The fleet: agents and health.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AgentId, AgentKind, Frozen, ResourceMetrics};

/// One member of the fleet: `GET /api/v1/agents`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AgentView {
    /// Its id.
    pub agent_id: AgentId,
    /// Its kind.
    pub kind: AgentKind,
    /// `spawned`, `idle`, `working`, `blocked`, `shutdown`, `lost`.
    pub state: String,
    /// `active` or `inactive`: whether a person lets it have new work.
    pub status: String,
    /// Version of its program.
    pub version: String,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    /// What it can do.
    pub capabilities: BTreeMap<String, String>,
    /// Its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceMetrics>,
}

/// `GET /health`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// `ok`, `degraded`, `draining`.
    pub status: String,
    /// Version of the program.
    pub version: String,
    /// By component: `ok` or what is wrong.
    pub components: BTreeMap<String, String>,
    /// Agents by state.
    pub agents: BTreeMap<String, u64>,
    /// Who froze the fleet and why, while it is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// What people should know although nothing suffers from it, such as a refused proposal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// `GET /api/v1/freeze`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FreezeView {
    /// Who froze the fleet, since when, and why; null while nothing holds it up.
    pub frozen: Option<Frozen>,
}

/// `PUT /api/v1/freeze`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Why; shown to everybody who meets it.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// `GET /healthz`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alive {
    /// `ok`: whoever can say so is alive.
    pub status: String,
}

/// A person's word about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// It gets work.
    Active,
    /// It gets no new work; what it has in hand goes on.
    Inactive,
}

impl AgentStatus {
    /// Its name, as it stands in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
        }
    }
}

/// `PATCH /api/v1/agents/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentEdit {
    /// Whether it gets new work.
    pub status: AgentStatus,
}
