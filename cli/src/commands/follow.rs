//! Following a request live: its lines, the end of each step, and what it is doing. A cut connection is
//! taken up where it broke (the server is asked for what came after the last line).

use std::{collections::BTreeSet, time::Duration};

use chiffon_common::{
    ErrorCode, RequestId, TaskId,
    api::{Follow, RequestView, TaskView},
    visible,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    client::Client,
    exit::waits_for_a_person,
    failure::Failure,
    interrupt::Interrupt,
    progress::Live,
    render,
    terminal::{Format, Terminal},
};

/// How often a cut connection is taken up again, and the first wait; it doubles.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// As many lines as one answer can hold: then there are more, also of a request that has ended.
const FULL: usize = 1000;

/// The scribe writes within a second; a full disk may keep it from writing at all.
const LEDGER: Duration = Duration::from_secs(15);

/// Why following stopped.
pub enum Stopped {
    /// The request has ended.
    Ended(Box<RequestView>),
    /// It waits for a person.
    Asks(Box<RequestView>),
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads what is shown any more.
    Unread,
}

/// Whether an open question ends the following.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Questions {
    /// The caller answers it.
    Stop,
    /// Somebody else answers it.
    WaitOut,
}

/// A place in the life of one request.
pub struct Follower<'a> {
    client: &'a Client,
    terminal: &'a Terminal,
    id: RequestId,
    after: u64,
    version: u64,
    told: BTreeSet<TaskId>,
    state: String,
    leaves_unread: bool,
}

impl<'a> Follower<'a> {
    pub fn new(client: &'a Client, terminal: &'a Terminal, id: RequestId) -> Self {
        Self {
            client,
            terminal,
            id,
            after: 0,
            version: 0,
            told: BTreeSet::new(),
            state: String::new(),
            leaves_unread: false,
        }
    }

    /// Leaves when nobody reads any more; to be said where the request goes on without us.
    pub fn leaving_unread(self) -> Self {
        Self {
            leaves_unread: true,
            ..self
        }
    }

    /// Shows what happens until there is something for the caller to do.
    pub async fn until_needed(&mut self, interrupt: &mut Interrupt) -> Result<Stopped, Failure> {
        let mut live = Live::new(self.terminal);
        loop {
            let follow = tokio::select! {
                follow = self.next() => follow?,
                () = interrupt.wait() => return Ok(Stopped::Interrupted),
            };
            if let Some(stopped) = self.take(follow, Questions::Stop, &mut live) {
                return Ok(stopped);
            }
        }
    }

    /// The same to the end, whatever the signals say; the second one ends the program by itself.
    pub async fn end_of_it(&mut self) -> Result<RequestView, Failure> {
        let mut live = Live::new(self.terminal);
        loop {
            let follow = self.next().await?;
            if let Some(Stopped::Ended(request)) = self.take(follow, Questions::WaitOut, &mut live)
            {
                return Ok(*request);
            }
        }
    }

    /// The request with its ledger commit, as far as that is written within a bound.
    pub async fn recorded(&mut self, request: RequestView) -> Result<RequestView, Failure> {
        let until = Instant::now() + LEDGER;
        let mut newest = request;
        // What was never begun has nothing to tell.
        // One that never had a plan is not recorded there.
        while newest.plan.is_some() && newest.ledger_commit.is_none() {
            match timeout_at(until, self.next()).await {
                Ok(follow) => newest = follow?.request,
                Err(_) => break,
            }
        }
        Ok(newest)
    }

    async fn next(&mut self) -> Result<Follow, Failure> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.client.follow(self.id, self.after, self.version).await {
                Err(failure) if is_cut(&failure) => {}
                other => return self.note(other),
            }
            sleep(wait).await;
            wait *= 2;
        }
        let last = self.client.follow(self.id, self.after, self.version).await;
        self.note(last)
    }

    fn note(&mut self, follow: Result<Follow, Failure>) -> Result<Follow, Failure> {
        let follow = follow?;
        self.version = follow.version;
        self.after = follow.last_line;
        Ok(follow)
    }

    fn take(&mut self, follow: Follow, questions: Questions, live: &mut Live) -> Option<Stopped> {
        self.show(&follow, live);
        let is_behind = follow.lines.len() >= FULL;
        let request = follow.request;
        if is_behind {
            return None;
        }
        if request.ended {
            return Some(Stopped::Ended(Box::new(request)));
        }
        if self.leaves_unread && self.terminal.is_closed() {
            return Some(Stopped::Unread);
        }
        let asks_back = request.state == "needs_input";
        if asks_back || (questions == Questions::Stop && waits_for_a_person(&request)) {
            return Some(Stopped::Asks(Box::new(request)));
        }
        None
    }

    fn show(&mut self, follow: &Follow, live: &mut Live) {
        match self.terminal.format {
            Format::Ndjson => self.show_documents(follow),
            Format::Json | Format::Yaml => {}
            Format::Table => self.show_lines(follow, live),
        }
    }

    fn show_documents(&mut self, follow: &Follow) {
        for line in &follow.lines {
            self.terminal
                .data(&serde_json::json!({ "line": line }).to_string());
        }
        if self.state != follow.request.state {
            self.state.clone_from(&follow.request.state);
            let state = serde_json::json!({"state": self.state, "because": follow.request.because});
            self.terminal.data(&state.to_string());
        }
    }

    fn show_lines(&mut self, follow: &Follow, live: &mut Live) {
        let paint = self.terminal.err;
        for line in &follow.lines {
            live.line(&format!("  {} {}", paint.dim("|"), visible(&line.line)));
        }
        let request = &follow.request;
        for task in &request.tasks {
            if task.mode == "apply" && has_ended(task) && self.told.insert(task.task_id) {
                live.line(&render::task_ended(paint, task));
            }
        }
        if request.ended {
            return; // How it ended is the caller's to tell.
        }
        let running = request.tasks.iter().find(|task| is_at_work(task));
        let words = match running {
            Some(task) => {
                let what = match task.mode.as_str() {
                    "check" => "check run of step",
                    _ => "step",
                };
                format!("{what} {}: {}: {}", task.step + 1, task.title, task.because)
            }
            None => format!("{}: {}", request.state.replace('_', " "), request.because),
        };
        live.doing(&words, running);
    }
}

fn is_cut(failure: &Failure) -> bool {
    failure.code == Some(ErrorCode::NotRunning)
}

fn has_ended(task: &TaskView) -> bool {
    matches!(task.state.as_str(), "completed" | "failed" | "cancelled")
}

fn is_at_work(task: &TaskView) -> bool {
    matches!(
        task.state.as_str(),
        "dispatched" | "accepted" | "running" | "waiting" | "unknown" | "interrupted"
    )
}
