//! The commands and flags there are, as the generated docs/cli.md tells them, and those that a text mentions.

use std::collections::{BTreeMap, BTreeSet};

/// Flags that clap adds by itself.
const OF_CLAP: [&str; 3] = ["--help", "-h", "--version"];
/// Begins like a command and is none: the text that the digest of a bundle begins with.
const NO_COMMAND: &str = "bundle v1";

/// All commands with their flags; `""` has those of every command.
pub struct Commands(BTreeMap<String, BTreeSet<String>>);

impl Commands {
    /// Reads docs/cli.md.
    pub fn read(reference: &str) -> Self {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut current = String::new();
        found.insert(String::new(), OF_CLAP.map(str::to_owned).into());
        for line in reference.lines() {
            if let Some(heading) = line.strip_prefix("##") {
                let heading = heading.trim_start_matches('#').trim();
                current = heading.strip_prefix("chiffon ").unwrap_or("").to_owned();
                found.entry(current.clone()).or_default();
            } else if let Some(option) = line.strip_prefix("- `-") {
                let names = option.split('`').next().unwrap_or_default();
                let names = format!("-{names}");
                let flags = names
                    .split([',', ' ', '[', '=', '.'])
                    .filter(|part| part.starts_with('-'))
                    .map(str::to_owned);
                found.entry(current.clone()).or_default().extend(flags);
            }
        }
        Self(found)
    }

    fn has_children(&self, command: &str) -> bool {
        let below = format!("{command} ");
        self.0.keys().any(|known| known.starts_with(&below))
    }

    /// What is wrong with what stands behind `chiffon` in a mention.
    pub fn fault(&self, mention: &str) -> Option<String> {
        if mention == NO_COMMAND {
            return None;
        }
        let mut command = String::new();
        let mut words = mention.split_whitespace().peekable();
        while let Some(word) = words.peek() {
            // Flags, and what a usage line says of arguments.
            let is_command = word.starts_with(|c: char| c.is_ascii_lowercase());
            if !is_command || (!command.is_empty() && !self.has_children(&command)) {
                break;
            }
            // `inventory show|trust` mentions two.
            let paths = word
                .split('|')
                .map(|one| format!("{command} {one}").trim().to_owned());
            let paths: Vec<String> = paths.collect();
            if let Some(stranger) = paths.iter().find(|path| !self.0.contains_key(*path)) {
                return Some(format!("there is no command `chiffon {stranger}`"));
            }
            command = paths.into_iter().next().unwrap_or_default();
            words.next();
        }
        let knows = |flag: &str| {
            let of = |command: &str| {
                self.0
                    .get(command)
                    .is_some_and(|flags| flags.contains(flag))
            };
            of("") || of(&command)
        };
        let mut flags = words
            .filter(|word| word.starts_with('-') && word.len() > 1)
            .map(|word| word.split('=').next().unwrap_or(word));
        let stranger = flags.find(|flag| !knows(flag));
        stranger.map(|flag| format!("`chiffon {command}` has no flag {flag}"))
    }
}

/// What stands behind each `chiffon` in a command line.
pub fn mentions(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, name) in line.match_indices("chiffon ") {
        if begins_a_command(&line[..at]) {
            let rest = unquoted(&line[at + name.len()..]);
            let end = rest.find(['|', ')', ';', '&', '>', '#']);
            // `show|trust` are two words of one command, `show | jq` are two commands.
            let end =
                end.filter(|end| !rest[*end..].starts_with('|') || rest[..*end].ends_with(' '));
            found.push(rest[..end.unwrap_or(rest.len())].trim().to_owned());
        }
    }
    found
}

/// Whether a command begins behind this: at the start, in brackets, behind a pipe or the like, or behind a variable.
fn begins_a_command(before: &str) -> bool {
    let last = before.split(' ').next_back().unwrap_or_default();
    let behind = before.trim_end().chars().next_back();
    match last {
        "" => {
            behind.is_none_or(|c| "|&;(".contains(c)) || {
                let word = before.trim_end().rsplit(' ').next().unwrap_or_default();
                word.contains('=') && !word.starts_with('-')
            }
        }
        last => last.ends_with('('),
    }
}

/// With everything in quotes as one word, for it is an argument.
fn unquoted(text: &str) -> String {
    let mut quote = None;
    let mut out = String::new();
    for c in text.chars() {
        match (quote, c) {
            (None, '"' | '\'') => {
                quote = Some(c);
                out.push('_');
            }
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, c) => out.push(c),
        }
    }
    out
}

#[test]
fn commands_and_flags_are_told_from_those_that_are_not() {
    let reference = "## Flags of every command\n\n- `-o, --output <FORMAT>`: x\n\n## chiffon run\n\n- `--yes[=<TIER>]`: x\n\n## chiffon inventory\n\n### chiffon inventory show\n\n### chiffon inventory trust\n";
    let commands = Commands::read(reference);
    for fine in [
        "run _ --yes",
        "run _ --yes=2 -o json",
        "inventory show|trust",
        "inventory",
        "--version",
    ] {
        assert_eq!(commands.fault(fine), None, "{fine}");
    }
    for wrong in [
        "walk",
        "inventory walk",
        "inventory show|walk",
        "run --no",
        "inventory show --yes",
    ] {
        assert!(commands.fault(wrong).is_some(), "{wrong}");
    }
}

#[test]
fn every_command_of_a_line_is_seen() {
    assert_eq!(
        mentions("chiffon watch $(chiffon run \"do --it\" --json | jq .id) # chiffon"),
        ["watch $(chiffon run _ --json", "run _ --json"]
    );
    for none in ["see inventory/chiffon x", "cargo test -p chiffon reference"] {
        assert_eq!(mentions(none), [""; 0], "{none}");
    }
    assert_eq!(mentions("X=1 chiffon up"), ["up"]);
    assert_eq!(
        mentions("chiffon inventory show|trust"),
        ["inventory show|trust"]
    );
}
