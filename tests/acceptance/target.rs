//! The control plane under test, and how it is spoken to: `arbiter serve`, started here with a configuration of the
//! test's own, or whatever `CHIFFON_ARBITER_URL` names.
//!
//! That one must know the tenants `acceptance-*` (or the one that `CHIFFON_ARBITER_TENANT` names), permit the actor
//! `local:ann` of kind `person` to have texts generated, answer where it is mentioned, and hold a room for the time of a
//! generation. Rooms and ids are new in every test, so it may be in use.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use chiffon_tests::{Chiffon, Home, Output, Running, not_run};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::orchestrator::{self, Up};

/// The longest that a start, an answer or an end may take.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Everybody may have texts generated, and a room is held for an hour.
pub(crate) const OPEN: &str = "
policy: {roles: {speaker: [request_generation]}, grants: [{role: speaker}]}
gate: {generation_timeout_ms: 3600000}
";

/// Everybody may, and this is the gate.
pub(crate) fn gated(gate: &str) -> String {
    format!(
        "policy: {{roles: {{speaker: [request_generation]}}, grants: [{{role: speaker}}]}}\ngate: {{{gate}}}\n"
    )
}

/// A control plane.
pub(crate) struct Target {
    base: String,
    token: Option<String>,
    tenant: String,
    http: Client,
    own: Option<Own>,
}

/// The program that was started for the test.
struct Own {
    running: Running,
    home: Home,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) kind: String,
    /// Whether it was said again and not anew; nothing where the control plane may not tell.
    pub(crate) replayed: Option<bool>,
    pub(crate) text: String,
}

impl Reply {
    /// It must not be known to be an answer of before.
    #[track_caller]
    pub(crate) fn is_new(&self) {
        assert_ne!(self.replayed, Some(true), "{self:?}");
    }

    /// It must not be known to be a new answer.
    #[track_caller]
    pub(crate) fn is_repeated(&self) {
        assert_ne!(self.replayed, Some(false), "{self:?}");
    }

    /// Its JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let parsed = serde_json::from_str(&self.text);
        parsed.unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its JSON, where it is a success.
    #[track_caller]
    pub(crate) fn plan(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()
    }

    /// A problem of RFC 9457 that says what, why and what to do; its code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> u64 {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        let body = self.json();
        for field in ["title", "detail", "todo", "type"] {
            let text = body[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{field} of {body}");
        }
        assert_eq!(body["status"], status, "{body}");
        let code = body["code"].as_u64();
        code.or_else(|| body["code"].as_str()?.parse().ok())
            .unwrap_or_else(|| panic!("no code: {body}"))
    }
}

/// Type of the one action of a plan, and the rule that decided.
#[track_caller]
pub(crate) fn action_of(plan: &Value) -> (&str, &str) {
    let actions = plan["actions"].as_array();
    let [action] = actions.map(Vec::as_slice).unwrap_or_default() else {
        panic!("not one action: {plan}");
    };
    let kind = action["type"].as_str().unwrap_or_default();
    (kind, plan["reason_code"].as_str().unwrap_or_default())
}

/// The same for a plan that does nothing, and says so in its action too; the rule.
#[track_caller]
pub(crate) fn nothing_because(plan: &Value) -> &str {
    let (kind, reason) = action_of(plan);
    assert_eq!(kind, "do_nothing", "{plan}");
    assert_eq!(plan["actions"][0]["reason_code"], reason, "{plan}");
    assert_eq!(plan["intent"], "IGNORE", "{plan}");
    reason
}

/// A new id.
pub(crate) fn fresh(what: &str) -> String {
    format!("{what}-{}", Uuid::now_v7())
}

/// A copy with another value at a place (a JSON pointer); absent, it is taken away.
pub(crate) fn with(value: &Value, pointer: &str, new: Option<Value>) -> Value {
    let mut copy = value.clone();
    let (above, key) = pointer.rsplit_once('/').expect("a pointer");
    let object = copy.pointer_mut(above).and_then(Value::as_object_mut);
    let object = object.unwrap_or_else(|| panic!("no object at {above:?}"));
    match new {
        Some(new) => drop(object.insert(key.to_owned(), new)),
        None => drop(object.remove(key)),
    }
    copy
}

