//! The worker against a real Ansible, installed once into the target folder, with real processes.

mod endings;
mod injection;
mod installing;
mod overhead;
mod remote;
mod room;
mod running;
