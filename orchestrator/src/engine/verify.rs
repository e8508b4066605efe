//! `audit verify`: chain, seals and ledger held against each other.

use std::sync::PoisonError;

use chiffon_common::{
    ErrorCode, Problem,
    api::{AuditReport, LedgerLine, VerifyAudit},
};

use super::{Shared, anchor::seal_of, scribe::ScribeError};
use crate::ledger::{Batch, Fault, Place, Verifier};

/// Batches read at once.
const PAGE: u32 = 200;

impl Shared {
    /// Holds everything against everything. Faults are part of the report; an error means that it could not be looked at.
    /// Anchors are what was noted elsewhere.
    pub(crate) async fn verify_audit(&self, asked: VerifyAudit) -> Result<AuditReport, Problem> {
        let (anchors, held) = self.anchors_of(asked).await?;
        let seals: Vec<_> = anchors.iter().map(seal_of).collect();
        let chain = chiffon_store::verify_audit_against(&*self.store, &seals)
            .await
            .map_err(|error| store_problem(&error))?;
        let mut report = AuditReport {
            records: chain.records,
            streams: chain.streams,
            seals: chain.seals,
            requests: 0,
            anchors: 0,
            ledger_commits: 0,
            faults: chain
                .faults
                .into_iter()
                .map(|fault| format!("record {}: {}", fault.seq, fault.what))
                .collect(),
        };
        let (requests, faults) = self.verify_rows(&chain.slices).await?;
        report.requests = requests;
        report.faults.extend(faults);
        let schedules = self.verify_schedules(&chain.slices).await;
        let faults = schedules.map_err(|error| store_problem(&error))?;
        report.faults.extend(faults);
        let freeze = self.verify_freeze(&chain.slices).await;
        let fault = freeze.map_err(|error| store_problem(&error))?;
        report.faults.extend(fault);
        self.verify_ledger(&mut report).await?;
        report.anchors = anchors.len() as u64;
        report
            .faults
            .extend(self.lost_commits(&anchors, held.as_ref()).await?);
        Ok(report)
    }

    /// Whether an entry waits for the scribe. `false` also where nobody can say, or the ledger cannot be written.
    pub(crate) async fn has_unrecorded(&self) -> bool {
        if self
            .ledger_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
        {
            return false;
        }
        let tenant = &self.settings.tenant;
        let Ok(last) = self.store.last_ledger_batch(tenant).await else {
            return false;
        };
        if last.as_ref().is_some_and(|batch| batch.commit.is_none()) {
            return true;
        }
        let after = last.map_or(0, |batch| batch.last_entry);
        self.store
            .ledger_entries(tenant, after, 1)
            .await
            .is_ok_and(|entries| !entries.is_empty())
    }

    /// Commits of the ledger, newest first, from the stored rows: those before a batch, or the newest. With
    /// the batch before which there are more.
    pub(crate) async fn ledger_lines(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<LedgerLine>, Option<u64>), Problem> {
        let tenant = &self.settings.tenant;
        let store = |error| store_problem(&error);
        let end = match before {
            Some(before) => before,
            None => {
                let last = self.store.last_ledger_batch(tenant).await.map_err(store)?;
                last.map_or(1, |last| last.batch_no + 1)
            }
        };
        // Batches are numbered without holes, from 1.
        let first = end.saturating_sub(u64::from(limit)).max(1);
        let count = u32::try_from(end.saturating_sub(first))
            .unwrap_or(limit)
            .min(limit);
        let next = Some(first).filter(|first| *first > 1 && count > 0);
        if count == 0 {
            return Ok((Vec::new(), None));
        }
        let batches = self
            .store
            .ledger_batches(tenant, first - 1, count)
            .await
            .map_err(store)?;
        let mut lines = Vec::new();
        for batch in batches.into_iter().rev() {
            let Some(commit) = &batch.commit else {
                continue;
            };
            let count = u32::try_from(batch.last_entry - batch.first_entry + 1).unwrap_or(PAGE);
            let entries = self
                .store
                .ledger_entries(tenant, batch.first_entry - 1, count)
                .await
                .map_err(store)?;
            let subject = crate::ledger::subject(&entries).map_err(|error| {
                Problem::new(
                    ErrorCode::LedgerFault,
                    error.to_string(),
                    "run `chiffon audit verify`",
                )
            })?;
            let requests = entries.iter().map(|entry| entry.request_id).collect();
            lines.push(LedgerLine {
                commit: commit.clone(),
                time: batch.time,
                subject,
                requests,
            });
        }
        Ok((lines, next))
    }

