//! Calls of the API, each written into the history, to whichever life of the program is there.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{
    history::{About, End, History},
    program::Target,
};

/// Beyond the 25 seconds after which a long poll answers in any case.
const PATIENCE: Duration = Duration::from_secs(60);

/// The harness's way to the program. Clones share everything.
#[derive(Clone)]
pub struct Calls {
    client: Client,
    target: Arc<RwLock<Option<Target>>>,
    pub history: Arc<History>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub end: End,
    pub status: u16,
    pub body: Value,
}

impl Reply {
    pub fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }
}

impl Calls {
    pub fn new(history: Arc<History>) -> Self {
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self {
            client,
            target: Arc::default(),
            history,
        }
    }

    /// Where the program is from now on; nowhere while it is down.
    pub fn aim(&self, target: Option<Target>) {
        *self.target.write().unwrap_or_else(PoisonError::into_inner) = target;
    }

    pub fn target(&self) -> Option<Target> {
        self.target
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The target, as soon as there is one; nothing after a minute.
    pub async fn reachable(&self) -> Option<Target> {
        for _look in 0..3_000 {
            if let Some(target) = self.target() {
                return Some(target);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    pub async fn get(&self, about: About, path: &str) -> Reply {
        self.call(about, Method::GET, path, None).await
    }

    pub async fn post(&self, about: About, path: &str, body: Value) -> Reply {
        self.call(about, Method::POST, path, Some(body)).await
    }

    /// Sends it and writes down both ends.
    pub async fn call(
        &self,
        about: About,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Reply {
        let Some(target) = self.reachable().await else {
            return Reply {
                end: End::Fail,
                status: 0,
                body: Value::Null,
            };
        };
        let changes = method != Method::GET;
        let mut request = self
            .client
            .request(method, format!("{}{path}", target.url))
            .bearer_auth(&target.token);
        if let Some(key) = &about.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let no = self.history.invoke(about);
        let sent = request.send().await;
        let (end, status, body) = match sent {
            Err(error) if error.is_connect() => (End::Fail, 0, Value::Null),
            Err(_) => (End::Info, 0, Value::Null),
            Ok(answer) => {
                let status = answer.status().as_u16();
                match answer.bytes().await {
                    Err(_) if status >= 300 || !changes => (End::Info, status, Value::Null),
                    // Its head says that it is done.
                    Err(_) => (End::Info, status, Value::Null),
                    Ok(bytes) => {
                        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                        (end_of(status), status, body)
                    }
                }
            }
        };
        self.history.end(no, end, status, kept(&body));
        Reply { end, status, body }
    }

    /// Sends it until its end is known, with the same key, as a client does whose line was cut; the last reply.
    pub async fn insist(&self, about: About, path: &str, body: Value) -> Reply {
        let mut tries = 0;
        loop {
            tries += 1;
            let reply = self.post(about.clone(), path, body.clone()).await;
            let later = reply.end == End::Info || [0, 409, 429, 503].contains(&reply.status);
            let in_flight = reply.body["code"] == json!(5011);
            let settled = !later || (reply.status == 409 && !in_flight);
            if settled || tries == 20 {
                return reply;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An error has done nothing, unless it is the server's own.
fn end_of(status: u16) -> End {
    match status {
        200..=299 => End::Ok,
        503 => End::Fail,
        500..=599 => End::Info,
        _ => End::Fail,
    }
}

/// What the checker needs of an answer.
fn kept(body: &Value) -> Value {
    let mut kept = json!({});
    for name in [
        "request_id",
        "schedule_id",
        "state",
        "ended",
        "code",
        "decision_id",
    ] {
        if !body[name].is_null() {
            kept[name] = body[name].clone();
        }
    }
    if body["request"].is_object() {
        kept["request_id"] = body["request"]["request_id"].clone();
        kept["state"] = body["request"]["state"].clone();
        kept["ended"] = body["request"]["ended"].clone();
    }
    kept
}
