//! The steps of a plan. Those that follow each other and differ in their parameters alone are told together.

use std::collections::BTreeMap;

use chiffon_common::{
    HostName, HostOutcome, HostSummary, Plan, Step, Tier,
    api::{RequestView, TaskView},
    visible,
};

use super::{SHORT, Screen, is_final, tier, undo};
use crate::render::{
    diff::first_of_diff,
    words,
    wrap::{field, wrapped},
};

/// Groups of steps on a screen.
const GROUPS: usize = 8;
/// Steps of a group, and hosts, that are named on a screen.
const NAMED: usize = 3;
const HOSTS: usize = 8;
/// Entries that are counted where steps are left out.
const ENTRIES: usize = 5;
/// Lines of diff on a screen, of one step and of all.
const LINES: usize = 20;
const ALL_LINES: usize = 60;

impl Screen {
    /// Each group of steps as a text.
    pub(super) fn steps(&self, request: &RequestView, plan: &Plan) -> Vec<String> {
        // What was run is taken back one by one.
        let was_run = request.tasks.iter().any(|task| task.mode == "apply");
        let groups = grouped(&plan.steps, self.is_all() || was_run);
        let most = self.most(GROUPS);
        // The lines that are left for diffs.
        let mut left = self.most(ALL_LINES);
        let mut texts: Vec<String> = Vec::new();
        for group in groups.iter().take(most) {
            texts.push(self.group(request, plan, group, &mut left));
        }
        let rest: Vec<&Step> = groups.iter().skip(most).flat_map(|group| *group).collect();
        if !rest.is_empty() {
            texts.push(self.left_out(&rest));
        }
        texts
    }

