//! Questions to a person: in a list, on a line, in full.

use chiffon_common::api::DecisionView;

use super::{
    table::table,
    words::{self, one_line, state},
    wrap::field,
};
use crate::terminal::Paint;

/// Newest first, each with how to answer it or how it was answered.
pub fn decisions(paint: Paint, decisions: &[DecisionView]) -> String {
    let row = |decision: &DecisionView| {
        vec![
            decision.decision_id.to_string(),
            decision.request_id.to_string(),
            one_line(&decision.kind.replace('_', " "), 20),
            one_line(&decision.question, 80),
            one_line(&decision.options.join(", "), 60),
            words::time(decision.deadline),
            last(paint, decision),
        ]
    };
    let rows: Vec<_> = decisions.iter().map(row).collect();
    let heading = [
        "DECISION", "REQUEST", "KIND", "QUESTION", "OPTIONS", "UNTIL", "ANSWER",
    ];
    table(paint, &heading, &rows)
}

fn last(paint: Paint, decision: &DecisionView) -> String {
    match &decision.choice {
        None if decision.state == "pending" => how_to_answer(decision),
        None => state(paint, &decision.state),
        Some(_) => answer(decision),
    }
}

/// What was answered, and by whom.
fn answer(decision: &DecisionView) -> String {
    let choice = decision.choice.as_deref().unwrap_or("nothing");
    let by = decision.resolved_by.as_deref().unwrap_or("nobody");
    let said = match &decision.text {
        Some(text) => format!("\"{}\"", one_line(text, 200)),
        None => one_line(choice, 40),
    };
    format!("{said} by {}", one_line(by, 80))
}

/// One that is new, or that was answered, for who watches.
pub fn decision_line(paint: Paint, decision: &DecisionView) -> String {
    let id = paint.bold(&decision.decision_id.to_string());
    let kind = one_line(&decision.kind.replace('_', " "), 40);
    let state = state(paint, &decision.state);
    let question = one_line(&decision.question, 300);
    let then = match decision.state.as_str() {
        "pending" => how_to_answer(decision),
        "resolved" => answer(decision),
        _ => "nobody answered in time".to_owned(),
    };
    format!("{id} {kind} {state}: {question}\n  {then}")
}

/// One in full.
pub fn decision(paint: Paint, decision: &DecisionView) -> String {
    let line = |name: &str, value: &str| field(2, name, value, str::to_owned);
    let head = format!("Decision {}", decision.decision_id);
    let mut lines = vec![
        paint.bold(&head),
        format!("  state      {}", state(paint, &decision.state)),
        line("kind", &one_line(&decision.kind.replace('_', " "), 40)),
        line("question", &one_line(&decision.question, 1_000)),
        line("about", &one_line(&decision.context, 1_000)),
        line("requester", &one_line(&decision.requester, 80)),
        line("request", &decision.request_id.to_string()),
        line("project", decision.project_id.as_str()),
    ];
    for (n, option) in decision.options.iter().enumerate() {
        let name = if n == 0 { "options" } else { "" };
        let is_default = decision.default_choice.as_ref() == Some(option);
        let default = if is_default {
            " (where nobody answers)"
        } else {
            ""
        };
        lines.push(line(name, &format!("{}{default}", one_line(option, 300))));
    }
    if decision.takes_text {
        lines.push(line("or", own_words(decision)));
    }
    if !decision.missing.is_empty() {
        lines.push(line(
            "missing",
            &one_line(&decision.missing.join(", "), 300),
        ));
    }
    if let Some(digest) = decision.digest {
        lines.push(format!("  digest {digest}"));
    }
    if let Some(tier) = decision.tier {
        lines.push(line("risk", words::tier(tier)));
    }
    lines.push(line("asked", &words::time(decision.created_at)));
    match decision.resolved_at {
        None => lines.push(line("until", &words::time(decision.deadline))),
        Some(at) => lines.push(line("closed", &words::time(at))),
    }
    if decision.choice.is_some() {
        lines.push(line("answer", &answer(decision)));
    }
    if let Some(comment) = &decision.comment {
        lines.push(line("comment", &one_line(comment, 2_000)));
    }
    if decision.state == "pending" {
        lines.push(format!("Answer it: {}", how_to_answer(decision)));
    }
    lines.join("\n")
}

/// What may be said in own words.
fn own_words(decision: &DecisionView) -> &'static str {
    match decision.missing.as_slice() {
        [] => "other words",
        [_] => "the value, name=value, or another sentence",
        _ => "name=value for each, or another sentence",
    }
}

/// What the planner asks back, for the one who is about to answer.
pub fn question(paint: Paint, decision: &DecisionView) -> String {
    let asked = paint.warn(&one_line(&decision.question, 1_000));
    match near(paint, decision) {
        Some(near) => format!("{asked}\n{near}"),
        None => asked,
    }
}

/// The sentences that come near. Their numbers are answers, unless a value is missing.
pub(super) fn near(paint: Paint, decision: &DecisionView) -> Option<String> {
    if decision.options.is_empty() {
        return None;
    }
    let mut text = String::from("What comes near:");
    for (n, option) in decision.options.iter().enumerate() {
        let near = decision.nearest.iter().find(|near| near.example == *option);
        let what = near.map(|near| format!("({}: {})", near.entry, one_line(&near.title, 100)));
        let number = match decision.missing.is_empty() {
            true => paint.bold(&format!("{}", n + 1)),
            false => "-".to_owned(),
        };
        text += &format!(
            "\n  {number}  {}  {}",
            one_line(option, 253),
            paint.dim(&what.unwrap_or_default())
        );
    }
    Some(text)
}

/// The command that answers a question.
pub(super) fn how_to_answer(decision: &DecisionView) -> String {
    let request = decision.request_id;
    match decision.kind.as_str() {
        "approval" => format!("chiffon approve {request}"),
        "question" => format!("chiffon answer {request} \"...\""),
        _ => {
            let options = one_line(&decision.options.join("|"), 200);
            format!("chiffon approve {request} --choice {options}")
        }
    }
}
