//! Starting the program in a folder of its own, and ending it surely.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;

/// Generous, because two busy cores are slow; a hang is still found.
const LIMIT: Duration = Duration::from_secs(60);

/// Everybody may; nothing is shut.
pub const OPEN: &str = "
policy:
  roles: {all: [request_generation]}
  grants: [{role: all}]
planner: {reply_policy: always}
gate: {generation_timeout_ms: 3600000}
";

/// A folder with a configuration.
pub struct Place {
    folder: TempDir,
}

impl Place {
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Self { folder };
        place.configure(config);
        place
    }

    pub fn configure(&self, config: &str) {
        fs::write(self.path().join("config.yaml"), config).expect("a configuration");
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn audit(&self) -> PathBuf {
        self.path().join("audit")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arbiter"));
        command.args(args).current_dir(self.path());
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; one that does not end, such as a server that should not have started, is a fault.
    pub fn run(&self, args: &[&str]) -> Output {
        let said = ["said", "complained"].map(|name| self.path().join(name));
        let [out, err] = said
            .clone()
            .map(|path| fs::File::create(path).expect("a file"));
        let mut command = self.command(args);
        let mut child = command
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("arbiter runs");
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("it can be waited for") {
                break status;
            }
            if begun.elapsed() > LIMIT {
                let _ended = child.kill();
                let _reaped = child.wait();
                panic!("{args:?} does not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let [stdout, stderr] = said.map(|path| fs::read(path).expect("its words"));
        Output {
            status,
            stdout,
            stderr,
        }
    }

    /// Runs a command that must do what it is asked; what it prints.
    #[track_caller]
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a command that must not; what it says.
    #[track_caller]
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?} succeeded");
        String::from_utf8(output.stderr).expect("text")
    }

    /// Starts `arbiter serve` on a free port and waits until it listens.
    #[track_caller]
    pub fn serve(&self) -> Served {
        self.serve_with(&[])
    }

    /// The same in an environment with these more.
    #[track_caller]
    pub fn serve_with(&self, environment: &[(&str, &str)]) -> Served {
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(environment.iter().copied());
        self.served(command)
    }

    /// The same by a command of one's own.
    #[track_caller]
    pub fn served(&self, mut command: Command) -> Served {
        let log = fs::File::create(self.path().join("log")).expect("a log");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("arbiter starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        // It ends with the line or with the program.
        out.read_line(&mut line).expect("its words");
        let address = line.trim().strip_prefix("arbiter listens on http://");
        let Some(address) = address else {
            let _ended = child.kill();
            let _reaped = child.wait();
            panic!("it does not listen: {line:?} {}", self.log());
        };
        Served {
            address: address.to_owned(),
            child,
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap_or_default()
    }

    /// All audit records, in order.
    pub fn records(&self) -> Vec<Value> {
        records_in(&self.audit())
    }
}

/// All records of an audit folder, in order.
pub fn records_in(folder: &Path) -> Vec<Value> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .expect("an audit folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    names.sort();
    let text: String = names
        .iter()
        .map(|path| fs::read_to_string(path).expect("text"))
        .collect();
    // The last line may be just being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A running `arbiter serve`.
pub struct Served {
    address: String,
    child: Child,
}

impl Served {
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Status and body of a post.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let (status, text) = self.post_bytes(path, body.to_string().as_bytes());
        let value = serde_json::from_str(&text);
        (
            status,
            value.unwrap_or_else(|error| panic!("{error}: {text}")),
        )
    }

    #[track_caller]
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> (u16, String) {
        http::call(
            &self.address,
            "POST",
            path,
            &[("content-type", "application/json")],
            body,
        )
    }

    /// As a crash or the out-of-memory killer would end it.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// As a service manager ends it.
    #[track_caller]
    pub fn terminate(self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.ended()
    }

    /// How it ended, by itself.
    #[track_caller]
    pub fn ended(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "it still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if let Some(out) = &mut self.child.stdout {
            let _rest = out.read_to_end(&mut Vec::new());
        }
    }
}

/// An event of a tenant in a room.
pub fn event(tenant: &str, id: &str, room: &str) -> Value {
    json!({
        "v": 0, "event_id": id, "tenant_id": tenant, "source": "test", "room_id": room,
        "actor": {"id": "local:anna", "kind": "person"},
        "content": {"type": "text", "text": format!("hello from {id}"), "mentions_chiffon": true},
        "ts": "2026-01-02T03:04:05Z",
    })
}

/// A generation's result for the plan of an answer.
pub fn generation(plan: &Value, text: &str) -> Value {
    json!({
        "v": 0, "tenant_id": plan["tenant_id"], "plan_id": plan["plan_id"],
        "status": "completed", "text": text, "ts": "2026-01-02T03:04:06Z",
    })
}

/// An action's result for the first action of a plan.
pub fn action_done(plan: &Value) -> Value {
    json!({
        "v": 0, "tenant_id": plan["tenant_id"], "plan_id": plan["plan_id"],
        "action_id": plan["actions"][0]["action_id"], "status": "done", "ts": "2026-01-02T03:04:07Z",
    })
}

pub fn action_of(plan: &Value) -> &str {
    plan["actions"][0]["type"].as_str().unwrap_or_default()
}
