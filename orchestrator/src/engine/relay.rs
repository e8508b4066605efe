//! The relay: claims outbox rows by lease, publishes, and marks as sent what the bus has confirmed (R1, R2).

use std::time::Duration;

use chiffon_bus::{Message, PublishError, QueueName};
use chiffon_common::MessageId;
use chiffon_store::{Error, OutboxRow};
use jiff::SignedDuration;

use super::{Shared, shared::nudged};

/// Rows claimed at once: enough to keep the bus busy, few enough to be published within the claim.
const BATCH: u32 = 64;
/// How long a claim holds. Longer than the bus may take for the whole batch.
const CLAIM: SignedDuration = SignedDuration::from_secs(60);
/// Floor of the polling: a nudge comes with every commit, so this only covers lost ones and due retries.
const PERIOD: Duration = Duration::from_millis(500);

impl Shared {
    /// Relays for ever.
    pub(crate) async fn relay(&self) {
        let owner = format!("relay:{}:{}", self.settings.replica, self.clock.fresh_id());
        loop {
            match self.relay_once(&owner).await {
                Ok(0) => nudged(&self.nudges.relay, PERIOD).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "outbox cannot be read; trying again");
                    tokio::time::sleep(PERIOD).await;
                }
            }
        }
    }

    async fn relay_once(&self, owner: &str) -> Result<usize, Error> {
        let now = self.clock.now();
        let until = now.checked_add(CLAIM).unwrap_or(now);
        let rows = self.store.claim_outbox(owner, now, until, BATCH).await?;
        let mut sent = Vec::new();
        for row in &rows {
            chiffon_failpoint::hit!("relay.publish.before");
            match self.publish(row).await {
                Ok(()) => sent.push(row.message_id),
                Err(error) => {
                    tracing::warn!(%error, message.id = %row.message_id, queue = %row.queue, "message was not sent; it is kept and tried again");
                    if matches!(error, PublishError::Unroutable(_)) {
                        // The bus was wiped, or the agent is new: the topology is ours to make.
                        self.declare_topology().await;
                    }
                    self.put_back(owner, row).await?;
                }
            }
        }
        if !sent.is_empty() {
            chiffon_failpoint::hit!("relay.mark.before");
            self.store.outbox_sent(owner, &sent).await?;
            chiffon_failpoint::hit!("relay.mark.after");
        }
        Ok(rows.len())
    }

    async fn publish(&self, row: &OutboxRow) -> Result<(), PublishError> {
        let queue = QueueName::stored(&row.queue);
        let message = Message {
            message_id: row.message_id,
            sender: format!("orchestrator:{}", self.settings.replica),
            body: row.body.as_slice().into(),
        };
        self.bus.publish(&queue, message).await
    }

    async fn put_back(&self, owner: &str, row: &OutboxRow) -> Result<(), Error> {
        let wait = SignedDuration::from_millis(250 << row.tries.min(7));
        let now = self.clock.now();
        let not_before = now.checked_add(wait).unwrap_or(now);
        let ids: [MessageId; 1] = [row.message_id];
        self.store.outbox_release(owner, &ids, not_before).await
    }
}
