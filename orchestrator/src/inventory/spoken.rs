//! What people call hosts: names, nicknames, groups, and the many words for "this machine".

use std::collections::{BTreeMap, HashMap};

use chiffon_common::HostName;

use super::Host;
use crate::planner::is_machine_word;
use crate::planner::text;

/// Names of the machine itself, folded.
const HERE: [&str; 66] = [
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
    "this thing",
    "this one",
    "this device",
    "this workstation",
    "this desktop",
    "my pc",
    "my desktop",
    "my own machine",
    "my notebook",
    "the machine i'm on",
    "the machine i am on",
    "the box i'm on",
    "the box i'm sitting at",
    "the computer i'm on",
    "the computer i'm using",
    "the pc i'm sitting at",
    "dieser pc",
    "diesem pc",
    "diesen pc",
    "mein pc",
    "meinem pc",
    "mein laptop",
    "meinem laptop",
    "diesem laptop",
    "dieser kiste",
    "cet ordi",
    "ce pc",
    "mon ordinateur",
    "mon pc",
    "la machine ou je suis",
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

/// Words as they are compared: folded, one blank between them.
pub(super) fn phrase(words: &str) -> String {
    let words: Vec<String> = text::words(words).map(|word| word.folded).collect();
    words.join(" ")
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
        let phrase = self::phrase(phrase);
        if phrase.is_empty() || hosts.is_empty() {
            return;
        }
        self.longest = self.longest.max(phrase.split(' ').count());
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
            None if phrase.contains(' ') => joined().or_else(|| self.of_kind(phrase)),
            None => None,
        }
    }

    /// "Les serveurs web", "the web boxes": whatever they are called, in either order.
    fn of_kind(&self, phrase: &str) -> Option<&[HostName]> {
        let (first, second) = phrase.split_once(' ')?;
        let kind = match (is_machine_word(first), is_machine_word(second)) {
            (true, false) => second,
            (false, true) => first,
            _ => return None,
        };
        let is_plain = !kind.contains(' ') && !SMALL.contains(&kind);
        let joined = is_plain.then(|| format!("{kind}servers"))?;
        let found = self.phrases.get(&joined);
        found
            .or_else(|| self.phrases.get(joined.trim_end_matches('s')))
            .map(Vec::as_slice)
    }

    /// The one name that is one slip away. A number is no slip, and nobody mistypes the first letter of a short word.
    pub(super) fn nearly(&self, phrase: &str) -> Option<&[HostName]> {
        let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
        let is_near = |known: &str| {
            let (longer, shorter) = (known.len().max(phrase.len()), known.len().min(phrase.len()));
            longer - shorter <= 1
                && shorter >= SHORTEST_SLIP
                && known.as_bytes()[0] == phrase.as_bytes()[0]
                && digits(known) == digits(phrase)
                && strsim::osa_distance(known, phrase) == 1
                // A wrong letter in a short word makes another word.
                && (longer != shorter || longer > 6 || is_swapped(known, phrase))
        };
        let mut near = self.phrases.iter().filter(|(known, _)| is_near(known));
        let (_, hosts) = near.next()?;
        near.all(|(_, other)| other == hosts).then_some(hosts)
    }

    pub(super) fn get(&self, phrase: &str) -> Option<&[HostName]> {
        self.phrases.get(phrase).map(Vec::as_slice)
    }

    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

/// Shorter names are too near to others.
const SHORTEST_SLIP: usize = 4;

fn is_swapped(known: &str, said: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(known) == sorted(said)
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
