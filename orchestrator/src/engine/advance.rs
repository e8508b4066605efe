//! One event meets one stored slice: load, judge, commit; again if somebody else was faster.

use chiffon_arbiter::{
    Context, DecisionKind, Effect, Gate, Moved, ProofError, Refusal, RequestState, Run, RunEvent,
    apply,
};
use chiffon_common::{AuditEntry, Frozen, Principal, Problem, RequestId, TraceId};
use chiffon_store::{Check, Commit, Error, InboxKey, NewLogLine, RunRows, TimerRow, Write};
use serde_json::Value;

use super::{
    KeptAnswer, KeyClaim, Shared, audit::chiffon, outgoing::OutgoingError, preview::digest_of,
    replay::docs_of, rows, views::request_view,
};

/// How often a slice is read again because somebody else changed it. Each round lets somebody win, so
/// this many losses in a row mean a fault, not bad luck.
const ROUNDS: usize = 32;

/// Who or what made an event happen, and what comes with it into the same transaction.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) actor: Principal,
    pub(crate) reason_code: &'static str,
    pub(crate) rule: &'static str,
    pub(crate) inbox: Option<InboxKey>,
    pub(crate) lines: Vec<NewLogLine>,
    pub(crate) timer: Option<TimerRow>,
    pub(crate) data: Value,
    /// The trace of whoever asked; that of the request where there is none.
    pub(crate) trace: Option<TraceId>,
    /// The key under which the answer is kept.
    pub(crate) claim: Option<KeyClaim>,
    /// What else must be so for it to happen.
    pub(crate) checks: Vec<Check>,
    /// What is written with it or not at all.
    pub(crate) along: Option<Box<Along>>,
}

/// What goes along with an event into its commit. Who brings it looks again where somebody else was faster.
#[derive(Debug, Clone)]
pub(crate) struct Along {
    pub(crate) writes: Vec<Write>,
    pub(crate) audit: Vec<AuditEntry>,
}

impl Cause {
    /// The orchestrator's own doing.
    pub(crate) fn own(reason_code: &'static str) -> Self {
        Self::by(chiffon(), reason_code)
    }

    /// Somebody's doing.
    pub(crate) fn by(actor: Principal, reason_code: &'static str) -> Self {
        Self {
            actor,
            reason_code,
            rule: "lifecycle",
            inbox: None,
            lines: Vec::new(),
            timer: None,
            data: Value::Null,
            trace: None,
            claim: None,
            checks: Vec::new(),
            along: None,
        }
    }
}

/// What became of an event.
#[derive(Debug)]
pub(crate) enum Advanced {
    /// Committed.
    Moved,
    /// The arbiter refused it; what came with it (inbox key, timer, lines) is committed all the same.
    Refused(Refusal),
    /// The message had been handled before.
    HandledBefore,
}

/// An event, the time it was judged at and the rows it met, for the record of what was said.
struct Told<'a> {
    event: &'a RunEvent,
    at: jiff::Timestamp,
    found: &'a RunRows,
}

