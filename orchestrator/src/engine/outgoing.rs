//! Effects made into rows of the same transaction: messages for the outbox, marks on hosts, the ledger's entry.
//!
//! The seal is minted here, at dispatch and nowhere else (DESIGN section 6): from the stored plan, the
//! stored approval and the attempt in hand, never from what a caller says.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chiffon_arbiter::{Effect, Gate, Refusal, Run, Sent, Task, may_start, needs_look};
use chiffon_bus::QueueName;
use chiffon_common::{
    AgentId, AgentKind, AttemptRef, BundleError, BundlePiece, CanonicalError, Envelope,
    EnvelopeError, MessageId, Mode, Payload, SealClaims, Step, TaskId, WorkCancel, WorkQuery,
    WorkRequest,
};
use chiffon_store::{HostRow, OutboxRow, Write};
use jiff::{SignedDuration, Timestamp};

use super::{Shared, record, turns::host_claim};

/// Largest piece of a bundle before base64, so that the envelope stays under its limit.
const PIECE_BYTES: usize = 512 * 1024;

/// Why a message cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutgoingError {
    #[error("task {0} has no step or no agent")]
    Incomplete(TaskId),
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("record cannot be made")]
    Record(#[from] serde_json::Error),
    #[error("start refused at the last gate: {0}")]
    NotApproved(Refusal),
}

impl Shared {
    /// What the effects add to the transaction.
    pub(crate) fn perform(
        &self,
        before: &Run,
        after: &Run,
        effects: &[Effect],
        gate: &Gate<'_>,
    ) -> Result<(Vec<OutboxRow>, Vec<Write>), OutgoingError> {
        let mut outbox = Vec::new();
        let mut writes = Vec::new();
        for effect in effects {
            match effect {
                Effect::Dispatch { task } => {
                    outbox.push(self.work_request(before, after, *task, gate)?);
                }
                Effect::Query { task } => outbox.push(self.query(after, *task)?),
                Effect::Cancel { task } => outbox.push(self.cancel(after, *task)?),
                Effect::SendBundle { task } => outbox.extend(self.bundle(after, *task)?),
                Effect::Record => {
                    writes.extend(record::entry(after, self.clock.now())?.map(Write::LedgerEntry))
                }
                Effect::MarkHosts { task, needs_look } => {
                    writes.extend(self.marks(before, after, *task, *needs_look))
                }
                Effect::SealPreview | Effect::Plan | Effect::Wake => {}
            }
        }
        Ok((outbox, writes))
    }

    fn work_request(
        &self,
        before: &Run,
        run: &Run,
        id: TaskId,
        gate: &Gate<'_>,
    ) -> Result<OutboxRow, OutgoingError> {
        let (task, step, sent) = parts(run, id)?;
        // Whatever event it follows from, and whether it is sent for the first time or again: what is stored passes
        // the gate once more, so that no path to an agent goes around the approval (S34).
        let was = before.tasks.get(&id).ok_or(OutgoingError::Incomplete(id))?;
        may_start(before, was, gate).map_err(OutgoingError::NotApproved)?;
        let plan = run.plan.as_ref().ok_or(OutgoingError::Incomplete(id))?;
        let approval = run
            .request
            .approval
            .as_ref()
            .filter(|_| task.mode == Mode::Apply);
        let claims = SealClaims {
            v: 1,
            plan: plan.digest,
            action: step.entry.clone(),
            bundle: step.bundle,
            parameters: step.parameters.clone(),
            hosts: step.hosts.clone(),
            mode: task.mode,
            timeout_seconds: step.timeout_seconds,
            task_id: id,
            attempt: task.attempt,
            agent: sent.agent.clone(),
            incarnation: sent.incarnation,
            issued_at: self.clock.now(),
            not_after: sent.not_after,
            decision: approval.map(|approval| approval.decision),
            approver: approval.map(|approval| approval.approver.clone()),
        };
        let request = WorkRequest {
            agent_type: AgentKind::Infrastructure,
            attempt: AttemptRef {
                task_id: id,
                attempt: task.attempt,
            },
            action: step.entry.clone(),
            parameters: step.parameters.clone(),
            resources_required: step.resources,
            mode: task.mode,
            hosts: step.hosts.clone(),
            bundle: step.bundle,
            timeout_seconds: step.timeout_seconds,
            not_after: sent.not_after,
            secret_parameters: step.secret_parameters.clone(),
            seal: self.signer.seal(claims)?,
        };
        self.outbox_row(
            run,
            &sent.agent,
            &Payload::WorkRequest(Box::new(request)),
            Some(sent.not_after),
        )
    }

    pub(crate) fn query(&self, run: &Run, id: TaskId) -> Result<OutboxRow, OutgoingError> {
        let (task, _, sent) = parts(run, id)?;
        let attempt = AttemptRef {
            task_id: id,
            attempt: task.attempt,
        };
        let query = WorkQuery {
            attempt,
            agent: sent.agent.clone(),
        };
        self.outbox_row(
            run,
            &sent.agent,
            &Payload::WorkQuery(query),
            Some(self.later(SignedDuration::from_mins(5))),
        )
    }

