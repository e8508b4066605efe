//! What the environment asks for, read once and refused as a whole where it cannot be meant. Doing it is left to
//! `armed`.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    sync::OnceLock,
};

use crate::{ALL, FAILING, MUTANTS};

/// The variables that are read: what happens at which failpoint, where it is told, and which mutants are on.
pub const VARIABLES: [&str; 3] = [
    "CHIFFON_FAILPOINTS",
    "CHIFFON_FAILPOINT_LOG",
    "CHIFFON_MUTANT",
];

/// What happens at a failpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Kill,
    Stop,
    Error,
    Panic,
    Note,
}

/// What happens, and at which hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) action: Action,
    /// The first hit that counts, from 1.
    pub(crate) first: u64,
    /// Whether every later one counts too.
    pub(crate) onwards: bool,
}

impl Order {
    pub(crate) fn is_for(&self, hit: u64) -> bool {
        hit == self.first || self.onwards && hit > self.first
    }
}

type Orders = BTreeMap<String, Order>;

/// Reads the variables.
///
/// # Errors
/// In words, where one names what is not there. To be asked before anything else is done.
pub fn arm() -> Result<(), String> {
    orders().as_ref().map_err(Clone::clone)?;
    of_mutants().as_ref().map_err(Clone::clone)?;
    Ok(())
}

pub(crate) fn orders() -> &'static Result<Orders, String> {
    static ORDERS: OnceLock<Result<Orders, String>> = OnceLock::new();
    ORDERS.get_or_init(|| read_orders(&text(VARIABLES[0])?))
}

#[cfg(feature = "mutants")]
pub(crate) fn mutants() -> &'static BTreeSet<String> {
    static NONE: BTreeSet<String> = BTreeSet::new();
    // `arm` has refused it; a program that did not ask has none.
    of_mutants().as_ref().unwrap_or(&NONE)
}

fn of_mutants() -> &'static Result<BTreeSet<String>, String> {
    static CHOSEN: OnceLock<Result<BTreeSet<String>, String>> = OnceLock::new();
    CHOSEN.get_or_init(|| read_mutants(&text(VARIABLES[2])?))
}

fn text(variable: &str) -> Result<String, String> {
    match env::var_os(variable) {
        None => Ok(String::new()),
        Some(value) => value
            .into_string()
            .map_err(|_| format!("{variable} is no text")),
    }
}

fn parts(text: &str, parted_by: char) -> impl Iterator<Item = &str> {
    text.split(parted_by)
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

pub(crate) fn read_orders(text: &str) -> Result<Orders, String> {
    let variable = VARIABLES[0];
    let mut orders = Orders::new();
    for part in parts(text, ';') {
        let (name, what) = part.split_once('=').ok_or_else(|| {
            format!("{variable}: {part:?} is not `name=action` or `name=action@hit`")
        })?;
        if !ALL.contains(&name) {
            return Err(format!("{variable}: there is no failpoint {name:?}"));
        }
        let order = order(what).ok_or_else(|| {
            format!(
                "{variable}: {what:?} is not kill, stop, error, panic or note with `@hit` from 1"
            )
        })?;
        if order.action == Action::Error && !FAILING.contains(&name) {
            return Err(format!("{variable}: {name} cannot fail, only be hit"));
        }
        if orders.insert(name.to_owned(), order).is_some() {
            return Err(format!("{variable}: {name} stands twice"));
        }
    }
    Ok(orders)
}

fn order(text: &str) -> Option<Order> {
    let (action, hit) = text.split_once('@').unwrap_or((text, "1"));
    let (first, onwards) = match hit.strip_suffix('+') {
        Some(first) => (first, true),
        None => (hit, false),
    };
    let action = match action {
        "kill" => Action::Kill,
        "stop" => Action::Stop,
        "error" => Action::Error,
        "panic" => Action::Panic,
        "note" => Action::Note,
        _ => return None,
    };
    let first = first.parse().ok().filter(|first| *first > 0)?;
    Some(Order {
        action,
        first,
        onwards,
    })
}

pub(crate) fn read_mutants(text: &str) -> Result<BTreeSet<String>, String> {
    let variable = VARIABLES[2];
    let chosen = parts(text, ',').map(|name| {
        let found = MUTANTS.iter().find(|(mutant, _)| *mutant == name);
        match found {
            Some((_, true)) => Ok(name.to_owned()),
            Some((_, false)) => Err(format!("{variable}: {name} is not built in")),
            None => Err(format!("{variable}: there is no mutant {name:?}")),
        }
    });
    chosen.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_what_and_when() {
        let orders = read_orders(
            "store.commit.after=kill@3; agent.spawn.before=stop;agent.journal.before=error@2+",
        )
        .unwrap();
        let at = |name: &str, hits: &[u64]| -> Vec<bool> {
            hits.iter().map(|hit| orders[name].is_for(*hit)).collect()
        };
        assert_eq!(
            at("store.commit.after", &[1, 2, 3, 4]),
            [false, false, true, false]
        );
        assert_eq!(at("agent.spawn.before", &[1, 2]), [true, false]);
        assert_eq!(at("agent.journal.before", &[1, 2, 9]), [false, true, true]);
        assert_eq!(orders["agent.spawn.before"].action, Action::Stop);
        assert_eq!(read_orders("").unwrap(), Orders::new());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        for (text, word) in [
            ("store.commit.aftr=kill", "there is no failpoint"),
            ("store.commit.after", "name=action"),
            ("store.commit.after=die", "kill, stop, error, panic or note"),
            ("store.commit.after=kill@0", "from 1"),
            ("store.commit.after=kill@x", "from 1"),
            ("store.commit.after=error", "cannot fail"),
            ("store.commit.after=kill;store.commit.after=stop", "twice"),
        ] {
            let why = read_orders(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
        let why = read_mutants("no-inbix").unwrap_err();
        assert!(why.contains("no mutant"), "{why}");
    }

    #[test]
    fn what_can_fail_can_be_hit() {
        assert!(FAILING.iter().all(|name| ALL.contains(name)));
    }
}
