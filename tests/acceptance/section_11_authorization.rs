//! Section 11: builtin, and external_http with its fail_mode.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    authorizer::{Authorizer, Word},
    target::{Target, action_of, fresh, nothing_because, with},
};

/// An answer may take its time here, however busy the machine is.
const PATIENT: &str = ", timeout_ms: 60000";

/// Which control plane asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plane {
    Serve,
    Orchestrator,
}

impl Plane {
    /// Started, and asking this authoriser; `more` are further keys of `authz`.
    async fn asking(self, what: &str, authorizer: &Authorizer, more: &str) -> Option<Target> {
        match self {
            Self::Serve => Target::own(what, &authorizer.config(more)).await,
            Self::Orchestrator => {
                let config = authorizer.control(more, "  jobs: false\n");
                Target::orchestrator(what, &config).await
            }
        }
    }
}

/// builtin: roles permit, by tenant, room, actor and kind; nobody else may.
#[tokio::test]
async fn builtin_permits_by_its_grants_alone() {
    let config = "
authz: {mode: builtin}
policy:
  roles: {speaker: [request_generation], looker: []}
  grants:
    - {role: speaker, tenant: acceptance-a, room: 'hall*', actor: 'local:*', kind: person}
    - {role: looker, tenant: acceptance-b}
";
    let Some(target) = Target::own("builtin authorisation", config).await else {
        return;
    };
    let hall = fresh("hall");
    let event = with(
        &target.event(&hall, true),
        "/tenant_id",
        Some(json!("acceptance-a")),
    );
    for (pointer, value) in [
        ("/tenant_id", "acceptance-b"),
        ("/tenant_id", "acceptance-c"),
        ("/room_id", "cellar"),
        ("/actor/id", "oidc:local:ann"),
        ("/actor/kind", "service"),
    ] {
        let event = with(&event, "/event_id", Some(json!(fresh("event"))));
        let plan = target
            .decide(&with(&event, pointer, Some(json!(value))))
            .await;
        assert_eq!(
            nothing_because(&plan),
            "unauthorized",
            "{pointer} = {value}"
        );
    }
    assert_eq!(
        action_of(&target.decide(&event).await).0,
        "request_generation"
    );
}

/// Without any grant nobody may anything: builtin denies by default.
#[tokio::test]
async fn builtin_without_grants_permits_nobody() {
    let Some(target) = Target::own("no grants", "").await else {
        return;
    };
    assert_eq!(
        nothing_because(&target.ask(&fresh("room")).await),
        "unauthorized"
    );
}

/// external_http: decision=deny MUST give do_nothing, decision=allow goes on.
#[tokio::test]
async fn the_external_word_is_applied() {
    external_word(Plane::Serve).await;
}

#[tokio::test]
async fn the_external_word_is_applied_by_the_orchestrator() {
    external_word(Plane::Orchestrator).await;
}

async fn external_word(plane: Plane) {
    let authorizer = Authorizer::start(Word::denies());
    let asking = plane.asking("external authorisation", &authorizer, PATIENT);
    let Some(target) = asking.await else {
        return;
    };
    let room = fresh("room");
    let event = target.event(&room, true);
    let denied = target.decide(&event).await;
    assert_eq!(nothing_because(&denied), "authz_denied");
    authorizer.says(Word::allows());
    assert_eq!(target.decide(&event).await, denied, "decided is decided");
    let later = target.event(&room, true);
    assert_eq!(
        action_of(&target.decide(&later).await).0,
        "request_generation"
    );
    // The question says who wants what, where; the same stands in the contracts.
    let asked = authorizer.asked();
    let [_, question] = asked.as_slice() else {
        panic!("asked once for each: {asked:?}");
    };
    assert_eq!(question["v"], 0);
    for field in ["tenant_id", "room_id", "actor", "event_id", "source", "ts"] {
        assert_eq!(question[field], later[field], "{field}: {question}");
    }
    assert_eq!(question["action"], "request_generation");
    for id in ["request_id", "correlation_id"] {
        assert!(
            question[id].as_str().is_some_and(|id| !id.is_empty()),
            "{question}"
        );
    }
}

/// One that is not there: it says nothing, or that it cannot.
fn silences() -> Vec<Word> {
    let says = |status, text: &str| Word::Says(status, text.to_owned());
    vec![
        says(500, ""),
        says(502, "<html>bad gateway</html>"),
        says(503, "{\"error\":\"no database\"}"),
        Word::HangsUp,
    ]
}

