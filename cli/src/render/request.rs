//! A request: in a list, in full, and how it ended.

use chiffon_common::{
    HostOutcome, HostSummary, Problem,
    api::{DecisionView, RequestView, TaskView},
    visible,
};

use super::{
    diff::diff,
    table::table,
    words::{self, indented, one_line, request_state, state},
};
use crate::{failure::Failure, terminal::Paint};

/// Newest first.
pub fn requests(paint: Paint, requests: &[RequestView]) -> String {
    if requests.is_empty() {
        return "There are no requests yet. Ask: chiffon run \"How full are the disks?\""
            .to_owned();
    }
    let row = |request: &RequestView| {
        vec![
            request.request_id.to_string(),
            request_state(paint, request),
            words::time(request.created_at),
            one_line(&request.requester, 24),
            one_line(&request.text, 60),
        ]
    };
    let rows: Vec<_> = requests.iter().map(row).collect();
    table(paint, &["REQUEST", "STATE", "ASKED", "BY", "TEXT"], &rows)
}

/// Those that wait for a person, each with what to type. Whole requests, with their questions.
pub fn waiting(paint: Paint, requests: &[RequestView]) -> String {
    let count = match requests.len() {
        1 => "One request waits for you:".to_owned(),
        count => format!("{count} requests wait for you:"),
    };
    let mut text = paint.warn(&count);
    for request in requests {
        text += &format!("\n  {}", answer_with(request));
    }
    text
}

fn answer_with(request: &RequestView) -> String {
    let short = request.request_id.to_string();
    let asked = one_line(&request.text, 60);
    let is_open = |one: &&DecisionView| one.state == "pending";
    match request.decisions.iter().find(is_open) {
        Some(question) if question.kind == "approval" => {
            format!("chiffon approve {short}  ({asked})")
        }
        Some(question) => format!(
            "{}  ({})",
            super::decision::how_to_answer(question),
            one_line(&question.question, 200),
        ),
        None => format!("chiffon request show {short}  ({asked})"),
    }
}

/// In full.
pub fn request(paint: Paint, request: &RequestView) -> String {
    let mut text = format!(
        "{}\n  state      {}: {}\n  asked      {}: \"{}\"\n  when       {}, last moved {}",
        paint.bold(&format!("Request {}", request.request_id)),
        match request.waits_for_person {
            true => request_state(paint, request),
            false => state(paint, &request.state),
        },
        one_line(&request.because, 300),
        one_line(&request.requester, 80),
        one_line(&request.text, 400),
        words::time(request.created_at),
        words::time(request.updated_at),
    );
    if let Some(why) = request
        .stands_still
        .as_ref()
        .filter(|_| !request.waits_for_person)
    {
        text += &format!("\n  now        {}", paint.warn(&one_line(why, 300)));
    }
    if let Some(original) = &request.undo_of {
        text += &format!("\n  undo of    {original}");
    }
    if let Some(undo) = &request.undone_by {
        let how = state(paint, &undo.state);
        text += &format!("\n  undone by  {} ({how})", undo.request_id);
    }
    if let Some(commit) = &request.ledger_commit {
        text += &format!("\n  ledger     {}", one_line(commit, 64));
    }
    // A plan tells by which words it came to be.
    if request.plan.is_none() {
        for round in &request.rounds {
            text += &format!(
                "\n  asked back {}\n  answered   {}: \"{}\"",
                one_line(&round.question, 300),
                one_line(&round.by, 80),
                one_line(&round.answer, 300),
            );
        }
    }
    if let Some(plan) = super::plan::plan(paint, request, super::Extent::Screen) {
        text += &format!("\n\n{plan}");
    }
    let real = request.tasks.iter().filter(|task| task.mode == "apply");
    for task in real {
        text += &format!("\n\n{}", task_text(paint, task));
    }
    for decision in &request.decisions {
        text += &format!("\n\n{}", decision_text(paint, decision));
    }
    if let Some(problem) = &request.problem {
        text += &format!("\n\n{}", problem_text(paint, problem));
    }
    if let Some(near) = nearest(paint, request) {
        text += &format!("\n\n{near}");
    }
    text
}

fn task_text(paint: Paint, task: &TaskView) -> String {
    let agent = task.agent.as_ref().map(|agent| format!(" by {agent}"));
    let took = task.duration_seconds.map(|took| format!(", {took:.1} s"));
    let usage = task.resource_usage.map(|usage| {
        format!(
            ", {:.1} s of processor, at most {:.0} MiB",
            usage.cpu_hours * 3600.0,
            usage.memory_peak_gb * 1024.0
        )
    });
    let mut text = format!(
        "{} {}\n  {}: {} (attempt {}{}{}{})",
        paint.bold(&format!("Step {}", task.step + 1)),
        one_line(&task.title, 200),
        state(paint, &task.state),
        one_line(&task.because, 200),
        task.attempt,
        agent.unwrap_or_default(),
        took.unwrap_or_default(),
        usage.unwrap_or_default(),
    );
    if !task.isolation.is_empty() {
        text += &format!("\n  isolation  {}", one_line(&task.isolation, 400));
    }
    for (host, summary) in &task.hosts {
        text += &format!("\n{}", host_text(paint, host, summary));
    }
    if let Some(changes) = &task.diff {
        text += &format!("\n{}", indented(&diff(paint, changes), "    "));
    }
    text
}

