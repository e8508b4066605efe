//! The public HTTP API over real sockets: tokens, problems, headers, keys, cursors, versions, events, limits and
//! the document of all of it, against the real server with a whole fleet behind it.
//!
//! What the fleet does with what it is asked is left to `fleet`, the command line to `e2e`.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

#[path = "api/client.rs"]
mod client;
#[path = "api/contracts.rs"]
mod contracts;
#[path = "api/control.rs"]
mod control;
#[path = "api/crowd.rs"]
mod crowd;
#[path = "api/cursors.rs"]
mod cursors;
#[path = "api/cuts.rs"]
mod cuts;
#[path = "api/decisions.rs"]
mod decisions;
#[path = "api/dice.rs"]
mod dice;
#[path = "api/doctored.rs"]
mod doctored;
#[path = "api/document.rs"]
mod document;
#[path = "api/events.rs"]
mod events;
#[path = "api/freezes.rs"]
mod freezes;
#[path = "api/headers.rs"]
mod headers;
#[path = "api/keys.rs"]
mod keys;
#[path = "api/limits.rs"]
mod limits;
#[path = "api/listener.rs"]
mod listener;
#[path = "api/plans.rs"]
mod plans;
#[path = "api/problems.rs"]
mod problems;
#[path = "api/records.rs"]
mod records;
#[path = "api/refusals.rs"]
mod refusals;
#[path = "api/resets.rs"]
mod resets;
#[path = "api/rooms.rs"]
mod rooms;
#[path = "api/schedules.rs"]
mod schedules;
#[path = "api/schemathesis.rs"]
mod schemathesis;
#[path = "api/tokens.rs"]
mod tokens;
#[path = "api/versions.rs"]
mod versions;
#[path = "api/wire.rs"]
mod wire;
#[path = "world.rs"]
mod world;
