//! `audit verify`: chain, seals and ledger held against each other.

use std::{sync::PoisonError, time::Duration};

use chiffon_common::{
    AuditRecord, ErrorCode, Problem,
    api::{AuditReport, LedgerLine, VerifyAudit},
};

use super::{
    Editor, Shared,
    anchor::seal_of,
    ledger_keys::{Replacements, Signers},
    parting::Parted,
    restorations::Restorations,
    scribe::ScribeError,
    verify_rows::or_named,
};
use crate::ledger::{Batch, Fault, LedgerError, Parting, Place, Verifier};

/// Batches read at once.
const PAGE: u32 = 200;
/// How long it may take until the ledger is put back.
const PATIENCE: Duration = Duration::from_secs(600);
/// One that is put back meanwhile is looked at again so often.
const TRIES: usize = 3;

/// How many commits of the ledger hold, and the first fault behind them.
type Held = (u64, Option<Fault>);

/// What a look at the ledger found.
#[derive(Default)]
struct LedgerLook {
    commits: u64,
    faults: Vec<String>,
    signers: Signers,
    /// Of the faults, what a new ledger heals.
    damage: Option<LedgerError>,
    /// How often it had been put back by then.
    times: u64,
}

impl LedgerLook {
    /// Says what was found, and what becomes of it. Nothing is made anew while ledger and database have parted.
    fn take(&mut self, found: Vec<Fault>, parted: Option<Parted>) {
        let is_parted = parted.is_some();
        let fork = parted.as_ref().map(|parted| parted.fork);
        // What lies behind that does not fit, for the one reason.
        let is_told = |fault: &Fault| match (fork, fault) {
            (None, _) => true,
            (_, Fault::Head(_)) => false,
            (Some(fork), fault) => fault.batch_no().is_none_or(|batch| batch <= fork),
        };
        let parted = parted.map(|parted| Fault::Unreadable(parted.into()));
        let found = found.into_iter().filter(is_told);
        for fault in parted.into_iter().chain(found) {
            let mut words = format!("ledger: {fault}");
            if let Some(damage) = fault.damage().filter(|_| !is_parted) {
                words +=
                    "; it is made anew from the database, and the damaged one is kept beside it";
                self.damage.get_or_insert(damage);
            }
            self.faults.push(words);
        }
    }
}