    /// Steps that have no room: how many of what.
    fn left_out(&self, rest: &[&Step]) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for step in rest {
            *counts.entry(step.entry.as_str()).or_default() += 1;
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(entry, count)| format!("{count} of {entry}"))
            .collect();
        let entries = self.first(counts.iter().map(String::as_str), ENTRIES, "entries");
        let words = format!("{}: {entries}", self.more(rest.len(), "steps"));
        let lines = wrapped(&words, 78);
        format!("  {}", lines.join("\n  "))
    }

    fn group(
        &self,
        request: &RequestView,
        plan: &Plan,
        group: &[Step],
        left: &mut usize,
    ) -> String {
        let paint = self.paint;
        let Some(first) = group.first() else {
            return String::new();
        };
        let line = |name: &str, value: &str| field(5, name, value, str::to_owned);
        let mut lines = self.titles(group);
        let hosts = self.first(first.hosts.iter().map(HostName::as_str), HOSTS, "hosts");
        lines.push(line("entry", &format!("{} on {hosts}", first.entry)));
        match group {
            [step] => lines.extend(self.parameters(step)),
            _ => {
                let most = self.most(NAMED);
                for (n, step) in group.iter().take(most).enumerate() {
                    let title = self.text(&step.title, SHORT);
                    let name = if n == 0 { "steps" } else { "" };
                    lines.push(line(name, &format!("{}. {title}", step.no + 1)));
                }
                let rest = group.len().saturating_sub(most);
                if rest > 0 {
                    lines.push(line("", &self.more(rest, "steps like these")));
                }
            }
        }
        let before = first.depends_on.iter();
        let before: Vec<String> = before.map(|no| (no + 1).to_string()).collect();
        let chained = match group {
            [_, second, ..] if follows(second) => "one after the other",
            _ => "",
        };
        if !before.is_empty() {
            let before = self.first(before.iter().map(String::as_str), HOSTS, "steps");
            let chained = if chained.is_empty() {
                ""
            } else {
                ", then one after the other"
            };
            lines.push(line("after", &format!("step {before}{chained}")));
        } else if !chained.is_empty() {
            lines.push(line("order", chained));
        }
        if plan.steps.len() > 1 {
            let words = words::tier(first.tier);
            lines.push(field(5, "risk", words, |line| {
                tier(paint, first.tier, line)
            }));
        }
        let because = first.fidelity_because.as_deref();
        let because = because.map(|why| format!(" ({})", self.text(why, SHORT)));
        let fidelity = words::fidelity(first.fidelity);
        lines.push(line(
            "preview",
            &format!("{fidelity}{}", because.unwrap_or_default()),
        ));
        lines.push(self.undo_of(request, group));
        if plan.steps.len() > 1 {
            lines.push(line("at most", &words::duration(first.timeout_seconds)));
        }
        lines.extend(self.previews(request, group, left));
        lines.join("\n")
    }

    fn titles(&self, group: &[Step]) -> Vec<String> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Vec::new();
        };
        let head = match group.len() {
            1 => format!("{}. {}", first.no + 1, self.text(&first.title, SHORT)),
            count => format!(
                "{}. to {}. {count} steps of {}",
                first.no + 1,
                last.no + 1,
                first.entry
            ),
        };
        let lines = wrapped(&head, 75);
        let painted = |(n, line): (usize, &String)| {
            let indent = if n == 0 { "  " } else { "     " };
            self.paint.bold(&format!("{indent}{line}"))
        };
        lines.iter().enumerate().map(painted).collect()
    }

    fn parameters(&self, step: &Step) -> Vec<String> {
        let shown = |(name, value): (&String, &serde_json::Value)| {
            let value = match step.secret_parameters.contains(name) {
                true => "(secret)".to_owned(),
                false => self.text(&words::value(value), SHORT),
            };
            format!("{} = {value}", visible(name))
        };
        let mut lines = Vec::new();
        for (n, text) in step.parameters.iter().map(shown).enumerate() {
            let name = if n == 0 { "parameters" } else { "" };
            lines.push(field(5, name, &text, str::to_owned));
        }
        lines
    }

    fn undo_of(&self, request: &RequestView, group: &[Step]) -> String {
        let Some(first) = group.first() else {
            return String::new();
        };
        let was_run = was_run(request, first);
        let words = match (&first.undo, group.len()) {
            (chiffon_common::Undo::Entry { entry, .. }, 2..) => format!("each by {entry}"),
            _ => undo(self, first, was_run),
        };
        // A command is copied in one piece, whatever its length.
        if words.starts_with("chiffon run ") {
            return format!("     {:<11}{words}", "undo");
        }
        let warns = is_final(first) && first.tier > Tier::Zero;
        field(5, "undo", &words, |line| match warns {
            true => self.paint.warn(line),
            false => line.to_owned(),
        })
    }

    /// What the check runs of these steps said.
    fn previews(&self, request: &RequestView, group: &[Step], left: &mut usize) -> Vec<String> {
        let mut lines = Vec::new();
        let mut silent = 0;
        let mut diffs_left_out = 0;
        for (n, step) in group.iter().enumerate() {
            let Some(task) = check_of(request, step) else {
                continue;
            };
            if n >= self.most(NAMED) {
                silent += 1;
                diffs_left_out += task.diff.as_deref().map_or(0, |diff| diff.lines().count());
                continue;
            }
            let which = match group.len() {
                1 => String::new(),
                _ => format!("step {}, ", step.no + 1),
            };
            let named = if group.len() == 1 { HOSTS } else { NAMED };
            lines.extend(self.hosts_of_check(task, &which, self.most(named)));
            if let Some(problem) = &task.problem {
                let why = self.text(&problem.detail, SHORT);
                lines.push(field(5, "check run", &why, |line| self.paint.warn(line)));
            }
            if let Some(changes) = &task.diff {
                let most = self.most(LINES).min(*left);
                let (shown, more) = first_of_diff(self.paint, changes, 7, most);
                *left = left.saturating_sub(shown.len());
                lines.extend(shown);
                if more > 0 {
                    lines.push(format!("       {}", self.more(more, "lines")));
                }
            }
        }
        if silent > 0 {
            let words = format!("check runs with {diffs_left_out} lines of diff");
            lines.push(field(5, "", &self.more(silent, &words), str::to_owned));
        }
        lines
    }

    /// The hosts of a check run; of many, how many of what, and those that matter most.
    fn hosts_of_check(&self, task: &TaskView, which: &str, most: usize) -> Vec<String> {
        let line = |value: &str| field(5, "check run", value, str::to_owned);
        let mut hosts: Vec<(&String, &HostSummary)> = task.hosts.iter().collect();
        hosts.sort_by_key(|(_, summary)| gravity(summary));
        let mut lines = Vec::new();
        if hosts.len() > most.saturating_add(1) {
            let mut counts: BTreeMap<u8, (&str, usize)> = BTreeMap::new();
            for (_, summary) in &hosts {
                let (words, count) = counts.entry(gravity(summary)).or_default();
                *words = in_short(summary);
                *count += 1;
            }
            let counts: Vec<String> = counts
                .values()
                .map(|(words, count)| format!("{count} {words}"))
                .collect();
            lines.push(line(&format!(
                "{which}of {} hosts {}",
                hosts.len(),
                counts.join(", ")
            )));
        } else {
            hosts.sort_by_key(|(name, _)| *name);
        }
        let shown = match lines.is_empty() {
            true => hosts.len(),
            false => most,
        };
        for (host, summary) in hosts.iter().take(shown) {
            let word = match summary.outcome {
                HostOutcome::Changed => format!("would change {}", summary.changed),
                _ => in_short(summary).to_owned(),
            };
            let why = summary.message.as_deref();
            let why = why.map(|text| format!(": {}", self.text(text, SHORT)));
            let why = why.unwrap_or_default();
            lines.push(line(&format!("{which}{}: {word}{why}", visible(host))));
        }
        if hosts.len() > shown {
            let more = self.more(hosts.len() - shown, "hosts");
            lines.push(field(5, "", &more, str::to_owned));
        }
        lines
    }
}

