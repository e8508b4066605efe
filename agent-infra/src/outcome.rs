//! What a run has said so far, redacted and within bounds, and what came of it. Reading the streams is
//! left to `run`, the words of each failure to `problems`.

mod diffs;
mod problems;

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

use chiffon_agent::Progress;
use chiffon_common::{HostName, HostOutcome, HostSummary, Problem, Redactor, visible};
use serde_json::{Map, Value};

use crate::{
    events::{Counts, Event, HostEvent, Status},
    output::{Tail, shown_lines},
};
use diffs::Diffs;
pub(crate) use problems::Failure;

/// Lines that wait for a slow reader; more are left out of the live view, not of the result.
const MAX_WAITING: usize = 2_000;

/// In bytes.
const MAX_MESSAGE: usize = 4 * 1024;
const MAX_ANSWER: usize = 64 * 1024;

/// Lines shown of a failed task's output, and of a message that is no failure.
const MAX_TASK_LINES: usize = 40;

/// The account of one run.
#[derive(Debug)]
pub(crate) struct Account {
    redactor: Redactor,
    hosts: BTreeMap<String, HostSummary>,
    failures: Vec<Failure>,
    tail: Tail,
    /// What Ansible itself printed last, for a run that fails before its first event.
    printed: VecDeque<String>,
    /// Whether the plugin has said anything: then Ansible had begun.
    began: bool,
    /// Whether Ansible came to its own count, the last thing of a run.
    is_counted: bool,
    diffs: Diffs,
    waiting: Vec<String>,
    left_out: u64,
    total: u64,
    percent: u8,
    step: Option<String>,
}

impl Account {
    pub(crate) fn new(redactor: Redactor, hosts: &[HostName]) -> Self {
        let hosts = hosts
            .iter()
            .map(|host| (host.to_string(), HostSummary::default()));
        Self {
            redactor,
            hosts: hosts.collect(),
            failures: Vec::new(),
            tail: Tail::default(),
            printed: VecDeque::new(),
            began: false,
            is_counted: false,
            diffs: Diffs::default(),
            waiting: Vec::new(),
            left_out: 0,
            total: 0,
            percent: 0,
            step: None,
        }
    }

    /// Lines that Ansible printed, redacted already.
    pub(crate) fn printed(&mut self, lines: Vec<String>) {
        for line in lines {
            if !line.trim().is_empty() {
                self.printed.push_back(line.clone());
            }
            if self.printed.len() > 30 {
                self.printed.pop_front();
            }
            self.line(line);
        }
    }

    /// A line of the callback plugin.
    pub(crate) fn event(&mut self, line: &[u8]) {
        self.began = true;
        match serde_json::from_slice(line) {
            Ok(event) => self.apply(event),
            Err(error) => tracing::debug!(%error, "an event of a run cannot be read"),
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Start { total } => self.total = total,
            Event::Play { name } => {
                let name = self.clean(&name, MAX_MESSAGE);
                self.line(format!("Play: {name}"));
            }
            Event::Task { number, name } => {
                // Less than 100 while it runs; the estimate may be too low.
                let done = number.saturating_sub(1) * 100 / self.total.max(number).max(1);
                self.percent = self.percent.max(u8::try_from(done).unwrap_or(99).min(99));
                self.step = Some(self.clean(&name, MAX_MESSAGE));
            }
            Event::Nobody => self.line("No host is meant by this play".to_owned()),
            Event::Host(event) => self.host_event(&event),
            Event::Retry { host, task } => {
                let (host, task) = (self.clean(&host, 300), self.clean(&task, MAX_MESSAGE));
                self.line(format!("{host}: trying again  {task}"));
            }
            Event::Diff {
                host,
                task,
                diff,
                left_out,
            } => self.difference(&host, &task, &diff, left_out),
            Event::Answer { host, values } => self.answer(&host, &values),
            Event::End { hosts } => {
                self.is_counted = true;
                hosts
                    .iter()
                    .for_each(|(host, counts)| self.count(host, *counts));
            }
        }
    }

    fn host_event(&mut self, event: &HostEvent) {
        let host = self.clean(&event.host, 300);
        let task = self.clean(&event.task, MAX_MESSAGE);
        let message = self.redactor.redact(&event.message);
        self.line(format!("{host}: {}  {task}", event.status.word()));
        let outputs = [
            &event.stdout,
            &event.stderr,
            &event.module_stdout,
            &event.module_stderr,
        ]
        .map(|text| self.redactor.redact(text));
        let warnings: Vec<String> = event
            .warnings
            .iter()
            .map(|text| self.redactor.redact(text))
            .collect();
        for text in [&message].into_iter().chain(&outputs).chain(&warnings) {
            let lines: Vec<String> = shown_lines(text).filter(|line| !line.is_empty()).collect();
            for line in &lines[lines.len().saturating_sub(MAX_TASK_LINES)..] {
                self.line(format!("{host}:   {line}"));
            }
        }
        let summary = self.hosts.entry(host.clone()).or_default();
        let better = |new: HostOutcome, old: HostOutcome| match old {
            HostOutcome::Failed | HostOutcome::Unreachable => old,
            HostOutcome::Changed if new == HostOutcome::Ok => old,
            _ => new,
        };
        match event.status {
            Status::Ok | Status::Ignored | Status::Skipped => {
                summary.ok += u32::from(event.status != Status::Skipped);
                summary.skipped += u32::from(event.status == Status::Skipped);
                summary.outcome = better(HostOutcome::Ok, summary.outcome);
            }
            Status::Changed => {
                summary.ok += 1;
                summary.changed += 1;
                summary.outcome = better(HostOutcome::Changed, summary.outcome);
            }
            Status::Failed | Status::Unreachable => {
                let unreachable = event.status == Status::Unreachable;
                summary.failed += u32::from(!unreachable);
                summary.outcome = if unreachable {
                    HostOutcome::Unreachable
                } else {
                    HostOutcome::Failed
                };
                let failure = Failure::new(&host, &task, &message, &outputs, unreachable);
                summary.message = Some(cut(failure.message(), MAX_MESSAGE));
                self.failures.push(failure);
            }
        }
    }

