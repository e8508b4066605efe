//! What a step is doing, in words for the one who follows it: its title once, then its number; what
//! happens between orchestrator and agent only for who asked for more.

use std::collections::{BTreeMap, BTreeSet};

use chiffon_common::{TaskId, api::TaskView};

use crate::render::one_line;

/// What has been said.
#[derive(Debug)]
pub struct Words {
    verbose: bool,
    always_titles: bool,
    titled: BTreeSet<u32>,
    /// What was said last of each task, without and with its title: the same again is the same line.
    last: BTreeMap<TaskId, (String, String)>,
}

impl Words {
    /// `verbose` tells the inner moves too; `always_titles` repeats the title each time.
    pub fn new(verbose: bool, always_titles: bool) -> Self {
        Self {
            verbose,
            always_titles,
            titled: BTreeSet::new(),
            last: BTreeMap::new(),
        }
    }

    /// The title of a step, the first time that it is mentioned.
    pub fn title<'t>(&mut self, task: &'t TaskView) -> Option<&'t str> {
        let is_first = self.titled.insert(task.step);
        (is_first || self.always_titles).then_some(task.title.as_str())
    }

    /// One line about a task at work.
    pub fn doing(&mut self, task: &TaskView) -> String {
        let what = match task.mode.as_str() {
            "check" => "check run of step",
            _ => "step",
        };
        let (step, because) = (task.step + 1, self.because(task));
        let plain = format!("{what} {step}: {because}");
        if let Some((before, line)) = self.last.get(&task.task_id)
            && *before == plain
        {
            return line.clone();
        }
        let line = match self.title(task) {
            Some(title) => format!("{what} {step}: {}: {because}", one_line(title, 60)),
            None => plain.clone(),
        };
        self.last.insert(task.task_id, (plain, line.clone()));
        line
    }

    fn because<'t>(&self, task: &'t TaskView) -> &'t str {
        match task.state.as_str() {
            _ if self.verbose => &task.because,
            "dispatched" | "accepted" => "begins",
            "waiting" if task.because == "to be given to an agent" => "begins",
            "running" => "runs",
            // What it waits for, and what is wrong, is for everybody.
            _ => &task.because,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: &str, because: &str) -> TaskView {
        let value = serde_json::json!({
            "task_id": "0199e2f4-77a1-7c40-8000-000000000002",
            "request_id": "0199e2f4-77a1-7c40-8000-000000000001", "created_at": "2026-01-02T03:04:05Z", "step": 0, "title": "Install htop",
            "entry": "package_install", "mode": "apply", "state": state, "bead_state": "open",
            "because": because, "attempt": 1, "progress": 0,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_title_is_said_once_and_inner_words_only_on_demand() {
        let given = task("dispatched", "given to infrastructure");
        let held = task("waiting", "nas is held by another change");
        let mut words = Words::new(false, false);
        assert_eq!(words.doing(&given), "step 1: Install htop: begins");
        let taken = task("accepted", "the agent has it in its journal");
        assert_eq!(words.doing(&taken), words.doing(&given), "no second line");
        assert_eq!(words.doing(&task("running", "x")), "step 1: runs");
        assert_eq!(words.doing(&held), "step 1: nas is held by another change");
        assert_eq!(words.title(&given), None);
        let mut words = Words::new(true, true);
        let line = "step 1: Install htop: given to infrastructure";
        assert_eq!(
            (words.doing(&given), words.doing(&given)),
            (line.into(), line.into())
        );
    }
}
