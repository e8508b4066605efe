//! What every part of the engine holds: store, bus, clock, signer, settings, and the nudges.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use chiffon_arbiter::{Ids, Policy, Run, RunPolicy};
use chiffon_authorizer::Asking;
use chiffon_bus::Bus;
use chiffon_common::{AgentId, AuditEntry, Digest, RequestId, Signer, TenantId};
use chiffon_store::{Commit, Receipt, Store};
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast, watch};

use super::{
    Library, Limits,
    agents::{Registry, two_of},
    heal::Turn,
    posts::Posts,
    scribe::LedgerFault,
};
use crate::{
    Clock, Parts,
    events::Hub,
    ledger::{LedgerError, Place},
};

/// What has changed; carries no data beyond that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    /// This request.
    Request(RequestId),
    /// Whatever another orchestrator has changed.
    Elsewhere,
}

/// Followers that lag further behind than this read the stored state instead; nothing is lost by it.
const CHANGES_KEPT: usize = 1024;

/// What the configuration says.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Owner of everything, until there are several.
    pub(crate) tenant: TenantId,
    /// Name of this orchestrator in audit streams and claims.
    pub(crate) replica: String,
    /// The control plane's policy.
    pub(crate) policy: Policy,
    /// Its digest.
    pub(crate) policy_digest: Digest,
    /// Digest of the rules in force, bound into every plan.
    pub(crate) rules: Digest,
    /// Limits of the lifecycles.
    pub(crate) lifecycles: RunPolicy,
    /// Those limits as they are kept beside what they judged.
    pub(crate) limits: Limits,
    /// How long an approval is good, in seconds.
    pub(crate) good_for_seconds: u64,
    /// How many tasks of one project may be at work at once.
    pub(crate) project_tasks: Option<std::num::NonZeroU32>,
    /// Where the ledger's repository lies, and the key that signs its commits.
    pub(crate) ledger: Place,
    /// Where it is pushed to, if anywhere.
    pub(crate) ledger_remote: Option<String>,
    /// How long requests are kept after their end, in days; 0 for ever.
    pub(crate) history_days: u32,
    /// Whether it stays; otherwise no schedule asks by itself, though what a person has one ask is looked after.
    pub(crate) stays: bool,
    /// Version of the program.
    pub(crate) version: String,
}

/// Wakes the reconcilers. A nudge carries no data and may come too often.
#[derive(Debug, Default)]
pub(crate) struct Nudges {
    pub(crate) planning: Notify,
    pub(crate) preview: Notify,
    pub(crate) dispatch: Notify,
    pub(crate) relay: Notify,
    pub(crate) timers: Notify,
    pub(crate) record: Notify,
    pub(crate) anchor: Notify,
    pub(crate) proposals: Notify,
    pub(crate) events: Notify,
    pub(crate) schedules: Notify,
    pub(crate) store: Notify,
    /// Somebody asked for something: this process was not only started for a look.
    pub(crate) asked: Notify,
}

/// Shared by all parts of the engine.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) signer: Signer,
    pub(crate) settings: Settings,
    /// Where the policy asks one.
    pub(crate) authorizer: Option<Asking>,
    pub(crate) library: Arc<Library>,
    pub(crate) registry: Registry,
    pub(crate) nudges: Nudges,
    pub(crate) changes: broadcast::Sender<Changed>,
    /// As whom this process holds leases.
    pub(super) owner: String,
    pub(super) posts: Posts,
    pub(crate) hub: Hub,
    /// When this orchestrator began to listen: nobody's silence is older.
    pub(crate) started_at: Timestamp,
    /// Why the database cannot be written, while it cannot.
    pub(crate) store_fault: Mutex<Option<String>>,
    /// What is wrong with the parts of the process that are not the orchestrator's own, by part.
    pub(crate) part_faults: Mutex<BTreeMap<String, String>>,
    /// Why the ledger cannot be written, while it cannot.
    pub(crate) ledger_fault: Mutex<Option<LedgerFault>>,
    /// What a look at the ledger found damaged in it, until the scribe makes it anew.
    pub(crate) ledger_damage: Mutex<Option<LedgerError>>,
    /// Held while the ledger is put back.
    pub(crate) ledger_turn: tokio::sync::Mutex<Turn>,
    /// How often the scribe has looked at it, or written it.
    pub(crate) ledger_rounds: watch::Sender<u64>,
    /// How the last try to push it to its remote went; nothing before the first one of this process.
    pub(crate) remote_tried: Mutex<Option<Result<(), String>>>,
    /// What people should know and nothing suffers from; told by `health`.
    pub(crate) notices: Mutex<Vec<String>>,
    /// Whether a record of this process holds the policy: those after it name its digest only.
    pub(crate) policy_told: AtomicBool,
    /// Held while an event passes gates that count: those of the same tenant would only make each other judge again.
    pub(crate) gate_turn: tokio::sync::Mutex<()>,
    /// Whose work may begin where this orchestrator does not stay: it would be cut off when the command that brought it
    /// has ended.
    cared: Mutex<BTreeSet<RequestId>>,
}

