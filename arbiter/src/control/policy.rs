//! What the configuration says to the control plane: all of it values, none of them a float, all of it under the digest
//! of the rules. Where it comes from and how it is written is left to the programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chiffon_common::Permission;
use serde::{Deserialize, Serialize};

/// What the configuration says. Part of the determinism guarantee, so it is under the digest of the rules
/// ([`crate::rules_digest`]), which goes into every record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Whether text may start work. Only the orchestrator enables it.
    pub jobs: bool,
    /// How much is let through.
    pub gate: Gates,
    /// Who may.
    pub authz: Authz,
    /// What is answered.
    pub planner: Planner,
}

/// How much is let through (section 9). What is 0 or absent is off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// How long a generation holds its room at most, in milliseconds; at most a day.
    pub generation_timeout_ms: u64,
    /// How long a room rests after it was answered, in milliseconds; at most a day.
    pub cooldown_ms: u64,
    /// How many generations of a tenant may be under way; at most 10,000.
    pub max_queue: u32,
    /// How often a tenant may ask.
    pub tenant_rate: Option<Rate>,
}

/// A rate with a burst: a bucket that holds `burst` events and runs dry at `events` in `per_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many events, from 1 to 1,000,000.
    pub events: u32,
    /// In how many milliseconds, from 1 to a day.
    pub per_ms: u64,
    /// How many at once, from 1 to 1,000,000.
    pub burst: u32,
}

/// Who decides who may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthzMode {
    /// Roles and grants of the configuration.
    #[default]
    Builtin,
    /// An external provider, asked over HTTP by the shell.
    ExternalHttp,
}

/// What holds while the external provider does not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailMode {
    /// Nobody may.
    #[default]
    Deny,
    /// Everybody may.
    Allow,
}

/// Who may. Empty roles and grants permit nothing to anybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Authz {
    /// Who decides.
    pub mode: AuthzMode,
    /// What holds while an external provider does not answer.
    pub fail_mode: FailMode,
    /// What each role permits.
    pub roles: BTreeMap<String, BTreeSet<Permission>>,
    /// Who has which role where.
    pub grants: Vec<Grant>,
}

/// A role for some actors in some places. What is absent fits all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grant {
    /// The role.
    pub role: String,
    /// Which principals.
    pub actor: Pattern,
    /// Which kind of actor: `person`, `service` or `agent`.
    pub kind: Pattern,
    /// Which tenants.
    pub tenant: Pattern,
    /// Which rooms.
    pub room: Pattern,
}

/// A text that fits itself, or, ending in `*`, whatever begins so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Default for Pattern {
    fn default() -> Self {
        Self("*".to_owned())
    }
}

impl Pattern {
    /// Whether a text fits.
    pub fn fits(&self, text: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => text.starts_with(beginning),
            None => self.0 == text,
        }
    }
}

/// What is answered (section 10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Planner {
    /// By which rule.
    pub reply_policy: ReplyPolicy,
    /// How likely what is left to the dice is answered.
    pub reply_probability: Probability,
}

/// When an event is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyPolicy {
    /// Who speaks to Chiffon is answered; the rest is left to the dice.
    #[default]
    MentionFirst,
    /// Everything.
    Always,
    /// Nothing.
    Never,
    /// The dice alone.
    Probability,
}

/// A probability in millionths, written as a decimal (`0.3`). Exact: a float never stands in for it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability(u32);

/// The text is no probability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a probability is a number from 0 to 1 with at most six decimals, not {0:?}")]
pub struct ProbabilityError(String);

impl Probability {
    /// One, in millionths.
    pub const ONE: u32 = 1_000_000;

    /// In millionths, 0 to 1,000,000; nothing beyond.
    pub const fn from_millionths(millionths: u32) -> Option<Self> {
        if millionths <= Self::ONE {
            Some(Self(millionths))
        } else {
            None
        }
    }

    /// In millionths.
    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl FromStr for Probability {
    type Err = ProbabilityError;

    fn from_str(text: &str) -> Result<Self, ProbabilityError> {
        let refused = || ProbabilityError(text.chars().take(40).collect());
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let part = part.trim_end_matches('0');
        if !digits(whole) || part.len() > 6 || !(part.is_empty() || digits(part)) {
            return Err(refused());
        }
        if text.ends_with('.') {
            return Err(refused());
        }
        let whole = whole.parse::<u32>().map_err(|_| refused())?;
        let part = format!("{part:0<6}")
            .parse::<u32>()
            .map_err(|_| refused())?;
        whole
            .checked_mul(Self::ONE)
            .and_then(|whole| whole.checked_add(part))
            .and_then(Self::from_millionths)
            .ok_or_else(refused)
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / Self::ONE, self.0 % Self::ONE);
        if part == 0 {
            return whole.fmt(f);
        }
        let part = format!("{part:06}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

impl fmt::Debug for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Probability {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Probability;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 1 with at most six decimals")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Probability, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Probability, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Probability, E> {
                self.visit_str(&number.to_string())
            }

            /// The shortest decimal that leads to this float is what was written, as far as six decimals go.
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Probability, E> {
                self.visit_str(&number.to_string())
            }
        }
        from.deserialize_any(Visitor)
    }
}

