//! Progress on standard error: what moves on a terminal, plain lines elsewhere.

use std::time::Duration;

use chiffon_common::api::TaskView;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{render::one_line, terminal::Terminal};

/// Slow enough for a terminal over a bad line.
const BEAT: Duration = Duration::from_millis(120);

/// Steps of a setup: each is a line; the one in hand moves.
pub struct Steps<'a> {
    terminal: &'a Terminal,
    spinner: Option<ProgressBar>,
}

impl<'a> Steps<'a> {
    pub fn new(terminal: &'a Terminal) -> Self {
        let spinner = terminal.animate.then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(BEAT);
            bar
        });
        Self { terminal, spinner }
    }

    /// Tells what is being done now.
    pub fn step(&self, what: &str) {
        let what = chiffon_common::visible(what);
        match &self.spinner {
            Some(bar) => {
                let before = bar.message();
                if !before.is_empty() {
                    bar.println(format!("  {before}"));
                }
                bar.set_message(what);
            }
            None => self.terminal.say(&format!("  {what}")),
        }
    }
}

impl Drop for Steps<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.spinner {
            let last = bar.message();
            bar.finish_and_clear();
            if !last.is_empty() {
                self.terminal.say(&format!("  {last}"));
            }
        }
    }
}

/// One bar for what runs; lines go above it.
pub struct Live<'a> {
    terminal: &'a Terminal,
    bar: Option<(MultiProgress, ProgressBar)>,
    told: String,
}

impl<'a> Live<'a> {
    pub fn new(terminal: &'a Terminal) -> Self {
        let bar = terminal.animate.then(|| {
            let all = MultiProgress::new();
            let bar = all.add(ProgressBar::new(100));
            let style = ProgressStyle::with_template("{spinner} {bar:24} {pos:>3} % {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(BEAT);
            (all, bar)
        });
        Self {
            terminal,
            bar,
            told: String::new(),
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        match &self.bar {
            // A terminal that went away shows nothing anyway.
            Some((all, _)) => drop(all.println(text)),
            None => self.terminal.say(text),
        }
    }

    /// What is in hand now. Without a terminal it is told only when the words change.
    pub fn doing(&mut self, words: &str, task: Option<&TaskView>) {
        let words = one_line(words, 100);
        match &self.bar {
            Some((_, bar)) => {
                bar.set_position(task.map_or(0, |task| u64::from(task.progress)));
                bar.set_message(words);
            }
            None if self.told != words => {
                self.terminal.say(&format!("  {words}"));
                self.told = words;
            }
            None => {}
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some((_, bar)) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
