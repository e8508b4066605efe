//! The engine's jobs, started together and ended together.

use std::sync::Arc;

use chiffon_bus::{DeclareError, QueueSpec, agent_queue, topology};
use chiffon_common::AgentId;
use futures_util::StreamExt as _;
use tokio::task::JoinSet;

use super::Shared;

/// Queues that are declared at once.
const AT_ONCE: usize = 16;

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
        // Each waits for a broker that is not there; together they wait once.
        let declared = futures_util::stream::iter(specs).map(|spec| self.declare(spec));
        declared
            .buffer_unordered(AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }

    /// Makes the queue of an agent that was heard of for the first time.
    pub(crate) async fn declare_agent_queue(&self, agent: &AgentId) {
        self.declare(agent_queue(agent)).await;
    }

    async fn declare(&self, spec: QueueSpec) {
        let name = spec.name.clone();
        match self.bus.declare(spec).await {
            Ok(()) => {}
            // The bus tells of that by itself, and lays the queue once it is there.
            Err(error @ DeclareError::Unavailable(_)) => {
                tracing::debug!(%error, queue = %name, "queue is declared later");
            }
            Err(error) => tracing::error!(%error, queue = %name, "queue could not be declared"),
        }
    }
}
