//! Single values as words: times, durations, ids, tiers, states.

use chiffon_common::{Fidelity, Tier, api::RequestView, visible};
use jiff::Timestamp;
use serde_json::Value;

use crate::terminal::Paint;

/// The name of a file in one line: a line break in it is shown as such and makes no line of its own.
pub fn file_name(name: &str) -> String {
    visible(name).replace('\n', "\\n").replace('\t', "\\t")
}

/// A text from outside on one line, at most `most` characters: cut between two words, where that keeps most of it.
pub fn one_line(text: &str, most: usize) -> String {
    let line = visible(text).replace(['\n', '\t'], " ");
    if line.chars().count() <= most {
        return line;
    }
    let chars: Vec<char> = line.chars().take(most).collect();
    let end = chars.len().saturating_sub(1);
    let space = chars.iter().rposition(|c| *c == ' ');
    let end = space.filter(|at| *at >= most / 2).unwrap_or(end);
    let kept: String = chars.iter().take(end).collect();
    format!("{}…", kept.trim_end())
}

pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `90 s`, `5 min`, `48 h`: the largest unit that needs no fraction.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        s if s >= 3_600 && s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s >= 120 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// `512 B`, `1.5 GiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for larger in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    format!("{value:.1} {unit}")
}

/// A part of a whole; of nothing, nothing.
pub(super) fn per_cent(part: u64, whole: u64) -> String {
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    format!("{share:.0} %")
}

pub(super) fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Zero => "tier 0: reads only",
        Tier::One => "tier 1: controlled change",
        Tier::Two => "tier 2: high impact",
    }
}

pub(super) fn fidelity(fidelity: Fidelity) -> &'static str {
    match fidelity {
        Fidelity::Exact => "exact: a check run shows exactly what would happen",
        Fidelity::Simulated => "simulated: a check run predicts; details can differ",
        Fidelity::Blind => "blind: a check run shows nothing",
        // S9: whoever reads "check run" must know what one is.
        Fidelity::Acts => {
            "acts: a check run is a simulation in which tasks with `check_mode: false` and lookups do run, \
             and here some would; so there was none"
        }
    }
}

/// A value as people write it; a text without quotes where that is clear.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        // JSON's own quoting shows line ends and quotes; what it leaves is made visible.
        other => visible(&other.to_string()),
    }
}

/// One word for a shell, whatever is in it.
pub(super) fn quoted_for_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether a text can stand without quotes.
pub(super) fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:@+".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// A state in the colour of its meaning.
pub fn state(paint: Paint, state: &str) -> String {
    let words = visible(&state.replace('_', " "));
    match state {
        "completed" | "ok" | "idle" => paint.good(&words),
        "failed" | "rejected" | "unknown" | "interrupted" | "lost" => paint.bad(&words),
        "needs_input" | "awaiting_approval" | "expired" | "cancelled" | "blocked" | "degraded" => {
            paint.warn(&words)
        }
        _ => paint.mark(&words),
    }
}

/// The state of a request, and whether it is a person's turn where the state alone does not say so.
pub(super) fn request_state(paint: Paint, request: &RequestView) -> String {
    match request.state.as_str() {
        "running" if request.waits_for_person => paint.warn("running: waits for you"),
        "running" => match &request.stands_still {
            Some(why) => paint.warn(&format!("running: {}", one_line(why, 60))),
            None => state(paint, "running"),
        },
        other => state(paint, other),
    }
}

/// Every line of a text with the same space before it.
pub(super) fn indented(text: &str, indent: &str) -> String {
    let lines: Vec<String> = text
        .trim_end()
        .lines()
        .map(|line| match line.is_empty() {
            true => String::new(),
            false => format!("{indent}{line}"),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_in_the_name_of_a_file_begins_no_line() {
        let shown = file_name("new\nline\t\u{1b}.yml");
        assert!(shown.starts_with("new\\nline\\t"), "{shown}");
        assert!(!shown.contains(['\n', '\t', '\u{1b}']), "{shown}");
    }

    #[test]
    fn what_is_too_long_is_cut_between_two_words() {
        let words = "waits for nas, held by request 0199e2f4 since 20:55 UTC; 1 before it";
        assert_eq!(one_line(words, 200), words);
        for most in 30..words.len() {
            let cut = one_line(words, most);
            assert!(cut.chars().count() <= most, "{most}: {cut}");
            let kept = cut.strip_suffix('…').unwrap();
            assert!(words.starts_with(&format!("{kept} ")), "{most}: {cut}");
        }
        // A word that is longer than half of the room is cut all the same.
        assert_eq!(one_line("a 0123456789", 8), "a 01234…");
    }
}
