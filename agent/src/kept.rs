//! Keeping an agent alive. One that cannot write its journal ends, because nothing may happen
//! unjournaled, and so does one of which a part panicked; it is started again on the same folder until the disk lets it, and whoever asked is told why
//! it is not there meanwhile. What it had begun is told by its journal, as after a crash. When to end is left to the caller.

use std::{sync::Arc, time::Duration};

use chiffon_bus::Bus;
use chiffon_common::ErrorCode;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    agent::{Agent, AgentHandle},
    clock::SystemClock,
    config::AgentConfig,
    home::StartError,
    worker::Worker,
};

/// Between two tries: a disk is not freed in less, and a start costs little.
const AGAIN: Duration = Duration::from_secs(2);

/// What it takes to start an agent, as often as needed.
#[derive(Clone)]
pub struct Seed {
    /// Its settings.
    pub config: AgentConfig,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// What a run is to it.
    pub worker: Arc<dyn Worker>,
}

/// Told why the agent is not there, and with nothing that it is there again.
pub type Tell = Box<dyn Fn(Option<String>) + Send + Sync>;

impl Seed {
    async fn start(&self) -> Result<AgentHandle, StartError> {
        let (bus, worker) = (Arc::clone(&self.bus), Arc::clone(&self.worker));
        Agent::start(self.config.clone(), bus, worker, Arc::new(SystemClock)).await
    }
}

/// An agent that is kept alive.
#[derive(Debug)]
pub struct Kept {
    drain: oneshot::Sender<Duration>,
    keeper: JoinHandle<()>,
}

impl Kept {
    /// Starts it. The first start is the caller's to fail with; only later ones are tried again.
    ///
    /// # Errors
    /// Why the first start failed.
    pub async fn start(seed: Seed, tell: Tell) -> Result<Self, StartError> {
        let agent = seed.start().await?;
        let (drain, asked) = oneshot::channel();
        let keeper = tokio::spawn(keep(agent, seed, tell, asked));
        Ok(Self { drain, keeper })
    }

    /// Drains it, within this grace and what the agent adds to it.
    pub async fn drain(self, grace: Duration) {
        // One that is gone needs no draining; its journal knows what is left to do.
        let _gone = self.drain.send(grace);
        let _ended = self.keeper.await;
    }
}

async fn keep(
    mut agent: AgentHandle,
    seed: Seed,
    tell: Tell,
    mut drain: oneshot::Receiver<Duration>,
) {
    loop {
        let (code, fault) = tokio::select! {
            biased;
            grace = &mut drain => {
                agent.drain(grace.unwrap_or_default()).await;
                return;
            }
            ended = agent.ended() => match ended {
                Err(fault) => (fault.code, fault.to_string()),
                // A part of it panicked, and all else ended with that in good order.
                Ok(()) => (ErrorCode::AgentFault, "agent has ended: a part of it panicked".to_owned()),
            },
        };
        tracing::error!(agent = %seed.config.id, %code, "{fault}; it is started again as soon as that is possible, and takes no work until then");
        tell(Some(fault));
        agent.abort().await;
        agent = loop {
            tokio::select! {
                _ = &mut drain => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
            match seed.start().await {
                Ok(agent) => break agent,
                Err(error) => tell(Some(error.words())),
            }
        };
        tracing::info!(agent = %seed.config.id, "the agent works again");
        tell(None);
    }
}
