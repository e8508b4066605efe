//! The main job with the real program, real playbooks, a real Ansible and real hosts: this machine, and a second
//! one over SSH to a private sshd.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

#[path = "e2e/ansible.rs"]
mod ansible;
#[path = "e2e/bad_input.rs"]
mod bad_input;
#[path = "e2e/changes.rs"]
mod changes;
#[path = "e2e/commands.rs"]
mod commands;
#[path = "e2e/damage.rs"]
mod damage;
#[path = "e2e/disks.rs"]
mod disks;
#[path = "e2e/endings.rs"]
mod endings;
#[path = "e2e/exits.rs"]
mod exits;
#[path = "e2e/faces.rs"]
mod faces;
#[path = "e2e/first_use.rs"]
mod first_use;
#[path = "e2e/freeze.rs"]
mod freeze;
#[path = "e2e/fresh.rs"]
mod fresh;
#[path = "e2e/journals.rs"]
mod journals;
#[path = "e2e/live.rs"]
mod live;
#[path = "e2e/planning.rs"]
mod planning;
#[path = "e2e/preview.rs"]
mod preview;
#[path = "e2e/questions.rs"]
mod questions;
#[path = "e2e/reference.rs"]
mod reference;
#[path = "e2e/repository.rs"]
mod repository;
#[path = "e2e/schedules.rs"]
mod schedules;
#[path = "e2e/shots.rs"]
mod shots;
#[path = "e2e/ssh.rs"]
mod ssh;
#[path = "e2e/steps.rs"]
mod steps;
#[path = "e2e/terminal.rs"]
mod terminal;
#[path = "e2e/tested.rs"]
mod tested;
#[path = "e2e/undo.rs"]
mod undo;
#[path = "e2e/unruly.rs"]
mod unruly;
#[path = "e2e/up.rs"]
mod up;
#[path = "e2e/verify.rs"]
mod verify;
