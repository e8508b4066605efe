//! Schedules: what is asked again at set times, what becomes of times that passed unused, and the standing
//! approval of one exact plan. Which times those are is left to the arbiter, when they have come to the shell.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CanonicalError, Digest, Mode, Plan, Principal, ScheduleId, Step, TenantId, Tier};

/// The longest window of [`Missed::All`], in seconds: a week.
pub const LONGEST_WINDOW_SECONDS: u64 = 7 * 24 * 3600;

/// When.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// Whenever this expression fits, in the schedule's zone.
    Cron(String),
    /// Once.
    At(Timestamp),
}

/// What becomes of times that passed while nothing could be asked: the program was down, the machine slept, the run
/// before had not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are passed over.
    Skip,
    /// However many they are, it is asked once.
    Once,
    /// Each is asked, one after the other, the latest hundred at most.
    All {
        /// Those that are no older than this; at most [`LONGEST_WINDOW_SECONDS`].
        within_seconds: u64,
    },
}

/// Where a request comes from that nobody asked for by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scheduled {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The time that had come; absent where a person had it run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
}

/// A person's word that one exact plan may run every time, until a date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Digest of the [`StandingSubject`] that was read.
    pub digest: Digest,
    /// Who gave it.
    pub approver: Principal,
    /// When.
    pub given_at: Timestamp,
    /// Until when it is good.
    pub until: Timestamp,
}

/// Exactly what a standing approval is for: everything that [`crate::PlanSubject`] binds but what differs with every
/// request (its id, its expiry, the preview of the day, and words).
#[derive(Debug, Serialize)]
pub struct StandingSubject<'a> {
    v: u32,
    tenant_id: &'a TenantId,
    requester: &'a str,
    mode: Mode,
    steps: Vec<Step>,
    tier: Tier,
    policy: Digest,
    good_for_seconds: u64,
}

impl Plan {
    /// The digest that a standing approval names: the same for two requests that would do exactly the same, by the
    /// same playbooks, with the same parameters, on the same hosts, under the same rules, for the same person.
    ///
    /// # Errors
    /// Where a parameter has no canonical form.
    pub fn standing_digest(
        &self,
        tenant_id: &TenantId,
        requester: &str,
        policy: Digest,
    ) -> Result<Digest, CanonicalError> {
        let words_aside = |step: &Step| Step {
            fidelity_because: None,
            ..step.clone()
        };
        Digest::of_value(&StandingSubject {
            v: 1,
            tenant_id,
            requester,
            mode: Mode::Apply,
            steps: self.steps.iter().map(words_aside).collect(),
            tier: self.tier,
            policy,
            good_for_seconds: self.good_for_seconds,
        })
    }
}
