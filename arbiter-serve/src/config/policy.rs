//! What the arbiter judges by: gates, planner, and the roles of the builtin authoriser. What contradicts itself is for
//! the arbiter to say; here is how it is written.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_arbiter::{
    Authz, AuthzMode, FailMode, Gates, Grant, Pattern, Planner, Policy, Probability, Rate,
    ReplyPolicy,
};
use chiffon_common::{ACTOR_KINDS, Permission, RoomId, TenantId};
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error};
use serde_json::Value;

use super::{
    Asked, DAY_MS,
    section::{Faults, Section},
};

/// A generation that never ends would hold its room for ever.
const GENERATION_MS: u64 = 120_000;

/// Reads the sections of the policy; nothing where it contradicts itself.
pub(super) fn read(whole: &mut Section, asked: Asked, faults: &mut Faults) -> Option<Policy> {
    let gate = gates(whole, faults);
    let planner = planner(whole, faults);
    let authz = authz(whole, asked, faults);
    let policy = Policy {
        // `arbiter` starts no work: section 6.3 reserves it.
        jobs: false,
        gate,
        authz,
        planner,
    };
    let contradictions = policy.faults();
    for fault in &contradictions {
        // Its paths are those of the policy; roles and grants lie in a section of their own here.
        let path = match fault.path.strip_prefix("grants") {
            Some(rest) => format!("policy.grants{rest}"),
            None => fault.path.clone(),
        };
        faults.contradiction(format!("{path}: {}", fault.why), fault.todo);
    }
    contradictions.is_empty().then_some(policy)
}

fn gates(whole: &mut Section, faults: &mut Faults) -> Gates {
    let mut section = whole.section("gate", faults);
    let cooldown_ms = section.number("cooldown_ms", 0..=DAY_MS, 0, faults);
    let max_queue = section.number("max_queue", 0..=10_000, 0, faults);
    let generation_timeout_ms =
        section.number("generation_timeout_ms", 0..=DAY_MS, GENERATION_MS, faults);
    let tenant_rate = rate(&mut section, faults);
    section.finish(faults);
    Gates {
        generation_timeout_ms,
        cooldown_ms,
        max_queue: small(max_queue),
        tenant_rate,
    }
}

fn rate(gate: &mut Section, faults: &mut Faults) -> Option<Rate> {
    let mut section = gate.section_if_there("tenant_rate", faults)?;
    let events = section.number("events", 1..=1_000_000, 0, faults);
    let per_ms = section.number("per_ms", 1..=DAY_MS, 1_000, faults);
    // As many at once as in one span, unless it is said otherwise.
    let burst = section.number("burst", 1..=1_000_000, events.max(1), faults);
    section.finish(faults);
    if events == 0 {
        let todo = "set gate.tenant_rate.events, or take tenant_rate away";
        faults.contradiction("gate.tenant_rate is set, and its events are missing", todo);
        return None;
    }
    Some(Rate {
        events: small(events),
        per_ms,
        burst: small(burst),
    })
}

/// Within bounds that were held already.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn planner(whole: &mut Section, faults: &mut Faults) -> Planner {
    let mut section = whole.section("planner", faults);
    let permitted = "mention_first, always, never or probability";
    let reply_policy: Option<ReplyPolicy> =
        section.parsed("reply_policy", permitted, named, faults);
    let reply_policy = reply_policy.unwrap_or_default();
    let decimal = section.decimal("reply_probability", faults);
    section.finish(faults);
    let mut reply_probability = Probability::default();
    if let Some(decimal) = decimal {
        // The example of section 14 has one beside mention_first, which leaves to the dice what mentions nobody.
        if matches!(reply_policy, ReplyPolicy::Always | ReplyPolicy::Never) {
            faults.warnings.push(
                "planner.reply_probability has no effect: only with planner.reply_policy mention_first or probability are dice thrown"
                    .to_owned(),
            );
        }
        match decimal.parse() {
            Ok(parsed) => reply_probability = parsed,
            Err(_) => faults.invalid(
                "planner.reply_probability",
                decimal,
                "a number from 0 to 1 with at most six decimals",
            ),
        }
    } else if reply_policy == ReplyPolicy::Probability {
        let detail =
            "planner.reply_policy is probability, and planner.reply_probability is missing";
        faults.contradiction(detail, "set planner.reply_probability, such as 0.3");
    }
    Planner {
        reply_policy,
        reply_probability,
    }
}

