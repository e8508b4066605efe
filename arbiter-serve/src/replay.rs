//! `arbiter replay`: judges every recorded decision again, from the values that stand in its record, and holds the plan
//! against the recorded one, byte by byte. The first that differs is named, and why: another policy, another version, or
//! neither, which would be a fault of the arbiter.
//!
//! By the recorded rules, the stages and the states that were left behind must come out identical too. By other rules
//! the plan alone is held: decisions that only leave other states behind are counted.

mod export;

use std::{
    borrow::Cow,
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use chiffon_arbiter::{
    ActionCase, Case, Closing, GenerationCase, Judgement, Noting, Policy, StageRecord, generated,
    process, reported,
};
use chiffon_common::{Action, ActionReceipt, CanonicalError, Digest, ResponsePlan, to_canonical};
use serde::Serialize;
use serde_json::Value;

use crate::{
    audit::{Head, Lines, files, follow},
    record::{Judged, Kind, Next, Outcome, PROGRAM, Record},
};

pub(crate) use export::is_export;

/// What was judged again and came out identical.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) files: usize,
    /// Decisions with a plan or receipt.
    pub(crate) decisions: u64,
    /// Answers given again, and refusals: they hold no judgement of their own.
    pub(crate) others: u64,
    /// Decisions with the same plan, that other rules reach by other stages or with other states behind it.
    pub(crate) aside: u64,
}

/// Why it is not proven.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unproven {
    #[error("{} line {line}: {about} comes out differently: {difference}. {why}", file.display())]
    Differs {
        file: PathBuf,
        line: u64,
        about: String,
        difference: String,
        why: String,
    },
    #[error("{} line {line}: {why}", file.display())]
    Broken {
        file: PathBuf,
        line: u64,
        why: String,
    },
    #[error("there is no decision in {}", .0.display())]
    Nothing(PathBuf),
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

/// The rules of a stretch of records.
struct Rules {
    policy: Policy,
    program: String,
}

/// Judges a file or all files of a folder again: by the rules that were in force, or by `policy`.
pub(crate) fn replay(path: &Path, policy: Option<&Policy>) -> Result<Replayed, Unproven> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| Unproven::Unreadable { path, source }
    };
    if export::is_export(path).map_err(unreadable(path))? {
        return export::replay(path, policy);
    }
    let mut replayed = Replayed::default();
    let mut head: Option<Head> = None;
    let mut rules: HashMap<Digest, Rules> = HashMap::new();
    for file in files(path).map_err(unreadable(path))? {
        let mut lines = Lines::open(&file).map_err(unreadable(&file))?;
        replayed.files += 1;
        while let Some(line) = lines.next().map_err(unreadable(&file))? {
            let broken = |why: String| Unproven::Broken {
                file: file.clone(),
                line: line.number,
                why,
            };
            let link = follow(head, &line).map_err(broken)?;
            let (seq, hash) = (link.seq, link.hash);
            head = Some(Head { seq, hash });
            let record: Record<'_> = serde_json::from_slice(line.bytes)
                .map_err(|error| broken(format!("it is no record of this version: {error}")))?;
            record.fits().map_err(broken)?;
            if record.kind == Kind::Rules {
                let (digest, found) = rules_of(&record).map_err(broken)?;
                rules.insert(digest, found);
                continue;
            }
            let (Outcome::Decided, Some(judged)) = (record.result, &record.judged) else {
                replayed.others += 1;
                continue;
            };
            let Some(then) = rules.get(&record.rules) else {
                return Err(broken(
                    "the rules it names stand nowhere before it".to_owned(),
                ));
            };
            let by = policy.unwrap_or(&then.policy);
            let difference =
                differs(&record, judged, by).map_err(|error| broken(error.to_string()))?;
            replayed.decisions += 1;
            let difference = match difference {
                Some(Difference::Aside(_)) if policy.is_some() => {
                    replayed.aside += 1;
                    None
                }
                Some(Difference::Answer(text) | Difference::Aside(text)) => Some(text),
                None => None,
            };
            if let Some(difference) = difference {
                let differs_by = |policy: &Policy| {
                    let found = differs(&record, judged, policy)?;
                    Ok(counts(found.as_ref(), *policy == then.policy))
                };
                let why = why(then, by, differs_by)
                    .map_err(|error: CanonicalError| broken(error.to_string()))?;
                return Err(Unproven::Differs {
                    about: about(&record, judged),
                    why,
                    line: line.number,
                    file: file.clone(),
                    difference,
                });
            }
        }
    }
    match replayed.decisions {
        0 => Err(Unproven::Nothing(path.to_owned())),
        _ => Ok(replayed),
    }
}