    /// Ansible's own count is right where a failure was rescued.
    fn count(&mut self, host: &str, counts: Counts) {
        let host = self.clean(host, 300);
        let summary = self.hosts.entry(host.clone()).or_default();
        summary.ok = counts.ok;
        summary.changed = counts.changed;
        summary.failed = counts.failures;
        summary.skipped = counts.skipped;
        summary.outcome = match counts {
            Counts {
                unreachable: 1.., ..
            } => HostOutcome::Unreachable,
            Counts { failures: 1.., .. } => HostOutcome::Failed,
            Counts { changed: 1.., .. } => HostOutcome::Changed,
            _ => HostOutcome::Ok,
        };
        if matches!(summary.outcome, HostOutcome::Ok | HostOutcome::Changed) {
            summary.message = None;
            self.failures.retain(|failure| failure.host() != host);
        }
    }

    fn difference(&mut self, host: &str, task: &str, diff: &str, left_out: u64) {
        let header = format!(
            "# {}: {}",
            self.clean(host, 300),
            self.clean(task, MAX_MESSAGE)
        );
        // What was cut off may have been the rest of a secret: what could be its beginning goes with it.
        let clean = match left_out {
            0 => self.redactor.redact(diff),
            _ => self.redactor.stream().push(diff),
        };
        self.diffs.add(&header, &visible(&clean), left_out);
    }

    fn answer(&mut self, host: &str, values: &Map<String, Value>) {
        let answer = values.get("chiffon_answer").map(|answer| match answer {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let answer = answer.map(|text| self.clean(&text, MAX_ANSWER));
        let data = match values.get("chiffon_data") {
            Some(Value::Object(fields)) => self.redactor.redact_map(fields),
            _ => Map::new(),
        };
        // Numbers that a play gives for itself and not for a host stand under this name.
        if host == "_run" {
            return;
        }
        let host = self.clean(host, 300);
        let summary = self.hosts.entry(host).or_default();
        summary.answer = answer;
        summary.data = data;
    }

    fn clean(&self, text: &str, limit: usize) -> String {
        cut(&visible(&self.redactor.redact(text)), limit)
    }

    fn line(&mut self, line: String) {
        self.tail.push(&line);
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(line);
        } else {
            self.left_out += 1;
        }
    }

    /// What there is to tell by now, at most two pieces.
    pub(crate) fn take_progress(&mut self) -> Vec<Progress> {
        let mut pieces = Vec::new();
        if let Some(message) = self.step.take() {
            pieces.push(Progress::Step {
                percent: self.percent,
                message,
            });
        }
        if !self.waiting.is_empty() {
            let mut lines = mem::take(&mut self.waiting);
            if self.left_out > 0 {
                let left_out = mem::take(&mut self.left_out);
                lines.push(format!("({left_out} lines left out here)"));
            }
            pieces.push(Progress::Lines(lines));
        }
        pieces
    }

    /// Takes back what could not be told for now.
    pub(crate) fn give_back(&mut self, piece: Progress) {
        match piece {
            Progress::Step { message, .. } => self.step = Some(message),
            Progress::Lines(lines) => self.waiting = lines,
        }
    }

    /// What the sandbox complained of, where it could not be entered and so nothing had begun.
    pub(crate) fn no_sandbox(&self) -> Option<&str> {
        let first = self.printed.front().filter(|_| !self.began)?;
        first.strip_prefix("bwrap: ")
    }

    /// A host that went away in the middle of a task, which may go on there.
    pub(crate) fn lost(&self) -> Option<&str> {
        let lost = self.failures.iter().find(|failure| failure.is_lost())?;
        Some(lost.host())
    }

    /// Why it did not complete, by what happened on the hosts or else by what Ansible printed.
    pub(crate) fn problem(&self, exit: Option<i32>, signal: Option<i32>) -> Option<Problem> {
        let reached = |summary: &HostSummary| summary.outcome != HostOutcome::NotReached;
        if let Some(problem) = problems::worst(&self.failures) {
            Some(problem)
        } else if exit != Some(0) {
            let printed: Vec<&str> = self.printed.iter().map(String::as_str).collect();
            Some(problems::without_event(exit, signal, &printed))
        } else if self.hosts.values().any(reached) {
            None
        } else {
            Some(problems::nobody())
        }
    }

    /// By host; the output's end; what changed.
    pub(crate) fn into_parts(mut self) -> (BTreeMap<String, HostSummary>, String, Option<String>) {
        if !self.is_counted {
            // It may have been in the middle of a task on any of them, and no event tells of that.
            for summary in self.hosts.values_mut() {
                if matches!(summary.outcome, HostOutcome::Ok | HostOutcome::Changed) {
                    summary.outcome = HostOutcome::CutOff;
                }
            }
        }
        (self.hosts, self.tail.text(), self.diffs.into_text())
    }
}

fn cut(text: &str, limit: usize) -> String {
    let end = text.floor_char_boundary(limit);
    let dots = if end < text.len() { " ..." } else { "" };
    text[..end].to_owned() + dots
}

#[cfg(test)]
mod tests;
