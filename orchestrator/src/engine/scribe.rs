//! The scribe: turns entries into batch rows and batch rows into commits. Only the one scribe decides
//! batches; a commit is a pure function of its row. What to do about a damaged repository is left to `heal`.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use chiffon_common::{AuditEntry, ErrorCode, SshSigner, Subject};
use chiffon_store::{Commit, LedgerBatchRow, Write};

use serde_json::json;

use super::{Shared, shared::nudged};
use crate::ledger::{Batch, LedgerError, Place};

/// Rows read at once.
pub(super) const PAGE: u32 = 500;
/// Tier-0 results that share a commit at most.
const SHARED: usize = 100;
/// Floor below the nudges.
const PERIOD: Duration = Duration::from_secs(5);

/// Why the scribe could not write. Nothing is lost: the rows stay, and it tries again (R41).
#[derive(Debug, thiserror::Error)]
pub(super) enum ScribeError {
    #[error(transparent)]
    Store(#[from] chiffon_store::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the scribe's thread ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
    /// Healing reads everything, and is not tried as often as writing.
    #[error("{damage}; and making it anew failed: {because}")]
    Unhealed {
        damage: LedgerError,
        because: Box<Self>,
    },
}

impl ScribeError {
    fn pause(&self) -> Duration {
        match self {
            Self::Unhealed { .. } => 12 * PERIOD,
            Self::Store(_) | Self::Ledger(_) | Self::Thread(_) => PERIOD,
        }
    }
}

impl Shared {
    /// Writes the ledger for ever. A fault of git never holds up anything else.
    pub(crate) async fn scribe(self: Arc<Self>) {
        let mut caught_up = false;
        loop {
            let done = match caught_up {
                true => self.write_down().await,
                false => self.catch_up().await.map(|()| true),
            };
            let done = match done {
                Err(ScribeError::Ledger(damage)) if damage.is_damage() => {
                    self.heal(damage).await.map(|()| true)
                }
                done => done,
            };
            caught_up |= done.is_ok();
            match done {
                Ok(true) => self.ledger_is(None).await,
                Ok(false) => {
                    self.ledger_is(None).await;
                    nudged(&self.nudges.record, PERIOD).await;
                }
                Err(error) => {
                    self.ledger_is(Some(error.to_string())).await;
                    tokio::time::sleep(error.pause()).await;
                }
            }
        }
    }

    /// Tells a change once, in the log, in the audit record and so in the event stream; `health` tells it as
    /// long as it lasts.
    async fn ledger_is(&self, fault: Option<String>) {
        let before = {
            let mut known = self
                .ledger_fault
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, fault.clone())
        };
        let (action, result) = match (&before, &fault) {
            (None, Some(error)) => {
                tracing::error!(%error, code = %ErrorCode::LedgerFault, "the ledger cannot be written; the database keeps everything, and it is filled in later");
                ("ledger.fault", "failed")
            }
            (Some(_), None) => {
                tracing::info!("the ledger is written again");
                ("ledger.healed", "ok")
            }
            _ => return,
        };
        let target = Subject {
            kind: "ledger".to_owned(),
            id: "main".to_owned(),
        };
        let data = json!({ "because": fault });
        let audit = AuditEntry {
            result: result.to_owned(),
            ..self.audit_of_fleet(action, target, "scribe", Vec::new(), data)
        };
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            audit: vec![audit],
            ..Commit::default()
        };
        if let Err(error) = self.commit(commit).await {
            tracing::warn!(%error, "a change of the ledger's state could not be recorded");
        }
    }

    /// Does something to the repository where it may block.
    pub(super) async fn on_ledger<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Place) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ScribeError> {
        let place = self.settings.ledger.clone();
        let done = tokio::task::spawn_blocking(move || work(&place)).await?;
        Ok(done?)
    }

    /// The batches after this one with their entries: some, or none if there are no more.
    pub(super) async fn batches_after(&self, after: u64) -> Result<Vec<Batch>, ScribeError> {
        let tenant = &self.settings.tenant;
        let mut rows = self.store.ledger_batches(tenant, after, PAGE).await?;
        let Some(first) = rows.first().map(|batch| batch.first_entry) else {
            return Ok(Vec::new());
        };
        // As many as one page of entries fills; the first is a page at most.
        rows.retain(|batch| batch.last_entry - first < u64::from(PAGE));
        let entries = self.store.ledger_entries(tenant, first - 1, PAGE).await?;
        let with_entries = rows.into_iter().map(|batch| {
            let of_batch = entries
                .iter()
                .filter(|entry| (batch.first_entry..=batch.last_entry).contains(&entry.entry_no));
            let of_batch = of_batch.cloned().collect();
            (batch, of_batch)
        });
        Ok(with_entries.collect())
    }

    /// One batch: decide the row, write its commit, store the hash. Each half can be repeated.
    async fn write_down(&self) -> Result<bool, ScribeError> {
        let tenant = &self.settings.tenant;
        let last = self.store.last_ledger_batch(tenant).await?;
        let batch = match last {
            Some(batch) if batch.commit.is_none() => batch,
            last => match self.decide(last).await? {
                Some(batch) => batch,
                None => return Ok(false),
            },
        };
        let count = u32::try_from(batch.last_entry - batch.first_entry + 1).unwrap_or(PAGE);
        let entries = self
            .store
            .ledger_entries(tenant, batch.first_entry - 1, count)
            .await?;
        let requests: Vec<_> = entries.iter().map(|entry| entry.request_id).collect();
        chiffon_failpoint::hit!("scribe.write.before");
        let row = batch.clone();
        let commit = self
            .on_ledger(move |place| place.open()?.write(&row, &entries))
            .await?;
        let written = LedgerBatchRow {
            commit: Some(commit.to_string()),
            ..batch
        };
        chiffon_failpoint::hit!("scribe.hash.before");
        self.store_batch(written).await?;
        chiffon_failpoint::hit!("scribe.hash.after");
        self.nudges.anchor.notify_one();
        requests
            .into_iter()
            .for_each(|request| self.changed(request));
        Ok(true)
    }

    async fn decide(
        &self,
        last: Option<LedgerBatchRow>,
    ) -> Result<Option<LedgerBatchRow>, ScribeError> {
        let tenant = &self.settings.tenant;
        let after = last.as_ref().map_or(0, |batch| batch.last_entry);
        let entries = self.store.ledger_entries(tenant, after, PAGE).await?;
        let Some(first) = entries.first() else {
            return Ok(None);
        };
        // A change has a commit of its own; readings that follow each other may share one.
        let count = if first.shares_commit {
            entries
                .iter()
                .take(SHARED)
                .take_while(|entry| entry.shares_commit)
                .count()
        } else {
            1
        };
        let batch = LedgerBatchRow {
            tenant_id: tenant.clone(),
            batch_no: last.as_ref().map_or(1, |batch| batch.batch_no + 1),
            first_entry: first.entry_no,
            last_entry: first.entry_no + (count as u64) - 1,
            time: self.clock.now(),
            parent: last.and_then(|batch| batch.commit),
            commit: None,
            signer: self
                .settings
                .ledger
                .key
                .as_ref()
                .map(SshSigner::fingerprint),
        };
        self.store_batch(batch.clone()).await?;
        Ok(Some(batch))
    }

    async fn store_batch(&self, batch: LedgerBatchRow) -> Result<(), chiffon_store::Error> {
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: vec![Write::LedgerBatch(batch)],
            ..Commit::default()
        };
        self.commit(commit).await.map(drop)
    }
}
