//! The fleet as several programs: a real RabbitMQ, a real Postgres, and `chiffon-orchestrator`, `chiffon-agent-infra` and
//! `chiffon-agent-desktop` as processes on loopback, each with a data folder of its own.

#[path = "programs/alone.rs"]
mod alone;
#[path = "e2e/ansible.rs"]
mod ansible;
#[path = "programs/bad.rs"]
mod bad;
#[path = "programs/together.rs"]
mod together;
#[path = "programs/two.rs"]
mod two;
#[path = "programs/yard.rs"]
mod yard;
