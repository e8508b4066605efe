//! The shell around the arbiter, in the order of section 7: read, load, judge, ask the authoriser where the judgement
//! needs it, commit, record, and only then answer. It decides nothing itself.
//!
//! The turns of one tenant come one after the other, so that its records stand in the order of its decisions. No turn
//! waits for an authoriser or for the disk of the audit: those waits lie between and behind the turns.

mod action;
mod event;
mod generation;
mod words;

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use chiffon_arbiter::{Policy, Prior};
use chiffon_authorizer::Asking;
use chiffon_common::{
    Action, CanonicalError, ContractError, Digest, ErrorCode, FieldError, PlanId, Problem,
    ReasonCode, ResponsePlan, RoomId, TenantId, TraceId,
};
use chiffon_store::{AuditWrite, ControlCommit, ControlStore, Decided, Loaded, Outcome};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::words::{by_rule, malformed};
use crate::{
    audit::{Audit, Durable, Place, Unwritten},
    record::{self, Kind, Record},
    watch::Watch,
};

/// Tenants that share a turn by chance only wait a moment for each other; this many make it rare.
const TURNS: usize = 1_024;
/// How often a judgement is made anew because another replica moved the room or the tenant meanwhile.
const TRIES: u32 = 50;
/// Longest wait for the turn of a tenant.
const SLOWEST: Duration = Duration::from_secs(30);

/// Confirms to the store that audit lines are on file.
pub(crate) type Confirm = mpsc::Sender<u64>;

/// Everything that a decision needs.
pub(crate) struct Arbiter {
    pub(crate) policy: Policy,
    /// Digest of the policy.
    pub(crate) rules: Digest,
    pub(crate) store: Arc<dyn ControlStore>,
    pub(crate) audit: Audit,
    /// Where the policy asks one.
    pub(crate) authorizer: Option<Asking>,
    /// Where the store keeps audit lines until they are on file: who they belong to, and how that is confirmed.
    pub(crate) outbox: Option<(String, Confirm)>,
    pub(crate) turns: Arc<Turns>,
    /// Whether the store can be written.
    pub(crate) watch: Arc<Watch>,
    /// Nobody waits for an authoriser any more.
    pub(crate) ending: CancellationToken,
}

/// One turn at a time for each tenant.
pub(crate) struct Turns {
    each: Box<[Mutex<()>]>,
    /// Why there are none for the moment. Whoever has a turn reads it, so that whoever writes it is alone.
    shut: RwLock<Option<String>>,
}

/// Nobody else of the same tenant decides as long as this lives.
struct TurnOf<'a> {
    _one: MutexGuard<'a, ()>,
    _open: RwLockReadGuard<'a, Option<String>>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self {
            each: (0..TURNS).map(|_| Mutex::new(())).collect(),
            shut: RwLock::default(),
        }
    }

    /// Waits until all turns are over; there are no others as long as this lives, or it says why there are none.
    pub(crate) async fn shut(&self) -> RwLockWriteGuard<'_, Option<String>> {
        self.shut.write().await
    }

    async fn of(&self, tenant: &TenantId) -> Result<TurnOf<'_>, Refused> {
        let mut hasher = DefaultHasher::new();
        tenant.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % TURNS as u64).unwrap_or_default();
        let turn = self
            .each
            .get(at)
            .ok_or_else(|| internal("there is no such turn"))?;
        let taken = timeout(SLOWEST, async {
            (self.shut.read().await, turn.lock().await)
        });
        let (open, one) = taken.await.map_err(|_| {
            let detail = "the events of this tenant before this one are not done yet";
            Problem::new(ErrorCode::Overloaded, detail, "send it again")
        })?;
        if let Some(why) = open.as_ref() {
            let todo = "send the same again once that is mended";
            return Err(Problem::new(ErrorCode::StoreUnavailable, why.as_str(), todo).into());
        }
        Ok(TurnOf {
            _one: one,
            _open: open,
        })
    }
}

/// An answer that may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// JSON, as it was stored.
    pub(crate) body: String,
    /// Whether it was given before.
    pub(crate) repeated: bool,
}

/// Why there is none.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) problem: Box<Problem>,
    /// The rule, where one spoke.
    pub(crate) reason: Option<ReasonCode>,
}

type Said = Result<Answer, Refused>;

/// A turn that is over: what is said once its record is on the disk.
struct Turn {
    durable: Durable,
    /// The commit whose audit line this is.
    seq: Option<u64>,
    said: Said,
}

