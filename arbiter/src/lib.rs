//! Judgement: what an event means, and how requests, tasks, decisions and agents move.
//!
//! Everything here is a function of its arguments. The shell (the orchestrator's engine) loads the
//! slice, mints ids, reads the clock, stores what comes out in one transaction, and only then sends.

mod agent;
mod control;
mod rules;
mod run;
mod schedule;

pub use agent::{Agent, AgentEffect, AgentEvent, AgentMoved, AgentState, advance_agent};
pub use control::{
    ActionCase, AnswerTo, Answering, Authorisation, Authz, AuthzMode, Bucket, Case, Closing,
    FailMode, Gates, Generating, GenerationCase, Grant, Judged, Judgement, Led, Noting, Pattern,
    Planner, Policy, PolicyFault, Prior, Probability, ProbabilityError, Rate, Recorded,
    ReplyPolicy, RoomState, Span, Stage, StageRecord, TenantState, Word, answering_plan, generated,
    plan_id_of, process, process_answer, reported, wordless_action, wordless_event,
    wordless_generation, wordless_plan,
};
pub use rules::rules_digest;
pub use run::{
    Answered, Approval, Cancelling, Context, Decision, DecisionKind, DecisionState, Effect, Gate,
    Ids, MAX_ROUNDS, Moved, NewRun, Outcome, Proof, ProofError, Refusal, Replied, Reported,
    Request, RequestState, Resolved, Round, Run, RunEvent, RunPolicy, Said, Sent, SliceDocs,
    StandingApproved, Task, TaskState, TimerKind, TimerName, TimerSubject, UNKNOWN_CHANGES,
    WaitingOn, Wants, Words, apply, bead_state, changes, may_start, needs_look, secrets_of,
    turned_away, uncounted,
};
pub use schedule::{Cron, CronError, Look, MOST_MISSED, Passed, Times, Verdict};
