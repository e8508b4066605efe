//! The words both sides speak: ids, digests, the message envelope and its messages, events and
//! response plans, plans and seals, audit records, error codes, and the HTTP views.
//!
//! Pure: no clock, randomness, environment, file or socket; ids and `now` come in as values. What the
//! words mean for a request (the judgement) is left to `chiffon-arbiter`, transport to `chiffon-bus`,
//! keeping to `chiffon-store`.

pub mod api;
mod audit;
mod bundle;
mod canonical;
mod clock_words;
mod contracts;
mod digest;
mod envelope;
mod error_code;
mod event;
mod freeze;
mod ids;
mod messages;
mod names;
mod plan;
mod problem;
mod redact;
mod response;
mod schedule;
#[cfg(feature = "openapi")]
mod schema;
mod seal;
mod sshsig;
mod text;
mod trace;

pub use audit::{AuditEntry, AuditRecord, GENESIS, MoveRecord, PolicyResult, Principal, Subject};
pub use bundle::{Bundle, BundleError, BundleFile};
pub use canonical::{CanonicalError, to_canonical};
pub use clock_words::clock_words;
#[cfg(feature = "openapi")]
pub use contracts::contract_schemas;
pub use contracts::{
    ActionReceipt, ActionResult, ActionStatus, AuthZDecision, AuthZRequest, AuthZWord,
    CONTRACT_SCHEMAS, ContractActions, ContractError, Contracts, GenerationResult,
    GenerationStatus, MAX_CONTRACT_BYTES, MAX_CONTRACT_DEPTH, Permission, Unshaped,
    by_rule as refused_by_rule, contracts, form as refused_form, in_words as reader_words,
    path_pointer, read as read_contract, shape,
};
pub use digest::{Digest, DigestError};
pub use envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, MessageType};
pub use error_code::{ErrorCode, Retry};
pub use event::{
    ACTOR_KINDS, Actor, Content, EntryCall, Event, EventError, MAX_TEXT_CHARS, Undoing, is_exact,
    validate_text,
};
pub use freeze::Frozen;
pub use ids::{
    ActionId, AgentId, AuditId, BootId, DecisionId, EventId, IdError, Incarnation, MessageId,
    PlanId, ProjectId, RequestId, RoomId, ScheduleId, TaskId, TenantId, TraceId,
};
pub use messages::{
    AgentKind, AttemptRef, BundlePiece, DiskMetrics, ErrorMessage, Heartbeat, HostOutcome,
    HostSummary, Knowledge, Mode, Payload, ResourceMetrics, ResourceUsage, ResultStatus,
    StatusKind, WorkCancel, WorkQuery, WorkRequest, WorkResult, WorkStatus,
};
pub use names::{EntryId, HostName, NameError, ParameterName, forbidden_key};
pub use plan::{
    Cost, Fidelity, OnInterrupt, Parameters, Plan, PlanSubject, ResourcesRequired, Step, StepNo,
    Tier, Undo,
};
pub use problem::{FieldError, Problem, pointer_part};
pub use redact::{MIN_SECRET_BYTES, REDACTED, RedactStream, Redactor};
pub use response::{Action, Intent, ReasonCode, ResponsePlan};
pub use schedule::{LONGEST_WINDOW_SECONDS, Missed, Scheduled, Standing, StandingSubject, When};
pub use seal::{PublicKey, Seal, SealClaims, SealError, Signature, Signer, TrustedKeys};
pub use sshsig::{SshSigner, signed_by};
pub use text::visible;
pub use trace::{TraceParent, TraceParentError};
