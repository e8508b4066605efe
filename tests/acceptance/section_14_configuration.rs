//! Section 14: config.yaml decides how the arbiter behaves; what differs between projects MUST fit into it.

use std::fs;

use chiffon_tests::Home;

use crate::target::{Target, fresh, nothing_because, run};

/// The example of the document, as it is written there.
const EXAMPLE: &str = "\
store:
  type: memory

authz:
  mode: external_http
  endpoint: http://authz:8081/v0/authorize
  fail_mode: deny

gate:
  cooldown_ms: 3000
  max_queue: 10

planner:
  reply_policy: mention_first
  reply_probability: 0.3
";

#[tokio::test]
async fn the_example_of_the_document_works_as_written() {
    let Some(target) = Target::own("the example of section 14", EXAMPLE).await else {
        return;
    };
    // Nobody is called authz here, and fail_mode is deny.
    assert_eq!(
        nothing_because(&target.ask(&fresh("room")).await),
        "authz_unavailable"
    );
}

async fn checked(config: &str) -> chiffon_tests::Output {
    let home = Home::new();
    let file = home.scratch().join("config.yaml");
    fs::write(&file, config).expect("a file can be written");
    let file = file.display().to_string();
    let (_home, output) = run(home, &["config", "check", "--config", &file]).await;
    output
}

/// What it does not understand it refuses, with the key, why, and what to do; it never guesses.
#[tokio::test]
async fn what_does_not_fit_is_refused_with_its_key() {
    if Target::own("faults of a configuration", "").await.is_none() {
        return;
    }
    checked(EXAMPLE).await.expect_code(0);
    for (config, word) in [
        ("gate: {cooldwn_ms: 3000}", "cooldown_ms"),
        ("gates: {cooldown_ms: 3000}", "gate"),
        ("gate: {cooldown_ms: -1}", "gate.cooldown_ms"),
        ("gate: {cooldown_ms: 90000000}", "gate.cooldown_ms"),
        ("gate: {cooldown_ms: 3s}", "gate.cooldown_ms"),
        ("gate: 3", "gate"),
        (
            "gate: {max_queue: 3, generation_timeout_ms: 0}",
            "max_queue",
        ),
        ("gate: {tenant_rate: {per_ms: 3}}", "tenant_rate"),
        ("gate: {tenant_rate: {events: 3, burst: 0}}", "burst"),
        ("planner: {reply_probability: 1.1}", "reply_probability"),
        ("planner: {reply_probability: nan}", "reply_probability"),
        ("planner: {reply_policy: sometimes}", "mention_first"),
        ("planner: {reply_policy: probability}", "reply_probability"),
        ("authz: {mode: external_http}", "authz.endpoint"),
        ("authz: {endpoint: \"http://a/b\"}", "authz.mode"),
        (
            "authz: {mode: external_http, endpoint: \"http://u:p@a/b\"}",
            "authz.endpoint",
        ),
        (
            "authz: {mode: external_http, endpoint: \"http://a/b\", fail_mode: maybe}",
            "fail_mode",
        ),
        ("store: {type: redis}", "store.type"),
        ("store: {type: postgres}", "store.url"),
        ("store: {type: memory, path: x}", "store.path"),
        ("policy: {grants: [{role: nobody}]}", "nobody"),
        ("policy: {roles: {a: [fly]}}", "fly"),
        ("token: short", "token"),
        ("listen: everywhere", "listen"),
        ("listen: 0.0.0.0:8440", "token"),
        ("store: [", "line"),
        ("a: &a [*a]", "config.yaml"),
        ("- a", "config.yaml"),
        ("store: {type: memory}\nstore: {type: memory}", "store"),
    ] {
        let output = checked(config).await;
        assert_ne!(output.code(), Some(0), "{config}");
        assert!(output.stderr.contains(word), "{config}: {}", output.stderr);
        assert!(
            !output.stderr.contains("panicked"),
            "{config}: {}",
            output.stderr
        );
    }
}

/// All faults at once, so that one look shows them.
#[tokio::test]
async fn all_faults_are_told_at_once() {
    if Target::own("faults of a configuration", "").await.is_none() {
        return;
    }
    let output =
        checked("gate: {cooldown_ms: -1}\nplanner: {reply_policy: x}\nstore: {type: y}").await;
    for key in ["gate.cooldown_ms", "planner.reply_policy", "store.type"] {
        assert!(output.stderr.contains(key), "{key}: {}", output.stderr);
    }
}
