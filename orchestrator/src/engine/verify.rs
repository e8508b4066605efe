//! `audit verify`: chain, seals and ledger held against each other.

use std::sync::PoisonError;

use chiffon_common::{
    ErrorCode, Problem,
    api::{AuditReport, LedgerLine},
};

use super::Shared;
use crate::ledger::Ledger;

/// Batches read at once.
const PAGE: u32 = 200;

impl Shared {
    /// Holds everything against everything. Faults are part of the report; an error means that it could not be looked at.
    pub(crate) async fn verify_audit(&self) -> Result<AuditReport, Problem> {
        let chain = chiffon_store::verify_audit(&*self.store)
            .await
            .map_err(|error| store_problem(&error))?;
        let mut report = AuditReport {
            records: chain.records,
            streams: chain.streams,
            seals: chain.seals,
            ledger_commits: 0,
            faults: chain
                .faults
                .into_iter()
                .map(|fault| format!("record {}: {}", fault.seq, fault.what))
                .collect(),
        };
        self.verify_ledger(&mut report).await?;
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

    /// The newest commits of the ledger, newest first, from the stored rows.
    pub(crate) async fn ledger_lines(&self, limit: u32) -> Result<Vec<LedgerLine>, Problem> {
        let tenant = &self.settings.tenant;
        let store = |error| store_problem(&error);
        let Some(last) = self.store.last_ledger_batch(tenant).await.map_err(store)? else {
            return Ok(Vec::new());
        };
        let after = last.batch_no.saturating_sub(u64::from(limit));
        let batches = self
            .store
            .ledger_batches(tenant, after, limit)
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
        Ok(lines)
    }

    async fn verify_ledger(&self, report: &mut AuditReport) -> Result<(), Problem> {
        let tenant = &self.settings.tenant;
        let mut batches = Vec::new();
        let mut entries = Vec::new();
        loop {
            let after = batches
                .last()
                .map_or(0, |batch: &chiffon_store::LedgerBatchRow| batch.batch_no);
            let page = self
                .store
                .ledger_batches(tenant, after, PAGE)
                .await
                .map_err(|error| store_problem(&error))?;
            if page.is_empty() {
                break;
            }
            batches.extend(page);
        }
        let last = batches.last().map_or(0, |batch| batch.last_entry);
        loop {
            let after = entries
                .last()
                .map_or(0, |entry: &chiffon_store::LedgerEntryRow| entry.entry_no);
            if after >= last {
                break;
            }
            let page = self
                .store
                .ledger_entries(tenant, after, PAGE)
                .await
                .map_err(|error| store_problem(&error))?;
            if page.is_empty() {
                break;
            }
            entries.extend(page);
        }
        let path = self.settings.ledger.clone();
        let count = batches
            .iter()
            .filter(|batch| batch.commit.is_some())
            .count() as u64;
        let checked = tokio::task::spawn_blocking(move || match Ledger::read(&path) {
            // Nothing was recorded yet, and nothing is there.
            Err(error) if batches.is_empty() && error.is_damage() && !path.exists() => Ok(()),
            Ok(ledger) => ledger
                .verify(&batches, &entries)
                .map_err(|fault| fault.to_string()),
            Err(error) => Err(error.to_string()),
        });
        match checked.await {
            Ok(Ok(())) => report.ledger_commits = count,
            Ok(Err(fault)) => report.faults.push(format!("ledger: {fault}")),
            Err(error) => {
                return Err(Problem::new(
                    ErrorCode::Internal,
                    error.to_string(),
                    "see the log of the orchestrator",
                ));
            }
        }
        Ok(())
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
