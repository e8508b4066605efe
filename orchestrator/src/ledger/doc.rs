//! What a ledger entry holds: filled by the engine when a request ends, kept in the entry's row, and the
//! only source of the commit. Masking secret parameters is left to the engine; what stands here is
//! published.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_common::{
    Digest, EntryId, ErrorCode, HostName, HostOutcome, Parameters, RequestId, TaskId, Tier,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The form of [`LedgerDoc`] and of the files made of it. A change of either needs a new number, and the old
/// form stays, because old commits must be reproduced to the byte.
pub const FORM: u32 = 1;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestOutcome {
    /// Every step is done.
    Completed,
    /// Some step is not.
    Failed,
    /// A person stopped it.
    Cancelled,
    /// A person said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// Done.
    Completed,
    /// Begun and not done.
    Failed,
    /// Begun and stopped by a person.
    Cancelled,
    /// Begun, and its process died; whether it took effect is open.
    Interrupted,
    /// Nobody knows how it ended.
    Unknown,
    /// It never began.
    NotRun,
}

/// What a person said of how a step ended, where nobody else knew it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaidDoc {
    /// Who, as a principal.
    pub by: String,
    /// The word: `completed`, `failed` or `retry`.
    pub choice: String,
    /// What was said with it, redacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDoc {
    /// The task it became.
    pub task_id: TaskId,
    /// The catalogue entry.
    pub entry: EntryId,
    /// For people.
    pub title: String,
    /// The step's own tier: tier 0 changes nothing and leaves no host file.
    pub tier: Tier,
    /// Where it was to run.
    pub hosts: Vec<HostName>,
    /// With secrets masked.
    pub parameters: Parameters,
    /// How it ended.
    pub outcome: StepOutcome,
    /// Whether anything is known to have been changed anywhere.
    pub changed: bool,
    /// It ended so that nobody can tell whether it changed more. Written only where it is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changes_unknown: bool,
    /// Where something was changed before the host failed or did not answer any more. Written only where there is one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub changed_before: BTreeSet<HostName>,
    /// How it went on each host, as far as it is known.
    #[serde(default)]
    pub host_outcomes: BTreeMap<HostName, HostOutcome>,
    /// Wall time in seconds.
    pub duration_seconds: f64,
    /// What persons said of how it ended, in order. Written only where there is something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<SaidDoc>,
    /// When the agent had done it, where it was given to it once more after that and not run again. Written only where it is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_before: Option<Timestamp>,
    /// What a check afterwards found on each host: the step is such a check then, and changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<BTreeMap<HostName, Map<String, Value>>>,
}

/// Why a request did not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemDoc {
    /// Its code.
    pub code: ErrorCode,
    /// In words, redacted.
    pub detail: String,
}

/// What is recorded of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerDoc {
    /// [`FORM`].
    pub form: u32,
    /// The request.
    pub request_id: RequestId,
    /// Who asked, as a principal.
    pub requester: String,
    /// Who approved; nobody for tier 0.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// The request that this one takes back. Like all that came later, it stands in files and trailers only
    /// where there is one, so that commits of before stay what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<RequestId>,
    /// What was asked, in the person's words.
    pub text: String,
    /// What was approved.
    #[serde(default)]
    pub plan_digest: Option<Digest>,
    /// The plan in one line.
    pub title: String,
    /// The highest tier of its steps.
    pub tier: Tier,
    /// When it came.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: RequestOutcome,
    /// How long the command was to take, where the request was cancelled because that time was over. Written only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<u64>,
    /// In order.
    pub steps: Vec<StepDoc>,
    /// Why it did not complete.
    #[serde(default)]
    pub problem: Option<ProblemDoc>,
    /// The message says beside the problem what was changed, which that does not tell. Written only where it is so: the messages
    /// of before said the problem alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_changes: bool,
}

impl LedgerDoc {
    /// Whether it tells of a change, which has a commit of its own; readings may share one.
    pub fn is_change(&self) -> bool {
        let begun = |step: &StepDoc| step.tier > Tier::Zero && step.outcome != StepOutcome::NotRun;
        self.steps.iter().any(begun)
    }
}

impl StepDoc {
    /// The hosts that the step changed or may have changed.
    pub(super) fn touched(&self) -> impl Iterator<Item = (&HostName, Option<HostOutcome>)> {
        let changes = self.tier != Tier::Zero
            && self.evidence.is_none()
            && self.outcome != StepOutcome::NotRun;
        let hosts = self.hosts.iter().filter(move |_| changes);
        let known = hosts.map(|host| (host, self.host_outcomes.get(host).copied()));
        known.filter(|(host, outcome)| {
            let untouched = matches!(
                outcome,
                Some(HostOutcome::Unreachable | HostOutcome::NotReached)
            );
            !untouched || self.changed_before.contains(*host)
        })
    }
}
