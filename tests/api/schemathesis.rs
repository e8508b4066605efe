//! The whole API against its own document, by a program that makes up what a client may send (schemathesis): what
//! the document permits is answered as it says, what it forbids is refused, and nothing is a fault of the server.
//!
//! Two operations are left to `events` and `fleet`: the event stream, which has no end, and following a request, which
//! answers after 25 seconds where nothing happens.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
    time::Duration,
};

use chiffon_bus::MemoryBus;
use chiffon_tests::{not_run, repository_root, venv};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use super::{
    dice::Dice,
    document::operations,
    world::{Act, TOKEN, World},
};

/// Cases of each operation beside those that cover the document's bounds.
const EXAMPLES: &str = "15";
/// Longest run on a busy machine.
const RUN: Duration = Duration::from_secs(240);
/// What is not held against the document. Calls without a token are counted and slowed down (429), which `tokens`
/// holds: three checks take that for a fault. And a document cannot say which cursor, key, version or parameter of an
/// entry is a good one, so what it permits may still be refused.
const NOT_CHECKED: &str =
    "ignored_auth,missing_required_header,object_level_authorization,positive_data_acceptance";

/// Statuses that refuse what the document forbids.
const REFUSALS: &str = "[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 408, 409, 410, 412, 413, 415, 422, 428, 429]
";

async fn ran(command: &mut Command, within: Duration) -> Result<Output, String> {
    let output = timeout(within, command.kill_on_drop(true).output()).await;
    let output = output.map_err(|_| format!("{command:?} took longer than {within:?}"))?;
    output.map_err(|error| format!("{command:?}: {error}"))
}

/// The program, installed below `target/` unless it is there from a run before.
async fn installed() -> Result<PathBuf, String> {
    let requirements = repository_root().join("tests/schemathesis/requirements.txt");
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis-venv");
    let programs = tokio::task::spawn_blocking(move || venv(&home, &requirements)).await;
    Ok(programs
        .map_err(|error| error.to_string())??
        .join("schemathesis"))
}

/// What there is, so that not every call is about nothing: for each kind of address ids that are good, which are
/// taken most of the time.
async fn known(world: &World) -> String {
    let mut ids: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for n in 0..8 {
        let is_read = n % 4 == 0;
        let text = if is_read {
            "ping nas"
        } else {
            "write_file path=/tmp/x content=hello on nas"
        };
        let id = world.ask(text).await;
        let state = if is_read {
            "completed"
        } else {
            "awaiting_approval"
        };
        let request = world.until(&id, &[state]).await;
        let mut add = |noun, id: &Value| {
            ids.entry(noun)
                .or_default()
                .extend(id.as_str().map(str::to_owned));
        };
        add("requests", &request["request_id"]);
        add("plans", &request["plan"]["plan_id"]);
        for task in request["tasks"].as_array().into_iter().flatten() {
            add("tasks", &task["task_id"]);
        }
        for decision in request["decisions"].as_array().into_iter().flatten() {
            add("decisions", &decision["decision_id"]);
        }
    }
    for n in 0..4 {
        let body = json!({ "cron": "@yearly", "text": "ping nas", "title": n.to_string() });
        let (_, made) = world.post("/api/v1/schedules", body).await;
        let id = made["schedule_id"].as_str().map(str::to_owned);
        ids.entry("schedules").or_default().extend(id);
    }
    for (noun, id) in [
        ("agents", "infrastructure"),
        ("catalogue", "ping"),
        ("catalogue", "host_report"),
        ("inventory", "nas"),
        ("projects", "default"),
        ("rooms", "api"),
        ("tenants", "default"),
    ] {
        ids.entry(noun).or_default().push(id.to_owned());
    }
    // A refusal is a refusal, also for a version that does not fit: what is wrong first is said.
    let mut text = String::from(REFUSALS);
    for (noun, ids) in &ids {
        text += &format!("[dictionaries.{noun}]\nvalues = {ids:?}\n");
    }
    for operation in operations() {
        let noun = match operation.template.as_str() {
            template if template.starts_with("/v0/rooms/") => "rooms",
            template if template.starts_with("/v0/") => "tenants",
            template => template.split('/').nth(3).unwrap_or("requests"),
        };
        let binding = format!("{{ dictionary = {noun:?}, probability = 0.7 }}");
        let parameter = match operation.template.as_str() {
            "/approve" => "body.request_id",
            template if template.contains("{id}") => "path.id",
            "/v0/events" | "/v0/generations" | "/v0/action-results" => "body.tenant_id",
            _ => continue,
        };
        let name = format!("{} {}", operation.method, operation.template);
        text += &format!(
            "[[operations]]\ninclude-name = {name:?}\n[operations.parameters]\n{parameter:?} = {binding}\n"
        );
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_one_that_the_document_names() {
    let program = match installed().await {
        Ok(program) => program,
        Err(why) => return not_run("schemathesis", &why),
    };
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.limits.requests_per_second = NonZeroU32::new(100_000).unwrap();
    world.limits.burst = NonZeroU32::new(100_000).unwrap();
    let world = world.start().await;
    let place = tempfile::tempdir().unwrap();
    let known = known(&world).await;
    fs::write(place.path().join("schemathesis.toml"), known).unwrap();

    let seed = Dice::new().up_to(u64::from(u32::MAX)).to_string();
    let mut command = Command::new(program);
    command
        .current_dir(place.path())
        .env("NO_COLOR", "1")
        .env("NO_PROXY", "127.0.0.1");
    command.arg("run").arg(world.url("/api/v1/openapi.json"));
    command.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    command.args([
        "--exclude-checks",
        NOT_CHECKED,
        "--seed",
        &seed,
        "--max-examples",
        EXAMPLES,
    ]);
    command.args(["--exclude-operation-id", "stream_events"]);
    command.args(["--exclude-operation-id", "follow_request"]);
    // One worker: with two, its own caches lost entries under each other now and then (a KeyError of its inside).
    command.args([
        "--workers",
        "1",
        "--request-timeout",
        "20",
        "--continue-on-failure",
    ]);
    command.args([
        "--generation-database",
        "none",
        "--suppress-health-check",
        "all",
    ]);
    let output = ran(&mut command, RUN).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let more = String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(
        output.status.success(),
        "schemathesis --seed {seed} found faults:\n{said}\n{more}"
    );
    // And it has really asked.
    let (_, all) = world.get("/api/v1/requests?limit=500").await;
    let asked = all["items"].as_array().unwrap().len();
    assert!(asked > 5, "only {asked} requests came of it:\n{said}");
    world.holds_together().await;
}