/// Answers that are no decision: whoever gives them is there, and may have meant to deny.
fn no_decisions(elsewhere: &str) -> Vec<Word> {
    let says = |status, text: &str| Word::Says(status, text.to_owned());
    let allow = r#"{"v":0,"decision":"allow"}"#;
    let padded = |word: &str| {
        let pad = "x".repeat(100_000);
        format!("{{\"v\":0,\"decision\":\"{word}\",\"pad\":\"{pad}\"}}")
    };
    vec![
        says(200, ""),
        says(200, "<html>allow</html>"),
        says(200, "{}"),
        says(200, "null"),
        says(200, r#""allow""#),
        says(200, r#"{"v":0,"decision":"ALLOW"}"#),
        says(200, r#"{"v":0,"decision":true}"#),
        says(200, r#"{"v":1,"decision":"allow"}"#),
        says(200, r#"{"decision":"allow","#),
        says(200, r#"{"v":0,"decision":"deny","decision":"deny"}"#),
        says(200, r#"{"v":0,"decision":"deny","decision":"allow"}"#),
        says(200, r#"{"v":0,"decision":"allow","decision":"deny"}"#),
        says(200, &padded("allow")),
        says(200, &padded("deny")),
        says(500, allow),
        says(401, allow),
        says(401, ""),
        says(204, ""),
        Word::Cut(200, r#"{"v":0,"decision":"deny""#.to_owned()),
        Word::Redirects(elsewhere.to_owned()),
    ]
}

async fn every_fault(plane: Plane, fail_mode: &str, expected: impl Fn(&Value)) {
    let (authorizer, tempter) = (
        Authorizer::start(Word::allows()),
        Authorizer::start(Word::allows()),
    );
    let more = format!("{PATIENT}{fail_mode}");
    let asking = plane.asking("faults of the authoriser", &authorizer, &more);
    let Some(target) = asking.await else {
        return;
    };
    for word in no_decisions(&tempter.url()) {
        authorizer.says(word.clone());
        let said = format!("{word:?}");
        println!("{said:.200}");
        let plan = target.ask(&fresh("room")).await;
        assert_eq!(nothing_because(&plan), "authz_unreadable");
    }
    for word in silences() {
        authorizer.says(word.clone());
        println!("{word:?}");
        expected(&target.ask(&fresh("room")).await);
    }
    assert_eq!(
        tempter.asked(),
        Vec::<Value>::new(),
        "a redirect is not followed"
    );
    // Gone altogether.
    drop(authorizer);
    expected(&target.ask(&fresh("room")).await);
}

fn denied(plan: &Value) {
    assert_eq!(nothing_because(plan), "authz_unavailable");
}

fn goes_on(plan: &Value) {
    assert_eq!(action_of(plan).0, "request_generation");
}

/// fail_mode: deny, which is the default: no word, no permission.
#[tokio::test]
async fn fail_mode_is_deny_by_default() {
    every_fault(Plane::Serve, "", denied).await;
}

#[tokio::test]
async fn fail_mode_is_deny_by_default_in_the_orchestrator() {
    every_fault(Plane::Orchestrator, "", denied).await;
}

/// fail_mode: allow goes on without a word, and says so in the record. It is for one that is not there: an answer that is
/// no decision is no permission (section 17: where authorisation fails, deny).
#[tokio::test]
async fn fail_mode_allow_goes_on() {
    every_fault(Plane::Serve, ", fail_mode: allow", goes_on).await;
}

#[tokio::test]
async fn fail_mode_allow_goes_on_in_the_orchestrator() {
    every_fault(Plane::Orchestrator, ", fail_mode: allow", goes_on).await;
}

/// One that takes the question and never answers is silent once its time is over.
#[tokio::test]
async fn one_that_never_answers_is_silent() {
    for (plane, fail_mode, expected) in [
        (Plane::Serve, "", denied as fn(&Value)),
        (Plane::Serve, ", fail_mode: allow", goes_on),
        (Plane::Orchestrator, ", fail_mode: allow", goes_on),
    ] {
        let authorizer = Authorizer::start(Word::Silent);
        let more = format!(", timeout_ms: 400{fail_mode}");
        let asking = plane.asking("a silent authoriser", &authorizer, &more);
        let Some(target) = asking.await else {
            return;
        };
        expected(&target.ask(&fresh("room")).await);
    }
}

/// One tenant's silent authoriser holds up nobody else: all of the other's events are answered while it still waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_authoriser_stalls_no_other_tenant() {
    let authorizer = Authorizer::start(Word::SilentTo("acceptance-slow".to_owned()));
    let config = authorizer.config(", timeout_ms: 60000, max_in_flight: 4");
    let Some(target) = Target::own("a slow authoriser", &config).await else {
        return;
    };
    let target = Arc::new(target);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let target = target.clone();
        let event = with(
            &target.event(&fresh("room"), true),
            "/tenant_id",
            Some(json!("acceptance-slow")),
        );
        waiting.spawn(async move { target.post("/v0/events", &event).await.status });
    }
    let began = std::time::Instant::now();
    while authorizer.asked().is_empty() {
        assert!(began.elapsed() < crate::target::LONG, "it is asked");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for _ in 0..20 {
        assert_eq!(
            action_of(&target.ask(&fresh("room")).await).0,
            "request_generation"
        );
    }
    assert!(
        waiting.try_join_next().is_none(),
        "the slow ones still wait"
    );
    waiting.abort_all();
}

/// Work that is asked for over HTTP passes the same authoriser. One that gives no decision has stored nothing, so the same
/// key is good once it answers; a denial is an answer.
#[tokio::test]
async fn work_is_asked_for_through_the_same_authoriser() {
    let authorizer = Authorizer::start(Word::Says(500, String::new()));
    let config = authorizer.control(PATIENT, "");
    let Some(target) = Target::orchestrator("work and the authoriser", &config).await else {
        return;
    };
    let ask = |key: &'static str| {
        let request = target
            .request("POST", "/api/v1/requests")
            .header("idempotency-key", key)
            .json(&json!({"text": "ping localhost"}));
        target.sent(request)
    };
    assert_eq!(ask("work").await.problem(503), 5610);
    authorizer.says(Word::allows());
    let taken = ask("work").await;
    assert_eq!(taken.status.as_u16(), 202, "{taken:?}");
    authorizer.says(Word::denies());
    assert_eq!(ask("work").await.json(), taken.json(), "the same again");
    assert_eq!(ask("more").await.problem(403), 5202);
    let asked = authorizer.asked();
    for question in &asked {
        assert_eq!(question["action"], "start_agent_job", "{question}");
        assert_eq!(question["source"], "http", "{question}");
    }
    assert_eq!(asked.len(), 3, "decided is decided: {asked:?}");
}

/// While some wait for a silent authoriser, the orchestrator goes on: others are answered, though gates that count are
/// passed one after the other, and so are results, reads and what was decided before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_authoriser_stalls_nothing_of_the_orchestrator() {
    let quiet = fresh("quiet");
    let authorizer = Authorizer::start(Word::SilentTo(quiet.clone()));
    let more = format!("{PATIENT}, max_in_flight: 4");
    let control = "  jobs: false\n  generation_timeout_ms: 3600000\n  max_queue: 1000\n";
    let config = authorizer.control(&more, control);
    let Some(target) = Target::orchestrator("a slow authoriser", &config).await else {
        return;
    };
    let target = Arc::new(target);
    let before = target.event(&fresh("room"), true);
    let decided = target.decide(&before).await;
    let asked_before = authorizer.asked().len();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let target = target.clone();
        let event = target.event(&quiet, true);
        waiting.spawn(async move { target.post("/v0/events", &event).await.status });
    }
    let began = std::time::Instant::now();
    while authorizer.asked().len() < asked_before + 3 {
        assert!(began.elapsed() < crate::target::LONG, "it is asked");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for _ in 0..20 {
        assert_eq!(
            action_of(&target.ask(&fresh("room")).await).0,
            "request_generation"
        );
    }
    assert_eq!(target.decide(&before).await, decided);
    target.answer(&decided).await;
    for path in ["/v0/healthz", "/api/v1/requests", "/health"] {
        let reply = target.get(path).await;
        assert_eq!(reply.status.as_u16(), 200, "{path}: {reply:?}");
    }
    assert!(
        waiting.try_join_next().is_none(),
        "the slow ones still wait"
    );
    waiting.abort_all();
}