    async fn verify_ledger(&self, report: &mut AuditReport) -> Result<(), Problem> {
        match self.check_ledger().await {
            Ok(Ok(commits)) => report.ledger_commits = commits,
            Ok(Err(fault)) => {
                let mut words = format!("ledger: {fault}");
                if let Some(damage) = fault.damage() {
                    words += "; it is made anew from the database, and the damaged one is kept beside it";
                    self.ledger_is_damaged(damage);
                }
                report.faults.push(words);
            }
            Err(error) => return Err(scribe_problem(&error)),
        }
        let strays = self.on_ledger(|place| match place.path.exists() {
            // Why it cannot be read is told above.
            true => Ok(place.read().map_or(Vec::new(), |ledger| ledger.strays())),
            false => Ok(Vec::new()),
        });
        let strays = strays.await.map_err(|error| scribe_problem(&error))?;
        let strays = strays.iter().map(|stray| format!("ledger: {stray}"));
        report.faults.extend(strays);
        Ok(())
    }

    /// How many commits hold. Page by page, and the scribe writes on meanwhile: a `main` that is ahead of the
    /// rows that were read is only a fault if no newer rows explain it.
    async fn check_ledger(&self) -> Result<Result<u64, Fault>, ScribeError> {
        let mut verifier = None;
        let mut after = 0;
        loop {
            let page = self.batches_after(after).await?;
            let stored = page.iter().filter(|(batch, _)| batch.commit.is_some());
            let last = stored.map(|(batch, _)| batch.batch_no).max();
            let pending = page.iter().filter(|(batch, _)| batch.commit.is_none());
            let decided = pending.map(|(batch, _)| batch.batch_no).max();
            if last.is_none() && after == 0 && !self.settings.ledger.path.exists() {
                return Ok(Ok(0));
            }
            let checked = self.on_ledger(move |place| Ok(check(place, verifier, &page)));
            let checked: Verifier = match checked.await? {
                Ok(checked) => checked,
                Err(fault) => return Ok(Err(fault)),
            };
            if let Some(last) = last {
                (verifier, after) = (Some(checked.without_pending()), last);
                continue;
            }
            let ended = self.on_ledger(move |_| Ok((checked.finish(), checked)));
            let (held, checked) = ended.await?;
            match held {
                Ok(()) => return Ok(Ok(after)),
                Err(Fault::Head(_)) if self.has_moved_on(after, decided).await? => {
                    verifier = Some(checked.without_pending());
                }
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }

    /// Whether more was written than up to the one number, or decided than up to the other.
    async fn has_moved_on(&self, after: u64, decided: Option<u64>) -> Result<bool, ScribeError> {
        let last = self.store.last_ledger_batch(&self.settings.tenant).await?;
        let Some(last) = last else {
            return Ok(false);
        };
        let written = self.last_written(&last).await?;
        Ok(written.is_some_and(|row| row.batch_no > after)
            || last.batch_no > decided.unwrap_or(after))
    }
}

fn check(place: &Place, verifier: Option<Verifier>, page: &[Batch]) -> Result<Verifier, Fault> {
    let mut verifier = match verifier {
        Some(verifier) => verifier,
        None => place.read().map_err(Fault::Unreadable)?.verifier(),
    };
    for (batch, entries) in page {
        verifier.check(batch, entries)?;
    }
    Ok(verifier)
}

fn scribe_problem(error: &ScribeError) -> Problem {
    match error {
        ScribeError::Store(error) => store_problem(error),
        other => Problem::new(
            ErrorCode::Internal,
            other.to_string(),
            "see the log of the orchestrator",
        ),
    }
}

/// The code of a store's error; the last step before it leaves the engine.
pub(crate) fn store_problem(error: &chiffon_store::Error) -> Problem {
    use chiffon_store::Error;
    let (code, todo) = match error {
        Error::Conflict { .. } | Error::AlreadyHandled | Error::LeaseHeld { .. } => {
            (ErrorCode::Conflict, "try again")
        }
        Error::Replay { .. } | Error::KeyReused => {
            (ErrorCode::IdempotencyMismatch, "use a new idempotency key")
        }
        Error::Malformed(_) => (
            ErrorCode::Internal,
            "please report this with the log of the orchestrator",
        ),
        Error::Unavailable(_) | Error::OutcomeUnknown(_) => (
            ErrorCode::StoreUnavailable,
            "try again; `chiffon doctor` looks at the database",
        ),
        Error::Full => (
            ErrorCode::StoreFull,
            "free space on the disk of the data folder; nothing that was taken is lost",
        ),
        Error::ReadOnly(_) => (
            ErrorCode::StoreReadOnly,
            "make the data folder writable for the user that runs Chiffon",
        ),
        Error::Newer { .. } => (
            ErrorCode::StoreNewer,
            "run the newer Chiffon, or restore a backup of this version",
        ),
        Error::Corrupt(_) => (
            ErrorCode::StoreCorrupt,
            "restore a backup; keep the damaged file for inspection",
        ),
    };
    Problem::new(code, error.to_string(), todo)
}
