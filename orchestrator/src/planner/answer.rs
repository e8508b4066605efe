//! What an answer to a question comes to: values of parameters, hosts, or another sentence. The question itself
//! says what it waits for; a sentence is always an answer.

use chiffon_arbiter::{Said, Wants, Words};
use chiffon_common::{ErrorCode, HostName, Parameters, Problem};
use serde_json::Value;

use super::{
    Planner,
    clause::Clause,
    explicit, read, slots,
    text::fold,
    value,
    words::{self, Kind},
};
use crate::{catalogue::Entry, inventory::Inventory};

/// What stands in place of a secret value.
const MASK: &str = "[secret]";

pub(super) fn understood(
    planner: &Planner,
    text: &str,
    wants: &Wants,
    inventory: &Inventory,
) -> Result<Words, Problem> {
    let text = text.trim();
    let found = match wants {
        Wants::Sentence => None,
        Wants::Hosts => hosts(planner, text, inventory)?,
        Wants::Parameters { entry, missing } => match planner.catalogue.get(entry.as_str()) {
            Some(entry) => values(planner, (entry, missing), text, inventory)?,
            // The catalogue has changed since; the sentence is looked at anew.
            None => None,
        },
    };
    Ok(found.unwrap_or_else(|| Words {
        text: text.to_owned(),
        said: Said::Sentence {
            text: text.to_owned(),
        },
        secret: Vec::new(),
    }))
}

/// `nas`, `nas and web`, `on nas, web`; nothing where it is more than that.
fn hosts(planner: &Planner, text: &str, inventory: &Inventory) -> Result<Option<Words>, Problem> {
    let words = |hosts: &[HostName]| Words {
        text: text.to_owned(),
        said: Said::Missing {
            parameters: Parameters::new(),
            hosts: hosts.to_vec(),
        },
        secret: Vec::new(),
    };
    let named = match text.split_once(char::is_whitespace) {
        Some((on, rest)) if on.eq_ignore_ascii_case("on") => rest.trim(),
        _ => text,
    };
    if let Some(hosts) = inventory.meant(&fold(named)) {
        return Ok(Some(words(hosts)));
    }
    let pieces: Vec<&str> = named
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|piece| !piece.is_empty() && !["and", "und", "et"].contains(piece))
        .collect();
    let meant: Vec<_> = pieces
        .iter()
        .map(|piece| inventory.meant(&fold(piece)))
        .collect();
    if let Some(meant) = meant.into_iter().collect::<Option<Vec<_>>>()
        && !meant.is_empty()
    {
        return Ok(Some(words(&meant.concat())));
    }
    // A single word that is no entry either can only be meant as a host.
    match pieces.as_slice() {
        [one] if planner.catalogue.find(one).is_err() => Err(inventory.unknown_host(one)),
        _ => Ok(None),
    }
}

/// A value in some words more, "the cron service, please"; nothing where an action makes a sentence of them.
fn said(
    planner: &Planner,
    entry: &Entry,
    name: &str,
    text: &str,
    inventory: &Inventory,
) -> Option<Value> {
    let read = read::read(text, &planner.index, inventory)?;
    let indexed = planner.index.of(entry.id.as_str())?;
    let acts = (0..read.tokens.len()).any(|at| {
        matches!(read.kind(at), Some(Kind::Verb | Kind::Weak)) || read.is_mark(at, "not")
    });
    if acts || read.tokens.is_empty() {
        return None;
    }
    let clause = Clause::whole(&read);
    let filled = slots::fill(entry, indexed, &read, &clause, &Parameters::new());
    filled.parameters.get(name).cloned()
}

/// `name=htop`, or the bare value where only one is missing; nothing where it is a sentence.
fn values(
    planner: &Planner,
    (entry, missing): (&Entry, &[String]),
    text: &str,
    inventory: &Inventory,
) -> Result<Option<Words>, Problem> {
    let (parameters, hosts) = match (explicit::values(text), missing) {
        (Some(read), _) => {
            let read = read?;
            let mut hosts = Vec::new();
            for name in &read.hosts {
                let meant = inventory.meant(&fold(name));
                hosts.extend_from_slice(meant.ok_or_else(|| inventory.unknown_host(name))?);
            }
            (read.parameters, hosts)
        }
        (None, [only]) => {
            let Some(parameter) = entry.parameter(only) else {
                return Ok(None);
            };
            let value = match explicit::single(text) {
                // Whoever does not want it names nothing.
                Some(piece) if words::is_in("refusals", &fold(text)) => {
                    let detail = format!("{piece:?} looks like no {only}");
                    let todo = format!(
                        "say {only}=\"{piece}\" if it is one; `chiffon cancel` with the id of the request ends it"
                    );
                    return Err(Problem::new(ErrorCode::ParameterInvalid, detail, todo));
                }
                Some(piece) => value::of(parameter, &piece).unwrap_or(Value::String(piece)),
                None => match said(planner, entry, only, text, inventory) {
                    Some(value) => value,
                    None => return Ok(None),
                },
            };
            let parameters = Parameters::from_iter([(only.clone(), value)]);
            (parameters, Vec::new())
        }
        (None, _) => return Ok(None),
    };
    if let Some(unknown) = parameters
        .keys()
        .find(|name| entry.parameter(name).is_none())
    {
        let detail = format!("{} declares no parameter {unknown:?}", entry.id);
        let todo = format!("`chiffon catalogue show {}` shows those it takes", entry.id);
        return Err(Problem::new(ErrorCode::ParameterUndeclared, detail, todo));
    }
    let mut secret = entry.secret_parameters();
    secret.retain(|name| parameters.contains_key(name));
    let shown = match secret.is_empty() {
        true => text.to_owned(),
        false => masked(&parameters, &secret),
    };
    Ok(Some(Words {
        text: shown,
        said: Said::Missing { parameters, hosts },
        secret,
    }))
}

fn masked(parameters: &Parameters, secret: &[String]) -> String {
    let shown = parameters.iter().map(|(name, value)| {
        let is_secret = secret.contains(name);
        match value {
            _ if is_secret => format!("{name}={MASK}"),
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}:={other}"),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}