fn rules_of(record: &Record<'_>) -> Result<(Digest, Rules), String> {
    let policy = record.policy.as_deref().ok_or("its rules are missing")?;
    let digest = Digest::of_value(policy).map_err(|error| error.to_string())?;
    if digest != record.rules {
        return Err(format!(
            "its rules have the digest {digest}, not the one it names"
        ));
    }
    let program = record.program.as_deref().unwrap_or_default().to_owned();
    let policy = policy.clone();
    Ok((digest, Rules { policy, program }))
}

fn about(record: &Record<'_>, judged: &Judged<'_>) -> String {
    let tenant = record.tenant_id.as_deref();
    let tenant = tenant.map(ToString::to_string).unwrap_or_default();
    match judged {
        Judged::Event { event, .. } => format!("event {} of tenant {tenant}", event.event_id),
        Judged::Generation { result, .. } => {
            format!(
                "the generation for plan {} of tenant {tenant}",
                result.plan_id
            )
        }
        Judged::Action { result, .. } => {
            format!(
                "the result of action {} of tenant {tenant}",
                result.action_id
            )
        }
    }
}

/// What differs, in words; nothing where every byte is the same.
fn differs(
    record: &Record<'_>,
    judged: &Judged<'_>,
    policy: &Policy,
) -> Result<Option<Difference>, CanonicalError> {
    let now = record.ts;
    match judged {
        Judged::Event {
            event,
            room,
            tenant,
            authorisation,
            plan,
            next,
        } => {
            let case = Case {
                event,
                prior: None,
                room,
                tenant,
                policy,
                authorisation: authorisation.as_deref(),
                now,
            };
            event_differs(&case, record, plan, next)
        }
        Judged::Generation {
            result,
            asked,
            room,
            tenant,
            plan,
            next,
        } => {
            let case = GenerationCase {
                result,
                plan: Some(asked),
                prior: None,
                room,
                tenant,
                policy,
                now,
            };
            generation_differs(&case, plan, next)
        }
        Judged::Action {
            result,
            asked,
            room,
            receipt,
            next,
        } => {
            let case = ActionCase {
                result,
                plan: Some(asked),
                prior: None,
                room,
                policy,
                now,
            };
            action_differs(&case, receipt, next)
        }
    }
}

fn generation_differs(
    case: &GenerationCase<'_>,
    plan: &ResponsePlan,
    next: &Next<'_>,
) -> Result<Option<Difference>, CanonicalError> {
    let again = generated(case)?;
    match again {
        Closing::Closed {
            plan: other,
            room,
            tenant,
        } => {
            let (room, tenant) = (room.map(Cow::Owned), tenant.map(Cow::Owned));
            let then = Aside::of(&[], next);
            let next = Next { room, tenant };
            both((plan, &then), (&other, &Aside::of(&[], &next)))
        }
        other => Ok(Some(Difference::Answer(format!(
            "it was taken, now it is {other:?}"
        )))),
    }
}

fn action_differs(
    case: &ActionCase<'_>,
    receipt: &ActionReceipt,
    next: &Next<'_>,
) -> Result<Option<Difference>, CanonicalError> {
    let again = reported(case)?;
    match again {
        Noting::Noted {
            receipt: other,
            room,
        } => {
            let room = room.map(Cow::Owned);
            let then = Aside::of(&[], next);
            let next = Next { room, tenant: None };
            both((receipt, &then), (&other, &Aside::of(&[], &next)))
        }
        other => Ok(Some(Difference::Answer(format!(
            "it was noted, now it is {other:?}"
        )))),
    }
}

fn event_differs(
    case: &Case<'_>,
    record: &Record<'_>,
    plan: &ResponsePlan,
    next: &Next<'_>,
) -> Result<Option<Difference>, CanonicalError> {
    let (other, stages, room, tenant) = match process(case)? {
        Judgement::Fresh {
            plan,
            stages,
            room,
            tenant,
        } => (plan, stages, room, tenant),
        other => return Ok(Some(Difference::Answer(no_plan(&other)))),
    };
    if let Some(planned) = other_action(plan, &other) {
        return Ok(Some(Difference::Answer(planned)));
    }
    let (room, tenant) = (room.map(Cow::Owned), tenant.map(Cow::Owned));
    let then = Aside::of(&record.stages, next);
    let now = Next { room, tenant };
    both((plan, &then), (&other, &Aside::of(&stages, &now)))
}

/// What is done now in place of what was done then.
fn other_action(then: &ResponsePlan, now: &ResponsePlan) -> Option<String> {
    let word = |plan: &ResponsePlan| {
        let name = plan.actions.first().map_or("nothing", Action::name);
        format!(
            "{name} ({})",
            value(&plan.reason_code).as_str().unwrap_or_default()
        )
    };
    let (then, now) = (word(then), word(now));
    (then != now).then(|| format!("it was {then}, now it is {now}"))
}

fn no_plan(judgement: &Judgement) -> String {
    match judgement {
        Judgement::NeedsAuthorisation(_) => {
            "it was decided without the external authoriser, which would have to be asked now"
                .to_owned()
        }
        Judgement::Malformed(error) => format!("it had a permitted form, now: {error}"),
        other => format!("it was decided, now it is {other:?}"),
    }
}

