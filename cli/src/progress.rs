//! Progress on standard error: what moves on a terminal, plain lines elsewhere.

use std::{cell::OnceCell, collections::BTreeMap, time::Duration};

use chiffon_common::{TaskId, api::TaskView};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{render::one_line, terminal::Terminal};

/// Slow enough for a terminal over a bad line.
const BEAT: Duration = Duration::from_millis(120);

/// Longest words beside a bar.
const MOST: usize = 100;

/// Steps of a setup: each is a line; the one in hand moves.
pub struct Steps<'a> {
    terminal: &'a Terminal,
    /// Made with the first step: where there is nothing to do, nothing flickers.
    spinner: OnceCell<ProgressBar>,
}

impl<'a> Steps<'a> {
    pub fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            spinner: OnceCell::new(),
        }
    }

    /// Tells what is being done now.
    pub fn step(&self, what: &str) {
        let what = chiffon_common::visible(what);
        if !self.terminal.animate {
            return self.terminal.say(&format!("  {what}"));
        }
        let bar = self.spinner.get_or_init(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(BEAT);
            bar
        });
        let before = bar.message();
        if !before.is_empty() {
            bar.println(format!("  {before}"));
        }
        bar.set_message(what);
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.spinner.get() {
            let last = bar.message();
            bar.finish_and_clear();
            if !last.is_empty() {
                self.terminal.say(&format!("  {last}"));
            }
        }
    }
}

/// A bar for each step that runs; lines go above them.
pub struct Live<'a> {
    terminal: &'a Terminal,
    bars: Option<Bars>,
    /// What was said last of each step, and of the whole where none runs.
    told: BTreeMap<Option<TaskId>, String>,
}

impl<'a> Live<'a> {
    pub fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            bars: terminal.animate.then(Bars::default),
            told: BTreeMap::new(),
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.bars {
            // A terminal that went away shows nothing anyway.
            Some(bars) => drop(bars.all.println(text)),
            None => self.terminal.say(text),
        }
    }

    /// What the steps at work are doing. Without a terminal it is told only when the words change.
    pub fn steps(&mut self, doing: &[(&TaskView, String)]) {
        if let Some(bars) = &mut self.bars {
            bars.show(doing);
            return;
        }
        for (task, words) in doing {
            self.tell(Some(task.task_id), words);
        }
    }

    /// How the whole stands where no step is at work.
    pub fn whole(&mut self, words: &str) {
        match &mut self.bars {
            Some(bars) => bars.show_whole(&one_line(words, MOST)),
            None => self.tell(None, words),
        }
    }

    fn tell(&mut self, of: Option<TaskId>, words: &str) {
        let words = one_line(words, MOST);
        if self.told.get(&of) != Some(&words) {
            self.terminal.say(&format!("  {words}"));
            self.told.insert(of, words);
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(bars) = &mut self.bars {
            bars.show(&[]);
        }
    }
}

/// What moves on the terminal.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    steps: BTreeMap<TaskId, ProgressBar>,
    whole: Option<ProgressBar>,
}

impl Bars {
    fn show(&mut self, doing: &[(&TaskView, String)]) {
        if let Some(bar) = self.whole.take() {
            bar.finish_and_clear();
        }
        let is_at_work = |id: &TaskId| doing.iter().any(|(task, _)| task.task_id == *id);
        self.steps.retain(|id, bar| {
            let stays = is_at_work(id);
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for (task, words) in doing {
            let bar = self
                .steps
                .entry(task.task_id)
                .or_insert_with(|| bar(&self.all, 100, "{spinner} {bar:24} {pos:>3} % {msg}"));
            bar.set_position(u64::from(task.progress));
            bar.set_message(one_line(words, MOST));
        }
    }

    fn show_whole(&mut self, words: &str) {
        self.show(&[]);
        let new = || bar(&self.all, 0, "{spinner} {msg}");
        let bar = self.whole.get_or_insert_with(new);
        bar.set_message(words.to_owned());
    }
}

fn bar(all: &MultiProgress, length: u64, template: &str) -> ProgressBar {
    let bar = all.add(ProgressBar::new(length));
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(BEAT);
    bar
}
