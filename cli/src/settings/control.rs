//! `control.*`: the rules of the control plane, from the flat keys of the configuration to the values that are judged by.

use std::{path::PathBuf, time::Duration};

use chiffon_arbiter::{
    Authz, AuthzMode, FailMode, Gates, Grant, Pattern, Planner, Policy, Rate, ReplyPolicy,
};
use chiffon_common::{Permission, Problem};
use chiffon_orchestrator::{Authorizer, Endpoint};

use chiffon_program::settings::{Sources, contradicts, invalid, path};

/// A day, in milliseconds.
const DAY_MS: u32 = 86_400_000;

/// The rules; what contradicts itself is refused.
pub(super) fn policy(sources: &Sources) -> Result<Policy, Problem> {
    let policy = Policy {
        jobs: sources.parsed("control.jobs", |text| text.parse().ok())?,
        gate: gates(sources)?,
        authz: match endpoint(sources)? {
            None => authz(sources)?,
            Some(_) => external(sources)?,
        },
        planner: planner(sources)?,
    };
    match policy.faults().into_iter().next() {
        None => Ok(policy),
        Some(fault) => {
            let place = fault.path.replacen("gate.", "control.", 1);
            Err(invalid(format!("{place}: {}", fault.why), fault.todo))
        }
    }
}

/// Dice without a probability would answer nothing, and a probability without dice would mean nothing.
fn planner(sources: &Sources) -> Result<Planner, Problem> {
    let reply_policy = sources.parsed("control.reply_policy", |text| match text {
        "mention_first" => Some(ReplyPolicy::MentionFirst),
        "always" => Some(ReplyPolicy::Always),
        "never" => Some(ReplyPolicy::Never),
        "probability" => Some(ReplyPolicy::Probability),
        _ => None,
    })?;
    let reply_probability =
        sources.parsed("control.reply_probability", |text| text.parse().ok())?;
    let is_thrown = !matches!(reply_policy, ReplyPolicy::Always | ReplyPolicy::Never);
    match sources.place_of("control.reply_probability") {
        Some(place) if !is_thrown => Err(contradicts(
            format!(
                "control.reply_probability is set in {place}, and control.reply_policy leaves nothing to the dice: it would have no effect."
            ),
            "Take control.reply_probability away, or set control.reply_policy to mention_first or probability.",
        )),
        None if reply_policy == ReplyPolicy::Probability => Err(contradicts(
            "control.reply_policy is probability, and control.reply_probability is not set: nothing would be answered."
                .to_owned(),
            "Set control.reply_probability, such as 0.3; or set control.reply_policy to never.",
        )),
        _ => Ok(Planner {
            reply_policy,
            reply_probability,
        }),
    }
}

fn gates(sources: &Sources) -> Result<Gates, Problem> {
    let events = sources.number("control.rate.events", 0..=1_000_000)?;
    let rate = Rate {
        events,
        per_ms: sources.number("control.rate.per_ms", 1..=DAY_MS)?.into(),
        burst: match sources.number("control.rate.burst", 0..=1_000_000)? {
            0 => events,
            burst => burst,
        },
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

/// An external authoriser that is asked, and the file with the token that it is shown.
pub type External = (Authorizer, Option<PathBuf>);

/// The external authoriser, where one is to be asked.
pub(super) fn authorizer(sources: &Sources) -> Result<Option<External>, Problem> {
    // Read in any case, so that what is not permitted is told in any case.
    sources.parsed("control.authz.fail_mode", fail_mode)?;
    let timeout = sources.number("control.authz.timeout_ms", 1..=60_000)?;
    let in_flight = sources.number("control.authz.max_in_flight", 1..=10_000)?;
    let cached = sources.number("control.authz.cache", 0..=1_000_000)?;
    let token_file = sources.parsed("control.authz.token_file", path)?;
    let ca_file = sources.parsed("control.authz.ca_file", path)?;
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let endpoint = endpoint(sources)?;
    Ok(endpoint.map(|endpoint| {
        let authorizer = Authorizer {
            endpoint,
            ca_file,
            token: None,
            timeout: Duration::from_millis(timeout.into()),
            in_flight: count(in_flight),
            cached: count(cached),
        };
        (authorizer, token_file)
    }))
}

/// Where it is asked; without it nobody is, and the roles hold.
fn endpoint(sources: &Sources) -> Result<Option<Endpoint>, Problem> {
    sources.parsed("control.authz.endpoint", |text| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    })
}

fn fail_mode(text: &str) -> Option<FailMode> {
    match text {
        "deny" => Some(FailMode::Deny),
        "allow" => Some(FailMode::Allow),
        _ => None,
    }
}

/// An external authoriser in place of the roles. Who has set both means to permit by one of them, and nobody knows which.
fn external(sources: &Sources) -> Result<Authz, Problem> {
    // Read in any case, so that what is not permitted is told in any case.
    authz(sources)?;
    for name in ["control.may_ask", "control.may_approve"] {
        let Some(place) = sources.place_of(name) else {
            continue;
        };
        let detail = format!(
            "{name} is set in {place}, and with control.authz.endpoint the external authoriser alone says who may: it would permit nobody anything."
        );
        let todo = format!(
            "Remove {name}, and have the authoriser permit them; or remove control.authz.endpoint."
        );
        return Err(invalid(detail, &todo));
    }
    Ok(Authz {
        mode: AuthzMode::ExternalHttp,
        fail_mode: sources.parsed("control.authz.fail_mode", fail_mode)?,
        ..Authz::default()
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
