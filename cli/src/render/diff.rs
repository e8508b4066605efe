//! A unified diff in colours, within the columns of a terminal.

use chiffon_common::visible;

use super::wrap::{COLUMNS, wrapped};
use crate::terminal::Paint;

/// What is added, taken away, and where.
pub(super) fn diff(paint: Paint, text: &str) -> String {
    let shown = visible(text);
    let lines: Vec<String> = shown
        .lines()
        .map(|line| painted(paint, line.as_bytes(), line))
        .collect();
    lines.join("\n")
}

/// The first lines of it, `indent` to the right, and how many more there are: lines that are too long for the
/// terminal go on in the next one, and count as what they take.
pub(super) fn first_of_diff(
    paint: Paint,
    text: &str,
    indent: usize,
    most: usize,
) -> (Vec<String>, usize) {
    let shown = visible(text);
    let mut lines = Vec::new();
    let mut more = 0;
    for line in shown.lines() {
        if lines.len() >= most {
            more += 1;
            continue;
        }
        let pieces = wrapped(line, COLUMNS - indent);
        let fits = pieces.len() <= most - lines.len();
        for piece in pieces.iter().take(most - lines.len()) {
            let painted = painted(paint, line.as_bytes(), piece);
            lines.push(format!("{:indent$}{painted}", ""));
        }
        // A line of which a part is shown is not shown.
        more += usize::from(!fits);
    }
    (lines, more)
}

fn painted(paint: Paint, line: &[u8], piece: &str) -> String {
    match line {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => paint.bold(piece),
        [b'@', ..] => paint.mark(piece),
        [b'+', ..] => paint.good(piece),
        [b'-', ..] => paint.bad(piece),
        _ => piece.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_and_how_many_more() {
        let of = |text: &str, most| first_of_diff(Paint::PLAIN, text, 2, most);
        assert_eq!(
            of("+a\n-b\n", 5),
            (vec!["  +a".to_owned(), "  -b".to_owned()], 0)
        );
        let (lines, more) = of("+a\n-b\n c\n", 1);
        assert_eq!((lines.len(), more), (1, 2));
        let long = format!("+{}\n-b\n", "x".repeat(200));
        let (lines, more) = of(&long, 2);
        assert_eq!((lines.len(), more), (2, 2), "a part of a line is no line");
        assert!(lines.iter().all(|line| line.len() <= COLUMNS));
        let (lines, more) = of(&long, 9);
        assert_eq!((lines.len(), more), (4, 0));
        assert!(!of("+\u{1b}[2J", 9).0[0].contains('\u{1b}'));
    }
}
