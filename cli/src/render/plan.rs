//! The plan on one screen (W10): who asked, what decided, what will run where with what, what is known
//! beforehand, how it is undone, until when, and the digest that an approval is bound to.

use chiffon_common::{
    EntryId, HostName, HostOutcome, Parameters, Plan, REDACTED, Step, Tier, Undo,
    api::{RequestView, TaskView},
    visible,
};
use serde_json::Value;

use super::{
    diff::diff,
    words::{self, indented, one_line},
};
use crate::terminal::Paint;

/// What the API shows in place of an id that is not known before the run.
const RUN_ID: &str = "{chiffon_run_id}";

/// How much of a long text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Texts {
    /// As much as one line bears.
    Cut,
    /// All of it.
    Whole,
}

impl Texts {
    fn line(self, text: &str, most: usize) -> String {
        match self {
            Self::Cut => one_line(text, most),
            Self::Whole => one_line(text, usize::MAX),
        }
    }
}

/// The screen; nothing where there is no plan.
pub fn plan(paint: Paint, request: &RequestView) -> Option<String> {
    screen(paint, request, Texts::Cut)
}

/// The same with nothing cut.
pub fn whole_plan(paint: Paint, request: &RequestView) -> Option<String> {
    screen(paint, request, Texts::Whole)
}

fn screen(paint: Paint, request: &RequestView, texts: Texts) -> Option<String> {
    let plan = request.plan.as_ref()?;
    let mut text = head(paint, request, plan, texts);
    for step in &plan.steps {
        text += "\n\n";
        text += &step_text(paint, plan, step, was_run(request, step), texts);
        if let Some(preview) = preview(paint, request, step, texts) {
            text += &format!("\n{preview}");
        }
    }
    text += "\n\n";
    text += &foot(paint, plan);
    Some(text)
}

fn head(paint: Paint, request: &RequestView, plan: &Plan, texts: Texts) -> String {
    let id = request.request_id.to_string();
    let asked = texts.line(&request.text, 400);
    let by = texts.line(&request.requester, 80);
    let because = texts.line(&plan.because, 400);
    format!(
        "{}\n  asked      {by}: \"{asked}\"\n  because    {because} (sure to {} %)\n  risk       {}",
        paint.bold(&format!("Plan of request {id}")),
        plan.confidence,
        tier(paint, plan.tier),
    )
}

fn tier(paint: Paint, tier: Tier) -> String {
    let words = words::tier(tier);
    match tier {
        Tier::Zero => paint.good(words),
        Tier::One => paint.warn(words),
        Tier::Two => paint.bad(words),
    }
}

/// Whether there is something to take back: only then the undo knows the id of the run.
fn was_run(request: &RequestView, step: &Step) -> bool {
    let ran =
        |task: &TaskView| task.mode == "apply" && task.step == step.no && !task.hosts.is_empty();
    request.tasks.iter().any(ran)
}

fn step_text(paint: Paint, plan: &Plan, step: &Step, was_run: bool, texts: Texts) -> String {
    let title = texts.line(&step.title, 200);
    let heading = format!("  {}. {title}", step.no + 1);
    let hosts: Vec<&str> = step
        .hosts
        .iter()
        .map(chiffon_common::HostName::as_str)
        .collect();
    let mut lines = vec![
        paint.bold(&heading),
        field("entry", step.entry.as_str()),
        field("hosts", &hosts.join(", ")),
    ];
    lines.extend(parameters(step));
    if !step.depends_on.is_empty() {
        let before: Vec<String> = step
            .depends_on
            .iter()
            .map(|no| (no + 1).to_string())
            .collect();
        lines.push(field("after", &format!("step {}", before.join(", "))));
    }
    if plan.steps.len() > 1 {
        lines.push(field("risk", &tier(paint, step.tier)));
    }
    let because = step
        .fidelity_because
        .as_deref()
        .map(|why| texts.line(why, 200));
    let because = because.map(|why| format!(" ({why})")).unwrap_or_default();
    lines.push(field(
        "preview",
        &format!("{}{because}", words::fidelity(step.fidelity)),
    ));
    lines.push(field("undo", &undo(step, was_run, texts)));
    lines.push(field("at most", &words::duration(step.timeout_seconds)));
    lines.join("\n")
}

