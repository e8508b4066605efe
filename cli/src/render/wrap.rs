//! Text within the columns of a terminal: between words where it can, and nothing is lost where it cannot.

/// The columns that every terminal has.
pub(super) const COLUMNS: usize = 80;

/// The lines of a text of one line, each at most `columns` wide.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let chars: Vec<char> = text.chars().collect();
    let mut rest = chars.as_slice();
    while rest.len() > columns {
        // A break before a space costs nothing; in the first half it would waste the line.
        let space = rest[..=columns].iter().rposition(|c| *c == ' ');
        let at = space.filter(|at| *at >= columns / 2);
        let line: String = rest[..at.unwrap_or(columns)].iter().collect();
        lines.push(line.trim_end().to_owned());
        rest = &rest[at.map_or(columns, |at| at + 1)..];
    }
    lines.push(rest.iter().collect());
    lines
}

/// `name   value`, with the further lines of the value below it.
pub(super) fn field(
    indent: usize,
    name: &str,
    value: &str,
    paint: impl Fn(&str) -> String,
) -> String {
    const NAME: usize = 11;
    let lines = wrapped(value, COLUMNS - indent - NAME);
    let mut text = format!("{:indent$}{name:<NAME$}", "");
    for (n, line) in lines.iter().enumerate() {
        if n > 0 {
            text += &format!("\n{:1$}", "", indent + NAME);
        }
        text += &paint(line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_lose_nothing() {
        assert_eq!(wrapped("a bc def", 80), ["a bc def"]);
        assert_eq!(wrapped("aaaa bbbb cccc", 9), ["aaaa bbbb", "cccc"]);
        assert_eq!(wrapped("aaaa bbbb cccc", 8), ["aaaa", "bbbb", "cccc"]);
        assert_eq!(wrapped("a bbbbbbbbbb", 6), ["a bbbb", "bbbbbb"]);
        assert_eq!(wrapped("", 6), [""]);
        assert_eq!(wrapped("äöüäöü", 3), ["äöü", "äöü"]);
        let long = "word ".repeat(100);
        for columns in [1, 7, 80] {
            let lines = wrapped(&long, columns);
            assert!(lines.iter().all(|line| line.chars().count() <= columns));
            let kept: String = lines.concat().split_whitespace().collect();
            assert_eq!(kept, "word".repeat(100));
        }
    }

    #[test]
    fn a_long_value_stands_below_itself() {
        let text = field(2, "asked", &"x ".repeat(50), str::to_owned);
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with("  asked      x x"));
        assert!(lines.next().unwrap().starts_with("             x x"));
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
    }
}
