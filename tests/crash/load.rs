//! What is asked of the program while faults happen: readings, changes with every answer, reads, schedules, undos,
//! the same key twice. Each part goes on through every death of the program, as clients do.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    calls::{Calls, Reply},
    dice::Dice,
    history::{About, End},
    yard::{CANARY, HOSTS},
};

/// How many of each part.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    pub pingers: u64,
    pub changers: u64,
    /// Long polls on whatever is open: they cost little and are in flight whenever a fault comes.
    pub watchers: u64,
    pub browsers: u64,
    /// Whether real playbooks run too: changes with a way back, and their undo.
    pub real: bool,
}

impl Parts {
    pub const USUAL: Self = Self {
        pingers: 8,
        changers: 8,
        watchers: 12,
        browsers: 2,
        real: true,
    };
    /// Cheap runs alone, for cells that have little time.
    pub const CHEAP: Self = Self {
        real: false,
        ..Self::USUAL
    };
}

/// What the parts share.
#[derive(Clone)]
pub struct Load {
    pub calls: Calls,
    pub effects: PathBuf,
    seed: u64,
    stop: Arc<AtomicBool>,
    serial: Arc<AtomicU64>,
    known: Arc<Mutex<Vec<String>>>,
    /// An entry of the life that runs, whose bundle no agent holds yet.
    fresh: Arc<Mutex<Option<String>>>,
}

impl Load {
    pub fn new(calls: Calls, effects: PathBuf, seed: u64) -> Self {
        Self {
            calls,
            effects,
            seed,
            stop: Arc::default(),
            serial: Arc::default(),
            known: Arc::default(),
            fresh: Arc::default(),
        }
    }

