//! From a sentence to a proposal: read it, cut it into clauses, find for each what is meant and where, and put the steps in
//! order. Each stage may end in a question, or in the honest word that nothing is to be done.

use chiffon_common::{EntryCall, ErrorCode, HostName, Parameters, Problem, api::Nearest};

use super::{
    Given, Planned, Planner, Proposal, Proposed, Question,
    clause::clauses,
    explicit::{self, Explicit},
    plan, read, step, suggest,
};
use crate::{catalogue::Entry, inventory::Inventory};

pub(super) type Asked<T> = Result<T, Box<Refusal>>;

/// A question, or the word that nothing is to be done.
#[derive(Debug)]
pub(super) enum Refusal {
    Ask(Question),
    Nothing(Question),
}

impl From<Refusal> for Proposal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ask(question) => Self::Ask(question),
            Refusal::Nothing(question) => Self::Nothing(question),
        }
    }
}

pub(super) fn propose(
    planner: &Planner,
    sentence: &str,
    given: &Given,
    inventory: &Inventory,
) -> Asked<Planned> {
    if let Some(read) = explicit::read(sentence)
        && let Some(planned) = explicitly(planner, read, given, inventory)
    {
        return planned;
    }
    let known = step::Known {
        planner,
        inventory,
        given,
    };
    let Some(read) = read::read(sentence, &planner.index, inventory) else {
        let detail =
            "that is too long for one request; say it in a sentence, with longer texts in quotes";
        return Err(known.nothing(&[], detail));
    };
    let clauses = clauses(&read, &planner.index);
    plan::planned(&known, &read, &clauses)
}

/// An entry that was named: the catalogue and the inventory may have changed since.
pub(super) fn called(planner: &Planner, call: &EntryCall, inventory: &Inventory) -> Asked<Planned> {
    let entry = planner
        .catalogue
        .find_asked(call.entry.as_str())
        .map_err(asked)?;
    let mut named: Vec<HostName> = Vec::new();
    for host in &call.hosts {
        let meant = inventory.meant(host.as_str());
        let hosts = meant.ok_or_else(|| asked(inventory.unknown_host(host.as_str())))?;
        named.extend(hosts.iter().cloned());
    }
    let parameters = checked(entry, &call.parameters, &[])?;
    let hosts = where_to(named, inventory, entry, &[])?;
    Ok(exactly(
        entry,
        hosts,
        parameters,
        format!("{} was named", entry.id),
    ))
}

fn asked(problem: Problem) -> Box<Refusal> {
    Box::new(Refusal::Ask(Question {
        problem,
        nearest: Vec::new(),
        missing: Vec::new(),
        about: None,
    }))
}

fn exactly(
    entry: &Entry,
    hosts: Vec<HostName>,
    parameters: Parameters,
    because: String,
) -> Planned {
    Planned {
        confidence: 100,
        because,
        steps: vec![Proposed {
            entry: entry.id.clone(),
            hosts,
            parameters,
            after: Vec::new(),
        }],
    }
}

/// The explicit form; nothing where the first word is an ordinary one.
fn explicitly(
    planner: &Planner,
    read: Result<Explicit<'_>, Problem>,
    given: &Given,
    inventory: &Inventory,
) -> Option<Asked<Planned>> {
    let mut form = match read {
        Ok(form) => form,
        Err(problem) => return Some(Err(asked(problem))),
    };
    let entry = match planner.catalogue.find_asked(form.entry) {
        Ok(entry) => entry,
        Err(problem) => return (!form.parameters.is_empty()).then(|| Err(asked(problem))),
    };
    // "Reboot" alone is a sentence, also where somebody has begun an entry of that name.
    if !entry.accepted && form.parameters.is_empty() && form.hosts.is_empty() {
        return None;
    }
    form.parameters.extend(given.parameters.clone());
    // "ping on this machine" is a sentence.
    let mut named = given.hosts.clone();
    if !named.is_empty() {
        form.hosts.clear();
    }
    for name in &form.hosts {
        match inventory.meant(&super::text::fold(name)) {
            Some(hosts) => named.extend(hosts.iter().cloned()),
            None if form.parameters.is_empty() && form.hosts.len() > 1 => return None,
            None => return Some(Err(asked(inventory.unknown_host(name)))),
        }
    }
    let planned = checked(entry, &form.parameters, &[]).and_then(|parameters| {
        let hosts = where_to(named, inventory, entry, &[])?;
        Ok(exactly(
            entry,
            hosts,
            parameters,
            format!("the explicit form of {}", entry.id),
        ))
    });
    Some(planned)
}

