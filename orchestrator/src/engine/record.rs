//! What of an ended request is recorded in the ledger, and the scribe that writes it there.
//!
//! The entry is made in the transaction that ends the request; the scribe turns entries into batch rows
//! and batch rows into commits. Only the one scribe decides batches; a commit is a pure function of its row.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use chiffon_arbiter::{RequestState, Run, Task, TaskState};
use chiffon_common::{ErrorCode, HostName, HostOutcome, Mode, Redactor, Step, Tier};
use chiffon_store::{Commit, LedgerBatchRow, LedgerEntryRow, Write};
use jiff::Timestamp;
use serde_json::Value;

use super::{Shared, shared::nudged};
use crate::ledger::{
    FORM, Ledger, LedgerDoc, LedgerError, ProblemDoc, RequestOutcome, StepDoc, StepOutcome,
};

/// What stands in place of a secret value.
const MASK: &str = "[secret]";
/// Entries read at once.
const PAGE: u32 = 500;
/// Tier-0 results that share a commit at most.
const SHARED: usize = 100;
/// Floor below the nudges.
const PERIOD: Duration = Duration::from_secs(5);

/// The ledger's entry for a request that has ended; nothing for one that never had a plan.
pub(crate) fn entry(
    run: &Run,
    now: Timestamp,
) -> Result<Option<LedgerEntryRow>, serde_json::Error> {
    let Some(plan) = &run.plan else {
        return Ok(None);
    };
    let Some(outcome) = outcome_of(&run.request.state) else {
        return Ok(None);
    };
    let steps: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| step_doc(run, step))
        .collect();
    let changes = steps
        .iter()
        .any(|step| step.tier > Tier::Zero && step.outcome != StepOutcome::NotRun);
    let titles: Vec<_> = plan.steps.iter().map(|step| step.title.as_str()).collect();
    let doc = LedgerDoc {
        form: FORM,
        request_id: run.request.request_id,
        requester: run.request.requester.id.clone(),
        approvers: run
            .request
            .approval
            .iter()
            .map(|approval| approval.approver.clone())
            .collect(),
        text: redactor(&plan.steps).redact(&run.request.text),
        plan_digest: Some(plan.digest),
        title: titles.join("; "),
        tier: plan.tier,
        started_at: run.request.created_at,
        ended_at: now,
        outcome,
        steps,
        problem: problem_of(&run.request.state),
    };
    Ok(Some(LedgerEntryRow {
        tenant_id: run.request.tenant_id.clone(),
        entry_no: 0,
        request_id: run.request.request_id,
        shares_commit: !changes,
        created_at: now,
        doc: serde_json::to_value(doc)?,
    }))
}

fn outcome_of(state: &RequestState) -> Option<RequestOutcome> {
    match state {
        RequestState::Completed => Some(RequestOutcome::Completed),
        RequestState::Failed { .. } => Some(RequestOutcome::Failed),
        RequestState::Rejected { .. } => Some(RequestOutcome::Rejected),
        RequestState::Expired { .. } => Some(RequestOutcome::Expired),
        RequestState::Cancelled { .. } => Some(RequestOutcome::Cancelled),
        RequestState::Received
        | RequestState::Planning
        | RequestState::Previewing
        | RequestState::NeedsInput { .. }
        | RequestState::AwaitingApproval { .. }
        | RequestState::Running { .. } => None,
    }
}

fn problem_of(state: &RequestState) -> Option<ProblemDoc> {
    match state {
        RequestState::Failed { problem } | RequestState::Expired { problem } => Some(ProblemDoc {
            code: problem.code,
            detail: problem.detail.clone(),
        }),
        _ => None,
    }
}

fn step_doc(run: &Run, step: &Step) -> Option<StepDoc> {
    let task = run
        .tasks
        .values()
        .find(|task| task.mode == Mode::Apply && task.step == step.no)?;
    let hosts = task.outcome.as_ref().map(|outcome| &outcome.hosts);
    let host_outcomes: BTreeMap<HostName, HostOutcome> = hosts
        .into_iter()
        .flatten()
        .filter_map(|(host, summary)| Some((host.parse().ok()?, summary.outcome)))
        .collect();
    let mut parameters = step.parameters.clone();
    for name in &step.secret_parameters {
        if let Some(value) = parameters.get_mut(name) {
            *value = Value::String(MASK.to_owned());
        }
    }
    Some(StepDoc {
        task_id: task.task_id,
        entry: step.entry.clone(),
        title: step.title.clone(),
        tier: step.tier,
        hosts: step.hosts.clone(),
        parameters,
        outcome: step_outcome(task),
        changed: host_outcomes
            .values()
            .any(|outcome| *outcome == HostOutcome::Changed),
        host_outcomes,
        duration_seconds: task
            .outcome
            .as_ref()
            .map_or(0.0, |outcome| outcome.duration_seconds),
    })
}

