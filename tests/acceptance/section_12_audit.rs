//! Section 12: the audit log, which MUST be append-only; and its hash chain (section 19), which this arbiter has already.

use std::{collections::BTreeSet, fs};

use chiffon_tests::Postgres;
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::target::{OPEN, Target, action_of, audit_file, fresh, run, with};

const FIELDS: [&str; 7] = [
    "audit_id",
    "tenant_id",
    "correlation_id",
    "action",
    "result",
    "reason_code",
    "ts",
];

/// Every answer has its record before it leaves, with all fields of the document.
#[tokio::test]
async fn every_answer_is_recorded_with_all_fields() {
    let Some(target) = Target::own("the fields of the audit", OPEN).await else {
        return;
    };
    let room = fresh("room");
    let event = target.event(&room, true);
    let plan = target.decide(&event).await;
    assert_eq!(target.decisions().len(), 1, "before the answer");
    target.decide(&target.event(&room, false)).await;
    target.decide(&event).await;
    let other = with(&event, "/content/text", Some(json!("x")));
    target.post("/v0/events", &other).await.problem(409);
    target.answer(&plan).await;
    let decisions = target.decisions();
    let told: Vec<(&str, &str)> = decisions
        .iter()
        .map(|one| {
            let text = |field: &str| one[field].as_str().unwrap_or_default();
            (text("action"), text("reason_code"))
        })
        .collect();
    let expected = [
        ("request_generation", "mentioned"),
        ("do_nothing", "generating_lock"),
        ("request_generation", "repeated"),
    ];
    assert_eq!(told[..3], expected, "{decisions:#?}");
    assert_eq!(told[3].1, "id_conflict");
    assert_eq!(told[4], ("send_reply", "generated"));
    assert_eq!(told[5].1, "action_done");
    let mut ids = BTreeSet::new();
    for record in &decisions {
        for field in FIELDS {
            let text = record[field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{field} of {record}");
        }
        assert_eq!(record["tenant_id"], target.tenant());
        ids.insert(record["audit_id"].as_str());
    }
    assert_eq!(ids.len(), decisions.len(), "each has an id of its own");
    // What follows from one event is found by one id.
    for later in [2, 4, 5] {
        assert_eq!(
            decisions[later]["correlation_id"], decisions[0]["correlation_id"],
            "{later}"
        );
    }
    assert_ne!(
        decisions[1]["correlation_id"],
        decisions[0]["correlation_id"]
    );
}

/// What was refused for its form is recorded as well.
#[tokio::test]
async fn what_was_refused_is_recorded() {
    let Some(target) = Target::own("the record of a refusal", OPEN).await else {
        return;
    };
    target
        .post("/v0/events", &json!({"v": 1}))
        .await
        .problem(400);
    let decisions = target.decisions();
    let [record] = decisions.as_slice() else {
        panic!("not one record: {decisions:?}");
    };
    assert_eq!(record["result"], "refused", "{record}");
    assert_eq!(record["reason_code"], "schema_invalid", "{record}");
}

/// append-only: what stands in the file stays its beginning, over decisions, restarts and crashes.
#[tokio::test]
async fn the_log_only_grows() {
    let Some(mut target) = Target::own("an append-only log", OPEN).await else {
        return;
    };
    let mut before = Vec::new();
    for by_crash in [false, true, false] {
        target.ask(&fresh("room")).await;
        let now = fs::read(target.audit_file()).expect("the audit can be read");
        assert!(now.starts_with(&before), "it was changed");
        assert!(now.len() > before.len());
        before = now;
        target = target.restarted(by_crash).await;
    }
    let now = fs::read(target.audit_file()).expect("the audit can be read");
    assert!(now.starts_with(&before));
}

/// A last line that power loss tore is cut off, told, and nothing before it is lost.
#[tokio::test]
async fn a_torn_last_line_is_repaired_and_told() {
    let Some(target) = Target::own("a torn line", OPEN).await else {
        return;
    };
    let event = target.event(&fresh("room"), true);
    let plan = target.decide(&event).await;
    let home = target.ended().await;
    let file = audit_file(home.scratch());
    let whole = fs::read(&file).expect("the audit can be read");
    fs::write(
        &file,
        [whole.as_slice(), b"{\"seq\":3,\"prev\":\"sha256:12"].concat(),
    )
    .expect("it can be written");
    let target = Target::of_home(home).await;
    assert_eq!(target.decide(&event).await, plan);
    let now = fs::read(target.audit_file()).expect("the audit can be read");
    assert!(now.starts_with(&whole));
    let text = String::from_utf8(now).expect("UTF-8");
    assert!(
        text.lines()
            .any(|line| line.contains("\"kind\":\"repair\"")),
        "{text}"
    );
    let home = target.ended().await;
    verified(home, 0).await;
}

async fn verified(home: chiffon_tests::Home, code: i32) -> (chiffon_tests::Home, String) {
    let folder = home.scratch().join("audit").display().to_string();
    let (home, output) = run(home, &["audit", "verify", &folder]).await;
    let output = output.expect_code(code);
    (home, output.stdout + &output.stderr)
}

/// Whoever edits, removes or swaps a line is found by the chain, with the first line that does not fit.
#[tokio::test]
async fn whoever_edits_the_log_is_found() {
    let Some(target) = Target::own("an edited log", OPEN).await else {
        return;
    };
    for _ in 0..4 {
        target.ask(&fresh("room")).await;
    }
    let home = target.ended().await;
    let file = audit_file(home.scratch());
    let (mut home, _) = verified(home, 0).await;
    let whole = fs::read_to_string(&file).expect("the audit can be read");
    let lines: Vec<&str> = whole.lines().collect();
    let without = |skipped: usize| {
        let left = lines
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != skipped);
        left.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    let swapped = {
        let mut lines = lines.clone();
        lines.swap(2, 3);
        lines.join("\n") + "\n"
    };
    let edits = [
        whole.replacen("request_generation", "do_nothing", 1),
        without(2),
        swapped,
        whole.replacen("\"result\":\"decided\"", "\"result\":\"Decided\"", 1),
    ];
    for edited in edits {
        assert_ne!(edited, whole);
        fs::write(&file, &edited).expect("it can be written");
        let (back, said) = verified(home, 1).await;
        assert!(!said.is_empty());
        home = back;
    }
}

/// With a database the files are the truth as well: files that end before what it has noted are refused, and a database
/// that was emptied is given what stands in them. SQLite is tested beside the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_postgres_are_held_against_each_other() {
    let what = "files and Postgres held against each other";
    let started = spawn_blocking(move || Postgres::start_or_report(what)).await;
    let Some(server) = started.expect("the fixture does not panic") else {
        return;
    };
    let url = server.database("held");
    let config = format!("{OPEN}store: {{type: postgres, url: \"{url}\"}}\n");
    let Some(target) = Target::own(what, &config).await else {
        return;
    };
    let tenant = target.tenant().to_owned();
    let room = fresh("room");
    let mut plans = Vec::new();
    for _ in 0..5 {
        let event = target.event(&fresh("room"), true);
        plans.push((event.clone(), target.decide(&event).await));
    }
    target.ask(&room).await;
    let home = target.ended().await;
    let file = audit_file(home.scratch());
    let whole = fs::read_to_string(&file).expect("a text");
    let (cut, _) = whole.trim_end().rsplit_once('\n').expect("lines");
    fs::write(&file, format!("{cut}\n")).expect("it can be written");
    let config = home.scratch().join("config.yaml").display().to_string();
    let serve = ["serve", "--config", &config, "--listen", "127.0.0.1:0"];
    let (home, output) = run(home, &serve).await;
    assert_eq!(output.code(), Some(1), "{output:?}");
    for word in ["5508", "its end was cut off", "audit.path"] {
        assert!(output.stderr.contains(word), "{word}: {}", output.stderr);
    }
    fs::write(&file, whole).expect("it can be written");
    let all = "control_decided, control_states, control_unaudited, control_audit_marks";
    server.sql("held", &format!("TRUNCATE {all}"));
    let target = Target::of_home(home).await.of_tenant(&tenant);
    for (event, plan) in &plans {
        let again = target.post("/v0/events", event).await;
        assert_eq!(&again.plan(), plan);
        again.is_repeated();
    }
    let shut = target.ask(&room).await;
    assert_eq!(action_of(&shut), ("do_nothing", "generating_lock"));
    let home = target.ended().await;
    verified(home, 0).await;
}
