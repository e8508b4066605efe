//! Questions to a person, in a list.

use chiffon_common::api::DecisionView;

use super::{
    table::table,
    words::{self, one_line, state},
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
        Some(choice) => {
            let by = decision.resolved_by.as_deref().unwrap_or("nobody");
            format!("{} by {}", one_line(choice, 40), one_line(by, 80))
        }
    }
}

/// The command that answers a question.
pub(super) fn how_to_answer(decision: &DecisionView) -> String {
    let request = decision.request_id;
    match decision.kind.as_str() {
        "approval" => format!("chiffon approve {request}"),
        _ => {
            let options = one_line(&decision.options.join("|"), 200);
            format!("chiffon approve {request} --choice {options}")
        }
    }
}
