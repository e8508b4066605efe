//! Temporary seam while the orchestrator room is being built.

use std::{net::SocketAddr, time::Duration};

use chiffon_common::{ErrorCode, Problem};

use crate::{
    failure::Failure, home::Home, interrupt::Interrupt, progress::Steps, settings::Settings,
};

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// As configured.
    Configured,
    /// Any free one.
    Ephemeral,
}

/// Which agents to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agents {
    /// All of this machine.
    All,
    /// None.
    None,
}

/// The fleet.
pub struct Fleet {
    address: SocketAddr,
}

impl Fleet {
    /// Starts it.
    pub async fn start(
        _home: &Home,
        _settings: &Settings,
        _ports: Ports,
        _agents: Agents,
    ) -> Result<Self, Failure> {
        Err(Problem::new(ErrorCode::NotRunning, "not yet", "").into())
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it.
    pub async fn stop(self, _grace: Duration) {}
}

/// First Ansible.
pub async fn first_ansible(
    _home: &Home,
    _steps: &Steps<'_>,
    _interrupt: &mut Interrupt,
) -> Result<(), Failure> {
    Ok(())
}
