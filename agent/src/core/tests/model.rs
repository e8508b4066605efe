//! The outside in miniature: a journal that is a list, a cache that is a set, workers that wait to be
//! told how they end. It performs plans as the shell does and holds the invariants.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_common::{
    AgentKind, AttemptRef, Bundle, BundlePiece, Digest, EntryId, Envelope, Incarnation, MessageId,
    Mode, Parameters, Payload, ResourcesRequired, ResultStatus, SealClaims, Signer, TaskId,
    TraceId, TrustedKeys, WorkCancel, WorkQuery, WorkRequest, WorkResult,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::super::{
    Core, Doubt, Effect, Event, Identity, Loaded, Moment, Plan, Record, Stored, Token,
    arrive::Signed,
};
use crate::worker::{Ended, StopReason, Swept};

pub(super) const LIFE: u128 = 77;

/// Agent, journal and outside.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) journal: Vec<Record>,
    pub(super) now: Moment,
    /// Effects whose answers are still to come.
    pub(super) open: Vec<Effect>,
    pub(super) running: BTreeMap<AttemptRef, Option<StopReason>>,
    pub(super) cached: BTreeSet<Digest>,
    /// Every start there ever was, in order.
    pub(super) started: Vec<AttemptRef>,
    /// Every result that was to go out.
    pub(super) told: BTreeMap<AttemptRef, WorkResult>,
    pub(super) statuses: Vec<chiffon_common::WorkStatus>,
    pub(super) errors: Vec<u16>,
    asked: BTreeMap<AttemptRef, WorkRequest>,
    tokens: u64,
    unanswered: BTreeSet<Token>,
    serial: u128,
}

pub(super) fn signer() -> Signer {
    Signer::from_secret([5; 32])
}

pub(super) fn bundle() -> Bundle {
    Bundle::default()
}

fn identity() -> Identity {
    let mut keys = TrustedKeys::default();
    keys.trust(signer().public());
    Identity {
        agent: "infrastructure".parse().unwrap(),
        kind: AgentKind::Infrastructure,
        incarnation: Incarnation::from_uuid(Uuid::from_u128(LIFE)),
        keys,
        max_clock_skew: Duration::from_secs(300),
    }
}

pub(super) fn attempt(task: u8, attempt: u32) -> AttemptRef {
    AttemptRef {
        task_id: TaskId::from_uuid(Uuid::from_u128(1000 + u128::from(task))),
        attempt,
    }
}

impl World {
    pub(super) fn new() -> Self {
        let now = Moment {
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            boot: Duration::from_secs(500),
        };
        let (core, plan) = Core::recover(identity(), 2, Vec::new(), &Doubt::default(), now);
        let mut world = Self {
            core,
            journal: Vec::new(),
            now,
            open: Vec::new(),
            running: BTreeMap::new(),
            cached: BTreeSet::new(),
            started: Vec::new(),
            told: BTreeMap::new(),
            statuses: Vec::new(),
            errors: Vec::new(),
            asked: BTreeMap::new(),
            tokens: 0,
            unanswered: BTreeSet::new(),
            serial: 0,
        };
        world.perform(plan);
        world
    }

    /// The agent dies and starts again on what its journal holds.
    pub(super) fn crash(&mut self) {
        self.open.clear();
        self.running.clear();
        self.unanswered.clear();
        self.now.boot += Duration::from_secs(5);
        let (core, plan) = Core::recover(
            identity(),
            2,
            self.journal.clone(),
            &Doubt::default(),
            self.now,
        );
        self.core = core;
        self.perform(plan);
    }

    /// The journal becomes its snapshot.
    pub(super) fn compact(&mut self) {
        self.journal = self.core.snapshot(self.now);
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        self.now.boot += Duration::from_secs(seconds);
        self.now.now += Duration::from_secs(seconds);
        self.event(Event::Ticked);
    }

    pub(super) fn event(&mut self, event: Event) {
        let plan = self.core.handle(event, self.now);
        self.perform(plan);
    }

