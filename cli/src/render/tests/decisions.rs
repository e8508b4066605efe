//! Questions: on a line, in full, and at the prompt.

use chiffon_common::api::DecisionView;

use super::*;

fn approval() -> DecisionView {
    waiting(2).decisions[0].clone()
}

fn asked_back() -> DecisionView {
    asking_back().decisions[0].clone()
}

fn answered() -> DecisionView {
    let mut decision = asked_back();
    decision.state = "resolved".to_owned();
    decision.choice = Some("own words".to_owned());
    decision.text = Some("ping \u{1b}[2Jnas".to_owned());
    decision.resolved_by = Some("local:bob".to_owned());
    decision.resolved_at = Some(decision.deadline);
    decision.comment = Some("he meant\nthe NAS".to_owned());
    decision
}

#[test]
fn a_decision_in_full() {
    let mut waits = approval();
    waits.default_choice = Some("reject".to_owned());
    waits.context = waiting(2).text;
    insta::assert_snapshot!("decision_approval", decision(Paint::PLAIN, &waits));
    insta::assert_snapshot!("decision_question", decision(Paint::PLAIN, &asked_back()));
    let closed = decision(Paint::PLAIN, &answered());
    insta::assert_snapshot!("decision_answered", closed);
    assert!(!closed.contains('\u{1b}'), "{closed:?}");
}

#[test]
fn a_decision_on_a_line_for_who_watches() {
    let mut late = approval();
    late.state = "timed_out".to_owned();
    let all = [approval(), asked_back(), answered(), late];
    let lines: Vec<String> = all
        .iter()
        .map(|one| decision_line(Paint::PLAIN, one))
        .collect();
    insta::assert_snapshot!("decision_lines", lines.join("\n"));
}

#[test]
fn a_question_numbers_its_options_unless_a_number_may_be_the_answer() {
    let mut asks = asked_back();
    insta::assert_snapshot!("question", question(Paint::PLAIN, &asks));
    asks.missing = vec!["port".to_owned()];
    let text = question(Paint::PLAIN, &asks);
    assert!(!text.contains("  1  "), "{text}");
    asks.options.clear();
    assert_eq!(question(Paint::PLAIN, &asks), "what should be done?");
}