/// A rule that cannot hold: what, why, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}; {todo}")]
pub struct PolicyFault {
    /// Where it stands: `gate.cooldown_ms`.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
    /// What can be done.
    pub todo: &'static str,
}

/// A day, in milliseconds.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Most generations of a tenant that are counted: they are one row.
const MOST_QUEUED: u32 = 10_000;
/// Most of a rate.
const MOST_EVENTS: u32 = 1_000_000;

impl Policy {
    /// Whether one event changes what the next one meets: where nothing is started but work, the lock and the count of
    /// generations are nobody's.
    pub fn counts(&self) -> bool {
        let gate = &self.gate;
        let generates = gate.generation_timeout_ms > 0 || gate.max_queue > 0;
        gate.cooldown_ms > 0 || gate.tenant_rate.is_some() || (!self.jobs && generates)
    }

    /// What contradicts itself or is out of bounds; nothing where all is well.
    pub fn faults(&self) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        self.gate.faults(&mut faults);
        self.authz.faults(&mut faults);
        faults
    }
}

fn fault(path: impl Into<String>, why: impl Into<String>, todo: &'static str) -> PolicyFault {
    let (path, why) = (path.into(), why.into());
    PolicyFault { path, why, todo }
}

impl Gates {
    fn faults(&self, faults: &mut Vec<PolicyFault>) {
        let day = "is longer than a day (86400000)";
        for (name, ms) in [
            ("gate.generation_timeout_ms", self.generation_timeout_ms),
            ("gate.cooldown_ms", self.cooldown_ms),
        ] {
            if ms > DAY_MS {
                faults.push(fault(name, day, "set a shorter time, or 0 for none"));
            }
        }
        if self.max_queue > MOST_QUEUED {
            let todo = "set at most 10000, or 0 for no bound";
            faults.push(fault("gate.max_queue", "is more than 10000", todo));
        }
        if self.max_queue > 0 && self.generation_timeout_ms == 0 {
            let why = "counts generations under way, and without gate.generation_timeout_ms none ever ends by itself";
            let todo = "set gate.generation_timeout_ms, or max_queue 0";
            faults.push(fault("gate.max_queue", why, todo));
        }
        let Some(rate) = self.tenant_rate else { return };
        for (name, number) in [("events", rate.events), ("burst", rate.burst)] {
            if !(1..=MOST_EVENTS).contains(&number) {
                let path = format!("gate.tenant_rate.{name}");
                let todo = "set a number from 1 to 1000000, or leave tenant_rate out";
                faults.push(fault(path, format!("is {number}"), todo));
            }
        }
        if !(1..=DAY_MS).contains(&rate.per_ms) {
            let todo = "set milliseconds from 1 to 86400000";
            let why = format!("is {}", rate.per_ms);
            faults.push(fault("gate.tenant_rate.per_ms", why, todo));
        }
    }
}

impl Authz {
    /// Everything to everybody: where an authoriser is not wanted.
    pub fn open() -> Self {
        let everything = BTreeSet::from([Permission::Any]);
        Self {
            roles: BTreeMap::from([("everybody".to_owned(), everything)]),
            grants: vec![Grant {
                role: "everybody".to_owned(),
                ..Grant::default()
            }],
            ..Self::default()
        }
    }

    fn faults(&self, faults: &mut Vec<PolicyFault>) {
        for (at, grant) in self.grants.iter().enumerate() {
            if !self.roles.contains_key(&grant.role) {
                let path = format!("grants[{at}].role");
                let why = format!("there is no role {:?}", grant.role);
                faults.push(fault(path, why, "name a role of roles, or add it there"));
            }
            for (name, pattern) in [
                ("actor", &grant.actor),
                ("kind", &grant.kind),
                ("tenant", &grant.tenant),
                ("room", &grant.room),
            ] {
                let body = pattern.0.strip_suffix('*').unwrap_or(&pattern.0);
                if pattern.0.is_empty() || body.contains('*') {
                    let path = format!("grants[{at}].{name}");
                    let why = format!("{:?} fits nothing", pattern.0);
                    let todo = "write the whole text, or its beginning and one * at the end";
                    faults.push(fault(path, why, todo));
                }
            }
        }
    }
}