    fn perform(&mut self, plan: Plan) {
        self.journal.extend(plan.records);
        for effect in plan.effects {
            self.perform_one(effect);
        }
        assert!(
            self.unanswered.is_empty(),
            "every delivery is answered by the plan of its event"
        );
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Ack(token) | Effect::Reject(token, _) => {
                assert!(self.unanswered.remove(&token), "answered once");
            }
            Effect::PublishStatus(status) => self.statuses.push(status.status),
            Effect::PublishError { error, .. } => self.errors.push(error.code),
            Effect::PublishResult { result, .. } => {
                let is_stale = result
                    .error
                    .as_ref()
                    .is_some_and(|error| error.code == chiffon_common::ErrorCode::StaleAttempt);
                let known = self.told.insert(result.attempt, (*result).clone());
                if let Some(known) = known.filter(|_| !is_stale) {
                    assert_eq!(known.status, result.status, "one attempt, one result");
                }
                self.open.push(Effect::PublishResult {
                    meta: super::storm::no_meta(),
                    result,
                });
            }
            Effect::Start {
                request,
                bundle: given,
            } => {
                let attempt = request.attempt;
                self.invariants_of_a_start(attempt);
                assert_eq!(given.digest(), request.bundle);
                self.started.push(attempt);
                self.running.insert(attempt, None);
            }
            Effect::Stop { attempt, reason } => {
                let stopping = self
                    .running
                    .get_mut(&attempt)
                    .expect("only what runs is stopped");
                assert_eq!(*stopping, None, "told once");
                *stopping = Some(reason);
            }
            Effect::Abandon(attempt) => drop(self.running.remove(&attempt)),
            other @ (Effect::LookForBundle(_)
            | Effect::StoreBundle { .. }
            | Effect::LoadBundle { .. }
            | Effect::Sweep(_)) => self.open.push(other),
        }
    }

    fn invariants_of_a_start(&self, attempt: AttemptRef) {
        assert!(!self.started.contains(&attempt), "{attempt:?} starts twice");
        let higher =
            |one: &&AttemptRef| one.task_id == attempt.task_id && one.attempt > attempt.attempt;
        assert!(
            !self.started.iter().any(|one| higher(&one)),
            "{attempt:?} starts after a higher attempt"
        );
        assert!(
            !self
                .running
                .keys()
                .any(|one| one.task_id == attempt.task_id),
            "one attempt of a task at a time"
        );
        assert!(self.running.len() < 2, "two slots");
        assert!(
            self.journal.contains(&Record::Started { attempt }),
            "a start is journaled first"
        );
        assert!(
            !self.told.contains_key(&attempt),
            "what has a result never starts"
        );
    }

    /// Lets the outside answer one thing it was asked; `choice` picks which, `good` how.
    pub(super) fn answer(&mut self, choice: usize, good: bool) {
        if self.open.is_empty() {
            return;
        }
        let effect = self.open.remove(choice % self.open.len());
        let event = match effect {
            Effect::LookForBundle(digest) => Event::BundleLooked {
                digest,
                found: self.cached.contains(&digest),
            },
            Effect::StoreBundle { digest, bytes } => {
                let stored = match Bundle::from_bytes(&bytes, digest) {
                    Ok(_) if good => Stored::Kept,
                    Ok(_) => Stored::Unwritable,
                    Err(_) => Stored::Wrong,
                };
                if stored == Stored::Kept {
                    self.cached.insert(digest);
                }
                Event::BundleStored { digest, stored }
            }
            Effect::LoadBundle { attempt, digest } => {
                let loaded = match good && self.cached.contains(&digest) {
                    true => Loaded::Whole(Box::new(bundle())),
                    false => {
                        self.cached.remove(&digest);
                        Loaded::Missing
                    }
                };
                Event::BundleLoaded { attempt, loaded }
            }
            Effect::Sweep(attempt) => {
                let swept = if good { Swept::Clean } else { Swept::Uncertain };
                Event::Swept { attempt, swept }
            }
            Effect::PublishResult { result, .. } => Event::Confirmed {
                attempt: result.attempt,
            },
            other => panic!("nothing answers {other:?}"),
        };
        self.event(event);
    }

    /// Ends one of the runs.
    pub(super) fn end_run(&mut self, choice: usize, status: ResultStatus) {
        let Some(attempt) = self
            .running
            .keys()
            .nth(choice % self.running.len().max(1))
            .copied()
        else {
            return;
        };
        self.running.remove(&attempt);
        let ended = Box::new(ended(status));
        self.event(Event::RunEnded {
            attempt,
            ended,
            took: Duration::from_secs(1),
        });
    }

    pub(super) fn panic_run(&mut self, choice: usize) {
        let Some(attempt) = self
            .running
            .keys()
            .nth(choice % self.running.len().max(1))
            .copied()
        else {
            return;
        };
        self.running.remove(&attempt);
        self.event(Event::RunPanicked { attempt });
    }

    /// A sealed request that must start within ten minutes.
    pub(super) fn request(&self, attempt: AttemptRef) -> WorkRequest {
        let not_after = self.now.now + Duration::from_secs(600);
        let action: EntryId = "service_restart".parse().unwrap();
        let claims = SealClaims {
            v: 1,
            plan: Digest::of_bytes(b"plan"),
            action: action.clone(),
            bundle: bundle().digest(),
            parameters: Parameters::new(),
            hosts: Vec::new(),
            mode: Mode::Apply,
            timeout_seconds: 60,
            task_id: attempt.task_id,
            attempt: attempt.attempt,
            agent: "infrastructure".parse().unwrap(),
            incarnation: Incarnation::from_uuid(Uuid::from_u128(LIFE)),
            issued_at: self.now.now,
            not_after,
            decision: None,
            approver: None,
        };
        WorkRequest {
            agent_type: AgentKind::Infrastructure,
            attempt,
            action,
            parameters: Parameters::new(),
            resources_required: ResourcesRequired::default(),
            mode: Mode::Apply,
            hosts: Vec::new(),
            bundle: bundle().digest(),
            timeout_seconds: 60,
            not_after,
            secret_parameters: Vec::new(),
            seal: signer().seal(claims).unwrap(),
        }
    }

    pub(super) fn ask(&mut self, attempt: AttemptRef) {
        // The same attempt again is the same message again, as from the real one.
        let known = self.asked.get(&attempt).cloned();
        let request = known.unwrap_or_else(|| self.request(attempt));
        self.asked.insert(attempt, request.clone());
        self.deliver_signed(Payload::WorkRequest(Box::new(request)));
    }

    pub(super) fn cancel(&mut self, attempt: AttemptRef) {
        let not_after = self.now.now + Duration::from_secs(600);
        let agent = "infrastructure".parse().unwrap();
        let cancel = WorkCancel {
            attempt,
            agent,
            not_after,
            reason: String::new(),
        };
        self.deliver_signed(Payload::WorkCancel(cancel));
    }

    pub(super) fn query(&mut self, attempt: AttemptRef) {
        let agent = "infrastructure".parse().unwrap();
        self.deliver_signed(Payload::WorkQuery(WorkQuery { attempt, agent }));
    }

    /// The bundle in one piece; right or wrong.
    pub(super) fn send_bundle(&mut self, good: bool) {
        let bytes = if good {
            bundle().to_bytes().unwrap()
        } else {
            b"nonsense".to_vec()
        };
        let piece = BundlePiece {
            agent: "infrastructure".parse().unwrap(),
            digest: bundle().digest(),
            piece: 0,
            pieces: 1,
            data: BASE64_STANDARD.encode(bytes),
        };
        self.deliver_signed(Payload::Bundle(piece));
    }

    /// A message that was signed as it must be, without the cost.
    fn deliver_signed(&mut self, payload: Payload) {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.unanswered.insert(token);
        let signed = Signed {
            meta: super::storm::no_meta(),
            key: "the orchestrator's".to_owned(),
            made: self.now.now,
            payload,
        };
        let plan = self.core.handle_signed(token, signed, self.now);
        self.perform(plan);
    }

    pub(super) fn deliver(&mut self, payload: &Payload, by: &Signer) {
        self.serial += 1;
        let id = MessageId::from_uuid(Uuid::from_u128(self.serial));
        let trace = TraceId::from_uuid(Uuid::from_u128(1));
        let envelope = Envelope::new(payload, id, trace, None, self.now.now).unwrap();
        self.deliver_bytes(&envelope.signed(by).unwrap().to_bytes().unwrap());
    }

    pub(super) fn deliver_bytes(&mut self, bytes: &[u8]) {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.unanswered.insert(token);
        self.event(Event::Arrived {
            token,
            bytes: bytes.into(),
        });
    }

    /// Everything that was asked is answered well, and every run completes.
    pub(super) fn settle(&mut self) {
        for _ in 0..2_000 {
            if !self.open.is_empty() {
                self.answer(0, true);
            } else if !self.running.is_empty() {
                self.end_run(0, ResultStatus::Completed);
            } else if self.core.open_attempts().is_empty() {
                return;
            } else {
                self.send_bundle(true);
                self.pass(1);
            }
        }
        panic!("it does not settle: {:?}", self.core.open_attempts());
    }
}

pub(super) fn ended(status: ResultStatus) -> Ended {
    Ended {
        status,
        output: String::new(),
        usage: chiffon_common::ResourceUsage::default(),
        hosts: BTreeMap::new(),
        diff: None,
        error: None,
        isolation: String::new(),
    }
}
