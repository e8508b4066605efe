//! The one door: an event meets a slice.

use chiffon_common::{
    EntryCall, EventId, Principal, ProjectId, RequestId, RoomId, Scheduled, TenantId, TraceId,
    Undoing,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Context, Moved, Refusal, Request, RequestState, Run, RunEvent, RunPolicy, TimerKind, TimerName,
    TimerSubject, desk::Desk,
};

/// Decides; never acts. Same slice, event and context: same result. A refusal changes nothing.
pub fn apply<'a>(run: &'a Run, event: RunEvent, context: Context<'a>) -> Result<Moved, Refusal> {
    let mut desk = Desk::new(run, context);
    match event {
        RunEvent::PlanningBegan => desk.planning_began()?,
        RunEvent::Planned { plan } => desk.planned(*plan)?,
        RunEvent::AskedBack {
            question,
            nearest,
            problem,
            wants,
        } => desk.asked_back(question, nearest, problem, wants)?,
        RunEvent::PlanningFailed { problem } => desk.planning_failed(problem)?,
        RunEvent::PreviewSealed { plan } => desk.preview_sealed(*plan)?,
        RunEvent::Answered(answer) => desk.answered(answer)?,
        RunEvent::Replied(reply) => desk.replied(reply)?,
        RunEvent::StandingApproved(standing) => desk.standing_approved(&standing)?,
        RunEvent::StandingWithheld { because } => desk.standing_withheld(because)?,
        RunEvent::CancelAsked { by, limit_seconds } => desk.cancel_asked(&by, limit_seconds)?,
        RunEvent::TaskHeld { task, on } => desk.task_held(task, on)?,
        RunEvent::TaskDispatched { task, sent, leases } => {
            desk.task_dispatched(task, sent, leases)?
        }
        RunEvent::DispatchRefused { task, problem } => desk.dispatch_refused(task, problem)?,
        RunEvent::Reported(report) => desk.reported(&report)?,
        RunEvent::Ended {
            task,
            attempt,
            seq,
            agent,
            incarnation,
            status,
            outcome,
            problem,
        } => {
            desk.is_current(task, attempt, seq, &agent)?;
            desk.ended(task, seq, incarnation, status, *outcome, problem)?;
        }
        RunEvent::JournalLost { task, incarnation } => desk.journal_lost(task, incarnation)?,
        RunEvent::Resolved(word) => desk.resolved(word)?,
        RunEvent::RetryNow { task, by } => desk.retry_now(task, &by.id)?,
        RunEvent::TimerFired { timer, heard } => desk.timer_fired(timer, heard)?,
    }
    desk.settle();
    Ok(desk.finish())
}

/// What a new request is made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewRun {
    /// Minted by the shell.
    pub request_id: RequestId,
    /// Owner.
    pub tenant_id: TenantId,
    /// Group.
    pub project_id: ProjectId,
    /// Conversation.
    pub room_id: RoomId,
    /// The event it comes from.
    pub event_id: EventId,
    /// Correlation.
    pub trace_id: TraceId,
    /// Who asks.
    pub requester: Principal,
    /// The sentence.
    pub text: String,
    /// The entry it names, where no sentence has to be understood.
    pub call: Option<EntryCall>,
    /// The request that it repeats.
    pub retry_of: Option<RequestId>,
    /// The request that it takes back.
    pub undo_of: Option<Undoing>,
    /// The schedule that asks, where nobody does by hand.
    pub schedule: Option<Scheduled>,
}

impl Run {
    /// A request that was just received, with its timer.
    pub fn received(new: NewRun, now: Timestamp, policy: &RunPolicy) -> Self {
        let timer = TimerName {
            subject: TimerSubject::Request,
            kind: TimerKind::Deadline,
        };
        let due = now.checked_add(policy.planning).unwrap_or(Timestamp::MAX);
        Self {
            request: Request {
                request_id: new.request_id,
                tenant_id: new.tenant_id,
                project_id: new.project_id,
                room_id: new.room_id,
                event_id: new.event_id,
                trace_id: new.trace_id,
                requester: new.requester,
                text: new.text,
                call: new.call,
                retry_of: new.retry_of,
                rounds: Vec::new(),
                undo_of: new.undo_of,
                schedule: new.schedule,
                created_at: now,
                state: RequestState::Received,
                because: "taken".to_owned(),
                cancelling: None,
                planned: None,
                approval: None,
            },
            plan: None,
            tasks: std::collections::BTreeMap::new(),
            decisions: std::collections::BTreeMap::new(),
            timers: std::collections::BTreeMap::from([(timer, due)]),
        }
    }
}