    /// Sends all parts off.
    pub fn start(&self, parts: Parts) -> JoinSet<()> {
        let mut all = JoinSet::new();
        for part in 0..parts.pingers {
            all.spawn(self.clone().ping(Dice::of(self.seed, 100 + part)));
        }
        for part in 0..parts.changers {
            all.spawn(self.clone().changes(Dice::of(self.seed, 200 + part)));
        }
        for part in 0..parts.browsers {
            all.spawn(self.clone().browse(Dice::of(self.seed, 300 + part)));
        }
        for part in 0..parts.watchers {
            all.spawn(self.clone().watch(Dice::of(self.seed, 350 + part)));
        }
        all.spawn(self.clone().schedules(Dice::of(self.seed, 400)));
        if parts.real {
            all.spawn(self.clone().real(Dice::of(self.seed, 500)));
        }
        all
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A new entry is there: somebody asks for it next.
    pub fn offer(&self, entry: String) {
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(entry);
    }

    fn offered(&self) -> Option<String> {
        self.fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn name(&self, of: &str) -> String {
        let no = self.serial.fetch_add(1, Ordering::Relaxed);
        format!("{of}-{}-{no}", self.seed)
    }

    fn know(&self, id: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(id.to_owned());
    }

    fn any_known(&self, dice: &mut Dice) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (!known.is_empty()).then(|| dice.one(&known).clone())
    }

    async fn ping(self, mut dice: Dice) {
        while !self.stopped() {
            let text = format!("ping {}", dice.one(&HOSTS));
            let Some(id) = self
                .ask(
                    "/api/v1/requests",
                    &text,
                    json!({ "text": text }),
                    &mut dice,
                )
                .await
            else {
                continue;
            };
            self.follow(&id).await;
        }
    }

    /// Asks for something and insists until it is known what became of that; its id. One in ten is asked twice at once.
    async fn ask(
        &self,
        path: &str,
        what: &str,
        mut body: Value,
        dice: &mut Dice,
    ) -> Option<String> {
        let key = self.name("key");
        body["room_id"] = json!(key);
        let about = About {
            kind: "ask".to_owned(),
            key: Some(key.clone()),
            room: Some(key),
            what: Some(what.to_owned()),
            id: None,
        };
        // Some are left as they are after a cut: nobody asks again, and yet nothing may be lost.
        let reply = if dice.percent(20) {
            self.calls.post(about, path, body).await
        } else if dice.percent(10) {
            let twice = (
                self.calls.insist(about.clone(), path, body.clone()),
                self.calls.insist(about, path, body),
            );
            let (first, second) = tokio::join!(twice.0, twice.1);
            if first.end == End::Ok { first } else { second }
        } else {
            self.calls.insist(about, path, body).await
        };
        let id = reply.text("request_id");
        match &id {
            Some(id) => self.know(id),
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        id
    }

    /// Follows until it ends or waits for a person; what was seen last.
    pub async fn follow(&self, id: &str) -> Option<Value> {
        let (mut version, mut line) = (0, 0);
        for _round in 0..100 {
            let about = About {
                kind: "follow".to_owned(),
                id: Some(id.to_owned()),
                ..About::default()
            };
            let path = format!("/api/v1/requests/{id}/follow?version={version}&after={line}");
            let reply = self.calls.get(about, &path).await;
            if self.stopped() {
                return None;
            }
            if reply.end != End::Ok {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            let request = &reply.body["request"];
            if request["ended"] == true || request["waits_for_person"] == true {
                return Some(request.clone());
            }
            version = reply.body["version"].as_u64().unwrap_or(0);
            line = reply.body["last_line"].as_u64().unwrap_or(0);
        }
        None
    }

    async fn changes(self, mut dice: Dice) {
        while !self.stopped() {
            let host = *dice.one(&HOSTS);
            let usual = *dice.one(&[
                "mark_ask",
                "mark_retry",
                "mark_fail",
                "mark_ask",
                "mark_slow",
            ]);
            let entry = self.offered().unwrap_or_else(|| usual.to_owned());
            self.change(&entry, host, &mut dice).await;
        }
    }

    async fn change(&self, entry: &str, host: &str, dice: &mut Dice) {
        let body = json!({ "hosts": [host], "parameters": { "code": CANARY } });
        let path = format!("/api/v1/catalogue/{entry}/run");
        let Some(id) = self.ask(&path, entry, body, dice).await else {
            return;
        };
        if dice.percent(3) {
            self.cancel(&id).await;
        }
        for _question in 0..6 {
            let Some(request) = self.follow(&id).await else {
                return;
            };
            if request["ended"] == true {
                return;
            }
            // Some questions nobody answers until all is over.
            if dice.percent(3) {
                return;
            }
            let (choice, cancels) = match dice.up_to(99) {
                0..=74 => (None, false),
                75..=89 => (Some("reject"), false),
                90..=94 => (None, true),
                _ => (None, false),
            };
            if cancels {
                self.cancel(&id).await;
                return;
            }
            self.answer_all(&request, choice, dice).await;
            if dice.percent(4) {
                self.cancel(&id).await;
            }
        }
    }

    /// Answers every open question of a request, truthfully where it is asked how a run ended.
    pub async fn answer_all(&self, request: &Value, approval: Option<&str>, dice: &mut Dice) {
        let questions = request["decisions"].as_array().into_iter().flatten();
        for question in questions.filter(|question| question["state"] == "pending") {
            let options: Vec<_> = question["options"]
                .as_array()
                .into_iter()
                .flatten()
                .collect();
            let choice = match question["kind"].as_str().unwrap_or_default() {
                "approval" => approval.unwrap_or("approve").to_owned(),
                "interrupted" if dice.percent(50) => "retry".to_owned(),
                "interrupted" => "failed".to_owned(),
                "unknown_outcome" => self.truth(request).to_owned(),
                // What was meant: the first thing that was offered.
                _ => options
                    .first()
                    .and_then(|one| one.as_str())
                    .unwrap_or("ping alpha")
                    .to_owned(),
            };
            let mut body = json!({ "choice": choice });
            if question["kind"] == "approval" && choice == "approve" {
                body["digest"] = request["plan"]["digest"].clone();
                body["confirm"] = request["plan"]["steps"][0]["hosts"][0].clone();
            }
            let id = question["decision_id"].as_str().unwrap_or_default();
            self.answer(id, &choice, body).await;
        }
    }

    async fn answer(&self, decision: &str, choice: &str, body: Value) -> Reply {
        let about = About {
            kind: "answer".to_owned(),
            key: Some(self.name("key")),
            id: Some(decision.to_owned()),
            what: Some(choice.to_owned()),
            room: None,
        };
        let path = format!("/api/v1/decisions/{decision}/resolve");
        self.calls.insist(about, &path, body).await
    }

    /// How a run ended of which the program does not know it: a person looks at the host.
    pub fn truth(&self, request: &Value) -> &'static str {
        let effects = std::fs::read_to_string(&self.effects).unwrap_or_default();
        let tasks = request["tasks"].as_array().into_iter().flatten();
        let done = tasks
            .filter(|task| task["ended"] != true && task["state"] == "unknown")
            .any(|task| {
                let mark = format!(
                    "{}-{} ",
                    task["task_id"].as_str().unwrap_or_default(),
                    task["attempt"]
                );
                effects.lines().any(|line| line.starts_with(&mark))
            });
        if done { "completed" } else { "failed" }
    }

    async fn cancel(&self, id: &str) {
        let about = About {
            kind: "cancel".to_owned(),
            key: Some(self.name("key")),
            id: Some(id.to_owned()),
            ..About::default()
        };
        self.calls
            .insist(about, &format!("/api/v1/requests/{id}/cancel"), json!({}))
            .await;
    }

    async fn browse(self, mut dice: Dice) {
        while !self.stopped() {
            let known = self.any_known(&mut dice);
            let path = match (dice.up_to(5), &known) {
                (0, _) => "/api/v1/requests?limit=50".to_owned(),
                (1, _) => "/api/v1/decisions?state=pending".to_owned(),
                (2, _) => "/health".to_owned(),
                (3, _) => "/api/v1/tasks?limit=20".to_owned(),
                (_, Some(id)) => format!("/api/v1/requests/{id}"),
                (_, None) => "/api/v1/agents".to_owned(),
            };
            let about = About {
                kind: "read".to_owned(),
                id: known.filter(|id| path.contains(id.as_str())),
                what: Some(path.clone()),
                ..About::default()
            };
            self.calls.get(about, &path).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn watch(self, mut dice: Dice) {
        while !self.stopped() {
            // The newest are open mostly.
            let known = self
                .known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let newest = &known[known.len().saturating_sub(12)..];
            if newest.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            } else if self.follow(dice.one::<String>(newest)).await.is_some() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// One-off schedules that come due within seconds, often while the program is down.
    async fn schedules(self, mut dice: Dice) {
        while !self.stopped() {
            let host = *dice.one(&HOSTS);
            let seconds = i64::try_from(1 + dice.up_to(2)).unwrap();
            let at = Timestamp::now()
                .checked_add(SignedDuration::from_secs(seconds))
                .unwrap();
            let key = self.name("key");
            let about = About {
                kind: "schedule".to_owned(),
                key: Some(key.clone()),
                what: Some(format!("ping {host}")),
                ..About::default()
            };
            let body =
                json!({ "title": key, "text": format!("ping {host}"), "at": at.to_string() });
            self.calls.insist(about, "/api/v1/schedules", body).await;
            tokio::time::sleep(Duration::from_millis(3_000)).await;
        }
    }

    /// A real change that nobody else takes back; its request, once the ledger has it.
    pub async fn write_on(&self, host: &str, dice: &mut Dice) -> Option<(String, String)> {
        let path = self.effects.with_file_name(self.name("written"));
        let text = format!("write_file path={} content=x on {host}", path.display());
        let id = self
            .ask("/api/v1/requests", &text, json!({ "text": text }), dice)
            .await?;
        for _question in 0..3 {
            let request = self.follow(&id).await?;
            if request["state"] == "completed" {
                break;
            }
            self.answer_all(&request, None, dice).await;
        }
        for _look in 0..100 {
            let about = About {
                kind: "read".to_owned(),
                id: Some(id.clone()),
                ..About::default()
            };
            let shown = self
                .calls
                .get(about, &format!("/api/v1/requests/{id}"))
                .await;
            if let Some(commit) = shown.text("ledger_commit") {
                return (shown.body["state"] == "completed").then_some((id, commit));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// Real playbooks, one after the other: a mark, a shipped change with its preview, and its undo.
    async fn real(self, mut dice: Dice) {
        while !self.stopped() {
            self.change("mark_real", "localhost", &mut dice).await;
            let path = self.effects.with_file_name(self.name("written"));
            let text = format!("write_file path={} content=x on localhost", path.display());
            let asked = self
                .ask(
                    "/api/v1/requests",
                    &text,
                    json!({ "text": text }),
                    &mut dice,
                )
                .await;
            let Some(id) = asked else {
                continue;
            };
            if let Some(request) = self.follow(&id).await {
                self.answer_all(&request, None, &mut dice).await;
            }
            match self.follow(&id).await {
                Some(request) if request["state"] == "completed" => {}
                _ => continue,
            }
            let about = About {
                kind: "undo".to_owned(),
                key: Some(self.name("key")),
                id: Some(id.clone()),
                ..About::default()
            };
            let undo = self
                .calls
                .insist(about, &format!("/api/v1/requests/{id}/undo"), json!({}))
                .await;
            let Some(undo) = undo.text("request_id") else {
                continue;
            };
            if let Some(request) = self.follow(&undo).await {
                self.answer_all(&request, None, &mut dice).await;
            }
            self.follow(&undo).await;
        }
    }
}
