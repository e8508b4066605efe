//! The plan on one screen (W10): who asked, the words that led here, what will run where with what, what is known
//! beforehand, how it is undone, until when, and the digest that an approval is bound to.
//!
//! A plan of any size stays readable: what does not fit is counted, never dropped in silence, and is there in full
//! for who asks for all of it (S31). Steps are left to `steps`.

mod steps;

use std::cell::Cell;

use chiffon_common::{
    EntryId, HostName, Parameters, Plan, REDACTED, Step, Tier, Undo, api::RequestView, visible,
};
use serde_json::Value;

use super::{
    words::{self, one_line},
    wrap::field,
};
use crate::terminal::Paint;

/// What the API shows in place of an id that is not known before the run.
const RUN_ID: &str = "{chiffon_run_id}";

/// Longest text from outside on a screen, in characters.
const LONG: usize = 400;
/// Longest value on a screen.
const SHORT: usize = 200;
/// Rounds of asking back on a screen.
const ROUNDS: usize = 3;

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What fits on a screen; the rest is counted.
    Screen,
    /// All of it.
    All,
}

/// The plan, to the extent that was asked for; nothing where there is none.
pub fn plan(paint: Paint, request: &RequestView, extent: Extent) -> Option<String> {
    let plan = request.plan.as_ref()?;
    let screen = Screen {
        paint,
        extent,
        cut: Cell::new(false),
    };
    let mut text = screen.head(request, plan);
    for warning in &request.warnings {
        let warning = paint.warn(&one_line(warning, LONG));
        text += &format!("\n  warning    {warning}");
    }
    for step in screen.steps(request, plan) {
        text += &format!("\n\n{step}");
    }
    text += &format!("\n\n{}", screen.foot(request, plan));
    Some(text)
}

/// Only what would change: the diffs of the check runs, whole.
pub fn plan_diff(paint: Paint, request: &RequestView) -> String {
    let checks = request.tasks.iter().filter(|task| task.mode == "check");
    let diffs: Vec<String> = checks
        .filter_map(|task| {
            let title = one_line(&task.title, SHORT);
            let head = paint.bold(&format!("Step {}: {title}", task.step + 1));
            let changes = super::diff::diff(paint, task.diff.as_deref()?);
            Some(format!("{head}\n{changes}"))
        })
        .collect();
    match diffs.is_empty() {
        true => "No check run has shown a diff.".to_owned(),
        false => diffs.join("\n\n"),
    }
}

/// One plan being shown.
struct Screen {
    paint: Paint,
    extent: Extent,
    /// Whether something was left out, with its count.
    cut: Cell<bool>,
}

impl Screen {
    fn is_all(&self) -> bool {
        self.extent == Extent::All
    }

    /// So many of a list.
    fn most(&self, on_a_screen: usize) -> usize {
        match self.extent {
            Extent::Screen => on_a_screen,
            Extent::All => usize::MAX,
        }
    }

    /// A text from outside on one line.
    fn text(&self, text: &str, most: usize) -> String {
        let line = one_line(text, usize::MAX);
        let count = line.chars().count();
        if self.is_all() || count <= most {
            return line;
        }
        let kept: String = line.chars().take(most).collect();
        format!("{kept}… {}", self.more(count - most, "characters"))
    }

    /// How much is left out here, and how to see it.
    fn more(&self, count: usize, what: &str) -> String {
        self.cut.set(true);
        format!("({count} more {what}: --all)")
    }

