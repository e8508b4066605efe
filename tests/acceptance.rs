//! RFC-ARB-0001 as a suite: one module for each section, one test for each thing that MUST be, in the order of the
//! document. Beside it, the stores of the control plane and of the fleet in a real Postgres.
//!
//! Everything is seen from outside, over HTTP, but for what only files and programs can show. The suite runs against
//! `arbiter serve` and against the orchestrator, which it starts itself, or against any other control plane:
//!
//! ```text
//! CHIFFON_ARBITER_URL=http://127.0.0.1:8440 CHIFFON_ARBITER_TOKEN=... cargo test -p chiffon-tests --test acceptance
//! ```
//!
//! Then the tests that need a configuration of their own say that they did not run. See `acceptance/target.rs` for what
//! the other one has to permit.

#[path = "e2e/ansible.rs"]
mod ansible;
#[path = "acceptance/fleet_store.rs"]
mod fleet_store;
#[path = "acceptance/orchestrator.rs"]
mod orchestrator;
#[path = "acceptance/postgres.rs"]
mod postgres;
#[path = "acceptance/target.rs"]
mod target;
#[path = "acceptance/tls.rs"]
mod tls;

#[path = "acceptance/section_06_contracts.rs"]
mod section_06_contracts;
#[path = "acceptance/section_07_pipeline.rs"]
mod section_07_pipeline;
#[path = "acceptance/section_08_idempotency.rs"]
mod section_08_idempotency;
#[path = "acceptance/section_09_gate.rs"]
mod section_09_gate;
#[path = "acceptance/section_10_planner.rs"]
mod section_10_planner;
#[path = "acceptance/section_11_authorization.rs"]
mod section_11_authorization;
#[path = "acceptance/section_12_audit.rs"]
mod section_12_audit;
#[path = "acceptance/section_13_api.rs"]
mod section_13_api;
#[path = "acceptance/section_14_configuration.rs"]
mod section_14_configuration;
#[path = "acceptance/section_15_single_binary.rs"]
mod section_15_single_binary;
#[path = "acceptance/section_16_determinism.rs"]
mod section_16_determinism;
#[path = "acceptance/section_17_security.rs"]
mod section_17_security;
#[path = "acceptance/section_18_completion.rs"]
mod section_18_completion;

use chiffon_tests::authorizer;