impl Target {
    /// The one that is named, or `arbiter serve` in which everybody may.
    pub(crate) async fn any() -> Self {
        let Some(base) = given() else {
            return Self::start(OPEN).await;
        };
        let token = std::env::var("CHIFFON_ARBITER_TOKEN").ok();
        let tenant = std::env::var("CHIFFON_ARBITER_TENANT").ok();
        let base = base.trim_end_matches('/').to_owned();
        Self {
            tenant: tenant.unwrap_or_else(|| fresh("acceptance")),
            ..Self::at(base, token)
        }
    }

    /// `arbiter serve` with this configuration; nothing, and said so, where another control plane is under test.
    pub(crate) async fn own(what: &str, config: &str) -> Option<Self> {
        if given().is_some() {
            not_run(
                what,
                "it needs a configuration of its own, and another control plane was named",
            );
            return None;
        }
        Some(Self::start(config).await)
    }

    /// The orchestrator with this configuration; nothing, and said so, where another control plane is under test.
    pub(crate) async fn orchestrator(what: &str, config: &str) -> Option<Self> {
        if given().is_some() {
            not_run(
                what,
                "it needs a configuration of its own, and another control plane was named",
            );
            return None;
        }
        let config = config.to_owned();
        let up = spawn_blocking(move || orchestrator::up(&config)).await;
        let Up {
            home,
            running,
            base,
            token,
        } = up.expect("it starts");
        let own = Some(Own { running, home });
        Some(Self {
            own,
            ..Self::at(base, Some(token)).of_tenant("default")
        })
    }

    fn at(base: String, token: Option<String>) -> Self {
        let http = Client::builder().timeout(LONG).no_proxy().build();
        Self {
            base,
            token,
            tenant: fresh("acceptance"),
            http: http.expect("a client"),
            own: None,
        }
    }

    async fn start(config: &str) -> Self {
        let home = Home::new();
        fs::write(home.scratch().join("config.yaml"), config).expect("a file can be written");
        Self::serve(home).await
    }

    /// Starts the program in a folder that is configured.
    async fn serve(home: Home) -> Self {
        let started = spawn_blocking(move || {
            let config = home.scratch().join("config.yaml");
            let config = config.to_str().expect("a path in UTF-8");
            let args = ["serve", "--config", config, "--listen", "127.0.0.1:0"];
            let mut running = Chiffon::arbiter(&home).spawn(&args);
            let line = running.wait_for_line("listens on http://", LONG);
            let (_, address) = line.split_once("http://").expect("an address");
            (format!("http://{}", address.trim()), Own { running, home })
        });
        let (base, own) = started.await.expect("the program starts");
        Self {
            own: Some(own),
            ..Self::at(base, None)
        }
    }

    /// The same, with the tests of another one.
    pub(crate) fn of_tenant(mut self, tenant: &str) -> Self {
        self.tenant = tenant.to_owned();
        self
    }

    /// Ends it as a crash would.
    pub(crate) fn killed(mut self) -> Self {
        self.own
            .as_mut()
            .expect("the program is ours")
            .running
            .kill_9();
        self
    }

    /// Starts it again on the same files, after [`killed`](Self::killed).
    pub(crate) async fn again(self) -> Self {
        self.restarted(true).await
    }

    /// Ends it, by SIGTERM or as a crash would, and starts it again on the same files.
    pub(crate) async fn restarted(mut self, by_crash: bool) -> Self {
        let Own { mut running, home } = self.own.take().expect("the program is ours");
        let ended = spawn_blocking(move || {
            if by_crash {
                running.kill_9();
                return;
            }
            running.terminate();
            running.wait(LONG).expect_code(0);
        });
        ended.await.expect("it ends");
        Self {
            tenant: self.tenant,
            ..Self::serve(home).await
        }
    }

    /// Ends it, and leaves its files.
    pub(crate) async fn ended(mut self) -> Home {
        let Own { mut running, home } = self.own.take().expect("the program is ours");
        let ended = spawn_blocking(move || {
            running.terminate();
            running.wait(LONG).expect_code(0);
        });
        ended.await.expect("it ends");
        home
    }

    /// Starts the program on files that are there.
    pub(crate) async fn of_home(home: Home) -> Self {
        Self::serve(home).await
    }

    /// Where its files lie.
    pub(crate) fn folder(&self) -> &Path {
        self.own
            .as_ref()
            .expect("the program is ours")
            .home
            .scratch()
    }

    /// Its audit file.
    pub(crate) fn audit_file(&self) -> PathBuf {
        audit_file(self.folder())
    }

