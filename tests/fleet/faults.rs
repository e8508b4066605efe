//! What only this suite does to a world: the worker's mind changes, the agent dies, the bus is wiped.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::sync::Arc;

use chiffon_bus::MemoryBus;

use super::world::{Act, Double, World};

impl Double {
    pub fn act(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }
}

impl World {
    /// The agent is gone in the middle of whatever it does.
    pub async fn crash_agent(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.abort().await;
        }
    }

    /// The bus is gone with everything in it, and a new empty one is there.
    pub async fn replace_bus(&mut self) {
        self.crash_orchestrator().await;
        self.crash_agent().await;
        self.bus = Arc::new(MemoryBus::new());
        self.start_orchestrator().await;
        self.start_agent().await;
    }
}