    fn cancel(&self, run: &Run, id: TaskId) -> Result<OutboxRow, OutgoingError> {
        let (task, _, sent) = parts(run, id)?;
        let cancelling = run.request.cancelling.as_ref();
        let reason = cancelling.map_or_else(
            || "cancelled by the run's deadline".to_owned(),
            chiffon_arbiter::Cancelling::words,
        );
        let not_after = sent.not_after.max(self.later(SignedDuration::from_mins(5)));
        let cancel = WorkCancel {
            attempt: AttemptRef {
                task_id: id,
                attempt: task.attempt,
            },
            agent: sent.agent.clone(),
            not_after,
            reason,
        };
        self.outbox_row(
            run,
            &sent.agent,
            &Payload::WorkCancel(cancel),
            Some(not_after),
        )
    }

    fn bundle(&self, run: &Run, id: TaskId) -> Result<Vec<OutboxRow>, OutgoingError> {
        let (_, step, sent) = parts(run, id)?;
        let Some(bundle) = self.library.bundle(step) else {
            // Changed since it was planned: the agent never gets it, and its start runs out.
            tracing::warn!(task.id = %id, "the playbook has changed since it was planned, so it is not sent");
            return Ok(Vec::new());
        };
        let bytes = bundle.to_bytes()?;
        let pieces = u32::try_from(bytes.chunks(PIECE_BYTES).count()).unwrap_or(u32::MAX);
        let piece = |(piece, data): (u32, &[u8])| {
            let piece = BundlePiece {
                agent: sent.agent.clone(),
                digest: step.bundle,
                piece,
                pieces,
                data: BASE64_STANDARD.encode(data),
            };
            self.outbox_row(
                run,
                &sent.agent,
                &Payload::Bundle(piece),
                Some(self.later(SignedDuration::from_mins(5))),
            )
        };
        (0..).zip(bytes.chunks(PIECE_BYTES)).map(piece).collect()
    }

    /// By the names of the hosts, and by the machines that the task had to itself: an inventory that is edited
    /// meanwhile hides nothing. What is known by now is marked no longer.
    fn marks(&self, before: &Run, run: &Run, id: TaskId, is_open: bool) -> Vec<Write> {
        let Ok((task, step)) = step_of(run, id) else {
            return Vec::new();
        };
        let unmark = Write::UnmarkHosts {
            task_id: id,
            places: None,
        };
        if !is_open {
            return vec![unmark];
        }
        let was = before.tasks.get(&id);
        let hosts = needs_look(run, task);
        let held = was.into_iter().chain([task]);
        let mut places: BTreeSet<String> =
            held.flat_map(|task| task.leases.iter().cloned()).collect();
        // Of a step on several hosts the others are known.
        let known = step.hosts.iter().filter(|host| !hosts.contains(*host));
        for host in known {
            places.remove(&host_claim(host));
        }
        if hosts.len() < step.hosts.len()
            && let Some(machines) = self.library.machines(&hosts)
        {
            places.retain(|place| machines.contains(place));
        }
        places.extend(hosts.iter().map(host_claim));
        let mark = |place| {
            Write::MarkHost(HostRow {
                tenant_id: run.request.tenant_id.clone(),
                place,
                task_id: id,
                request_id: run.request.request_id,
                since: self.clock.now(),
                because: task.because.clone(),
            })
        };
        let marked = was.map(|was| needs_look(before, was));
        let fewer = marked.is_some_and(|marked| !marked.is_subset(&hosts));
        let unmark = fewer.then_some(unmark);
        unmark
            .into_iter()
            .chain(places.into_iter().map(mark))
            .collect()
    }

    fn outbox_row(
        &self,
        run: &Run,
        agent: &AgentId,
        payload: &Payload,
        not_after: Option<Timestamp>,
    ) -> Result<OutboxRow, OutgoingError> {
        let now = self.clock.now();
        let message_id = MessageId::from_uuid(self.clock.fresh_id());
        let request = Some(run.request.request_id);
        let envelope = Envelope::new(payload, message_id, run.request.trace_id, request, now)?
            .signed(&self.signer)?;
        Ok(OutboxRow {
            message_id,
            tenant_id: run.request.tenant_id.clone(),
            queue: QueueName::agent(agent).to_string(),
            body: envelope.to_bytes()?,
            not_before: now,
            not_after,
            tries: 0,
        })
    }

    fn later(&self, by: SignedDuration) -> Timestamp {
        self.clock.now().checked_add(by).unwrap_or(Timestamp::MAX)
    }
}

pub(crate) fn step_of(run: &Run, id: TaskId) -> Result<(&Task, &Step), OutgoingError> {
    let task = run.tasks.get(&id).ok_or(OutgoingError::Incomplete(id))?;
    let step = run
        .plan
        .as_ref()
        .and_then(|plan| plan.steps.get(task.step as usize));
    Ok((task, step.ok_or(OutgoingError::Incomplete(id))?))
}

fn parts(run: &Run, id: TaskId) -> Result<(&Task, &Step, &Sent), OutgoingError> {
    let (task, step) = step_of(run, id)?;
    Ok((
        task,
        step,
        task.state.sent().ok_or(OutgoingError::Incomplete(id))?,
    ))
}