    /// The tenant that the test is of.
    pub(crate) fn tenant(&self) -> &str {
        &self.tenant
    }

    /// Something that was said in a room; mentioned, it is to be answered.
    pub(crate) fn event(&self, room: &str, mentioned: bool) -> Value {
        json!({
            "v": 0,
            "event_id": fresh("event"),
            "tenant_id": self.tenant,
            "source": "chat",
            "room_id": room,
            "actor": {"id": "local:ann", "kind": "person"},
            "content": {"type": "text", "text": "How are you?", "mentions_chiffon": mentioned},
            "ts": "2026-02-13T08:00:00Z",
        })
    }

    /// The generator's text for a plan.
    pub(crate) fn generated(&self, plan: &Value) -> Value {
        json!({
            "v": 0, "tenant_id": self.tenant, "plan_id": plan["plan_id"],
            "status": "completed", "text": "I am well.", "ts": "2026-02-13T08:00:01Z",
        })
    }

    /// The only action of a plan was carried out.
    pub(crate) fn delivered(&self, plan: &Value) -> Value {
        json!({
            "v": 0, "tenant_id": self.tenant, "plan_id": plan["plan_id"],
            "action_id": plan["actions"][0]["action_id"], "status": "done", "ts": "2026-02-13T08:00:02Z",
        })
    }

    /// Decides on an event, which must be taken.
    pub(crate) async fn decide(&self, event: &Value) -> Value {
        self.post("/v0/events", event).await.plan()
    }

    /// Decides on something new that was said to it in this room.
    pub(crate) async fn ask(&self, room: &str) -> Value {
        self.decide(&self.event(room, true)).await
    }

    /// Has a room answered to the end: a text was generated, and delivered.
    pub(crate) async fn answer(&self, plan: &Value) {
        let said = self
            .post("/v0/generations", &self.generated(plan))
            .await
            .plan();
        let told = self
            .post("/v0/action-results", &self.delivered(&said))
            .await;
        assert_eq!(told.plan()["reason_code"], "action_done");
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_bytes(path, body.to_string().into_bytes()).await
    }

    pub(crate) async fn post_bytes(&self, path: &str, body: Vec<u8>) -> Reply {
        let request = self.http.post(format!("{}{path}", self.base));
        self.sent(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.sent(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    /// A request that is not as the others.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().expect("a method");
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn sent(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.expect("it answers");
        let header = |name: &str| {
            let value = response.headers().get(name);
            let text = value.and_then(|value| value.to_str().ok());
            text.unwrap_or_default().to_owned()
        };
        let kind = header("content-type");
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        Reply {
            status: response.status(),
            kind,
            replayed: (self.own.is_some() || std::env::var_os(MARKS).is_some())
                .then(|| header("idempotency-replayed") == "true"),
            text: response.text().await.expect("it answers to the end"),
        }
    }

    /// What stands in its audit files, rules and repairs left out.
    pub(crate) fn decisions(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.audit_file()).expect("the audit can be read");
        let records = text.lines().map(|line| -> Value {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        let is_decision = |record: &Value| {
            matches!(
                record["kind"].as_str(),
                Some("event" | "generation" | "action")
            )
        };
        records.filter(is_decision).collect()
    }
}

/// The only audit file in a folder that was not rotated.
pub(crate) fn audit_file(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder.join("audit")).expect("an audit folder");
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    match files.as_slice() {
        [file] => file.clone(),
        other => panic!("not one audit file: {other:?}"),
    }
}

/// Runs a command of the program to its end.
pub(crate) async fn run(home: Home, args: &[&str]) -> (Home, Output) {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let ran = spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = Chiffon::arbiter(&home).run(&args);
        (home, output)
    });
    ran.await.expect("it ends")
}

/// Names the control plane under test.
pub(crate) const URL: &str = "CHIFFON_ARBITER_URL";

/// Says that the named one marks an answer that was given before, as both of ours do.
pub(crate) const MARKS: &str = "CHIFFON_ARBITER_MARKS";

fn given() -> Option<String> {
    static GIVEN: OnceLock<Option<String>> = OnceLock::new();
    let given = || {
        std::env::var("CHIFFON_ARBITER_URL")
            .ok()
            .filter(|url| !url.is_empty())
    };
    GIVEN.get_or_init(given).clone()
}
