//! Following a request live: its lines, the end of each step, and what it is doing. A cut connection is
//! taken up where it broke (the server is asked for what came after the last line). What to do when the
//! server is gone for good is left to `aftermath`, the words to `telling`.

use std::{collections::BTreeSet, time::Duration};

use chiffon_common::{
    ErrorCode, RequestId, TaskId,
    api::{Follow, Health, RequestView, TaskView},
    visible,
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Context, telling::Words};
use crate::{
    failure::Failure,
    interrupt::Interrupt,
    progress::Live,
    render,
    session::Session,
    terminal::{Format, Terminal},
};

/// How often a cut connection is taken up again, and the first wait; it doubles.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A server that ends answers at once, with nothing new: it is not asked all the time.
const BREATH: Duration = Duration::from_millis(250);

/// As many lines as one answer can hold: then there are more, also of a request that has ended.
const FULL: usize = 1000;

/// The scribe writes within a second; a full disk may keep it from writing at all.
const LEDGER: Duration = Duration::from_secs(15);

/// After how long it is asked whether it can be written at all.
const LOOK: Duration = Duration::from_secs(1);

/// After how long without news it is asked whether something is broken, and how often again.
const TROUBLE: Duration = Duration::from_secs(5);

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
    session: &'a Session,
    terminal: &'a Terminal,
    id: RequestId,
    after: u64,
    version: u64,
    told: BTreeSet<TaskId>,
    words: Words,
    state: String,
}

impl<'a> Follower<'a> {
    pub fn new(context: &Context<'a>, session: &'a Session, id: RequestId) -> Self {
        let terminal = context.terminal;
        Self {
            session,
            terminal,
            id,
            after: 0,
            version: 0,
            told: BTreeSet::new(),
            // A line that moves in place repeats nothing.
            words: Words::new(context.verbose > 0, terminal.animate),
            state: String::new(),
        }
    }

    /// Shows what happens until there is something for the caller to do.
    pub async fn until_needed(&mut self, interrupt: &mut Interrupt) -> Result<Stopped, Failure> {
        let mut live = Live::new(self.terminal);
        loop {
            let follow = tokio::select! {
                follow = self.next_or_why_not(&mut live) => follow?,
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
            let follow = self.next_or_why_not(&mut live).await?;
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
            let look = until.min(Instant::now() + LOOK);
            match timeout_at(look, self.next()).await {
                Ok(follow) => newest = follow?.request,
                // Nobody is kept waiting for what is known not to come.
                Err(_) if Instant::now() >= until || self.ledger_is_out().await => break,
                Err(_) => {}
            }
        }
        Ok(newest)
    }

    async fn ledger_is_out(&self) -> bool {
        let health = self.session.client.health().await;
        health.is_ok_and(|health| health.components.get("ledger").is_some_and(|it| it != "ok"))
    }

    /// What is new. As long as nothing is, it is told what is broken: nobody waits without knowing what for.
    async fn next_or_why_not(&mut self, live: &mut Live<'_>) -> Result<Follow, Failure> {
        let session = self.session;
        let mut next = std::pin::pin!(self.next());
        loop {
            tokio::select! {
                follow = &mut next => return follow,
                () = sleep(TROUBLE) => if let Ok(health) = session.client.health().await {
                    live.trouble(&broken(&health));
                },
            }
        }
    }

    async fn next(&mut self) -> Result<Follow, Failure> {
        let client = &self.session.client;
        let mut wait = FIRST_WAIT;
        let mut tries = 1..TRIES;
        let follow = loop {
            match client.follow(self.id, self.after, self.version).await {
                Err(failure) if is_cut(&failure) && !self.session.is_gone() => {
                    if tries.next().is_none() {
                        return Err(failure);
                    }
                }
                other => break other?,
            }
            sleep(wait).await;
            wait *= 2;
        };
        if follow.version == self.version && follow.lines.is_empty() {
            sleep(BREATH).await;
        }
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
        // Only where the request goes on without us.
        if !self.session.is_one_shot() && self.terminal.is_closed() {
            return Some(Stopped::Unread);
        }
        let asks_back = request.state == "needs_input";
        if asks_back || (questions == Questions::Stop && request.waits_for_person) {
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
                .data(&serde_json::json!({ "request_id": self.id, "line": line }).to_string());
        }
        if self.state != follow.request.state {
            self.state.clone_from(&follow.request.state);
            let state = serde_json::json!({
                "request_id": self.id,
                "state": self.state,
                "because": follow.request.because,
            });
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
                let title = self.words.title(task);
                live.line(&render::task_ended(paint, task, title));
            }
        }
        if request.ended {
            return; // How it ended is the caller's to tell.
        }
        let at_work = request.tasks.iter().filter(|task| is_at_work(task));
        let doing: Vec<(&TaskView, String)> =
            at_work.map(|task| (task, self.words.doing(task))).collect();
        match doing.is_empty() {
            false => live.steps(&doing),
            true => {
                let state = request.state.replace('_', " ");
                live.whole(&format!("{state}: {}", request.because));
            }
        }
    }
}

/// What of the fleet is broken that a run cannot do without, in words; empty where nothing is. What is only told or
/// recorded comes later by itself.
fn broken(health: &Health) -> String {
    let needed = |name: &str| name == "store" || name == "bus" || name.starts_with("agent ");
    let components = health.components.iter();
    let out = components.filter(|(name, how)| needed(name) && *how != "ok");
    let words: Vec<_> = out.map(|(name, how)| format!("{name}: {how}")).collect();
    words.join("; ")
}

/// Whether the server was not reached, or did not say all that it had to say.
pub fn is_cut(failure: &Failure) -> bool {
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
