//! What a page says to this suite in a comment: `<!-- test: hosts nas -->`. One that is not understood fails.

use crate::markdown::{Block, Page};

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `hosts NAME...`: these stand in the inventory, each in truth this machine.
    Hosts(Vec<String>),
    /// `ssh NAME`: stands in the inventory, a real SSH server whose key is not pinned.
    Ssh(String),
    /// `answer TEXT`: each command of the next block is asked something, and is answered so by a terminal.
    Answer(String),
    /// `is TYPE`: the next block, in JSON, is one of these bodies of the HTTP API.
    Is(String),
}

impl Directive {
    fn read(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let names: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
        match (word, names.as_slice()) {
            ("hosts", [_, ..]) => Ok(Self::Hosts(names)),
            ("ssh", [name]) => Ok(Self::Ssh(name.clone())),
            ("answer", [_, ..]) => Ok(Self::Answer(rest.to_owned())),
            ("is", [name]) => Ok(Self::Is(name.clone())),
            _ => Err(format!("there is no directive {text:?}")),
        }
    }
}

/// All directives of a page, each with its line.
pub fn directives(page: &Page) -> Result<Vec<(usize, Directive)>, String> {
    let read = |placed: &crate::markdown::Placed| {
        let directive = Directive::read(&placed.text);
        let directive = directive.map_err(|why| format!("{}: {why}", page.at(placed.line)))?;
        Ok((placed.line, directive))
    };
    page.directives.iter().map(read).collect()
}

/// Those that stand between a block and the one before it.
pub fn of_block<'d>(
    page: &Page,
    block: &Block,
    all: &'d [(usize, Directive)],
) -> impl Iterator<Item = &'d Directive> {
    let end = block.line;
    let before = page.blocks.iter().rev().find(|other| other.line < end);
    let begin = before.map_or(0, |other| other.line);
    all.iter()
        .filter(move |(line, _)| (begin..end).contains(line))
        .map(|(_, directive)| directive)
}