/// What came out differently, in words.
enum Difference {
    /// The plan or receipt.
    Answer(String),
    /// The way to it, or the states left behind.
    Aside(String),
}

/// What belongs to a decision beside its answer.
#[derive(Serialize)]
struct Aside<'a> {
    stages: &'a [StageRecord],
    next: &'a Next<'a>,
}

impl<'a> Aside<'a> {
    fn of(stages: &'a [StageRecord], next: &'a Next<'a>) -> Self {
        Self { stages, next }
    }
}

/// Whether a difference shows what has changed: by other rules the answer alone is held.
fn counts(found: Option<&Difference>, by_its_own: bool) -> bool {
    match found {
        Some(Difference::Answer(_)) => true,
        Some(Difference::Aside(_)) => by_its_own,
        None => false,
    }
}

/// First the answers against each other, then the rest.
fn both<T: Serialize>(
    (then, aside): (&T, &Aside<'_>),
    (now, aside_now): (&T, &Aside<'_>),
) -> Result<Option<Difference>, CanonicalError> {
    if let Some(place) = held(then, now)? {
        return Ok(Some(Difference::Answer(place)));
    }
    Ok(held(aside, aside_now)?.map(Difference::Aside))
}

/// Canonical bytes against canonical bytes, then the first place in words.
fn held<T: Serialize, U: Serialize>(then: &T, now: &U) -> Result<Option<String>, CanonicalError> {
    if to_canonical(then)? == to_canonical(now)? {
        return Ok(None);
    }
    let place = first_difference(&value(then), &value(now), String::new());
    Ok(Some(
        place.unwrap_or_else(|| "its bytes are others".to_owned()),
    ))
}

fn value<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// The first place where two values differ, with both.
fn first_difference(then: &Value, now: &Value, at: String) -> Option<String> {
    match (then, now) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            keys.into_iter().find_map(|key| {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned();
                let (a, b) = (of(a).unwrap_or_default(), of(b).unwrap_or_default());
                first_difference(&a, &b, format!("{at}/{key}"))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => (0..)
            .zip(a.iter().zip(b))
            .find_map(|(n, (a, b))| first_difference(a, b, format!("{at}/{n}"))),
        (then, now) if then == now => None,
        (then, now) => Some(format!("{at} was {then}, now {now}")),
    }
}

/// Why a decision comes out differently. By another policy it would come out differently for that alone, unless it does so
/// by its own too: then it is the program that has changed. Of several changes of a policy the first is named that does it
/// alone, or all where none does.
fn why<E>(
    then: &Rules,
    by: &Policy,
    differs_by: impl Fn(&Policy) -> Result<bool, E>,
) -> Result<String, E> {
    let recorded = value(&then.policy);
    let mut changes = Vec::new();
    changes_of(&recorded, &value(by), &mut Vec::new(), &mut changes);
    if changes.is_empty() || differs_by(&then.policy)? {
        return Ok(match then.program != PROGRAM {
            true => format!(
                "The version has changed: it was decided by {}, this is {PROGRAM}",
                then.program
            ),
            false => "It does so by its own policy and version: please report this with the record"
                .to_owned(),
        });
    }
    for change in &changes {
        let mut alone = recorded.clone();
        change.make(&mut alone);
        // A change that makes no policy by itself does nothing by itself.
        if let Ok(policy) = serde_json::from_value::<Policy>(alone)
            && differs_by(&policy)?
        {
            return Ok(format!("The policy has changed: {change}"));
        }
    }
    let all: Vec<_> = changes.iter().map(ToString::to_string).collect();
    Ok(format!("The policy has changed: {}", all.join("; ")))
}

/// A place where two policies differ.
struct Change {
    path: Vec<String>,
    was: Value,
    now: Value,
}

impl Change {
    fn make(&self, policy: &mut Value) {
        let Some((last, way)) = self.path.split_last() else {
            return;
        };
        let folder = way
            .iter()
            .try_fold(policy, |value, key| value.as_object_mut()?.get_mut(key));
        if let Some(folder) = folder.and_then(Value::as_object_mut) {
            folder.insert(last.clone(), self.now.clone());
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, was, now } = self;
        write!(f, "/{} was {was}, now {now}", path.join("/"))
    }
}

fn changes_of(then: &Value, now: &Value, path: &mut Vec<String>, changes: &mut Vec<Change>) {
    if let (Value::Object(a), Value::Object(b)) = (then, now)
        && a.keys().eq(b.keys())
    {
        for (key, was) in a {
            path.push(key.clone());
            changes_of(was, b.get(key).unwrap_or(&Value::Null), path, changes);
            path.pop();
        }
    } else if then != now {
        changes.push(Change {
            path: path.clone(),
            was: then.clone(),
            now: now.clone(),
        });
    }
}
