//! Error codes and their pages. The pages are our own Markdown, which reads well as it is.

use chiffon_common::{ErrorCode, Retry};

use super::table::table;
use crate::terminal::Paint;

/// A page: without colours as it stands in the documentation.
pub fn page(paint: Paint, markdown: &str) -> String {
    let text = markdown.trim_end();
    if !paint.is_on() {
        return text.to_owned();
    }
    let line = |line: &str| match line.trim_start_matches('#') {
        title if title.len() < line.len() => paint.bold(title.trim_start()),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    lines.join("\n")
}

/// One code a row.
pub fn error_codes(paint: Paint, codes: &[ErrorCode]) -> String {
    let row = |code: &ErrorCode| {
        let retry = match code.retry() {
            Retry::MayHelp => "may help",
            Retry::AfterChange => "after a change",
            Retry::Never => "no",
        };
        vec![code.to_string(), retry.to_owned(), code.title().to_owned()]
    };
    let rows: Vec<_> = codes.iter().map(row).collect();
    table(paint, &["CODE", "RETRY", "MEANING"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_painted_or_stay_as_they_are() {
        let text = "# 5410: it failed\n\nIt did.\n\n## Why\n\n- #1\n";
        assert_eq!(page(Paint::PLAIN, text), text.trim_end());
        let painted = page(Paint::new(true), text);
        assert!(painted.starts_with("\u{1b}[1m5410: it failed\u{1b}[0m\n\nIt did."));
        assert!(painted.contains("\u{1b}[1mWhy\u{1b}[0m"), "{painted:?}");
        assert!(painted.ends_with("- #1"), "{painted:?}");
    }
}