/// The hosts, sorted, each once; the only one where there is one; a question otherwise.
pub(super) fn where_to(
    mut named: Vec<HostName>,
    inventory: &Inventory,
    entry: &Entry,
    nearest: &[Nearest],
) -> Asked<Vec<HostName>> {
    if !named.is_empty() {
        named.sort();
        named.dedup();
        return Ok(named);
    }
    let mut all = inventory.hosts().map(|host| host.name.clone());
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(vec![only]),
        (None, _) => {
            let todo = "add a host to inventory/hosts.yml";
            Err(ask(
                ErrorCode::UnknownHost,
                "the inventory has no hosts",
                todo,
                nearest,
            ))
        }
        (Some(first), Some(_)) => {
            let names: Vec<String> = inventory
                .hosts()
                .take(9)
                .map(|host| host.name.to_string())
                .collect();
            let more = if names.len() > 8 { ", ..." } else { "" };
            let names = names[..names.len().min(8)].join(", ");
            let detail = format!("{}: on which host? Known are {names}{more}", entry.title);
            let todo = format!("say it with the host, such as \"... on {first}\"");
            Err(ask(ErrorCode::UnknownHost, &detail, &todo, nearest))
        }
    }
}

/// The parameters as the entry's declaration permits them.
pub(super) fn checked(entry: &Entry, given: &Parameters, nearest: &[Nearest]) -> Asked<Parameters> {
    entry.check(given).map_err(|problems| {
        let missing = wanted(entry, given, &problems);
        let mut problems = problems.into_iter();
        let first = problems.next();
        let mut problem = first.unwrap_or_else(|| {
            Problem::new(ErrorCode::Internal, "a check failed without a reason", "")
        });
        for more in problems {
            problem.detail = format!("{}; {}", problem.detail, more.detail);
            problem.errors.extend(more.errors);
        }
        Box::new(Refusal::Ask(Question {
            problem,
            nearest: nearest.to_vec(),
            missing,
            about: Some(entry.id.clone()),
        }))
    })
}

/// The parameters that an answer may give: those that are missing, and those whose value does not fit.
fn wanted(entry: &Entry, given: &Parameters, problems: &[Problem]) -> Vec<String> {
    let missing = entry.missing(given).map(|p| p.name.to_string());
    let pointers = problems.iter().flat_map(|problem| &problem.errors);
    let places = pointers.filter_map(|place| place.pointer.strip_prefix("/parameters/"));
    let unfit = places.filter(|name| entry.parameter(name).is_some());
    let mut wanted: Vec<String> = missing.chain(unfit.map(ToOwned::to_owned)).collect();
    wanted.sort();
    wanted.dedup();
    wanted
}

pub(super) fn ask(code: ErrorCode, detail: &str, todo: &str, nearest: &[Nearest]) -> Box<Refusal> {
    Box::new(Refusal::Ask(question(code, detail, todo, nearest)))
}

pub(super) fn question(code: ErrorCode, detail: &str, todo: &str, nearest: &[Nearest]) -> Question {
    Question {
        problem: Problem::new(code, detail, todo),
        nearest: nearest.to_vec(),
        missing: Vec::new(),
        about: None,
    }
}

/// Three entries: those that come near, and then the first of the catalogue, what was accepted before what was not.
pub(super) fn filled_up(
    mut near: Vec<Nearest>,
    planner: &Planner,
    inventory: &Inventory,
) -> Vec<Nearest> {
    let of = |accepted: bool| {
        let entries = planner.catalogue.entries();
        entries.filter(move |entry| entry.listed && entry.accepted == accepted)
    };
    for entry in of(true).chain(of(false)) {
        if near.len() >= suggest::SHOWN {
            break;
        }
        if near.iter().all(|shown| shown.entry != entry.id) {
            near.push(suggest::nearest(entry, inventory));
        }
    }
    near
}
