//! What `GET /v0/contracts` answers (RFC-ARB-0001, section 13): versions, actions, limits and the schemas as committed.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{MAX_CONTRACT_BYTES, MAX_CONTRACT_DEPTH};
use crate::MAX_TEXT_CHARS;

/// Which contracts are spoken here.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Contracts {
    /// Versions that are understood.
    pub versions: Vec<u32>,
    /// Actions that a plan can hold, and those that are reserved.
    pub actions: ContractActions,
    /// Bounds of what is read.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub limits: Map<String, Value>,
    /// JSON Schemas (2020-12) by the name of the contract.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub schemas: Map<String, Value>,
}

/// The actions of section 6.3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContractActions {
    /// A plan can hold these.
    pub active: Vec<String>,
    /// No plan holds these.
    pub reserved: Vec<String>,
}

macro_rules! schemas {
    ($($name:literal),+ $(,)?) => {
        /// The committed schemas of the contracts: name, text.
        pub const CONTRACT_SCHEMAS: &[(&str, &str)] = &[$((
            $name,
            include_str!(concat!("../../../docs/contracts/v0/", $name, ".schema.json")),
        ),)+];
    };
}

schemas! {
    "event",
    "response_plan",
    "action",
    "generation_result",
    "action_result",
    "action_receipt",
    "authz_request",
    "authz_decision",
}

/// The contracts of a program; the two reserved actions are active where text can start work.
///
/// # Errors
/// Never, as a test holds: where a committed schema is no JSON.
pub fn contracts(jobs: bool) -> Result<Contracts, serde_json::Error> {
    let mut active = vec![
        "do_nothing",
        "request_generation",
        "send_message",
        "send_reply",
    ];
    let mut reserved = vec!["start_agent_job", "request_approval"];
    if jobs {
        active.append(&mut reserved);
    }
    let named = |actions: Vec<&str>| actions.into_iter().map(str::to_owned).collect();
    let mut schemas = Map::new();
    for (name, text) in CONTRACT_SCHEMAS {
        schemas.insert((*name).to_owned(), serde_json::from_str(text)?);
    }
    let limits = Map::from_iter([
        ("body_bytes".to_owned(), json!(MAX_CONTRACT_BYTES)),
        ("depth".to_owned(), json!(MAX_CONTRACT_DEPTH)),
        ("text_characters".to_owned(), json!(MAX_TEXT_CHARS)),
    ]);
    Ok(Contracts {
        versions: vec![0],
        actions: ContractActions {
            active: named(active),
            reserved: named(reserved),
        },
        limits,
        schemas,
    })
}
