//! The rules in force, as one digest: what is bound into every plan and named in every audit record, so that what was
//! approved under one set of rules never starts under another.
//!
//! How often contact is looked for, how long planning may take and the like are no rules: they change no start.

use chiffon_common::{CanonicalError, Digest};
use jiff::SignedDuration;
use serde::Serialize;

use crate::{Policy, RunPolicy};

#[derive(Serialize)]
struct Rules<'a> {
    v: u32,
    control_plane: &'a Policy,
    /// Whether tier 2 takes the typed host name of the one person there is.
    single_person: bool,
    question_ms: i128,
    good_for_ms: i128,
    start_ms: i128,
    not_after_ms: i128,
    attempts: u32,
}

/// The digest of everything that decides who may ask, who may approve, for how long that is good, and how often and
/// until when a step may be started.
///
/// # Errors
/// Where there is no canonical form.
pub fn rules_digest(
    control_plane: &Policy,
    lifecycles: &RunPolicy,
    good_for: SignedDuration,
) -> Result<Digest, CanonicalError> {
    // Named one by one, so that a new limit has to be taken for a rule, or left out in so many words.
    let RunPolicy {
        planning: _,
        question,
        start,
        not_after,
        ack: _,
        ack_longest: _,
        contact: _,
        silence: _,
        grace: _,
        unknown: _,
        attempts,
        retry: _,
        retry_change: _,
        retry_longest: _,
        skew: _,
        single_person,
    } = lifecycles;
    Digest::of_value(&Rules {
        v: 2,
        control_plane,
        single_person: *single_person,
        question_ms: question.as_millis(),
        good_for_ms: good_for.as_millis(),
        start_ms: start.as_millis(),
        not_after_ms: not_after.as_millis(),
        attempts: *attempts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_under_the_digest_and_no_other_limit() {
        let control_plane = Policy {
            jobs: true,
            ..Policy::default()
        };
        let hour = SignedDuration::from_hours(1);
        let usual = RunPolicy::default();
        let of = |policy: &Policy, limits: &RunPolicy, good_for| {
            rules_digest(policy, limits, good_for).unwrap()
        };
        let now = of(&control_plane, &usual, hour);
        type Change = fn(&mut RunPolicy);
        let rules: [(&str, Change); 5] = [
            ("single_person", |limits| limits.single_person = false),
            ("question", |limits| {
                limits.question = SignedDuration::from_hours(1)
            }),
            ("start", |limits| {
                limits.start = SignedDuration::from_hours(2)
            }),
            ("not_after", |limits| {
                limits.not_after = SignedDuration::from_mins(6)
            }),
            ("attempts", |limits| limits.attempts = 4),
        ];
        for (name, change) in rules {
            let mut limits = usual.clone();
            change(&mut limits);
            assert_ne!(of(&control_plane, &limits, hour), now, "{name}");
        }
        assert_ne!(of(&control_plane, &usual, hour + hour), now);
        let open = Policy {
            authz: crate::Authz::open(),
            ..control_plane.clone()
        };
        assert_ne!(of(&open, &usual, hour), now);
        let closed = Policy {
            jobs: false,
            ..control_plane.clone()
        };
        assert_ne!(of(&closed, &usual, hour), now);
        let patient = RunPolicy {
            contact: SignedDuration::from_secs(1),
            silence: SignedDuration::from_secs(9),
            ..usual.clone()
        };
        assert_eq!(of(&control_plane, &patient, hour), now);
    }
}
