//! The scribe: turns entries into batch rows and batch rows into commits, as many at once as wait. Only the one scribe decides
//! batches; a commit is a pure function of its row. What to do about a damaged repository is left to `heal`.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use chiffon_common::{AuditEntry, ErrorCode, SshSigner, Subject};
use chiffon_store::{Commit, Error, LedgerBatchRow, Write};

use serde_json::{Value, json};

use super::{Shared, posts::Post, shared::nudged};
use crate::ledger::{Batch, CommitId, LedgerError, Parting, Place};

/// Rows read at once.
pub(super) const PAGE: u32 = 500;
/// Commits written at once at most; what waits under load costs a few files and syncs in all instead of each.
const BURST: usize = 100;
/// Tier-0 results that share a commit at most.
const SHARED: usize = 100;
/// How long whoever asks how it is waits for a look.
const LOOK: Duration = Duration::from_secs(1);
/// The same for the first one of a process; shorter than others wait for an answer about it.
const FIRST_LOOK: Duration = Duration::from_secs(7);
/// From one burst to the next at least: what comes one by one meanwhile shares its files and syncs as well, and leaves the
/// machine to the tasks themselves. What comes alone is written at once.
const APART: Duration = Duration::from_millis(100);
/// Floor below the nudges.
const PERIOD: Duration = Duration::from_secs(5);

/// What changes stand on: a database that lacks what its ledger tells, as a restored backup does, knows nothing of what came
/// with it, be it a freeze or an approval that was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// This process has not looked at the ledger yet.
    Unlooked,
    Firm,
    Parted(Parting),
}

/// What is wrong with the ledger, as the scribe found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LedgerFault {
    words: String,
    parting: Option<Parting>,
}

