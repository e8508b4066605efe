//! An external authoriser (section 11.1) that says what the test wants, or nothing, or nonsense.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::Value;

/// How it answers.
#[derive(Debug, Clone)]
pub enum Word {
    /// With this status and body.
    Says(u16, String),
    /// With this status, and the beginning of a longer body; then it closes the connection.
    Cut(u16, String),
    /// Elsewhere.
    Redirects(String),
    /// It takes the question and never answers.
    Silent,
    /// It closes the connection.
    HangsUp,
    /// As `Silent` to this tenant or room, and allows all others.
    SilentTo(String),
}

impl Word {
    /// A permission.
    pub fn allows() -> Self {
        Self::Says(
            200,
            r#"{"v":0,"decision":"allow","reason_code":"rule-1"}"#.to_owned(),
        )
    }

    /// A denial.
    pub fn denies() -> Self {
        Self::Says(
            200,
            r#"{"v":0,"decision":"deny","reason_code":"rule-2"}"#.to_owned(),
        )
    }
}

/// A running authoriser; it ends when it is dropped.
pub struct Authorizer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    word: Mutex<Word>,
    asked: Mutex<Vec<Value>>,
    ended: AtomicBool,
}

impl Authorizer {
    /// Starts one that answers so.
    pub fn start(word: Word) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound port is known");
        let shared = Arc::new(Shared {
            word: Mutex::new(word),
            asked: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let of_thread = shared.clone();
        let listener = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.ended.load(Ordering::Acquire) {
                    return;
                }
                let shared = of_thread.clone();
                // Ends with its connection, which the test's program closes.
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self {
            address,
            shared,
            listener: Some(listener),
        }
    }

    /// The section of a configuration of `arbiter serve` that asks this one; `more` are further keys.
    pub fn config(&self, more: &str) -> String {
        let url = self.url();
        format!("authz: {{mode: external_http, endpoint: \"{url}\"{more}}}\n")
    }

    /// The same for the orchestrator, which takes `more` keys of `control` too, and asks for texts only.
    pub fn control(&self, more: &str, control: &str) -> String {
        let url = self.url();
        format!("control:\n  authz: {{endpoint: \"{url}\"{more}}}\n{control}")
    }

    /// The port it listens on, of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}/v0/authorize", self.address)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Value> {
        self.shared.asked.lock().expect("nobody panics").clone()
    }

    /// From now on it answers so.
    pub fn says(&self, word: Word) {
        *self.shared.word.lock().expect("nobody panics") = word;
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
    }
}

impl Shared {
    /// Answers the questions of one connection.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .ok()?;
        let mut output = stream.try_clone().ok()?;
        let mut input = BufReader::new(stream);
        loop {
            let body = body(&mut input)?;
            let question: Value = serde_json::from_slice(&body).unwrap_or_default();
            let of = |field: &str| question[field].as_str().unwrap_or_default().to_owned();
            let places = [of("tenant_id"), of("room_id")];
            self.asked.lock().ok()?.push(question);
            let word = self.word.lock().ok()?.clone();
            let word = match word {
                Word::SilentTo(silent) if places.contains(&silent) => Word::Silent,
                Word::SilentTo(_) => Word::allows(),
                other => other,
            };
            let is_cut = matches!(word, Word::Cut(..));
            let (status, header, text) = match word {
                Word::Says(status, text) | Word::Cut(status, text) => (status, String::new(), text),
                Word::Redirects(to) => (307, format!("location: {to}\r\n"), String::new()),
                Word::HangsUp => return None,
                Word::Silent | Word::SilentTo(_) => {
                    // Until the asker gives up and closes.
                    let _closed = input.read(&mut [0]);
                    return None;
                }
            };
            let length = text.len() + usize::from(is_cut);
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\n\r\n{text}"
            );
            output.write_all(answer.as_bytes()).ok()?;
            if is_cut {
                return None;
            }
        }
    }
}

/// The body of the next request.
fn body(input: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    Some(body)
}
