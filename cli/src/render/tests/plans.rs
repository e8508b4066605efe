//! Plans of every size on one screen: within the columns, bounded, and nothing cut in silence.

use super::*;

const COLUMNS: usize = 80;
const LINES: usize = 24;

fn hosts(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("host-{n:03}.lan")).collect()
}

/// One step as a person meets it every day, with the check run of one host.
fn ordinary() -> RequestView {
    let mut request = waiting(1);
    request.text = "Write hello to /etc/motd on nas".to_owned();
    let plan = request.plan.as_mut().unwrap();
    plan.steps.truncate(1);
    let step = &mut plan.steps[0];
    step.hosts.truncate(1);
    step.title = "Write a text file (path = /etc/motd, content = hello)".to_owned();
    step.parameters = of(json!({"path": "/etc/motd", "content": "hello"}));
    step.fidelity_because = None;
    request.tasks[0].hosts = of(json!({"nas": summary("changed")}));
    request
}

/// So many steps on so many hosts, each with a check run that found something to change on each.
fn large(steps: u32, hosts: &[String], entry: impl Fn(u32) -> String) -> RequestView {
    let mut request = waiting(1);
    let made = |no: u32| {
        let mut step = step(no, 1);
        step["entry"] = entry(no).into();
        step["title"] = format!("Write a text file (path = /etc/{no})").into();
        step["hosts"] = json!(hosts);
        step["fidelity_because"] = Value::Null;
        step
    };
    let plan = request.plan.as_mut().unwrap();
    plan.steps = of(json!((0..steps).map(made).collect::<Vec<_>>()));
    let summaries: serde_json::Map<String, Value> = hosts
        .iter()
        .enumerate()
        .map(|(n, host)| {
            let outcome = if n % 100 == 7 { "failed" } else { "changed" };
            (host.clone(), summary(outcome))
        })
        .collect();
    let checked = |no: u32| {
        let mut task = task("check", "completed");
        task["step"] = no.into();
        task["hosts"] = Value::Object(summaries.clone());
        task
    };
    request.tasks = of(json!((0..steps).map(checked).collect::<Vec<_>>()));
    request
}

#[track_caller]
fn screen(request: &RequestView) -> String {
    let text = plan(Paint::PLAIN, request, Extent::Screen).unwrap();
    for line in text.lines() {
        assert!(line.chars().count() <= COLUMNS, "{line:?} in\n{text}");
    }
    text
}

#[test]
fn an_ordinary_plan_fits_a_terminal_with_its_question() {
    let text = screen(&ordinary());
    insta::assert_snapshot!("plan_ordinary", text);
    // An empty line below, and the question.
    assert!(text.lines().count() + 2 <= LINES, "{text}");
    assert!(!text.contains("--all"), "nothing is left out: {text}");
}

#[test]
fn two_hundred_steps_on_five_hundred_hosts_stay_readable() {
    let hosts = hosts(500);
    let request = large(200, &hosts, |_| "write_file".to_owned());
    let text = screen(&request);
    insta::assert_snapshot!("plan_large", text);
    assert!(text.lines().count() < 100, "{text}");
    for wanted in [
        "and 492 more hosts: --all",
        "(197 more steps like these: --all)",
        "of 500 hosts 5 the check run failed, 495 would change",
        "host-007.lan: the check run failed",
        &format!("chiffon plan show {ID} --all"),
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let all = plan(Paint::PLAIN, &request, Extent::All).unwrap();
    assert!(!all.contains("--all"), "something is cut");
    for no in 0..200 {
        assert!(all.contains(&format!("(path = /etc/{no})")), "step {no}");
    }
    let words: String = all.split_whitespace().collect();
    for host in &hosts {
        // In the hosts of each step and in its check run.
        assert_eq!(words.matches(host.as_str()).count(), 400, "{host}");
    }
}

#[test]
fn steps_that_differ_are_shown_as_far_as_there_is_room_and_counted() {
    let request = large(200, &hosts(2), |no| format!("entry_{}", no % 7));
    let text = screen(&request);
    assert!(text.lines().count() < 160, "{text}");
    let wanted = "(192 more steps: --all): 27 of entry_0";
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains("and 2 more entries: --all"), "{text}");
}

#[test]
fn what_cannot_be_undone_is_said_before_the_approval() {
    let mut request = large(3, &hosts(1), |no| format!("entry_{no}"));
    let none = json!({"none": {"why": "a restart cannot be taken back"}});
    request.plan.as_mut().unwrap().steps[1].undo = of(none.clone());
    let text = screen(&request);
    assert!(
        text.contains("cannot be undone: a restart cannot"),
        "{text}"
    );
    assert!(text.contains("step 2 cannot be undone"), "{text}");
    request.plan.as_mut().unwrap().steps[2].undo = of(none);
    let text = screen(&request);
    assert!(text.contains("2 steps cannot be undone: 2, 3"), "{text}");
}

#[test]
fn a_diff_of_any_size_is_cut_with_its_count() {
    let mut request = ordinary();
    let lines: Vec<String> = (0..1000).map(|n| format!("+line {n}")).collect();
    request.tasks[0].diff = Some(lines.join("\n"));
    let text = screen(&request);
    assert!(text.contains("(980 more lines: --all)"), "{text}");
    assert!(
        text.contains("+line 19") && !text.contains("+line 20"),
        "{text}"
    );
    let all = plan(Paint::PLAIN, &request, Extent::All).unwrap();
    assert!(all.contains("+line 999") && !all.contains("--all"), "{all}");
    let diff = plan_diff(Paint::PLAIN, &request);
    assert!(diff.contains("+line 999"), "{diff}");

    // A line without end, such as a file of one line of a megabyte.
    request.tasks[0].diff = Some(format!("+{}\n-x", "é\u{1b}".repeat(500_000)));
    let text = screen(&request);
    assert!(text.contains("(2 more lines: --all)"), "{text}");
    assert!(
        text.lines().count() < 50 && !text.contains('\u{1b}'),
        "{text}"
    );
}

#[test]
fn a_long_value_is_cut_with_its_count() {
    let mut request = ordinary();
    let content = "word ".repeat(1000);
    let step = &mut request.plan.as_mut().unwrap().steps[0];
    step.parameters.insert("content".to_owned(), content.into());
    request.text = "please ".repeat(500);
    let text = screen(&request);
    // With its quotes.
    assert!(text.contains("(4802 more"), "{text}");
    let all = plan(Paint::PLAIN, &request, Extent::All).unwrap();
    assert!(!all.contains("--all"), "{all}");
    assert_eq!(all.matches("word").count(), 1000);
    assert_eq!(all.matches("please").count(), 500);
}

#[test]
fn the_words_that_led_here_are_all_there() {
    let mut request = ordinary();
    let round = |n: usize| {
        json!({
            "decision_id": TASK, "question": format!("which path, time {n}?"), "answer": format!("path=/etc/{n}"),
            "by": "local:bob", "at": "2026-01-02T03:04:05Z",
        })
    };
    request.rounds = of(json!([round(1)]));
    insta::assert_snapshot!("plan_after_a_question", screen(&request));
    request.rounds = of(json!((1..=10).map(round).collect::<Vec<_>>()));
    let text = screen(&request);
    assert!(text.contains("(7 more answers before: --all)"), "{text}");
    assert!(
        text.contains("time 10?") && !text.contains("time 7?"),
        "{text}"
    );
}
