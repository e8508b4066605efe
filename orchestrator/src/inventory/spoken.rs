//! What people call hosts: names, nicknames, groups, and the many words for "this machine".

use std::collections::{BTreeMap, HashMap};

use chiffon_common::HostName;

use super::Host;
use crate::planner::is_machine_word;
use crate::planner::text;

/// Names of the machine itself, folded.
const HERE: [&str; 36] = [
    "this machine",
    "this host",
    "this computer",
    "this server",
    "this box",
    "this pc",
    "this laptop",
    "this system",
    "my machine",
    "my computer",
    "my laptop",
    "the local machine",
    "local machine",
    "local host",
    "here",
    "local",
    "locally",
    "dieser rechner",
    "diesem rechner",
    "diesen rechner",
    "dieser computer",
    "diesem computer",
    "diese maschine",
    "dieser maschine",
    "dieser server",
    "diesem server",
    "diesem host",
    "mein rechner",
    "meinem rechner",
    "hier",
    "lokal",
    "cette machine",
    "cet ordinateur",
    "ce serveur",
    "ma machine",
    "ici",
];

/// Words that tell nothing beside the word for a machine.
const SMALL: [&str; 24] = [
    "the", "this", "my", "our", "local", "that", "all", "every", "der", "die", "das", "dem", "den",
    "diesem", "dieser", "mein", "meinem", "alle", "allen", "le", "la", "cette", "ce", "ma",
];

/// Whether a folded phrase means the machine itself.
pub(crate) fn is_here(phrase: &str) -> bool {
    phrase == "localhost" || HERE.contains(&phrase)
}

/// Folded phrases, one blank between words, and the hosts they mean.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    phrases: HashMap<String, Vec<HostName>>,
    /// The same without regard to endings and to which word for a machine was used; nothing where two would be meant.
    loose: HashMap<String, Option<Vec<HostName>>>,
    longest: usize,
}

impl Spoken {
    /// What comes first is not taken over by what comes later: names, nicknames, groups, short names, this
    /// machine.
    pub(super) fn new(
        hosts: &BTreeMap<HostName, Host>,
        groups: &BTreeMap<String, Vec<HostName>>,
        hostname: &str,
    ) -> Self {
        let mut spoken = Self::default();
        for name in hosts.keys() {
            spoken.add(name.as_str(), vec![name.clone()]);
        }
        for host in hosts.values() {
            for alias in &host.aliases {
                spoken.add(alias, vec![host.name.clone()]);
            }
        }
        for (group, hosts) in groups {
            spoken.add(group, hosts.clone());
            spoken.add(&group.replace(['_', '-'], " "), hosts.clone());
        }
        for host in hosts.values() {
            if let Ok(Some(address)) = host.address() {
                spoken.add(&address.name, vec![host.name.clone()]);
            }
        }
        for (short, name) in short_names(hosts) {
            spoken.add(short, vec![name.clone()]);
        }
        if let Some(localhost) = hosts
            .values()
            .find(|host| host.name.as_str() == "localhost")
        {
            spoken.add(hostname, vec![localhost.name.clone()]);
            for phrase in HERE {
                spoken.add(phrase, vec![localhost.name.clone()]);
            }
        }
        for everything in [
            "all hosts",
            "every host",
            "all machines",
            "alle hosts",
            "allen hosts",
            "alle rechner",
            "allen rechnern",
            "tous les hotes",
            "toutes les machines",
        ] {
            spoken.add(everything, hosts.keys().cloned().collect());
        }
        spoken
    }

    fn add(&mut self, phrase: &str, hosts: Vec<HostName>) {
        let words: Vec<String> = text::words(phrase).map(|word| word.folded).collect();
        if words.is_empty() || hosts.is_empty() {
            return;
        }
        self.longest = self.longest.max(words.len());
        let phrase = words.join(" ");
        if let Some(loose) = loosely(&phrase) {
            let known = self
                .loose
                .entry(loose)
                .or_insert_with(|| Some(hosts.clone()));
            if known.as_ref().is_some_and(|known| *known != hosts) {
                *known = None;
            }
        }
        self.phrases.entry(phrase).or_insert(hosts);
    }

    /// "den Webservern" is the group `webservers`, "der Jellyfin-Rechner" the "jellyfin box".
    pub(super) fn loosely(&self, phrase: &str) -> Option<&[HostName]> {
        let joined = || {
            self.phrases
                .get(&phrase.replace(' ', ""))
                .map(Vec::as_slice)
        };
        let loose = loosely(phrase).and_then(|phrase| self.loose.get(&phrase));
        match loose {
            Some(found) => found.as_deref(),
            // "The web servers" are the group `webservers`.
            None if phrase.contains(' ') => joined(),
            None => None,
        }
    }

    pub(super) fn get(&self, phrase: &str) -> Option<&[HostName]> {
        self.phrases.get(phrase).map(Vec::as_slice)
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

/// Nothing where only the word for a machine is left: "the server" is no name.
fn loosely(phrase: &str) -> Option<String> {
    let words = phrase
        .split([' ', '-', '_'])
        .filter(|word| !word.is_empty());
    let mut says = false;
    let words = words.map(|word| match is_machine_word(word) {
        true => "machine",
        false => {
            says |= !SMALL.contains(&word);
            without_ending(word)
        }
    });
    let joined = words.collect::<Vec<_>>().join(" ");
    says.then_some(joined)
}

/// Without the ending of a plural or of a case, where enough of the word is left.
fn without_ending(word: &str) -> &str {
    let is_plain = word.len() > 5 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut endings = ["en", "n", "s"].iter();
    match endings.find_map(|ending| word.strip_suffix(ending)) {
        Some(stem) if is_plain => stem,
        _ => word,
    }
}

/// The first label of a dotted name, where only one host has it and it is no part of an address.
fn short_names(hosts: &BTreeMap<HostName, Host>) -> impl Iterator<Item = (&str, &HostName)> {
    let mut short: BTreeMap<&str, Option<&HostName>> = BTreeMap::new();
    for name in hosts.keys() {
        let label = name.as_str().split('.').next().unwrap_or_default();
        let is_word = label.contains(|c: char| c.is_ascii_alphabetic());
        if is_word && label != name.as_str() {
            short
                .entry(label)
                .and_modify(|known| *known = None)
                .or_insert(Some(name));
        }
    }
    short
        .into_iter()
        .filter_map(|(label, name)| Some((label, name?)))
}