fn field(name: &str, value: &str) -> String {
    format!("     {name:<11}{value}")
}

fn parameters(step: &Step) -> Vec<String> {
    let shown = |(name, value): (&String, &serde_json::Value)| {
        let value = match step.secret_parameters.contains(name) {
            true => "(secret)".to_owned(),
            false => words::value(value),
        };
        format!("{} = {value}", visible(name))
    };
    let mut lines = Vec::new();
    for (n, text) in step.parameters.iter().map(shown).enumerate() {
        lines.push(field(if n == 0 { "parameters" } else { "" }, &text));
    }
    lines
}

fn undo(step: &Step, was_run: bool, texts: Texts) -> String {
    match &step.undo {
        Undo::Entry { entry, parameters } => {
            if was_run && let Some(sentence) = explicit(entry, parameters, &step.hosts) {
                return format!("chiffon run {}", words::quoted_for_shell(&sentence));
            }
            let with: Vec<String> = parameters
                .iter()
                .map(|(name, value)| format!("{} = {}", visible(name), undo_value(value)))
                .collect();
            match with.is_empty() {
                true => format!("by {entry}"),
                false => format!("by {entry} with {}", with.join(", ")),
            }
        }
        Undo::None { why } => format!("not possible: {}", texts.line(why, 200)),
    }
}

fn undo_value(value: &Value) -> String {
    match value.as_str() {
        Some(RUN_ID) => "(the id of the run)".to_owned(),
        _ => words::value(value),
    }
}

/// The sentence that reaches this entry exactly. None where a value is not known, is a secret, or
/// could not be copied as it is shown.
fn explicit(entry: &EntryId, parameters: &Parameters, hosts: &[HostName]) -> Option<String> {
    let mut sentence = entry.to_string();
    for (name, value) in parameters {
        let shown = match value {
            Value::String(text) if words::is_plain(text) => format!("{name}={text}"),
            other => format!("{name}:={other}"),
        };
        sentence += &format!(" {shown}");
    }
    let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    sentence += &format!(" on {}", hosts.join(","));
    let is_whole = !sentence.contains(RUN_ID) && !sentence.contains(REDACTED);
    (is_whole && visible(&sentence) == sentence).then_some(sentence)
}

/// What the check run of a step said, where there was one.
fn preview(paint: Paint, request: &RequestView, step: &Step, texts: Texts) -> Option<String> {
    let is_check = |task: &&TaskView| task.mode == "check" && task.step == step.no;
    let task = request.tasks.iter().rev().find(is_check)?;
    let mut lines = Vec::new();
    for (host, summary) in &task.hosts {
        let word = match summary.outcome {
            HostOutcome::Ok => "nothing to do".to_owned(),
            HostOutcome::Changed => format!("would change {}", summary.changed),
            HostOutcome::Failed => "the check run failed".to_owned(),
            HostOutcome::Unreachable => "did not answer".to_owned(),
            HostOutcome::NotReached => "was not reached".to_owned(),
        };
        let why = summary.message.as_deref().map(|text| texts.line(text, 200));
        let why = why.map(|text| format!(": {text}")).unwrap_or_default();
        lines.push(field(
            "check run",
            &format!("{}: {word}{why}", visible(host)),
        ));
    }
    if let Some(problem) = &task.problem {
        let why = texts.line(&problem.detail, 300);
        lines.push(field("check run", &paint.warn(&why)));
    }
    if let Some(changes) = &task.diff {
        lines.push(indented(&diff(paint, changes), "       "));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn foot(paint: Paint, plan: &Plan) -> String {
    let mut lines = Vec::new();
    if plan.tier > Tier::Zero {
        lines.push(format!(
            "  expires    {}; once given, an approval is good for {}",
            words::time(plan.expires_at),
            words::duration(plan.good_for_seconds),
        ));
    }
    lines.push(format!(
        "  digest     {}",
        paint.dim(&plan.digest.to_string())
    ));
    lines.join("\n")
}