fn step_outcome(task: &Task) -> StepOutcome {
    match &task.state {
        TaskState::Completed => StepOutcome::Completed,
        TaskState::Failed { problem } if problem.code == ErrorCode::OutcomeUnknown => {
            StepOutcome::Unknown
        }
        TaskState::Failed { problem } if problem.code == ErrorCode::Interrupted => {
            StepOutcome::Interrupted
        }
        TaskState::Failed { .. } if task.attempt == 0 => StepOutcome::NotRun,
        TaskState::Failed { .. } => StepOutcome::Failed,
        TaskState::Cancelled if task.attempt > 0 => StepOutcome::Cancelled,
        TaskState::Cancelled => StepOutcome::NotRun,
        TaskState::Open | TaskState::Waiting { .. } | TaskState::Interrupted { .. } => {
            StepOutcome::NotRun
        }
        TaskState::Dispatched { .. }
        | TaskState::Accepted { .. }
        | TaskState::Running { .. }
        | TaskState::Unknown { .. } => StepOutcome::Unknown,
    }
}

/// Strikes the values of secret parameters out of the sentence that may hold them.
pub(crate) fn redactor(steps: &[Step]) -> Redactor {
    let values = steps.iter().flat_map(|step| {
        let secret = step.secret_parameters.iter();
        secret
            .filter_map(|name| step.parameters.get(name))
            .filter_map(Value::as_str)
            .map(str::to_owned)
    });
    Redactor::new(values)
}

/// Why the scribe could not write. Nothing is lost: the rows stay, and it tries again (R41).
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScribeError {
    #[error(transparent)]
    Store(#[from] chiffon_store::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the scribe's thread ended: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl Shared {
    /// Writes the ledger for ever. A fault of git never holds up anything else.
    pub(crate) async fn scribe(self: Arc<Self>) {
        let mut caught_up = false;
        loop {
            let done = match caught_up {
                true => self.write_down().await,
                false => self.catch_up().await.map(|()| {
                    caught_up = true;
                    true
                }),
            };
            match done {
                Ok(true) => self.ledger_is(None),
                Ok(false) => {
                    self.ledger_is(None);
                    nudged(&self.nudges.record, PERIOD).await;
                }
                Err(error) => {
                    self.ledger_is(Some(error.to_string()));
                    tokio::time::sleep(PERIOD).await;
                }
            }
        }
    }

    /// Tells a change once, and `health` as long as it lasts.
    fn ledger_is(&self, fault: Option<String>) {
        let mut known = self
            .ledger_fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match (&*known, &fault) {
            (None, Some(error)) => {
                tracing::error!(%error, code = %ErrorCode::LedgerFault, "the ledger cannot be written; the database keeps everything, and it is filled in later");
            }
            (Some(_), None) => tracing::info!("the ledger is written again"),
            _ => {}
        }
        *known = fault;
    }

    /// Fills in what the repository lacks: deleted, moved away, or behind after a loss of power. The
    /// rows are the truth and each commit follows from its row (R40, R41).
    async fn catch_up(&self) -> Result<(), ScribeError> {
        let tenant = &self.settings.tenant;
        let Some(last) = self.store.last_ledger_batch(tenant).await? else {
            return Ok(());
        };
        let path = self.settings.ledger.clone();
        let head = tokio::task::spawn_blocking(move || Ledger::open(&path)?.head()).await??;
        let head = head.map(|commit| commit.to_string());
        if last.commit.is_none() && head == last.parent
            || last.commit.is_some() && head == last.commit
        {
            return Ok(());
        }
        let mut after = self.batch_at(head.as_deref(), &last).await?;
        while after < last.batch_no {
            let Some(batch) = self
                .store
                .ledger_batches(tenant, after, 1)
                .await?
                .into_iter()
                .next()
            else {
                break;
            };
            after = batch.batch_no;
            if batch.commit.is_some() {
                self.write_commit(&batch).await?;
            }
        }
        tracing::warn!(
            batches = last.batch_no,
            "the ledger's repository was behind the database and was filled in"
        );
        Ok(())
    }

    /// The batch whose commit is the head; 0 for an empty repository. A head that no row knows is left to
    /// the write, which names it as foreign.
    async fn batch_at(
        &self,
        head: Option<&str>,
        last: &LedgerBatchRow,
    ) -> Result<u64, ScribeError> {
        let Some(head) = head else { return Ok(0) };
        let mut after = 0;
        loop {
            let page = self
                .store
                .ledger_batches(&self.settings.tenant, after, PAGE)
                .await?;
            if let Some(found) = page
                .iter()
                .find(|batch| batch.commit.as_deref() == Some(head))
            {
                return Ok(found.batch_no);
            }
            match page.last() {
                Some(batch) => after = batch.batch_no,
                None => return Ok(last.batch_no.saturating_sub(1)),
            }
        }
    }

    async fn write_commit(&self, batch: &LedgerBatchRow) -> Result<String, ScribeError> {
        let count = u32::try_from(batch.last_entry - batch.first_entry + 1).unwrap_or(PAGE);
        let entries = self
            .store
            .ledger_entries(&self.settings.tenant, batch.first_entry - 1, count)
            .await?;
        let path = self.settings.ledger.clone();
        let row = batch.clone();
        let commit =
            tokio::task::spawn_blocking(move || Ledger::open(&path)?.write(&row, &entries))
                .await??;
        Ok(commit.to_string())
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
        let path = self.settings.ledger.clone();
        let row = batch.clone();
        let commit =
            tokio::task::spawn_blocking(move || Ledger::open(&path)?.write(&row, &entries))
                .await??;
        let written = LedgerBatchRow {
            commit: Some(commit.to_string()),
            ..batch
        };
        self.store_batch(written).await?;
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
        self.store.commit(commit).await.map(drop)
    }
}