impl Arbiter {
    /// The time of a judgement. Databases keep microseconds.
    fn now() -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    async fn place(&self) -> Result<Place<'_>, Refused> {
        Ok(self.audit.place().await?)
    }

    /// Waits until the record is on the disk; then the answer may leave.
    async fn settled(&self, turn: Turn) -> Said {
        turn.durable.wait().await?;
        if let (Some(seq), Some((_, confirm))) = (turn.seq, &self.outbox) {
            // A confirmation that is lost is made up for at the next start.
            let _ended = timeout(SLOWEST, confirm.send(seq)).await;
        }
        turn.said
    }

    /// Commits a decision with its record. Nothing where it has to be judged again.
    async fn commit(
        &self,
        mut commit: ControlCommit,
        record: &Record<'_>,
        place: &mut Option<Place<'_>>,
    ) -> Result<Option<Turn>, Refused> {
        let line = record.bytes();
        if let Some((replica, _)) = &self.outbox {
            commit.audit = Some(AuditWrite {
                replica: replica.clone(),
                line: String::from_utf8_lossy(&line).into_owned(),
            });
        }
        let (key, at, answer) = (commit.key.clone(), commit.at, commit.answer.clone());
        let committed = self.store.commit(commit).await;
        self.watch.note(&committed);
        let seq = match committed {
            Ok(Outcome::Committed { seq }) => seq,
            Ok(Outcome::Exists(_) | Outcome::Stale) => return Ok(None),
            Err(chiffon_store::Error::OutcomeUnknown(_)) => {
                let found = self.store.load(&key, None).await?.prior;
                let is_ours = |found: &Decided| found.at == at && found.answer == answer;
                match found.filter(is_ours) {
                    Some(found) => found.seq,
                    None => return Ok(None),
                }
            }
            // The memory store, the one without an outbox, is no database that could be silent: it is full, and what it puts
            // by finds no place on the disk either.
            Err(chiffon_store::Error::Unavailable(why)) if self.outbox.is_none() => {
                return Self::full(why, record, place).map(Some);
            }
            Err(error) => return Err(error.into()),
        };
        let said = Ok(Answer {
            body: answer,
            repeated: false,
        });
        let turn = put(place, line, Some(at))?.map(said);
        Ok(Some(Turn {
            seq: Some(seq),
            ..turn
        }))
    }

    /// No room more can be remembered. The decision is in force nowhere; that it was not taken is told and recorded.
    fn full(
        why: String,
        record: &Record<'_>,
        place: &mut Option<Place<'_>>,
    ) -> Result<Turn, Refused> {
        let reason = ReasonCode::Backpressure;
        let record = Record {
            action: About::nothing(record.kind).action.into(),
            result: record::Outcome::Refused,
            reason_code: reason,
            detail: Some(Cow::Borrowed(&why)),
            stages: Vec::new(),
            judged: None,
            ..record.clone()
        };
        let line = record.bytes();
        let todo = "make room for temporary files, or raise store.rooms, and send it again";
        let refused = Refused {
            problem: Box::new(Problem::new(ErrorCode::Overloaded, why, todo)),
            reason: Some(reason),
        };
        Ok(put(place, line, None)?.map(Err(refused)))
    }

    /// A record of something that changes nothing: an answer given again, or a refusal.
    fn note(
        &self,
        about: About<'_>,
        said: Said,
        place: &mut Option<Place<'_>>,
    ) -> Result<Turn, Refused> {
        let now = Self::now();
        let audit_id = record::fresh_id(now);
        let (result, reason_code, detail) = match &said {
            Ok(_) => (record::Outcome::Repeated, ReasonCode::Repeated, None),
            Err(refused) => (
                record::Outcome::Refused,
                refused.reason.unwrap_or(ReasonCode::SchemaInvalid),
                Some(Cow::Borrowed(refused.problem.detail.as_str())),
            ),
        };
        let record = Record {
            kind: about.kind,
            tenant_id: about.tenant_id.map(Cow::Borrowed),
            correlation_id: match about.correlation_id {
                Some(plan) => plan.to_string(),
                None => audit_id.to_string(),
            },
            action: about.action.into(),
            result,
            reason_code,
            trace_id: about.trace_id,
            room_id: about.room_id.map(Cow::Borrowed),
            detail,
            ..record::noted(self.rules, audit_id, now)
        };
        Ok(put(place, record.bytes(), None)?.map(said))
    }

    /// What was read and then turned away unjudged, because too much waits or this process ends: nothing is decided, and
    /// that stands on record too. What the store could not say is no refusal: whether it is in force is not known.
    async fn turned_away(
        &self,
        about: About<'_>,
        refused: Refused,
        mut place: Option<Place<'_>>,
    ) -> Said {
        let code = refused.problem.code;
        let is_load = matches!(code, ErrorCode::Overloaded | ErrorCode::ShuttingDown);
        if !is_load || place.is_none() {
            return Err(refused);
        }
        let refused = Refused {
            reason: refused.reason.or(Some(ReasonCode::Backpressure)),
            ..refused
        };
        let turn = self.note(about, Err(refused), &mut place)?;
        self.settled(turn).await
    }

    /// A body that is no contract: recorded without it, for nobody knows what it holds.
    async fn unread(&self, kind: Kind, error: &ContractError, trace_id: Option<TraceId>) -> Said {
        let mut problem = Problem::new(error.code(), error.to_string(), error.todo());
        if matches!(
            error,
            ContractError::Version(_) | ContractError::Form { .. }
        ) {
            problem = problem.at(FieldError::body(error.pointer(), error.to_string()));
        }
        let refused = Refused {
            problem: Box::new(problem),
            reason: Some(ReasonCode::SchemaInvalid),
        };
        let mut place = Some(self.place().await?);
        let about = About {
            trace_id,
            ..About::nothing(kind)
        };
        let turn = self.note(about, Err(refused), &mut place)?;
        self.settled(turn).await
    }
}

