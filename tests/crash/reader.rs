//! A reader of the event stream that goes on through every cut, as the manual tells clients to, and writes down all
//! that it was told. Holding it against the data folder is left to `check`.

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calls::Calls;

/// What came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// `opened`, `event`, `place`, `reset`, `asked` (an event that was read from the list), `ended` (in good order), `cut`.
    pub what: String,
    pub id: Option<u64>,
    pub event: Option<Value>,
}

/// A reader at work.
pub struct Reader {
    calls: Calls,
    client: Client,
    file: File,
    last: u64,
    stop: Arc<AtomicBool>,
}

impl Reader {
    pub fn new(calls: Calls, path: &Path, stop: Arc<AtomicBool>) -> Self {
        Self {
            calls,
            client: Client::new(),
            file: File::create(path).unwrap(),
            last: 0,
            stop,
        }
    }

    fn note(&mut self, what: &str, id: Option<u64>, event: Option<Value>) {
        let told = Told {
            what: what.to_owned(),
            id,
            event,
        };
        let text = serde_json::to_string(&told).unwrap() + "\n";
        self.file.write_all(text.as_bytes()).unwrap();
    }

    /// Listens until it is told to stop, then reads the rest from the list.
    pub async fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(target) = self.calls.target() else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let answer = self
                .client
                .get(format!("{}/api/v1/events/stream", target.url))
                .bearer_auth(&target.token)
                .header("Last-Event-ID", self.last.to_string())
                .send()
                .await;
            match answer {
                Ok(answer) if answer.status().is_success() => {
                    self.note("opened", Some(self.last), None);
                    self.listen(answer).await;
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        self.ask_for_the_rest().await;
    }

    async fn listen(&mut self, mut answer: reqwest::Response) {
        let mut text = Vec::new();
        loop {
            let chunk = tokio::select! {
                chunk = answer.chunk() => chunk,
                () = stopped(&self.stop) => return self.note("left", None, None),
            };
            match chunk {
                Ok(Some(bytes)) => text.extend_from_slice(&bytes),
                Ok(None) => return self.note("ended", None, None),
                Err(_) => return self.note("cut", None, None),
            }
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = text.drain(..end + 2).collect();
                self.block(&String::from_utf8(block).unwrap());
            }
        }
    }

    fn block(&mut self, text: &str) {
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| {
                Some(
                    line.strip_prefix(name)?
                        .strip_prefix(':')?
                        .trim_start()
                        .to_owned(),
                )
            })
        };
        let id: Option<u64> = field("id").map(|id| id.parse().unwrap());
        let data: Option<Value> = field("data").map(|data| serde_json::from_str(&data).unwrap());
        let what = match (field("event").as_deref(), &data) {
            (Some("reset"), _) => "reset",
            (_, Some(_)) => "event",
            (_, None) if id.is_some() => "place",
            _ => return,
        };
        self.note(what, id, data);
        self.last = id.unwrap_or(self.last);
    }

    /// Everything after the last event, by asking.
    async fn ask_for_the_rest(&mut self) {
        loop {
            let Some(target) = self.calls.target() else {
                return;
            };
            let answer = self
                .client
                .get(format!(
                    "{}/api/v1/events?after={}&limit=500",
                    target.url, self.last
                ))
                .bearer_auth(&target.token)
                .send()
                .await;
            let page: Value = match answer {
                Ok(answer) => answer.json().await.unwrap(),
                Err(error) => panic!("the rest of the events: {error}"),
            };
            for event in page["items"].as_array().unwrap() {
                let id = event["id"]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("evt-")
                    .parse()
                    .unwrap();
                self.note("asked", Some(id), Some(event.clone()));
                self.last = id;
            }
            if page["next_after"] == page["head"] {
                return;
            }
        }
    }
}

async fn stopped(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a reader wrote down.
pub fn read(path: &Path) -> Vec<Told> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
