//! The ledger's repository after whatever happened to it while nobody looked: what it lacks is filled in, and
//! a damaged one is made anew, from the stored rows. They are the truth, and each commit follows from its
//! row (R40, R41). What somebody else committed is never healed over: that stays an alarm.

use std::path::PathBuf;

use chiffon_common::ErrorCode;
use chiffon_store::LedgerBatchRow;
use serde_json::json;

use super::{
    Shared,
    scribe::{PAGE, ScribeError},
};
use crate::ledger::{
    Batch, CommitId, Ledger, LedgerError, Rebuild, claimed_head, remove_unfinished,
};

/// So many of the newest batches are looked at when the scribe begins: more than a loss of power can have
/// hit. Older damage is found by the write that needs the object, or by `audit verify`.
const LOOKED_AT: u64 = 200;

impl Shared {
    /// Fills in what the repository lacks, deleted, moved away or behind, and looks whether its end is sound.
    pub(super) async fn catch_up(&self) -> Result<(), ScribeError> {
        self.on_ledger(|place| remove_unfinished(&place.path))
            .await?;
        let head = self.on_ledger(|place| place.open()?.head()).await?;
        let Some(last) = self.store.last_ledger_batch(&self.settings.tenant).await? else {
            return Ok(());
        };
        let written = self.last_written(&last).await?;
        let written = written.map_or(0, |row| row.batch_no);
        let begin = match head {
            None => 0,
            // A head that no row knows is left to the write of the next batch, which names it as foreign.
            Some(head) => self.batch_of(head, &last).await?.unwrap_or(written),
        };
        if begin < written {
            self.fill_in(begin).await?;
            let because = "main was behind the database when the scribe began";
            self.restored(head, because, None).await;
        }
        self.look_at_the_end(&last).await
    }

    /// Where nothing is to be written: whether the repository is there and ends with the last batch. One that was
    /// deleted or moved away is filled in; what somebody did to `main` is told and left as it is.
    pub(super) async fn look_at_main(
        &self,
        last: Option<LedgerBatchRow>,
    ) -> Result<(), ScribeError> {
        let Some(last) = last else {
            return Ok(());
        };
        let place = self.settings.ledger.path.clone();
        let is_gone = tokio::task::spawn_blocking(move || !place.exists()).await?;
        if is_gone {
            return self.catch_up().await;
        }
        self.on_ledger(move |place| place.read()?.is_at(last.commit.as_deref()))
            .await
    }

    async fn fill_in(&self, mut after: u64) -> Result<(), ScribeError> {
        while let Some(page) = self.written_after(&mut after).await? {
            self.on_ledger(move |place| place.open()?.write_all(&page))
                .await?;
        }
        Ok(())
    }

    /// The next batches that were written once, and moves on behind them.
    async fn written_after(&self, after: &mut u64) -> Result<Option<Vec<Batch>>, ScribeError> {
        let mut page = self.batches_after(*after).await?;
        page.retain(|(batch, _)| batch.commit.is_some());
        let last = page.last().map(|(batch, _)| batch.batch_no);
        Ok(last.map(|last| {
            *after = last;
            page
        }))
    }

    /// The batch whose stored commit this is.
    async fn batch_of(
        &self,
        commit: CommitId,
        last: &LedgerBatchRow,
    ) -> Result<Option<u64>, ScribeError> {
        let commit = commit.to_string();
        if last.commit.as_ref() == Some(&commit) {
            return Ok(Some(last.batch_no));
        }
        if last.parent.as_ref() == Some(&commit) {
            return Ok(Some(last.batch_no - 1));
        }
        let mut after = 0;
        loop {
            let page = self
                .store
                .ledger_batches(&self.settings.tenant, after, PAGE)
                .await?;
            let found = page
                .iter()
                .find(|batch| batch.commit.as_ref() == Some(&commit));
            if let Some(found) = found {
                return Ok(Some(found.batch_no));
            }
            match page.last() {
                Some(batch) => after = batch.batch_no,
                None => return Ok(None),
            }
        }
    }

    /// Whether the newest commits can be read, the one included that was written when its hash was not stored yet.
    async fn look_at_the_end(&self, last: &LedgerBatchRow) -> Result<(), ScribeError> {
        let mut before = last.batch_no.saturating_sub(LOOKED_AT);
        let mut granted = match before.checked_sub(1) {
            None => None,
            Some(one) => {
                let tenant = &self.settings.tenant;
                let rows = self.store.ledger_batches(tenant, one, 1).await?;
                rows.into_iter().next()
            }
        };
        loop {
            let page = self.batches_after(before).await?;
            let Some((newest, _)) = page.last() else {
                return Ok(());
            };
            before = newest.batch_no;
            let begin = granted.replace(newest.clone());
            self.on_ledger(move |place| look_at(&place.read()?, begin, page))
                .await?;
        }
    }

