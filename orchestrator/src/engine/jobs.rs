//! The engine's jobs, started together and ended together.

use std::sync::Arc;

use chiffon_bus::{QueueSpec, agent_queue, topology};
use chiffon_common::AgentId;
use tokio::task::JoinSet;

use super::Shared;

/// The running jobs. Dropping them ends them: whatever was in hand is in the store.
#[derive(Debug)]
pub(crate) struct Jobs(JoinSet<()>);

impl Jobs {
    /// Starts everything.
    pub(crate) fn start(shared: &Arc<Shared>) -> Self {
        let mut jobs = JoinSet::new();
        macro_rules! job {
            ($name:ident) => {{
                let shared = Arc::clone(shared);
                jobs.spawn(async move { shared.$name().await });
            }};
        }
        job!(hear_requests);
        job!(hear_results);
        job!(hear_heartbeats);
        job!(relay);
        job!(fire_timers);
        job!(plan_requests);
        job!(seal_previews);
        job!(dispatch);
        job!(scribe);
        job!(push_anchors);
        job!(hear_proposals);
        job!(run_schedules);
        job!(forget);
        job!(tell_events);
        job!(watch_store);
        job!(hear_store);
        Self(jobs)
    }

    /// Ends everything and waits for it.
    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

impl Shared {
    /// Makes the queues, also again after the bus was wiped. The agents only use them (R23).
    pub(crate) async fn declare_topology(&self) {
        let mut specs = topology();
        specs.extend(self.registry.all().keys().map(agent_queue));
        match self.store.agents(&self.settings.tenant).await {
            Ok(rows) => specs.extend(rows.iter().map(|row| agent_queue(&row.agent_id))),
            Err(error) => {
                tracing::warn!(%error, "agents cannot be read; their queues are declared with their next heartbeat")
            }
        }
        for spec in specs {
            self.declare(spec).await;
        }
    }

    /// Makes the queue of an agent that was heard of for the first time.
    pub(crate) async fn declare_agent_queue(&self, agent: &AgentId) {
        self.declare(agent_queue(agent)).await;
    }

    async fn declare(&self, spec: QueueSpec) {
        let name = spec.name.clone();
        if let Err(error) = self.bus.declare(spec).await {
            tracing::error!(%error, queue = %name, "queue could not be declared");
        }
    }
}