fn authz(whole: &mut Section, asked: Asked, faults: &mut Faults) -> Authz {
    let there = whole.section_if_there("policy", faults);
    let is_there = there.is_some();
    let mut section = there.unwrap_or_else(|| Section::empty("policy"));
    let roles = roles(&mut section, faults);
    let grants = grants(&mut section, faults);
    section.finish(faults);
    let Asked::External { allows_on_failure } = asked else {
        return Authz {
            mode: AuthzMode::Builtin,
            roles,
            grants,
            ..Authz::default()
        };
    };
    if is_there {
        let detail =
            "policy is set, and authz.mode is external_http, which asks nobody but authz.endpoint";
        faults.contradiction(detail, "take policy away, or set authz.mode to builtin");
    }
    Authz {
        mode: AuthzMode::ExternalHttp,
        fail_mode: match allows_on_failure {
            true => FailMode::Allow,
            false => FailMode::Deny,
        },
        ..Authz::default()
    }
}

fn roles(policy: &mut Section, faults: &mut Faults) -> BTreeMap<String, BTreeSet<Permission>> {
    let section = policy.section("roles", faults);
    let mut roles = BTreeMap::new();
    for (name, may) in section.entries(faults) {
        let may = match may {
            Value::String(_) => vec![may],
            Value::Array(items) => items,
            other => {
                faults.invalid(&format!("policy.roles.{name}"), other, PERMISSIONS);
                continue;
            }
        };
        let mut permissions = BTreeSet::new();
        for one in may {
            match serde_json::from_value(one.clone()) {
                // A role that permits what is never asked for promises something that does not come.
                Ok(Permission::StartAgentJob | Permission::Approve) => {
                    let detail =
                        format!("policy.roles.{name} permits {one}, and arbiter starts no work");
                    let todo = "take it away: jobs and approvals are those of a fleet, which the orchestrator's policy permits";
                    faults.contradiction(detail, todo);
                }
                Ok(permission) => drop(permissions.insert(permission)),
                Err(_) => faults.invalid(&format!("policy.roles.{name}"), one, PERMISSIONS),
            }
        }
        roles.insert(name, permissions);
    }
    roles
}

const PERMISSIONS: &str = "a list of request_generation or \"*\"";

fn grants(policy: &mut Section, faults: &mut Faults) -> Vec<Grant> {
    let mut grants = Vec::new();
    for mut section in policy.list("grants", faults) {
        let mut pattern = |key| {
            let text = section.text(key, faults);
            text.map_or_else(Pattern::default, Pattern)
        };
        let (actor, kind) = (pattern("actor"), pattern("kind"));
        let (tenant, room) = (pattern("tenant"), pattern("room"));
        let role = section.text("role", faults).unwrap_or_default();
        let name = section.name().to_owned();
        section.finish(faults);
        if !fits_some(&tenant, |text| text.parse::<TenantId>().is_ok()) {
            let permitted = "the name of a tenant, or its beginning and *";
            faults.invalid(&format!("{name}.tenant"), &tenant.0, permitted);
        }
        if !fits_some(&room, |text| text.parse::<RoomId>().is_ok()) {
            let permitted = "the name of a room, or its beginning and *";
            faults.invalid(&format!("{name}.room"), &room.0, permitted);
        }
        if !fits_some_kind(&kind) {
            let permitted = "person, service, agent, or the beginning of one and *";
            faults.invalid(&format!("{name}.kind"), &kind.0, permitted);
        }
        grants.push(Grant {
            role,
            actor,
            kind,
            tenant,
            room,
        });
    }
    grants
}

/// Whether there can be a name that a pattern fits. Stars that stand elsewhere are the policy's to refuse.
fn fits_some(pattern: &Pattern, is_name: impl Fn(&str) -> bool) -> bool {
    let begin = pattern.0.strip_suffix('*').unwrap_or(&pattern.0);
    begin.is_empty() || begin.contains('*') || is_name(begin)
}

/// Callers name three kinds.
fn fits_some_kind(pattern: &Pattern) -> bool {
    let is_misplaced = pattern.0.trim_end_matches('*').contains('*');
    is_misplaced || ACTOR_KINDS.iter().any(|kind| pattern.fits(kind))
}

/// A variant by its name on the wire.
fn named<T: DeserializeOwned>(text: &str) -> Option<T> {
    let text: serde::de::value::StrDeserializer<'_, Error> = text.into_deserializer();
    T::deserialize(text).ok()
}