    /// Makes a damaged repository anew beside its folder, and puts it into its place.
    pub(super) async fn heal(&self, damage: LedgerError) -> Result<(), ScribeError> {
        match self.rebuild(&damage).await {
            Ok(()) => Ok(()),
            Err(ScribeError::Ledger(foreign @ LedgerError::Foreign(_))) => Err(foreign.into()),
            Err(because) => Err(ScribeError::Unhealed {
                damage,
                because: Box::new(because),
            }),
        }
    }

    async fn rebuild(&self, damage: &LedgerError) -> Result<(), ScribeError> {
        let tenant = &self.settings.tenant;
        let last = self.store.last_ledger_batch(tenant).await?;
        let claimed = self
            .on_ledger(|place| Ok(claimed_head(&place.path)))
            .await?;
        let known = match (claimed, &last) {
            (None, _) => true,
            (Some(head), Some(last)) => self.batch_of(head, last).await?.is_some(),
            (Some(_), None) => false,
        };
        let pending = last.as_ref().is_some_and(|last| last.commit.is_none());
        let foreign = |head: CommitId| {
            LedgerError::Foreign(format!("it is at {head}, which is not ours; and {damage}"))
        };
        if let Some(head) = claimed.filter(|_| !known && !pending) {
            return Err(foreign(head).into());
        }
        let mut rebuild = self.on_ledger(Rebuild::begin).await?;
        let mut after = 0;
        while let Some(page) = self.written_after(&mut after).await? {
            rebuild = self
                .on_ledger(move |_| rebuild.write(&page).map(|()| rebuild))
                .await?;
        }
        if let Some(head) = claimed.filter(|_| !known) {
            // Written by a crashed scribe, or by a stranger: the pending batches give it or do not.
            let next = self.batches_after(after).await?;
            if rebuild.head_of(next)? != Some(head) {
                self.on_ledger(|place| remove_unfinished(&place.path))
                    .await?;
                return Err(foreign(head).into());
            }
        }
        chiffon_failpoint::hit!("ledger.rebuild.before");
        let aside = self.on_ledger(move |_| rebuild.into_place()).await?;
        self.restored(claimed, &damage.to_string(), aside).await;
        Ok(())
    }

    /// Tells for good, in the audit record, that the repository was not as it was left and was put back: where `main`
    /// was found and where it is now, and where a damaged one lies.
    async fn restored(&self, from: Option<CommitId>, because: &str, aside: Option<PathBuf>) {
        let head = self.on_ledger(|place| place.read()?.head()).await;
        let hex = |commit: Option<CommitId>| commit.map(|commit| commit.to_string());
        let (from, to) = (hex(from), hex(head.ok().flatten()));
        let aside = aside.map(|path| path.display().to_string());
        tracing::warn!(
            code = %ErrorCode::LedgerFault,
            %because,
            from,
            to,
            aside,
            "the ledger's repository was not as it was left, and was put back from the database"
        );
        let data = json!({ "because": because, "from": from, "to": to, "aside": aside });
        self.record_of_ledger("ledger.restored", "ok", data).await;
    }
}

/// Damage in the commits of these batches. Whatever else is wrong is for the write or for `audit verify` to tell.
fn look_at(
    ledger: &Ledger,
    granted: Option<LedgerBatchRow>,
    batches: Vec<Batch>,
) -> Result<(), LedgerError> {
    let mut verifier = match granted {
        Some(granted) => ledger.verifier_after(&granted)?,
        None => ledger.verifier(),
    };
    let head = ledger.head()?.map(|head| head.to_string());
    // Of what is decided, the parents are known: all of it is there, or nothing is.
    let parents = batches
        .iter()
        .skip(1)
        .map(|(batch, _)| batch.parent.clone());
    let parents: Vec<_> = parents.chain([head.clone()]).collect();
    let mut is_there = true;
    for ((mut batch, entries), commit) in batches.into_iter().zip(parents) {
        if batch.commit.is_none() {
            is_there &= head != batch.parent;
            batch.commit = commit.filter(|_| is_there);
        }
        if let Err(fault) = verifier.check(&batch, &entries) {
            return fault.damage().map_or(Ok(()), Err);
        }
    }
    Ok(())
}