/// Why an event could not be brought home. The caller may bring it again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdvanceError {
    #[error("there is no such request")]
    NoRequest,
    #[error("{}", .0.detail)]
    Forgotten(Box<Problem>),
    #[error("stored slice cannot be used")]
    Unreadable(#[from] rows::Unreadable),
    #[error("slice cannot be stored")]
    Unwritable(#[from] serde_json::Error),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error("message cannot be made")]
    Outgoing(#[from] OutgoingError),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Shared {
    /// Reads a slice.
    pub(crate) async fn load(
        &self,
        request: RequestId,
    ) -> Result<(Run, rows::Versions), AdvanceError> {
        understood(&self.rows_of(request).await?)
    }

    /// The rows of a request.
    pub(crate) async fn rows_of(&self, request: RequestId) -> Result<RunRows, AdvanceError> {
        let found = self.store.run(&self.settings.tenant, request).await?;
        match found {
            Some(rows) => Ok(rows),
            None => Err(match self.forgotten(request).await? {
                Some(problem) => AdvanceError::Forgotten(Box::new(problem)),
                None => AdvanceError::NoRequest,
            }),
        }
    }

    /// What the gate before every start has to know beside the slice.
    pub(crate) fn gate<'a>(&self, frozen: Option<&'a Frozen>) -> Gate<'a> {
        Gate {
            now: self.clock.now(),
            rules: self.settings.rules,
            frozen,
        }
    }

    /// Brings an event to a slice.
    pub(crate) async fn advance(
        &self,
        request: RequestId,
        event: RunEvent,
        cause: Cause,
    ) -> Result<Advanced, AdvanceError> {
        let mut last = Error::Conflict {
            what: format!("request {request}"),
        };
        for _round in 0..ROUNDS {
            let found = self.rows_of(request).await?;
            let (run, versions) = understood(&found)?;
            let ids = self.ids(
                2 + 2 * run
                    .plan
                    .as_ref()
                    .map_or(1, |plan| plan.steps.len())
                    .max(planned_steps(&event)),
            );
            let now = self.clock.now();
            let context = Context {
                now,
                policy: &self.settings.lifecycles,
                rules: self.settings.rules,
                frozen: versions.frozen(),
                ids,
            };
            let judged = apply(&run, event.clone(), context);
            let wakes_schedule = judged
                .as_ref()
                .is_ok_and(|moved| wakes_schedule(&moved.run));
            let (commit, advanced, effects) = match judged {
                Ok(moved) => {
                    let told = Told {
                        event: &event,
                        at: now,
                        found: &found,
                    };
                    let commit = self.commit_of(&run, &versions, &moved, &cause, told)?;
                    (commit, Advanced::Moved, moved.effects)
                }
                Err(refusal) => {
                    let commit = self.commit_of_refusal(&cause);
                    let Some(commit) = commit else {
                        return Ok(Advanced::Refused(refusal));
                    };
                    (commit, Advanced::Refused(refusal), Vec::new())
                }
            };
            chiffon_failpoint::hit!("advance.commit.before");
            match self.commit(commit).await {
                Ok(_) => {
                    chiffon_failpoint::hit!("advance.commit.after");
                    if wakes_schedule {
                        self.nudges.schedules.notify_one();
                    }
                    self.after(request, &effects);
                    return Ok(advanced);
                }
                Err(Error::AlreadyHandled) => return Ok(Advanced::HandledBefore),
                // The timer was taken or moved by somebody else, and there was nothing to do anyway.
                Err(Error::Conflict { .. }) if matches!(advanced, Advanced::Refused(_)) => {
                    return Ok(advanced);
                }
                Err(error @ Error::Conflict { .. }) if cause.along.is_none() => last = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.into())
    }

    fn commit_of(
        &self,
        run: &Run,
        versions: &rows::Versions,
        moved: &Moved,
        cause: &Cause,
        told: Told<'_>,
    ) -> Result<Commit, AdvanceError> {
        // The rows say the very time of the event that led to them, so that the one is held against the other.
        let now = told.at;
        let mut writes: Vec<_> = cause
            .timer
            .clone()
            .map(Write::TakeTimer)
            .into_iter()
            .collect();
        writes.extend(rows::writes(Some(run), versions, &moved.run, now)?);
        writes.push(self.told_of(told.event, told.at, moved, versions)?);
        if !cause.lines.is_empty() {
            writes.push(Write::Logs(cause.lines.clone()));
        }
        let gate = self.gate(versions.frozen());
        let (outbox, more) = self.perform(run, &moved.run, &moved.effects, &gate)?;
        writes.extend(more);
        let proof = moved.run.proof()?;
        // What changes without a move, as a cancellation that agents are told of, is recorded all the same.
        let is_recorded = !moved.moves.is_empty() || run.proof()? != proof;
        let audit = is_recorded.then(|| {
            let (moves, data) = (moved.moves.clone(), cause.data.clone());
            let entry = self.audit_of_moves(&moved.run, cause, moves, data, proof);
            // Of the rows themselves, not of what was understood of them: an edit must not be lost in reading.
            let slice_before = Some(docs_of(told.found).proof().map_err(ProofError::from)?);
            Ok::<_, AdvanceError>(AuditEntry {
                slice_before,
                ..entry
            })
        });
        let mut audit: Vec<_> = audit.transpose()?.into_iter().collect();
        if let Some(along) = cause.along.as_deref() {
            writes.extend(along.writes.iter().cloned());
            audit.extend(along.audit.iter().cloned());
        }
        let answered = |claim: &KeyClaim| {
            let view = request_view(&moved.run, now, None);
            let answer = KeptAnswer {
                status: 200,
                body: serde_json::to_value(view)?,
            };
            claim.with(&answer, now)
        };
        Ok(Commit {
            tenant_id: self.settings.tenant.clone(),
            inbox: cause.inbox.clone(),
            idempotency: cause.claim.as_ref().map(answered).transpose()?,
            checks: [cause.checks.clone(), checks(versions, &moved.effects)].concat(),
            writes,
            audit,
            outbox,
        })
    }

    /// A refused event moves nothing, but its message is handled, its timer has fired and its lines count.
    fn commit_of_refusal(&self, cause: &Cause) -> Option<Commit> {
        let mut writes: Vec<_> = cause
            .timer
            .clone()
            .map(Write::TakeTimer)
            .into_iter()
            .collect();
        if !cause.lines.is_empty() {
            writes.push(Write::Logs(cause.lines.clone()));
        }
        if writes.is_empty() && cause.inbox.is_none() {
            return None;
        }
        Some(Commit {
            tenant_id: self.settings.tenant.clone(),
            inbox: cause.inbox.clone(),
            writes,
            ..Commit::default()
        })
    }

    /// After the commit: wake whoever has something to do now.
    fn after(&self, request: RequestId, effects: &[Effect]) {
        self.changed(request);
        self.nudges.timers.notify_one();
        // A lease may have become free with any move.
        self.nudges.dispatch.notify_one();
        for effect in effects {
            match effect {
                Effect::Dispatch { .. }
                | Effect::Query { .. }
                | Effect::Cancel { .. }
                | Effect::SendBundle { .. } => {
                    self.nudges.relay.notify_one();
                }
                Effect::Plan => self.nudges.planning.notify_one(),
                Effect::SealPreview => self.nudges.preview.notify_one(),
                Effect::Record => self.nudges.record.notify_one(),
                Effect::Wake | Effect::MarkHosts { .. } => {}
            }
        }
    }
}

/// The slice that these rows are.
fn understood(found: &RunRows) -> Result<(Run, rows::Versions), AdvanceError> {
    let (mut run, versions) = rows::slice_of(found)?;
    if chiffon_failpoint::mutant!("approval-not-rebound") {
        rebound(&mut run)?;
    }
    Ok((run, versions))
}

/// As if an approval were of whatever plan is stored: everything that names the digest of the plan gets that of
/// the plan as it is now.
fn rebound(run: &mut Run) -> Result<(), ProofError> {
    let Some(mut plan) = run.plan.clone() else {
        return Ok(());
    };
    let now = digest_of(run, &plan)?;
    plan.digest = now;
    run.plan = Some(plan);
    run.request.planned = Some(now);
    if let Some(approval) = &mut run.request.approval {
        approval.digest = now;
    }
    for decision in run.decisions.values_mut() {
        if let DecisionKind::Approval { digest, .. } = &mut decision.kind {
            *digest = now;
        }
    }
    Ok(())
}

/// A start was judged under the freeze that was read: it is none where somebody has frozen the fleet since.
fn checks(versions: &rows::Versions, effects: &[Effect]) -> Vec<Check> {
    let starts = |effect: &Effect| matches!(effect, Effect::Dispatch { .. });
    let version = versions.freeze();
    let check = Check::Freeze { version };
    effects
        .iter()
        .any(starts)
        .then_some(check)
        .into_iter()
        .collect()
}

/// Whether whoever runs schedules has something to do: it asks for an approval, or has ended.
fn wakes_schedule(run: &Run) -> bool {
    let state = &run.request.state;
    let asks = matches!(state, RequestState::AwaitingApproval { .. });
    run.request.schedule.is_some() && (asks || state.ended())
}

fn planned_steps(event: &RunEvent) -> usize {
    match event {
        RunEvent::Planned { plan } => plan.steps.len(),
        _ => 0,
    }
}
