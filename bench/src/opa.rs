//! The peer of `arbiter serve`: Open Policy Agent with a rule that says what arbiter's says of the same event, asked over
//! its decision endpoint. It remembers nothing, keeps no room and writes no record; that is what the two are not alike in.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

const MODULE: &str = "github.com/open-policy-agent/opa";
const VERSION: &str = "v1.22.3";
/// Where it is asked.
pub(crate) const PATH: &str = "/v1/data/chiffon/plan";
/// Longest start.
const READY: Duration = Duration::from_secs(60);
/// Roles, reply policy and plan, as arbiter has them, by way of the event.
const RULE: &str = r#"package chiffon

roles := {"all": ["request_generation"]}
grants := [{"role": "all"}]

permitted if {
    some grant in grants
    object.get(grant, "actor", input.event.actor.id) == input.event.actor.id
    "request_generation" in roles[grant.role]
}

shaped if {
    input.event.v == 0
    is_string(input.event.event_id)
    is_string(input.event.room_id)
    count(input.event.content.text) <= 8000
}

plan := {"v": 0, "tenant_id": input.event.tenant_id, "room_id": input.event.room_id, "event_id": input.event.event_id,
    "intent": "REPLY", "actions": [{"type": "request_generation", "target": input.event.room_id}]} if {
    shaped
    permitted
} else := {"v": 0, "intent": "IGNORE", "actions": [{"type": "do_nothing"}]}
"#;

/// The program: the one on the PATH, else built with Go below `target/` on first use.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&on_path).map(|folder| folder.join("opa"));
    if let Some(found) = places.find(|place| place.is_file()) {
        return Ok(found);
    }
    let folder = std::env::current_dir()?.join("target/opa");
    let program = folder.join("opa");
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&folder)?;
    eprintln!("bench: building OPA {VERSION}, which takes some minutes the first time");
    let built = Command::new("go")
        .args(["install", &format!("{MODULE}@{VERSION}")])
        .env("GOBIN", &folder)
        .status()
        .context("Go is not installed, and no opa is on the PATH")?;
    ensure!(built.success(), "go install {MODULE}@{VERSION} failed");
    Ok(program)
}

/// A running one, and where it listens.
pub(crate) fn start(program: &Path, folder: &Path) -> anyhow::Result<(Child, String)> {
    fs::write(folder.join("rule.rego"), RULE)?;
    // It cannot say which port it took of its own choice.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let mut child = Command::new(program)
        .args([
            "run",
            "--server",
            "--disable-telemetry",
            "--log-level=error",
        ])
        .args(["--addr", &address, "rule.rego"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let begun = Instant::now();
    while std::net::TcpStream::connect(&address).is_err() {
        if begun.elapsed() > READY || child.try_wait()?.is_some() {
            let _ended = child.kill();
            let _reaped = child.wait();
            bail!("{} does not listen", program.display());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok((child, address))
}

/// The body of a question about an event.
pub(crate) fn question(event: &str) -> String {
    format!(r#"{{"input":{{"event":{event}}}}}"#)
}
