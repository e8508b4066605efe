//! What the check runs of a plan could not foresee: each looked at its hosts as they are now, while its step
//! will find them as the steps before it have left them.

use std::collections::BTreeMap;

use chiffon_common::{Fidelity, Plan, Step, StepNo, Tier};

/// What the check run of a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing would change.
    Unchanged,
    /// Something would.
    Changes,
    /// It failed, or did not end by itself.
    Failed,
}

/// Says at each step which steps before it had not run when it was looked at, and lowers `exact`, because what
/// they change on the same host may be what it meets. Steps that only read leave everything as it is.
pub(super) fn say_unforeseen(plan: &mut Plan, seen: &BTreeMap<StepNo, Seen>) {
    let unforeseen: Vec<(StepNo, Vec<StepNo>)> = plan
        .steps
        .iter()
        .filter_map(|step| Some((step.no, before(plan, step, *seen.get(&step.no)?, seen))))
        .filter(|(_, before)| !before.is_empty())
        .collect();
    for (no, before) in unforeseen {
        let Some(step) = plan.steps.iter_mut().find(|step| step.no == no) else {
            continue;
        };
        step.fidelity = step.fidelity.max(Fidelity::Simulated);
        let why = words(&before);
        step.fidelity_because = Some(match step.fidelity_because.take() {
            Some(because) => format!("{because}; {why}"),
            None => why,
        });
    }
}

/// The steps before this one that would change what it meets, as far as is known.
fn before(plan: &Plan, step: &Step, own: Seen, seen: &BTreeMap<StepNo, Seen>) -> Vec<StepNo> {
    let needed = needed(plan, step);
    let meets = |earlier: &&Step| {
        let shares = earlier.hosts.iter().any(|host| step.hosts.contains(host));
        // What failed may have needed the work of a step on another host.
        shares || own == Seen::Failed && needed.contains(&earlier.no)
    };
    let changes = |earlier: &&Step| {
        earlier.tier > Tier::Zero && seen.get(&earlier.no) != Some(&Seen::Unchanged)
    };
    let earlier = plan.steps.iter().filter(|earlier| earlier.no < step.no);
    earlier
        .filter(changes)
        .filter(meets)
        .map(|earlier| earlier.no)
        .collect()
}

/// The steps that must be completed first, also those behind others.
fn needed(plan: &Plan, step: &Step) -> Vec<StepNo> {
    let mut needed = step.depends_on.clone();
    let mut at = 0;
    while let Some(no) = needed.get(at).copied() {
        let behind = plan.steps.iter().find(|step| step.no == no);
        for no in behind.into_iter().flat_map(|step| &step.depends_on) {
            if !needed.contains(no) {
                needed.push(*no);
            }
        }
        at += 1;
    }
    needed
}

/// Numbered as people see them, from 1. Many in a row are one stretch.
fn words(steps: &[StepNo]) -> String {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for no in steps.iter().map(|no| u64::from(*no) + 1) {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == no => *last = no,
            _ => stretches.push((no, no)),
        }
    }
    let shown: Vec<String> = stretches
        .iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first} to {last}"),
        })
        .collect();
    match steps.len() {
        1 => format!("not foreseen: step {} had not run", shown.join(", ")),
        _ => format!("not foreseen: steps {} had not run", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Steps by fidelity, tier, host and what their check runs came to; each needs the one before.
    fn plan(steps: &[(&str, u8, &str, Option<Seen>)]) -> (Plan, BTreeMap<StepNo, Seen>) {
        let digest = format!("sha256:{}", "0".repeat(64));
        let id = "0197a1b2-0000-7000-8000-000000000000";
        let step = |no: usize, fidelity: &str, tier: u8, host: &str| {
            json!({
                "no": no, "entry": "write_file", "title": "x", "hosts": [host], "parameters": {},
                "depends_on": no.checked_sub(1).map_or(vec![], |no| vec![no]), "tier": tier,
                "fidelity": fidelity, "bundle": digest, "timeout_seconds": 1, "on_interrupt": "ask",
                "resources": {"gpu": false, "memory_gb": 0.0}, "undo": {"none": {"why": "x"}},
            })
        };
        let listed: Vec<_> = steps
            .iter()
            .enumerate()
            .map(|(no, (fidelity, tier, host, _))| step(no, fidelity, *tier, host))
            .collect();
        let plan = json!({
            "plan_id": id, "request_id": id, "steps": listed, "tier": 1,
            "cost": {"provider_usd": 0.0, "at_most_seconds": 1}, "confidence": 100, "because": "x",
            "expires_at": "2026-01-01T00:00:00Z", "good_for_seconds": 1, "digest": digest,
        });
        let seen = steps.iter().enumerate();
        let seen = seen.filter_map(|(no, (.., seen))| Some((no as StepNo, (*seen)?)));
        (serde_json::from_value(plan).unwrap(), seen.collect())
    }

    #[track_caller]
    fn check(steps: &[(&str, u8, &str, Option<Seen>)], expected: &[(Fidelity, Option<&str>)]) {
        let (mut plan, seen) = plan(steps);
        say_unforeseen(&mut plan, &seen);
        let found: Vec<_> = plan
            .steps
            .iter()
            .map(|step| (step.fidelity, step.fidelity_because.as_deref()))
            .collect();
        assert_eq!(found, expected);
    }

    use Fidelity::{Acts, Blind, Exact, Simulated};
    use Seen::{Changes, Failed, Unchanged};

    #[test]
    fn a_step_behind_a_change_on_its_host_is_not_exact() {
        check(
            &[
                ("exact", 1, "nas", Some(Changes)),
                ("exact", 1, "nas", Some(Unchanged)),
                ("exact", 1, "tower", Some(Changes)),
                ("simulated", 1, "nas", Some(Changes)),
            ],
            &[
                (Exact, None),
                (Simulated, Some("not foreseen: step 1 had not run")),
                (Exact, None),
                (Simulated, Some("not foreseen: step 1 had not run")),
            ],
        );
    }

    #[test]
    fn what_changes_nothing_or_only_reads_hides_nothing() {
        check(
            &[
                ("exact", 1, "nas", Some(Unchanged)),
                ("acts", 0, "nas", None),
                ("exact", 1, "nas", Some(Unchanged)),
            ],
            &[(Exact, None), (Acts, None), (Exact, None)],
        );
    }

    #[test]
    fn what_was_not_looked_at_may_change_something() {
        check(
            &[
                ("blind", 2, "nas", None),
                ("acts", 1, "nas", None),
                ("exact", 1, "nas", Some(Unchanged)),
            ],
            &[
                (Blind, None),
                (Acts, None),
                (Simulated, Some("not foreseen: steps 1, 2 had not run")),
            ],
        );
    }

    #[test]
    fn a_check_run_that_failed_may_have_needed_steps_on_other_hosts() {
        check(
            &[
                ("exact", 1, "web", Some(Changes)),
                ("exact", 1, "web", Some(Unchanged)),
                ("blind", 1, "nas", Some(Failed)),
            ],
            &[
                (Exact, None),
                (Simulated, Some("not foreseen: step 1 had not run")),
                (Blind, Some("not foreseen: step 1 had not run")),
            ],
        );
    }

    #[test]
    fn many_steps_are_named_in_stretches() {
        assert_eq!(
            words(&[0, 1, 2, 3, 6, 8, 9]),
            "not foreseen: steps 1 to 4, 7, 9, 10 had not run"
        );
    }
}
