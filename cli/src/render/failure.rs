//! Errors for people: what, why, what next (C8).

use chiffon_common::visible;

use super::words::indented;
use crate::{exit::Exit, failure::Failure, terminal::Paint};

/// Two lines: what happened with its code, and what to do.
pub fn failure(paint: Paint, failure: &Failure) -> String {
    let code = match failure.code {
        Some(code) => paint.dim(&format!(" (error {code})")),
        None => String::new(),
    };
    let what = visible(&failure.what);
    let label = match failure.exit {
        // Nothing is wrong: it is the person's turn.
        Exit::Waiting => paint.warn("waiting:"),
        Exit::Interrupted => paint.warn("interrupted:"),
        _ => paint.bad("error:"),
    };
    let mut text = format!("{label} {what}{code}");
    if !failure.todo.is_empty() {
        let todo = indented(&visible(&failure.todo), "       ");
        text += &format!("\n{}", paint.bold(&todo));
    }
    text
}
