//! The agent's pulse, from a task of its own, so that a long step of the shell does not look like death.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chiffon_bus::{Bus, Message, QueueName};
use chiffon_common::{
    AgentId, AttemptRef, BootId, Envelope, Heartbeat, Incarnation, MessageId, Payload,
    ResourceMetrics, TraceId,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{clock::Clock, outbox, worker::Worker};

/// Longest look at the host; a pulse without figures is better than none.
const MEASURE: Duration = Duration::from_secs(5);
/// How long the first pulse waits for what the agent can do; later ones carry it anyway.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// How often the worker is asked again what it can do: tools are installed and removed.
const LOOK_AGAIN: Duration = Duration::from_secs(600);

/// The part of a pulse that changes with the shell's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    pub(crate) running: Vec<AttemptRef>,
    pub(crate) draining: bool,
}

/// Everything a pulse needs.
pub(crate) struct Pulse {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) worker: Arc<dyn Worker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) agent: AgentId,
    pub(crate) version: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) boot: BootId,
    pub(crate) slots: u32,
    pub(crate) every: Duration,
    pub(crate) vitals: watch::Receiver<Vitals>,
    /// Where the figures go for the statuses.
    pub(crate) metrics: watch::Sender<Option<ResourceMetrics>>,
    pub(crate) stop: CancellationToken,
}

type Capabilities = BTreeMap<String, String>;

impl Pulse {
    /// Beats until `stop`, then once more.
    pub(crate) async fn run(self) {
        let (found, mut capabilities) = watch::channel(Capabilities::new());
        let look = look(Arc::clone(&self.worker), found);
        let beat = async {
            // An error says that the looking has ended, which it does not before this.
            let _ = timeout(FIRST_LOOK, capabilities.changed()).await;
            let mut timer = interval(self.every);
            timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut was_well = true;
            let mut told = Vitals::default();
            let mut vitals = self.vitals.clone();
            loop {
                tokio::select! {
                    _ = timer.tick() => {}
                    Ok(()) = capabilities.changed() => {}
                    Ok(()) = vitals.changed() => {
                        if !is_news(&vitals.borrow_and_update(), &told) {
                            continue;
                        }
                    }
                    () = self.stop.cancelled() => {}
                }
                let known = capabilities.borrow_and_update().clone();
                (was_well, told) = self.beat(known, was_well).await;
                if self.stop.is_cancelled() {
                    return;
                }
            }
        };
        tokio::select! {
            () = beat => {}
            () = look => {}
        }
    }

    /// One pulse; whether the bus took it, and what it told.
    async fn beat(&self, capabilities: Capabilities, was_well: bool) -> (bool, Vitals) {
        let resources = timeout(MEASURE, self.worker.resources())
            .await
            .unwrap_or_default();
        self.metrics.send_replace(resources.clone());
        let vitals = self.vitals.borrow().clone();
        let seconds = self.every.as_secs_f64().ceil() as u64;
        let heartbeat = Heartbeat {
            agent: self.agent.clone(),
            kind: self.worker.kind(),
            version: self.version.clone(),
            incarnation: self.incarnation,
            boot: self.boot,
            capabilities,
            slots: self.slots,
            running: vitals.running.clone(),
            resources,
            interval_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            draining: vitals.draining,
        };
        let sent = self.send(heartbeat).await;
        match &sent {
            Err(error) if was_well => tracing::warn!("heartbeats do not go out: {error}"),
            Ok(()) if !was_well => tracing::info!("heartbeats go out again"),
            _ => {}
        }
        (sent.is_ok(), vitals)
    }

    async fn send(&self, heartbeat: Heartbeat) -> Result<(), String> {
        let id = MessageId::from_uuid(Uuid::now_v7());
        let trace = TraceId::from_uuid(Uuid::now_v7());
        let payload = Payload::Heartbeat(Box::new(heartbeat));
        let unasked = None;
        let body = Envelope::new(&payload, id, trace, unasked, self.clock.now())
            .and_then(|envelope| envelope.to_bytes())
            .map_err(|error| error.to_string())?;
        let message = Message {
            message_id: id,
            sender: self.agent.to_string(),
            body: body.into(),
        };
        outbox::send(&*self.bus, &QueueName::heartbeats(), message)
            .await
            .map_err(|error| error.to_string())
    }
}

/// Whether it cannot wait for the next pulse: that it drains, and that it has nothing in hand any more where the last one
/// said that it had. So there is one pulse more than the regular ones for each of these at most.
fn is_news(now: &Vitals, told: &Vitals) -> bool {
    let is_idle = now.running.is_empty() && !told.running.is_empty();
    now.draining != told.draining || is_idle
}

/// Asks the worker what it can do, now and again. Never ends.
async fn look(worker: Arc<dyn Worker>, found: watch::Sender<Capabilities>) {
    loop {
        let capabilities = worker.capabilities().await;
        found.send_if_modified(|known| {
            let is_news = *known != capabilities;
            *known = capabilities;
            is_news
        });
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_of_draining_and_the_end_of_all_work_come_before_their_time() {
        let of = |running: u32, draining| Vitals {
            running: (1..=running)
                .map(|attempt| AttemptRef {
                    task_id: chiffon_common::TaskId::from_uuid(Uuid::nil()),
                    attempt,
                })
                .collect(),
            draining,
        };
        let idle = of(0, false);
        assert!(is_news(&idle, &of(2, false)));
        for (now, told) in [
            (of(1, false), of(2, false)),
            (of(1, false), idle.clone()),
            (idle.clone(), idle.clone()),
        ] {
            assert!(!is_news(&now, &told), "{now:?} {told:?}");
        }
        assert!(is_news(&of(0, true), &idle));
        assert!(!is_news(&of(0, true), &of(0, true)));
    }
}
