//! The ledger's repository after whatever happened to it while nobody looked: what it lacks is filled in, and
//! a damaged one is made anew, from the stored rows. They are the truth, and each commit follows from its
//! row (R40, R41). What somebody else committed is never healed over: that stays an alarm.
//!
//! Nothing is put back without a record of it, made before anything is touched; telling it to whoever verifies is left to
//! `restorations`.

use std::path::Path;

use chiffon_common::ErrorCode;
use chiffon_store::LedgerBatchRow;
use serde_json::{Value, json};

use super::{
    Shared, restorations,
    scribe::{PAGE, ScribeError},
};
use crate::ledger::{
    Batch, CommitId, Ledger, LedgerError, Parting, Rebuild, claimed_head, remove_unfinished,
};

/// So many of the newest batches are looked at when the scribe begins: more than a loss of power can have
/// hit. Older damage is found by the write that needs the object, or by `audit verify`.
const LOOKED_AT: u64 = 200;

impl Shared {
    /// Fills in what the repository lacks, deleted, moved away or behind, and looks whether its end is sound.
    pub(super) async fn catch_up(&self) -> Result<(), ScribeError> {
        let mut turn = self.ledger_turn.lock().await;
        self.on_ledger(|place| remove_unfinished(&place.path))
            .await?;
        let head = self.on_ledger(|place| place.open()?.head()).await?;
        let Some(last) = self.store.last_ledger_batch(&self.settings.tenant).await? else {
            drop(turn);
            return self.look_at_main(None).await;
        };
        let written = self.last_written(&last).await?;
        let to = written.as_ref().and_then(|row| row.commit.clone());
        let written = written.map_or(0, |row| row.batch_no);
        let begin = match head {
            None => 0,
            // A head that no row knows is left to the write of the next batch, which names it as foreign.
            Some(head) => self.batch_of(head, &last).await?.unwrap_or(written),
        };
        if begin < written && self.is_shared() {
            // Another orchestrator wrote what is missing here.
            self.fill_in(begin).await?;
        } else if begin < written {
            let because = "main was behind the database";
            self.restores(&mut turn, head, to, because, None).await?;
            self.fill_in(begin).await?;
            turn.ended();
        }
        drop(turn);
        self.look_at_the_end(&last).await?;
        self.may_sign().await
    }

    /// Where nothing is to be written: whether the repository is there, can be read and ends with the last batch. One that
    /// was deleted or moved away is filled in; what somebody did to `main` is told and left as it is.
    pub(super) async fn look_at_main(
        &self,
        last: Option<LedgerBatchRow>,
    ) -> Result<(), ScribeError> {
        let place = self.settings.ledger.path.clone();
        let is_gone = tokio::task::spawn_blocking(move || !place.exists()).await?;
        match last {
            Some(_) if is_gone => return Box::pin(self.catch_up()).await,
            None if is_gone => return Ok(()),
            _ => {}
        }
        self.on_ledger(move |place| {
            let ledger = place.read()?;
            ledger.shape()?;
            ledger.is_at(last.and_then(|last| last.commit).as_deref())
        })
        .await
    }

    pub(super) async fn fill_in(&self, mut after: u64) -> Result<(), ScribeError> {
        while let Some(page) = self.written_after(&mut after).await? {
            // Of several keys only one is here: what it can sign is written, and the next start goes on with another.
            let of_one_key = page.chunk_by(|one, next| one.0.signer == next.0.signer);
            for part in of_one_key.map(<[Batch]>::to_vec) {
                self.on_ledger(move |place| place.open()?.write_all(&part))
                    .await?;
            }
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
    pub(super) async fn batch_of(
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
        let mut turn = self.ledger_turn.lock().await;
        let rebuilt = self.rebuild(&mut turn, &damage).await;
        // What was found meanwhile was the same.
        self.take_damage();
        match rebuilt {
            Ok(()) => Ok(()),
            Err(ScribeError::Ledger(
                foreign @ (LedgerError::Foreign(_) | LedgerError::Parted { .. }),
            )) => Err(foreign.into()),
            Err(because) => Err(ScribeError::Unhealed {
                damage,
                because: Box::new(because),
            }),
        }
    }

    async fn rebuild(&self, turn: &mut Turn, damage: &LedgerError) -> Result<(), ScribeError> {
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
        if let Some(head) = claimed.filter(|_| !known) {
            match self.parted().await {
                // What is decided may be what lies there.
                Ok(Some(parted)) if !pending || parted.how == Parting::Apart => {
                    return Err(LedgerError::from(parted).into());
                }
                _ if !pending => return Err(foreign(head).into()),
                _ => {}
            }
        }
        let mut rebuild = self.on_ledger(Rebuild::begin).await?;
        let (mut after, mut to) = (0, None);
        while let Some(page) = self.written_after(&mut after).await? {
            to = page.last().and_then(|(batch, _)| batch.commit.clone());
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
                return Err(self.or_parted(foreign(head)).await.into());
            }
        }
        let because = damage.to_string();
        let aside = rebuild.aside().map(Path::to_owned);
        self.restores(turn, claimed, to, &because, aside.as_deref())
            .await?;
        chiffon_failpoint::hit!("ledger.rebuild.before");
        self.on_ledger(move |_| rebuild.into_place()).await?;
        turn.ended();
        Ok(())
    }

    /// Tells for good, in the audit record, that the repository is not as it was left and is put back: where `main` was
    /// found and where it will be, and where a damaged one will lie. Nothing is put back that cannot be recorded.
    async fn restores(
        &self,
        turn: &mut Turn,
        from: Option<CommitId>,
        to: Option<String>,
        because: &str,
        aside: Option<&Path>,
    ) -> Result<(), ScribeError> {
        let from = from.map(|commit| commit.to_string());
        let aside = aside.map(|path| path.display().to_string());
        let data = json!({ "because": because, "from": from, "to": to, "aside": aside });
        // One that failed and is tried again is the same.
        if turn.begun.as_ref() == Some(&data) {
            return Ok(());
        }
        tracing::warn!(
            code = %ErrorCode::LedgerFault,
            %because,
            from,
            to,
            aside,
            "the ledger's repository is not as it was left, and is put back from the database"
        );
        self.record_on_ledger(restorations::RESTORED, "ok", data.clone())
            .await?;
        turn.begun = Some(data);
        Ok(())
    }
}

/// Held by whoever puts the repository back, from the record of it to its end.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// How often it was put back since this process began.
    pub(super) times: u64,
    /// What is recorded of one that did not come to its end yet.
    begun: Option<Value>,
}

impl Turn {
    fn ended(&mut self) {
        self.times += 1;
        self.begun = None;
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
