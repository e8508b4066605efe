//! Errors for people: what, why, what next (C8).

use chiffon_common::{FieldError, visible};

use super::words::{indented, one_line};
use crate::{exit::Exit, failure::Failure, terminal::Paint};

/// The same, and how to read more about its code.
pub fn failure_with_page(paint: Paint, failure: &Failure) -> String {
    let text = self::failure(paint, failure);
    match failure.code {
        Some(code) => {
            let more = format!("       More: chiffon explain {code}");
            format!("{text}\n{}", paint.dim(&more))
        }
        None => text,
    }
}

/// What happened with its code, where exactly, and what to do.
pub fn failure(paint: Paint, failure: &Failure) -> String {
    let code = match failure.code {
        Some(code) => paint.dim(&format!(" (error {code})")),
        None => String::new(),
    };
    let places = places(failure);
    let what = match failure.errors.len() {
        // Each of them follows in a line of its own, and none is read twice.
        several @ 2.. if failure.errors.iter().all(|error| is_said(failure, error)) => {
            format!("{several} things do not fit:")
        }
        _ => visible(&failure.what),
    };
    let label = match failure.exit {
        // Nothing is wrong: it is the person's turn.
        Exit::Waiting => paint.warn("waiting:"),
        Exit::Interrupted => paint.warn("interrupted:"),
        _ => paint.bad("error:"),
    };
    let mut text = format!("{label} {what}{code}");
    for place in places {
        text += &format!("\n       {place}");
    }
    if !failure.todo.is_empty() {
        let todo = indented(&visible(&failure.todo), "       ");
        text += &format!("\n{}", paint.bold(&todo));
    }
    text
}

/// Whether the sentence says it already.
fn is_said(failure: &Failure, error: &FieldError) -> bool {
    failure.what.contains(error.detail.trim_end_matches('.'))
}

/// A line for each place. One alone is left away where it says nothing that the sentence has not said.
fn places(failure: &Failure) -> Vec<String> {
    let says_more = match failure.errors.as_slice() {
        [] => false,
        // What the command line has named itself needs no pointing at.
        [one] => one.place == "body" && !is_said(failure, one),
        _ => true,
    };
    let line = |error: &FieldError| {
        let place = match error.place.as_str() {
            "body" => one_line(&error.pointer, 200),
            other => format!("{} {}", one_line(other, 20), one_line(&error.pointer, 200)),
        };
        format!("{place}: {}", one_line(&error.detail, 400))
    };
    match says_more {
        true => failure.errors.iter().map(line).collect(),
        false => Vec::new(),
    }
}
