//! What is remembered of a room and of a tenant: small values, empty where nothing is going on, so that what is empty
//! need not be kept.

use std::collections::BTreeMap;

use chiffon_common::{EventId, PlanId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::policy::Gates;

/// How far clocks of replicas may be apart. What seems to begin later than that was noted by a clock that was wrong, and
/// holds nothing: else one wrong clock would close a room for years.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What is remembered of a room. The default is a room that nothing is known of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomState {
    /// The generation that holds the room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generating: Option<Generating>,
    /// When it was answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
}

/// A generation that holds its room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generating {
    /// The plan that asked for it.
    pub plan_id: PlanId,
    /// The event that the plan answers.
    pub event_id: EventId,
    /// How long.
    #[serde(flatten)]
    pub span: Span,
}

/// From when until when something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Its first moment.
    pub since: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
}

/// What is remembered of a tenant. The default is a tenant that nothing is known of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantState {
    /// Generations under way, by plan. Those that are over do not count, and go with the next change.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unfinished: BTreeMap<PlanId, Span>,
    /// Generations under way that are counted and not named ([`TenantState::as_read`]).
    #[serde(skip_serializing_if = "is_nothing")]
    pub others: u32,
    /// How much of the rate is used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
}

/// A bucket that every event fills and time empties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// How full, in millionths of an event.
    pub level: u64,
    /// When it was.
    pub at: Timestamp,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form that serde asks for"
)]
const fn is_nothing(count: &u32) -> bool {
    *count == 0
}

impl Span {
    /// From now on, for so many milliseconds.
    pub(super) fn from(now: Timestamp, ms: u64) -> Self {
        Self {
            since: now,
            until: after(now, ms),
        }
    }

    /// Whether it holds now.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until && !is_far_behind(now, self.since)
    }
}

impl RoomState {
    /// The generation that holds the room now.
    pub fn held_by(&self, now: Timestamp) -> Option<&Generating> {
        self.generating.as_ref().filter(|held| held.span.holds(now))
    }

    /// Whether it was answered less than the cooldown ago.
    pub fn rests(&self, now: Timestamp, gate: &Gates) -> bool {
        self.answered_at
            .is_some_and(|at| Span::from(at, gate.cooldown_ms).holds(now))
    }

    /// Whether nothing of it counts any more, now or later: it judges as the default does, so it may be forgotten.
    pub fn is_neutral(&self, now: Timestamp, gate: &Gates) -> bool {
        let is_over = |held: &Generating| now >= held.span.until;
        self.generating.as_ref().is_none_or(is_over)
            && self
                .answered_at
                .is_none_or(|at| now >= after(at, gate.cooldown_ms))
    }
}

impl TenantState {
    /// How many generations are under way.
    pub fn under_way(&self, now: Timestamp) -> usize {
        let named = self.unfinished.values().filter(|span| span.holds(now));
        named.count().saturating_add(self.others as usize)
    }

    /// What a judgement about a plan reads of it: that plan's own generation, and how many others are under way. It judges
    /// as the whole does, and stays small however many there are; so records hold this.
    pub fn as_read(&self, plan: PlanId, now: Timestamp) -> Self {
        let own = self.unfinished.get(&plan).copied();
        let counted = usize::from(own.is_some_and(|own| own.holds(now)));
        let others = self.under_way(now).saturating_sub(counted);
        Self {
            unfinished: own.map(|own| (plan, own)).into_iter().collect(),
            others: u32::try_from(others).unwrap_or(u32::MAX),
            bucket: self.bucket,
        }
    }

    /// The same of what a judgement has left behind, where that is another than what it read.
    pub fn left_as_read(
        left: Option<&Self>,
        read: &Self,
        plan: PlanId,
        now: Timestamp,
    ) -> Option<Self> {
        let left = left?.as_read(plan, now);
        (left != *read).then_some(left)
    }

    /// Whether nothing of it counts any more, now or later: it judges as the default does, so it may be forgotten.
    pub fn is_neutral(&self, now: Timestamp, gate: &Gates) -> bool {
        self.others == 0
            && self.unfinished.values().all(|span| now >= span.until)
            && self.bucket.is_none_or(|bucket| {
                gate.tenant_rate.is_none_or(|rate| {
                    now >= bucket.at && super::gate::level(Some(&bucket), &rate, now) == 0
                })
            })
    }
}

/// So many milliseconds later; the end of time where it is beyond.
pub(super) fn after(now: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    now.checked_add(SignedDuration::from_millis(ms))
        .unwrap_or(Timestamp::MAX)
}

/// Whether `now` lies so far before `then` that one of the clocks was wrong.
pub(super) fn is_far_behind(now: Timestamp, then: Timestamp) -> bool {
    then.duration_since(now) > SKEW
}
