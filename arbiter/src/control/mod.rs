//! The control plane (RFC-ARB-0001): what an event, a generation's result and an action's result lead to.
//!
//! All of it is a function of values: the event, what is stored under its id, the states of room and tenant, the policy,
//! the authoriser's word, the time. Loading and storing them, asking an external authoriser, and keeping the audit record
//! are left to the shells (the orchestrator's engine, `arbiter serve`).

mod authz;
mod closing;
mod gate;
mod pipeline;
mod planner;
mod policy;
mod recorded;
mod state;

pub use authz::Authorisation;
pub use closing::{
    ActionCase, Closing, GenerationCase, Noting, answering_plan, generated, reported,
};
pub use pipeline::{
    AnswerTo, Answering, Case, Judgement, Prior, Stage, StageRecord, Word, plan_id_of, process,
    process_answer,
};
pub use policy::{
    Authz, AuthzMode, FailMode, Gates, Grant, Pattern, Planner, Policy, PolicyFault, Probability,
    ProbabilityError, Rate, ReplyPolicy,
};
pub use recorded::{
    Judged, Led, Recorded, wordless_action, wordless_event, wordless_generation, wordless_plan,
};
pub use state::{Bucket, Generating, RoomState, Span, TenantState};

#[cfg(test)]
mod tests;
