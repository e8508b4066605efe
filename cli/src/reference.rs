//! The reference pages under docs, made of what the program knows of itself and committed: a test holds them
//! against each other, and writes them where it is told to.

mod commands;
mod configuration;

use std::{fs, path::Path};

/// Set to anything: the pages are written instead of compared.
const BLESS: &str = "CHIFFON_BLESS";

/// What stands below the title of each page.
const MADE: &str =
    "<!-- Written by `CHIFFON_BLESS=1 cargo test -p chiffon reference`; edits are lost. -->";

/// Holds a page of docs against what it should be.
#[track_caller]
fn hold(page: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(page);
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(wanted.lines()).find(|(a, b)| a != b);
    assert!(
        found == wanted,
        "docs/{page} is not what the program says (first difference: {differs:?}).\n\
         Write it anew with: {BLESS}=1 cargo test -p chiffon reference"
    );
}

/// For a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