/// Neighbours that differ in nothing but parameters and what follows from them. All of it is told one by one.
fn grouped(steps: &[Step], one_by_one: bool) -> Vec<&[Step]> {
    let alike = |one: &Step, next: &Step| {
        !one_by_one
            && one.entry == next.entry
            && one.hosts == next.hosts
            && one.tier == next.tier
            && one.fidelity == next.fidelity
            && one.fidelity_because == next.fidelity_because
            && one.timeout_seconds == next.timeout_seconds
            && is_final(one) == is_final(next)
            && (follows(next) || (next.depends_on.is_empty() && one.depends_on.is_empty()))
    };
    steps.chunk_by(alike).collect()
}

/// Whether it waits for the one before it and for nothing else.
fn follows(step: &Step) -> bool {
    step.no
        .checked_sub(1)
        .is_some_and(|before| step.depends_on == [before])
}

fn check_of<'r>(request: &'r RequestView, step: &Step) -> Option<&'r TaskView> {
    let is_check = |task: &&TaskView| task.mode == "check" && task.step == step.no;
    request.tasks.iter().rev().find(is_check)
}

/// Whether there is something to take back: only then the undo knows the id of the run.
fn was_run(request: &RequestView, step: &Step) -> bool {
    let is_step =
        |task: &TaskView| task.mode == "apply" && task.step == step.no && task.probes.is_none();
    let ran = |task: &TaskView| is_step(task) && !task.hosts.is_empty();
    request.tasks.iter().any(ran)
}

/// What matters most first.
fn gravity(summary: &HostSummary) -> u8 {
    match summary.outcome {
        HostOutcome::Failed => 0,
        HostOutcome::Unreachable => 1,
        HostOutcome::CutOff => 2,
        HostOutcome::NotReached => 3,
        HostOutcome::Changed => 4,
        HostOutcome::Ok => 5,
    }
}

fn in_short(summary: &HostSummary) -> &'static str {
    match summary.outcome {
        HostOutcome::Ok => "nothing to do",
        HostOutcome::Changed => "would change",
        HostOutcome::Failed => "the check run failed",
        HostOutcome::Unreachable => "did not answer",
        HostOutcome::NotReached => "was not reached",
        HostOutcome::CutOff => "the check run was cut off",
    }
}
