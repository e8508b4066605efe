//! Sentences to try instead: for each entry one that can be typed as it stands, with values and with a host
//! of this inventory.

use chiffon_common::api::Nearest;

use super::{hosts, read, sentence};
use crate::{
    catalogue::Entry,
    inventory::{self, Inventory},
};

/// How many entries are shown.
pub(super) const SHOWN: usize = 3;

/// A sentence that reaches the entry.
pub(super) fn example(entry: &Entry, inventory: &Inventory) -> String {
    on_a_host(entry.sentence(), inventory)
}

/// An entry as an answer, with such a sentence.
pub(super) fn nearest(entry: &Entry, inventory: &Inventory) -> Nearest {
    Nearest {
        example: example(entry, inventory),
        ..entry.nearest()
    }
}

/// What to do: an example to follow.
pub(super) fn how_to_say(entry: &Entry, inventory: &Inventory) -> String {
    match entry.examples.is_empty() {
        false => format!("for example: \"{}\"", example(entry, inventory)),
        true => format!("`chiffon catalogue show {}` shows how", entry.id),
    }
}

/// Where there are several hosts, a sentence has to name one.
pub(super) fn on_a_host(text: String, inventory: &Inventory) -> String {
    let mut all = inventory.hosts().map(|host| &host.name);
    let (Some(first), Some(_)) = (all.next(), all.next()) else {
        return text;
    };
    let Some(tokens) = sentence::tokens(&text) else {
        return text;
    };
    if !hosts::mentions(&tokens, inventory, read::language(&tokens)).is_empty() {
        return text;
    }
    // "This machine" where this machine is no host.
    for pair in tokens.windows(2) {
        let is_machine =
            hosts::leads_to_machine(&pair[0].folded) && hosts::is_machine(&pair[1].folded);
        if is_machine || inventory::is_here(&format!("{} {}", pair[0].folded, pair[1].folded)) {
            let (before, after) = (&text[..pair[0].start], &text[pair[1].end..]);
            return format!("{before}{first}{after}");
        }
    }
    let plain = text.trim_end_matches(['?', '.', '!', ' ']);
    format!("{plain} on {first}{}", &text[plain.len()..])
}