/// A step that has just ended, for the one who follows; with its title where that was not said yet.
pub fn task_ended(paint: Paint, task: &TaskView, title: Option<&str>) -> String {
    let title = title.map(|title| format!(" {}", one_line(title, 200)));
    let mut text = format!(
        "{}{}: {}",
        paint.bold(&format!("Step {}", task.step + 1)),
        title.unwrap_or_default(),
        state(paint, &task.state),
    );
    if task.cut_off_before {
        let attempt = task.attempt;
        text += &format!(
            "\n  This was attempt {attempt}: one before it was cut off, and what that changed is not counted here."
        );
    }
    if let Some(at) = task.done_before {
        text += &format!(
            "\n  The agent had done this attempt before, at {}: this is how that ended, and nothing was run now.",
            words::time(at)
        );
    }
    for (host, summary) in &task.hosts {
        text += &format!("\n  {}", host_line(paint, host, summary));
    }
    text
}

fn host_text(paint: Paint, host: &str, summary: &HostSummary) -> String {
    let line = host_line(paint, host, summary);
    match &summary.answer {
        Some(answer) => format!("  {line}\n{}", indented(&visible(answer), "    ")),
        None => format!("  {line}"),
    }
}

fn host_line(paint: Paint, host: &str, summary: &HostSummary) -> String {
    let word = match summary.outcome {
        HostOutcome::Ok => paint.good("ok"),
        HostOutcome::Changed => paint.warn("changed"),
        HostOutcome::Failed => paint.bad("failed"),
        HostOutcome::Unreachable => paint.bad("did not answer"),
        HostOutcome::NotReached => paint.warn("not reached"),
        HostOutcome::CutOff => paint.bad("cut off"),
    };
    let HostSummary {
        ok,
        changed,
        failed,
        skipped,
        ..
    } = summary;
    let message = summary.message.as_deref().map(|text| one_line(text, 400));
    let message = message.map(|text| format!(": {text}")).unwrap_or_default();
    let counts = format!("({ok} ok, {changed} changed, {failed} failed, {skipped} skipped)");
    format!("{}: {word}{message} {}", visible(host), paint.dim(&counts))
}

fn decision_text(paint: Paint, decision: &DecisionView) -> String {
    let head = format!(
        "{} {}\n  {}",
        paint.bold("Question"),
        one_line(&decision.question, 300),
        state(paint, &decision.state),
    );
    let Some(choice) = &decision.choice else {
        let options: Vec<String> = decision
            .options
            .iter()
            .map(|one| one_line(one, 40))
            .collect();
        let deadline = words::time(decision.deadline);
        return format!("{head}: {} until {deadline}", options.join(" or "));
    };
    let by = decision.resolved_by.as_deref().unwrap_or("nobody");
    let comment = decision.comment.as_deref().map(|text| one_line(text, 300));
    let comment = comment.map(|text| format!(": {text}")).unwrap_or_default();
    format!(
        "{head}: {} by {}{comment}",
        one_line(choice, 40),
        one_line(by, 80)
    )
}

fn problem_text(paint: Paint, problem: &Problem) -> String {
    super::failure_with_page(paint, &Failure::from(problem.clone()))
}

/// What comes near to what was asked, and how to answer; nothing where nothing is asked back.
pub fn nearest(paint: Paint, request: &RequestView) -> Option<String> {
    let is_open = |one: &&DecisionView| one.state == "pending" && one.kind == "question";
    let question = request.decisions.iter().find(is_open)?;
    let near = super::decision::near(paint, question)?;
    let how = super::decision::how_to_answer(question);
    Some(format!("{near}\nAnswer it: {how}"))
}

/// What the one who asked wants to know at the end: the answers, how it ended, where it is recorded.
pub fn outcome(paint: Paint, request: &RequestView) -> String {
    let mut parts = Vec::new();
    for task in request.tasks.iter().filter(|task| task.mode == "apply") {
        let answers = task.hosts.iter().filter_map(|(host, summary)| {
            let answer = visible(summary.answer.as_deref()?);
            let head = paint.bold(&visible(host));
            Some(format!("{head}\n{}", indented(&answer, "  ")))
        });
        parts.extend(answers);
    }
    let mut end = state(paint, &request.state);
    let said = request
        .problem
        .as_ref()
        .map(|problem| problem.detail.as_str());
    if said != Some(request.because.as_str()) {
        end += &format!(": {}", one_line(&request.because, 300));
    }
    if let Some(problem) = &request.problem {
        end += &format!("\n{}", problem_text(paint, problem));
    }
    end += &format!("\nrequest {}", request.request_id);
    if let Some(commit) = &request.ledger_commit {
        end += &format!("\nledger  {}", one_line(commit, 64));
    }
    parts.push(end);
    parts.join("\n\n")
}