impl LedgerFault {
    fn of(error: &ScribeError) -> Self {
        let parting = match error {
            ScribeError::Ledger(LedgerError::Parted { how, .. }) => Some(*how),
            _ => None,
        };
        Self {
            words: error.to_string(),
            parting,
        }
    }
}

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
    #[error(
        "{damage}; and making it anew from the database failed, which is tried again: {because}. Nothing is lost; where \
         that names no way, make room in the data folder and see that it is yours: chiffon explain 5507"
    )]
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
            let found = self.take_damage();
            let mine = match found {
                Some(_) => Ok(true),
                None => self.has_post(Post::Scribe).await,
            };
            let follows = matches!(mine, Ok(false));
            let done = match (found, mine) {
                (Some(damage), _) => Err(ScribeError::Ledger(damage)),
                (None, Err(error)) => Err(error.into()),
                (None, Ok(false)) => self.follow_ledger().await,
                (None, Ok(true)) if caught_up => self.write_down().await,
                // One round, so that nobody hears that it is well before its end was looked at.
                (None, Ok(true)) => match self.catch_up().await {
                    Ok(()) => {
                        caught_up = true;
                        self.write_down().await
                    }
                    Err(error) => Err(error),
                },
            };
            if let (Err(ScribeError::Store(Error::Conflict { .. })), true) =
                (&done, self.is_shared())
            {
                // Another one took the job while this one was at work: what it decided counts.
                self.lost_post(Post::Scribe);
                caught_up = false;
                tokio::time::sleep(APART).await;
                continue;
            }
            let done = match done {
                Err(ScribeError::Ledger(damage)) if damage.is_damage() => {
                    self.heal(damage).await.map(|()| true)
                }
                Err(ScribeError::Ledger(fault)) => Err(self.or_parted(fault).await.into()),
                done => done,
            };
            // Whoever takes the job over looks at the repository first.
            caught_up = (caught_up || done.is_ok()) && !follows;
            let fault = done.as_ref().err().map(LedgerFault::of);
            self.ledger_is(fault).await;
            self.ledger_rounds.send_modify(|rounds| *rounds += 1);
            // Changes wait for the first of them.
            self.nudges.dispatch.notify_one();
            match done {
                Ok(true) => tokio::time::sleep(APART).await,
                Ok(false) => nudged(&self.nudges.record, PERIOD).await,
                Err(error) => tokio::time::sleep(error.pause()).await,
            }
        }
    }

    /// What is wrong with the ledger, as the scribe judges it now: looked at once more where nothing is known, so that
    /// whoever asks hears the same. The first look may take as long as many commits are held against their rows.
    pub(crate) async fn ledger_state(&self) -> Option<String> {
        let known = || {
            let fault = self.ledger_fault.lock();
            let fault = fault.unwrap_or_else(PoisonError::into_inner);
            fault.as_ref().map(|fault| fault.words.clone())
        };
        let mut rounds = self.ledger_rounds.subscribe();
        let seen = *rounds.borrow_and_update();
        if let Some(fault) = known() {
            return Some(fault);
        }
        if seen > 0 {
            self.nudges.record.notify_one();
        }
        let limit = if seen > 0 { LOOK } else { FIRST_LOOK };
        let looked = rounds.wait_for(|now| *now > seen);
        let looked = tokio::time::timeout(limit, looked).await.is_ok();
        match known() {
            None if seen == 0 && !looked => Some(
                "it is still being held against the database: ask again in a moment".to_owned(),
            ),
            fault => fault,
        }
    }

    /// Whether changes may start, as the ledger was seen last. What else is wrong with it holds up nothing.
    pub(super) fn ground(&self) -> Ground {
        let fault = self
            .ledger_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match fault.as_ref().and_then(|fault| fault.parting) {
            Some(how) => Ground::Parted(how),
            None if *self.ledger_rounds.borrow() == 0 => Ground::Unlooked,
            None => Ground::Firm,
        }
    }

    /// Tells the scribe of damage that somebody else came upon.
    pub(super) fn ledger_is_damaged(&self, damage: LedgerError) {
        let mut found = self
            .ledger_damage
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *found = Some(damage);
        self.nudges.record.notify_one();
    }

    pub(super) fn take_damage(&self) -> Option<LedgerError> {
        let mut found = self
            .ledger_damage
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        found.take()
    }

    /// Tells a change once, in the log, in the audit record and so in the event stream; `health` tells it as
    /// long as it lasts.
    async fn ledger_is(&self, fault: Option<LedgerFault>) {
        let before = {
            let mut known = self
                .ledger_fault
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *known, fault.clone())
        };
        let (action, result) = match (&before, &fault) {
            (None, Some(fault)) => {
                tracing::error!(error = fault.words, code = %ErrorCode::LedgerFault, "the ledger cannot be written; the database keeps everything, and it is filled in later");
                ("ledger.fault", "failed")
            }
            (Some(_), None) => {
                tracing::info!("the ledger is written again");
                ("ledger.healed", "ok")
            }
            _ => return,
        };
        let data = json!({ "because": fault.map(|fault| fault.words) });
        self.record_of_ledger(action, result, data).await;
    }

    /// Records what became of the repository, and goes on where that fails.
    async fn record_of_ledger(&self, action: &str, result: &str, data: Value) {
        if let Err(error) = self.record_on_ledger(action, result, data).await {
            tracing::warn!(%error, action, "a change of the ledger's state could not be recorded");
        }
    }

    /// Records what becomes of the repository.
    pub(super) async fn record_on_ledger(
        &self,
        action: &str,
        result: &str,
        data: Value,
    ) -> Result<(), chiffon_store::Error> {
        let target = Subject {
            kind: "ledger".to_owned(),
            id: "main".to_owned(),
        };
        let audit = AuditEntry {
            result: result.to_owned(),
            ..self.audit_of_fleet(action, target, "scribe", Vec::new(), data)
        };
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            audit: vec![audit],
            ..Commit::default()
        };
        self.commit(commit).await.map(drop)
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

    /// A burst: decide the rows, write their commits, store the hashes. Each part can be repeated.
    async fn write_down(&self) -> Result<bool, ScribeError> {
        let pending = self.pending_batches().await?;
        let written = match pending.is_empty() {
            true => self.decide_and_write().await?,
            false => self.write_decided(pending).await?,
        };
        if written.is_empty() {
            let last = self.store.last_ledger_batch(&self.settings.tenant).await?;
            self.look_at_main(last).await?;
            return Ok(false);
        }
        let rows = written.iter().map(|(batch, _)| batch.clone());
        chiffon_failpoint::hit!("scribe.hash.before");
        self.store_batches(rows).await?;
        chiffon_failpoint::hit!("scribe.hash.after");
        self.nudges.anchor.notify_one();
        for (_, entries) in &written {
            for entry in entries {
                self.changed(entry.request_id);
            }
        }
        Ok(true)
    }

    /// Batches that were decided and of which nobody knows whether they were written, as after a crash.
    async fn pending_batches(&self) -> Result<Vec<Batch>, ScribeError> {
        let tenant = &self.settings.tenant;
        let Some(last) = self.store.last_ledger_batch(tenant).await? else {
            return Ok(Vec::new());
        };
        let written = self.last_written(&last).await?;
        let mut pending = self
            .batches_after(written.map_or(0, |row| row.batch_no))
            .await?;
        pending.retain(|(batch, _)| batch.commit.is_none());
        Ok(pending)
    }

    /// The last batch whose commit is stored, where this is the last of all.
    pub(super) async fn last_written(
        &self,
        last: &LedgerBatchRow,
    ) -> Result<Option<LedgerBatchRow>, chiffon_store::Error> {
        if last.commit.is_some() {
            return Ok(Some(last.clone()));
        }
        // No more than a burst is ever decided at once.
        let before = last.batch_no.saturating_sub(BURST as u64 + 1);
        let tenant = &self.settings.tenant;
        let rows = self.store.ledger_batches(tenant, before, PAGE).await?;
        Ok(rows.into_iter().rev().find(|row| row.commit.is_some()))
    }

    /// Decides what waits, and writes it; nothing where nothing waits. The rows are stored before the repository
    /// is touched, so that whatever dies in between, the same commits follow from them.
    async fn decide_and_write(&self) -> Result<Vec<Batch>, ScribeError> {
        let mut batches = self.decide().await?;
        if batches.is_empty() {
            return Ok(batches);
        }
        let (batches, burst) = self
            .on_ledger(move |place| {
                let burst = place.open()?.begin(&mut batches)?;
                Ok((batches, burst))
            })
            .await?;
        let rows = batches.iter().map(|(batch, _)| batch.clone());
        self.store_batches(rows).await?;
        let commits = self.put_down(move |_| burst.write()).await?;
        Ok(with_commits(batches, &commits))
    }

    async fn write_decided(&self, batches: Vec<Batch>) -> Result<Vec<Batch>, ScribeError> {
        let (batches, commits) = self
            .put_down(move |place| {
                let commits = place.open()?.write_all(&batches)?;
                Ok((batches, commits))
            })
            .await?;
        Ok(with_commits(batches, &commits))
    }

    /// Writes what is decided and stored.
    async fn put_down<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Place) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, ScribeError> {
        chiffon_failpoint::hit!("scribe.write.before");
        self.on_ledger(write).await
    }

    /// The next batches, not linked yet but the first, and nowhere stored.
    async fn decide(&self) -> Result<Vec<Batch>, ScribeError> {
        let tenant = &self.settings.tenant;
        let last = self.store.last_ledger_batch(tenant).await?;
        let after = last.as_ref().map_or(0, |batch| batch.last_entry);
        let mut entries = self.store.ledger_entries(tenant, after, PAGE).await?;
        if !entries.is_empty() {
            self.may_sign().await?;
        }
        let mut batch_no = last.as_ref().map_or(0, |batch| batch.batch_no);
        let mut parent = last.and_then(|batch| batch.commit);
        // A commit knows whole seconds, and nothing may stand in a row that does not show in it.
        let now = self.clock.now();
        let time = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
        let key = self.settings.ledger.key.as_ref();
        let signer = key.map(SshSigner::fingerprint);
        let mut batches = Vec::new();
        while let Some(first_entry) = entries.first().map(|entry| entry.entry_no)
            && batches.len() < BURST
        {
            // A change has a commit of its own; readings that follow each other may share one.
            let shared = entries.iter().take(SHARED);
            let count = shared.take_while(|entry| entry.shares_commit).count();
            let rest = entries.split_off(count.max(1).min(entries.len()));
            let of_batch = std::mem::replace(&mut entries, rest);
            batch_no += 1;
            let batch = LedgerBatchRow {
                tenant_id: tenant.clone(),
                batch_no,
                first_entry,
                last_entry: first_entry + (of_batch.len() as u64) - 1,
                time,
                parent: parent.take(),
                commit: None,
                signer: signer.clone(),
            };
            batches.push((batch, of_batch));
        }
        Ok(batches)
    }

    async fn store_batches(
        &self,
        rows: impl Iterator<Item = LedgerBatchRow>,
    ) -> Result<(), chiffon_store::Error> {
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: rows.map(Write::LedgerBatch).collect(),
            checks: self.fence(Post::Scribe),
            ..Commit::default()
        };
        self.commit(commit).await.map(drop)
    }
}

fn with_commits(mut batches: Vec<Batch>, commits: &[CommitId]) -> Vec<Batch> {
    for ((batch, _), commit) in batches.iter_mut().zip(commits) {
        batch.commit = Some(commit.to_string());
    }
    batches
}