    /// The first of a list on one line.
    fn first<'t>(&self, all: impl IntoIterator<Item = &'t str>, most: usize, what: &str) -> String {
        let all: Vec<&str> = all.into_iter().collect();
        let most = self.most(most);
        // One more takes no more room than saying so.
        if all.len() <= most.saturating_add(1) {
            return all.join(", ");
        }
        let shown = all[..most].join(", ");
        self.cut.set(true);
        format!("{shown} and {} more {what}: --all", all.len() - most)
    }

    fn head(&self, request: &RequestView, plan: &Plan) -> String {
        let paint = self.paint;
        let head = |name: &str, value: &str| field(2, name, value, str::to_owned);
        let asked = format!("\"{}\"", self.text(&request.text, LONG));
        let mut lines = vec![
            paint.bold(&format!("Plan of request {}", request.request_id)),
            head("asked by", &one_line(&request.requester, 80)),
            head("asked", &asked),
        ];
        lines.extend(self.rounds(request));
        let because = self.text(&plan.because, LONG);
        lines.push(head(
            "because",
            &format!("{because} (sure to {} %)", plan.confidence),
        ));
        let why = self.text(&plan.tier_because, LONG);
        let why = match why.is_empty() {
            true => String::new(),
            false => format!(" ({why})"),
        };
        let risk = format!("{}{why}", words::tier(plan.tier));
        lines.push(field(2, "risk", &risk, |line| tier(paint, plan.tier, line)));
        lines.push(head("cost", &cost(plan)));
        lines.join("\n")
    }

    /// What was asked back, and what was said to it.
    fn rounds(&self, request: &RequestView) -> Vec<String> {
        let head = |name: &str, value: &str| field(2, name, value, str::to_owned);
        let left_out = request.rounds.len().saturating_sub(self.most(ROUNDS));
        let mut lines = Vec::new();
        if left_out > 0 {
            lines.push(head("", &self.more(left_out, "answers before")));
        }
        for round in &request.rounds[left_out..] {
            lines.push(head("asked back", &self.text(&round.question, SHORT)));
            let answer = self.text(&round.answer, SHORT);
            let by = one_line(&round.by, 80);
            lines.push(head("answered", &format!("{by}: \"{answer}\"")));
        }
        lines
    }

    fn foot(&self, request: &RequestView, plan: &Plan) -> String {
        let paint = self.paint;
        let mut lines = Vec::new();
        let is_final = |step: &&Step| step.tier > Tier::Zero && is_final(step);
        let finals: Vec<String> = plan
            .steps
            .iter()
            .filter(is_final)
            .map(|step| (step.no + 1).to_string())
            .collect();
        if !finals.is_empty() && plan.steps.len() > 1 {
            let which = self.first(finals.iter().map(String::as_str), 12, "steps");
            let words = match finals.len() {
                1 => format!("step {which} cannot be undone"),
                count => format!("{count} steps cannot be undone: {which}"),
            };
            lines.push(field(2, "undo", &words, |line| paint.warn(line)));
        }
        if plan.tier > Tier::Zero {
            let expires = format!(
                "{}; once given, an approval is good for {}",
                words::time(plan.expires_at),
                words::duration(plan.good_for_seconds),
            );
            lines.push(field(2, "expires", &expires, str::to_owned));
        }
        // To the last column: a digest is read and copied in one piece.
        lines.push(format!("  digest {}", paint.dim(&plan.digest.to_string())));
        if self.cut.get() {
            let id = request.request_id;
            lines.push(format!("  All of it: chiffon plan show {id} --all"));
        }
        lines.join("\n")
    }
}

fn tier(paint: Paint, tier: Tier, words: &str) -> String {
    match tier {
        Tier::Zero => paint.good(words),
        Tier::One => paint.warn(words),
        Tier::Two => paint.bad(words),
    }
}

fn cost(plan: &Plan) -> String {
    let time = words::duration(plan.cost.at_most_seconds);
    match plan.cost.provider_usd {
        usd if usd > 0.0 => format!("{usd:.4} US dollars for providers; at most {time}"),
        _ => format!("nothing for providers; at most {time}"),
    }
}

/// Whether nothing takes it back.
fn is_final(step: &Step) -> bool {
    matches!(step.undo, Undo::None { .. })
}

fn undo(screen: &Screen, step: &Step, was_run: bool) -> String {
    match &step.undo {
        Undo::Entry { entry, parameters } => {
            if was_run && let Some(sentence) = explicit(entry, parameters, &step.hosts) {
                return format!("chiffon run {}", words::quoted_for_shell(&sentence));
            }
            let with: Vec<String> = parameters
                .iter()
                .map(|(name, value)| {
                    let value = screen.text(&undo_value(value), SHORT);
                    format!("{} = {value}", visible(name))
                })
                .collect();
            match with.is_empty() {
                true => format!("by {entry}"),
                false => format!("by {entry} with {}", with.join(", ")),
            }
        }
        Undo::None { why } => {
            let cannot = match step.tier {
                Tier::Zero => "not possible",
                Tier::One | Tier::Two => "cannot be undone",
            };
            format!("{cannot}: {}", screen.text(why, SHORT))
        }
    }
}

fn undo_value(value: &Value) -> String {
    match value.as_str() {
        Some(RUN_ID) => "(this run)".to_owned(),
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