impl Shared {
    /// Holds everything against everything. Faults are part of the report; an error means that it could not be looked at.
    /// Anchors are what was noted elsewhere.
    pub(crate) async fn verify_audit(
        &self,
        asked: VerifyAudit,
        editor: &Editor,
    ) -> Result<AuditReport, Problem> {
        let store = |error| store_problem(&error);
        let (anchors, held) = self.anchors_of(asked).await?;
        let seals: Vec<_> = anchors.iter().map(seal_of).collect();
        // First the ledger: what was put back before it was looked at has its record in the chain, which is read then.
        let ledger = self.look_at_ledger().await?;
        let mut restorations = Restorations::default();
        let mut replacements = Replacements::default();
        let mut reader = |seq, record: &AuditRecord| {
            restorations.read(seq, record);
            replacements.read(seq, record);
        };
        let chain = chiffon_store::verify_audit_reading(&*self.store, &seals, &mut reader).await;
        let chain = chain.map_err(store)?;
        let mut report = AuditReport {
            records: chain.records,
            streams: chain.streams,
            seals: chain.seals,
            requests: 0,
            anchors: anchors.len() as u64,
            ledger_commits: ledger.commits,
            faults: chain
                .faults
                .into_iter()
                .map(|fault| format!("record {}: {}", fault.seq, fault.what))
                .collect(),
            notes: replacements.notes().chain(restorations.told()).collect(),
        };
        let database = self.store.check().await.map_err(store)?;
        let database = database
            .into_iter()
            .map(|fault| format!("database: {fault}"));
        report.faults.extend(database);
        let rows = self.verify_rows(&chain.slices).await.map_err(store)?;
        report.requests = rows.0;
        report.faults.extend(rows.1);
        let schedules = or_named(self.verify_schedules(&chain.slices).await).map_err(store)?;
        report.faults.extend(schedules);
        let freeze = self.verify_freeze(&chain.slices).await;
        let freeze: Vec<_> = or_named(freeze.map(Vec::from_iter)).map_err(store)?;
        report.faults.extend(freeze);
        report.faults.extend(restorations.untold());
        report.faults.extend(ledger.faults);
        match &self.settings.ledger.key_fault {
            Some(fault) => report.faults.push(format!("ledger: {fault}")),
            None => {
                let here = self.ledger_key();
                let keys = replacements.faults(&ledger.signers, here.as_deref());
                report.faults.extend(keys);
            }
        }
        let lost = self.lost_commits(&anchors, held.as_ref()).await?;
        report.faults.extend(lost);
        let mut told = restorations.last_untold();
        if let Some(damage) = ledger.damage {
            self.have_made_anew(damage, ledger.times).await;
            // The record of that is told already: by the damage.
            let seal = self.store.last_seal().await.map_err(store)?;
            told = seal.map(|seal| seal.last_seq);
        }
        if let Some(up_to) = told
            && let Err(error) = self.record_told(up_to, editor).await
        {
            tracing::warn!(%error, "that the ledger was put back could not be recorded as told; it is told again");
        }
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

    /// Holds the ledger against its rows, as it is while nobody puts it back.
    async fn look_at_ledger(&self) -> Result<LedgerLook, Problem> {
        let mut rounds = self.ledger_rounds.subscribe();
        let first = rounds.wait_for(|rounds| *rounds > 0);
        drop(
            tokio::time::timeout(PATIENCE, first)
                .await
                .map_err(|_| busy())?,
        );
        for _try in 0..TRIES {
            let turn = tokio::time::timeout(PATIENCE, self.ledger_turn.lock()).await;
            let times = turn.map_err(|_| busy())?.times;
            let mut signers = Signers::default();
            let checked = self.check_ledger(&mut signers).await;
            let (commits, fault) = checked.map_err(|error| scribe_problem(&error))?;
            let files = self.on_ledger(check_files).await;
            let found = with_files(fault, files).map_err(|error| scribe_problem(&error))?;
            let turn = tokio::time::timeout(PATIENCE, self.ledger_turn.lock()).await;
            if turn.map_err(|_| busy())?.times != times {
                continue;
            }
            let mut look = LedgerLook {
                commits,
                times,
                signers,
                ..LedgerLook::default()
            };
            let parted = self.parted_behind(&found).await;
            let parted = parted.map_err(|error| scribe_problem(&error))?;
            look.take(found, parted);
            let strays = self.on_ledger(|place| match place.path.exists() {
                // Why it cannot be read is told above.
                true => Ok(place.read().map_or(Vec::new(), |ledger| ledger.strays())),
                false => Ok(Vec::new()),
            });
            let strays = strays.await.map_err(|error| scribe_problem(&error))?;
            let strays = strays.iter().map(|stray| format!("ledger: {stray}"));
            look.faults.extend(strays);
            return Ok(look);
        }
        Err(busy())
    }

    /// Whether what does not fit comes from a database and a ledger that do not belong together.
    async fn parted_behind(&self, found: &[Fault]) -> Result<Option<Parted>, ScribeError> {
        let is_moved = found.iter().any(|fault| matches!(fault, Fault::Head(_)));
        let is_damaged = found.iter().any(|fault| fault.clone().damage().is_some());
        if !is_moved && !is_damaged {
            return Ok(None);
        }
        let parted = match self.parted().await {
            Ok(parted) => parted,
            Err(ScribeError::Store(error)) => return Err(error.into()),
            // A ledger that cannot be read tells nothing more.
            Err(_) => return Ok(None),
        };
        // Where `main` was not held against what is decided, that may be what lies there.
        Ok(parted.filter(|parted| is_moved || parted.how == Parting::Apart))
    }

    /// How many commits hold, and the first fault behind them. Page by page, and the scribe writes on meanwhile: a `main`
    /// that is ahead of the rows that were read is only a fault if no newer rows explain it.
    async fn check_ledger(&self, signers: &mut Signers) -> Result<Held, ScribeError> {
        let mut verifier = None;
        let mut after = 0;
        loop {
            let page = self.batches_after(after).await?;
            let stored = page.iter().map(|(batch, _)| batch);
            let stored = stored.filter(|batch| batch.commit.is_some());
            let last = stored.clone().map(|batch| batch.batch_no).max();
            stored.for_each(|batch| signers.read(batch));
            let pending = page.iter().filter(|(batch, _)| batch.commit.is_none());
            let decided = pending.map(|(batch, _)| batch.batch_no).max();
            if last.is_none() && after == 0 && !self.settings.ledger.path.exists() {
                return Ok((0, None));
            }
            let checked = self.on_ledger(move |place| Ok(check(place, verifier, &page)));
            let checked: Verifier = match checked.await? {
                Ok(checked) => checked,
                Err(fault) => {
                    let held = fault
                        .batch_no()
                        .map_or(after, |batch| batch.saturating_sub(1));
                    return Ok((held, Some(fault)));
                }
            };
            if let Some(last) = last {
                (verifier, after) = (Some(checked.without_pending()), last);
                continue;
            }
            let ended = self.on_ledger(move |_| Ok((checked.finish(), checked)));
            let (held, checked) = ended.await?;
            match held {
                Ok(()) => return Ok((after, None)),
                Err(Fault::Head(_)) if self.has_moved_on(after, decided).await? => {
                    verifier = Some(checked.without_pending());
                }
                Err(fault) => return Ok((after, Some(fault))),
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

/// The files of objects, whether a commit needs them or not.
fn check_files(place: &Place) -> Result<(), LedgerError> {
    match place.path.exists() {
        true => place.read()?.sound(),
        false => Ok(()),
    }
}

/// What was found of the commits, and of the files. Damage is told once, by the commit where one has it; what only a new
/// ledger heals is not told as something that merely could not be read.
fn with_files(
    commits: Option<Fault>,
    files: Result<(), ScribeError>,
) -> Result<Vec<Fault>, ScribeError> {
    let files = match files {
        Ok(()) => return Ok(Vec::from_iter(commits)),
        Err(ScribeError::Ledger(error)) => Fault::Unreadable(error),
        Err(other) => return Err(other),
    };
    Ok(match commits {
        None | Some(Fault::Unreadable(_)) => vec![files],
        Some(fault) if fault.clone().damage().is_some() => vec![fault],
        Some(fault) => vec![fault, files],
    })
}

fn busy() -> Problem {
    Problem::new(
        ErrorCode::LedgerFault,
        "the ledger is being put back from the database, so it cannot be held against anything yet",
        "ask again in a few minutes; `chiffon status` says how it is",
    )
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
