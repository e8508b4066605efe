//! Stage 6: what an event means (RFC-ARB-0001, section 10): no model, only the reply policy and dice that fall the same
//! everywhere.

use chiffon_common::{Digest, Event, EventId, Intent, ReasonCode};

use super::policy::{Planner, Probability, ReplyPolicy};

impl Planner {
    /// The intent, and the rule that it goes by.
    pub(super) fn intent(&self, event: &Event) -> (Intent, ReasonCode) {
        let mentioned = event.content.mentions_chiffon;
        let spoken = if mentioned {
            Intent::Reply
        } else {
            Intent::Message
        };
        let by_dice = || {
            if falls(&event.event_id, self.reply_probability) {
                (spoken, ReasonCode::Probability)
            } else {
                (Intent::Ignore, ReasonCode::ReplyPolicy)
            }
        };
        match self.reply_policy {
            ReplyPolicy::Never => (Intent::Ignore, ReasonCode::ReplyPolicy),
            ReplyPolicy::Always => (spoken, ReasonCode::ReplyAlways),
            ReplyPolicy::MentionFirst if mentioned => (Intent::Reply, ReasonCode::Mentioned),
            ReplyPolicy::MentionFirst | ReplyPolicy::Probability => by_dice(),
        }
    }
}

/// Whether the dice fall for an event: `sha256-u64be`. The first eight bytes of SHA-256 over the id's bytes, big endian,
/// scaled to millionths and rounded down, are less than the probability.
fn falls(event: &EventId, probability: Probability) -> bool {
    throw(event) < probability.millionths()
}

/// Evenly from 0 to 999,999.
pub(super) fn throw(event: &EventId) -> u32 {
    let digest = Digest::of_bytes(event.as_str().as_bytes());
    let seed = digest.as_bytes()[..8]
        .iter()
        .fold(0_u64, |seed, byte| seed << 8 | u64::from(*byte));
    let scaled = (u128::from(seed) * u128::from(Probability::ONE)) >> 64;
    u32::try_from(scaled).unwrap_or(Probability::ONE)
}
