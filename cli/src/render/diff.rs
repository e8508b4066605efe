//! A unified diff in colours.

use chiffon_common::visible;

use crate::terminal::Paint;

/// What is added, taken away, and where.
pub(super) fn diff(paint: Paint, text: &str) -> String {
    let shown = visible(text);
    let lines: Vec<String> = shown
        .lines()
        .map(|line| match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => paint.bold(line),
            [b'@', ..] => paint.mark(line),
            [b'+', ..] => paint.good(line),
            [b'-', ..] => paint.bad(line),
            _ => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}