/// What a note is about, as far as it is known.
#[derive(Clone, Copy)]
struct About<'a> {
    kind: Kind,
    tenant_id: Option<&'a TenantId>,
    room_id: Option<&'a RoomId>,
    correlation_id: Option<PlanId>,
    action: &'a str,
    trace_id: Option<TraceId>,
}

impl About<'_> {
    fn nothing(kind: Kind) -> Self {
        Self {
            kind,
            tenant_id: None,
            room_id: None,
            correlation_id: None,
            action: match kind {
                Kind::Event => "process_event",
                Kind::Generation => "take_generation",
                Kind::Action => "take_action_result",
                Kind::Rules | Kind::Repair => "",
            },
            trace_id: None,
        }
    }
}

/// A record that is on its way, before it is known what is said once it is there.
struct Put(Durable);

impl Put {
    fn map(self, said: Said) -> Turn {
        Turn {
            durable: self.0,
            seq: None,
            said,
        }
    }
}

/// Uses the place up; there is one for each call, and each call ends with one record. With its time, where it decides.
fn put(
    place: &mut Option<Place<'_>>,
    record: Vec<u8>,
    at: Option<Timestamp>,
) -> Result<Put, Refused> {
    let place = place
        .take()
        .ok_or_else(|| internal("the record has no place"))?;
    Ok(Put(place.put(record, at)))
}

fn json<T: Serialize>(value: &T) -> Result<String, Refused> {
    serde_json::to_string(value).map_err(|error| internal(&error.to_string()))
}

/// What this program has stored.
fn stored<T: DeserializeOwned>(text: &str) -> Result<T, Refused> {
    serde_json::from_str(text).map_err(|error| internal(&error.to_string()))
}

fn internal(why: &str) -> Refused {
    let todo = "please report this with the log of the arbiter";
    Problem::new(ErrorCode::Internal, why, todo).into()
}

/// Others moved the same room or tenant again and again.
fn crowded() -> Refused {
    let detail = "other replicas decide on the same room or tenant at the same time";
    Problem::new(ErrorCode::Overloaded, detail, "send it again").into()
}

/// What was answered under this key before.
fn prior(loaded: &Loaded) -> Result<Option<Prior>, Refused> {
    let found = loaded.prior.as_ref().map(|found| {
        let (body, plan) = (found.body, stored(&found.answer)?);
        Ok(Prior { body, plan })
    });
    found.transpose()
}

/// The answer of before, byte by byte.
fn repeated(loaded: &Loaded) -> Said {
    let found = loaded.prior.as_ref();
    let found = found.ok_or_else(|| internal("there is nothing to repeat"))?;
    Ok(Answer {
        body: found.answer.clone(),
        repeated: true,
    })
}

/// The name of what a plan does.
fn first_action(plan: &ResponsePlan) -> &'static str {
    plan.actions.first().map_or("do_nothing", Action::name)
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            reason: None,
        }
    }
}

impl From<Unwritten> for Refused {
    fn from(error: Unwritten) -> Self {
        let todo = "do what it says, such as making room on the disk of the audit folder; then send it again";
        Problem::new(ErrorCode::AuditUnwritable, error.to_string(), todo).into()
    }
}

impl From<CanonicalError> for Refused {
    fn from(error: CanonicalError) -> Self {
        internal(&error.to_string())
    }
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        internal(&error.to_string())
    }
}

impl From<chiffon_store::Error> for Refused {
    fn from(error: chiffon_store::Error) -> Self {
        store_problem(&error).into()
    }
}

/// What the store says, for whoever called.
pub(crate) fn store_problem(error: &chiffon_store::Error) -> Problem {
    use chiffon_store::Error;
    let (code, todo) = match error {
        Error::Unavailable(_) | Error::OutcomeUnknown(_) => {
            (ErrorCode::StoreUnavailable, "send the same again")
        }
        Error::Full => (
            ErrorCode::StoreFull,
            "make room on the disk of the database",
        ),
        Error::ReadOnly(_) => (ErrorCode::StoreReadOnly, "make the database writable"),
        Error::Newer { .. } => (ErrorCode::StoreNewer, "run the newer program"),
        Error::Corrupt(_) => (ErrorCode::StoreCorrupt, "restore a backup"),
        Error::Conflict { .. }
        | Error::AlreadyHandled
        | Error::LeaseHeld { .. }
        | Error::Replay { .. }
        | Error::KeyReused
        | Error::Malformed(_) => (
            ErrorCode::Internal,
            "please report this with the log of the arbiter",
        ),
    };
    Problem::new(code, error.to_string(), todo)
}
