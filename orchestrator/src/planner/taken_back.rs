//! An answer that wants nothing any more: "forget it", "never mind". It ends the request instead of asking about it again.

use super::{
    Planner,
    read::{self, Read, Sense},
    words::{self, Kind},
};
use crate::inventory::Inventory;

/// Whether the words take the request back and say nothing else.
pub(super) fn is_all(planner: &Planner, text: &str, inventory: &Inventory) -> bool {
    let Some(read) = read::read(text, &planner.index, inventory) else {
        return false;
    };
    let says = |at: usize| read.is_mark(at, "forget");
    let is_small = |at: usize| is_part_or_polite(&read, at);
    (0..read.tokens.len()).any(says) && (0..read.tokens.len()).all(|at| says(at) || is_small(at))
}

fn is_part_or_polite(read: &Read<'_>, at: usize) -> bool {
    read.senses[at] == Sense::Part
        || !read.tokens[at].is_word()
        || words::is_neutral(&read.tokens[at].folded)
        || matches!(read.kind(at), Some(Kind::Stop | Kind::Filler))
}
