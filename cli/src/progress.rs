//! Progress on standard error: what moves on a terminal, plain lines elsewhere.

use std::{cell::OnceCell, collections::BTreeMap, time::Duration};

use chiffon_common::{TaskId, api::TaskView, visible};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{render::one_line, terminal::Terminal};

/// Slow enough for a terminal over a bad line.
const BEAT: Duration = Duration::from_millis(120);

/// Longest words on a line that stays.
const MOST: usize = 400;

/// What stands before the words beside a bar, and before those without one.
const BAR: usize = 34;
const SPINNER: usize = 2;

/// How many columns the words have that move on the terminal, behind `before` others: what does not fit would be cut
/// anywhere.
fn room(before: usize) -> usize {
    const USUAL: usize = 80;
    let size = rustix::termios::tcgetwinsize(std::io::stderr());
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    let columns = if columns == 0 { USUAL } else { columns };
    columns.saturating_sub(before + 1).max(16)
}

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
    /// What is broken, as it was said last.
    trouble: String,
}

impl<'a> Live<'a> {
    pub fn new(terminal: &'a Terminal) -> Self {
        Self {
            terminal,
            bars: terminal.animate.then(Bars::default),
            told: BTreeMap::new(),
            trouble: String::new(),
        }
    }

    /// What is broken, where that has changed; nothing once it is mended.
    pub fn trouble(&mut self, words: &str) {
        if self.trouble == words {
            return;
        }
        self.trouble = words.to_owned();
        let paint = self.terminal.err;
        match words.is_empty() {
            true => self.line(&format!("  {} it goes on", paint.good("!"))),
            false => {
                let words = one_line(&visible(words), MOST);
                let mark = paint.bad("!");
                self.line(&format!("  {mark} waits, nothing is lost: {words}"));
            }
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
            Some(bars) => bars.show_whole(&one_line(words, room(SPINNER))),
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
            bar.set_message(one_line(words, room(BAR)));
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

#[cfg(test)]
mod tests {
    use indicatif::ProgressDrawTarget;

    use super::*;

    fn task(last: u8, progress: u8) -> TaskView {
        let value = serde_json::json!({
            "task_id": format!("0199e2f4-77a1-7c40-8000-0000000000{last:02}"),
            "request_id": "0199e2f4-77a1-7c40-8000-000000000001", "created_at": "2026-01-02T03:04:05Z",
            "step": last, "title": "x", "entry": "ping", "mode": "apply", "state": "running",
            "bead_state": "in_progress", "because": "", "attempt": 1, "progress": progress,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn each_step_at_work_has_a_bar_as_long_as_it_is() {
        let mut bars = Bars {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            ..Bars::default()
        };
        let (one, two) = (task(1, 10), task(2, 20));
        bars.show_whole("planning");
        bars.show(&[(&one, "a".to_owned()), (&two, "b".to_owned())]);
        assert!(bars.whole.is_none());
        let shown = |bars: &Bars| -> Vec<(u64, String)> {
            let each = |bar: &ProgressBar| (bar.position(), bar.message());
            bars.steps.values().map(each).collect()
        };
        assert_eq!(shown(&bars), [(10, "a".into()), (20, "b".into())]);
        bars.show(&[(&task(2, 90), "c".to_owned())]);
        assert_eq!(shown(&bars), [(90, "c".into())]);
        bars.show(&[]);
        assert!(bars.steps.is_empty());
    }
}