impl Shared {
    pub(crate) fn new(
        Parts {
            store,
            bus,
            clock,
            signer,
        }: Parts,
        settings: Settings,
        library: Library,
        authorizer: Option<Asking>,
    ) -> Self {
        let started_at = clock.now();
        let owner = format!("orchestrator:{}:{}", settings.replica, clock.fresh_id());
        Self {
            started_at,
            store_fault: Mutex::default(),
            part_faults: Mutex::default(),
            ledger_fault: Mutex::default(),
            ledger_damage: Mutex::default(),
            ledger_turn: tokio::sync::Mutex::default(),
            ledger_rounds: watch::Sender::new(0),
            remote_tried: Mutex::default(),
            notices: Mutex::default(),
            policy_told: AtomicBool::new(false),
            gate_turn: tokio::sync::Mutex::default(),
            cared: Mutex::default(),
            store,
            bus,
            clock,
            signer,
            settings,
            authorizer,
            library: Arc::new(library),
            registry: Registry::default(),
            nudges: Nudges::default(),
            owner,
            posts: Posts::default(),
            changes: broadcast::Sender::new(CHANGES_KEPT),
            hub: Hub::default(),
        }
    }

    /// Somebody waits here for this request, or has asked for it here.
    pub(crate) fn care_for(&self, request: RequestId) {
        if self.settings.stays {
            return;
        }
        let mut cared = self.cared.lock().unwrap_or_else(PoisonError::into_inner);
        if cared.insert(request) {
            self.nudges.dispatch.notify_one();
        }
    }

    /// Whether its work may begin: all, where this orchestrator stays.
    pub(crate) fn is_cared_for(&self, request: RequestId) -> bool {
        let cared = || self.cared.lock().unwrap_or_else(PoisonError::into_inner);
        self.settings.stays || cared().contains(&request)
    }

    /// Fresh ids for one event.
    pub(crate) fn ids(&self, count: usize) -> Ids {
        Ids::new((0..count).map(|_| self.clock.fresh_id()).collect())
    }

    /// Commits, and wakes whoever tells of it.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<Receipt, chiffon_store::Error> {
        let commit = match chiffon_failpoint::mutant!("audit-git-only") {
            true => Commit {
                audit: Vec::new(),
                ..commit
            },
            false => commit,
        };
        let told = tracing::enabled!(tracing::Level::INFO).then(|| commit.audit.clone());
        let done = self.store.commit(commit).await;
        self.note_store(&done);
        if done.is_ok() {
            told.iter().flatten().for_each(log_moves);
            self.nudges.events.notify_one();
        }
        done
    }

    /// Remembers what is wrong with a part, in words, for `health`; nothing, once it is well.
    pub(crate) fn part_is(&self, part: &str, fault: Option<String>) {
        let mut faults = self
            .part_faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some(fault) => drop(faults.insert(part.to_owned(), fault)),
            None => drop(faults.remove(part)),
        }
        drop(faults);
        self.nudges.dispatch.notify_one();
    }

    /// What an agent of this process has said is wrong with it.
    pub(crate) fn agent_fault(&self, agent: &AgentId) -> Option<String> {
        let faults = self
            .part_faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let said = faults.get(&format!("agent {agent}")).cloned();
        let has_rival = self.registry.has_rival(agent, self.clock.now());
        said.or_else(|| has_rival.then(|| two_of(agent)))
    }

    /// Whether a run's plan was made under the rules in force, without which nothing of it starts.
    pub(crate) fn is_under_rules(&self, run: &Run) -> bool {
        let made_under = run.plan.as_ref().and_then(|plan| plan.policy);
        made_under == Some(self.settings.rules)
    }

    /// Tells followers. Nobody listening is no fault.
    pub(crate) fn changed(&self, request: RequestId) {
        let _listeners = self.changes.send(Changed::Request(request));
    }
}

/// Each move as a line of the log, by which a task is followed through all programs.
fn log_moves(entry: &AuditEntry) {
    for step in &entry.moves {
        let of = |kind: &str| (step.subject.kind == kind).then_some(step.subject.id.as_str());
        tracing::info!(
            trace.id = %entry.trace_id,
            request.id = entry.request_id.map(tracing::field::display),
            task.id = of("task"),
            decision.id = of("decision"),
            agent.id = of("agent"),
            from = step.from,
            because = entry.reason_code,
            "{} is {}",
            step.subject.kind,
            step.to,
        );
    }
}

/// Waits for a nudge, at most the period: a lost nudge costs time, never work.
pub(crate) async fn nudged(nudge: &Notify, period: Duration) {
    let _timed_out = tokio::time::timeout(period, nudge.notified()).await;
}
