//! Sentences to try instead: for each entry one that can be typed as it stands, with values and with a host
//! of this inventory.

use chiffon_common::api::Nearest;

use super::{hosts, index::Index, sentence};
use crate::{
    catalogue::Entry,
    inventory::{self, Inventory},
};

/// A sentence that reaches the entry.
pub(super) fn example(entry: &Entry, index: &Index, inventory: &Inventory) -> String {
    on_a_host(entry.sentence(), index, inventory)
}

/// An entry as an answer, with such a sentence.
pub(super) fn nearest(entry: &Entry, index: &Index, inventory: &Inventory) -> Nearest {
    Nearest {
        example: example(entry, index, inventory),
        ..entry.nearest()
    }
}

/// What to do: an example to follow.
pub(super) fn how_to_say(entry: &Entry, index: &Index, inventory: &Inventory) -> String {
    match entry.examples.is_empty() {
        false => format!("for example: \"{}\"", example(entry, index, inventory)),
        true => format!("`chiffon catalogue show {}` shows how", entry.id),
    }
}

/// Where there are several hosts, a sentence has to name one.
pub(super) fn on_a_host(text: String, index: &Index, inventory: &Inventory) -> String {
    let mut hosts = inventory.hosts().map(|host| &host.name);
    let (Some(first), Some(_)) = (hosts.next(), hosts.next()) else {
        return text;
    };
    let Some(tokens) = sentence::tokens(&text) else {
        return text;
    };
    if !hosts::mentions(&tokens, index, inventory).hosts.is_empty() {
        return text;
    }
    // "This machine" where this machine is no host.
    for pair in tokens.windows(2) {
        if inventory::is_here(&format!("{} {}", pair[0].folded, pair[1].folded)) {
            let (before, after) = (&text[..pair[0].start], &text[pair[1].end..]);
            return format!("{before}{first}{after}");
        }
    }
    let plain = text.trim_end_matches(['?', '.', '!', ' ']);
    format!("{plain} on {first}{}", &text[plain.len()..])
}
