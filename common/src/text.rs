//! Text from outside made fit to be shown: control and direction characters become visible.

/// Returns the text with every control character and every bidirectional or zero-width character
/// written as an escape such as `\u{1b}`, so that a name or an output line can move no cursor and
/// hide nothing (S21). Newline and tab stay; the caller splits lines where lines matter.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || c == '\t' || !(c.is_control() || hides(c)) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

fn hides(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{2028}' | '\u{2029}'
        // Soft hyphen, joiners, fillers and tags: they take no place, or an empty one.
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_shown_and_not_obeyed() {
        assert_eq!(
            visible("a\u{1b}[31mb\u{202e}c\r\nd"),
            "a\\u{1b}[31mb\\u{202e}c\\u{d}\nd"
        );
        for hidden in ['\u{ad}', '\u{61c}', '\u{3164}', '\u{e0041}'] {
            assert!(visible(&format!("a{hidden}b")).is_ascii(), "{hidden:?}");
        }
    }
}
