//! `control.*`: the rules of the control plane, from the flat keys of the configuration to the values that are judged by.

use chiffon_arbiter::{Authz, Gates, Grant, Pattern, Planner, Policy, Rate, ReplyPolicy};
use chiffon_common::{Permission, Problem};

use super::{invalid, sources::Sources};

/// A day, in milliseconds.
const DAY_MS: u32 = 86_400_000;

/// The rules; what contradicts itself is refused.
pub(super) fn policy(sources: &Sources) -> Result<Policy, Problem> {
    let policy = Policy {
        jobs: sources.parsed("control.jobs", |text| text.parse().ok())?,
        gate: gates(sources)?,
        authz: authz(sources)?,
        planner: Planner {
            reply_policy: sources.parsed("control.reply_policy", |text| match text {
                "mention_first" => Some(ReplyPolicy::MentionFirst),
                "always" => Some(ReplyPolicy::Always),
                "never" => Some(ReplyPolicy::Never),
                "probability" => Some(ReplyPolicy::Probability),
                _ => None,
            })?,
            reply_probability: sources
                .parsed("control.reply_probability", |text| text.parse().ok())?,
        },
    };
    match policy.faults().into_iter().next() {
        None => Ok(policy),
        Some(fault) => {
            let place = fault.path.replacen("gate.", "control.", 1);
            Err(invalid(format!("{place}: {}", fault.why), fault.todo))
        }
    }
}

fn gates(sources: &Sources) -> Result<Gates, Problem> {
    let events = sources.number("control.rate.events", 0..=1_000_000)?;
    let rate = Rate {
        events,
        per_ms: sources.number("control.rate.per_ms", 1..=DAY_MS)?.into(),
        burst: sources.number("control.rate.burst", 1..=1_000_000)?,
    };
    Ok(Gates {
        generation_timeout_ms: sources
            .number("control.generation_timeout_ms", 0..=DAY_MS)?
            .into(),
        cooldown_ms: sources.number("control.cooldown_ms", 0..=DAY_MS)?.into(),
        max_queue: sources.number("control.max_queue", 0..=10_000)?,
        tenant_rate: (events > 0).then_some(rate),
    })
}

fn authz(sources: &Sources) -> Result<Authz, Problem> {
    let is_kind = |text: &String| matches!(text.as_str(), "person" | "service" | "agent");
    let is_actor = |text: &String| {
        let body = text.strip_suffix('*').unwrap_or(text);
        text.len() <= 256 && !body.contains('*') && !text.chars().any(char::is_control)
    };
    let (asker, approver) = ("asker", "approver");
    let mut grants = Vec::new();
    for kind in sources.list("control.may_ask", is_kind)? {
        grants.push(Grant {
            role: asker.to_owned(),
            kind: Pattern(kind),
            ..Grant::default()
        });
    }
    for actor in sources.list("control.may_approve", is_actor)? {
        grants.push(Grant {
            role: approver.to_owned(),
            actor: Pattern(actor),
            ..Grant::default()
        });
    }
    let may_ask = [Permission::StartAgentJob, Permission::RequestGeneration];
    Ok(Authz {
        roles: [
            (asker.to_owned(), may_ask.into()),
            (approver.to_owned(), [Permission::Approve].into()),
        ]
        .into(),
        grants,
        ..Authz::default()
    })
}
