//! Section 6: Event, ResponsePlan and the actions.

use serde_json::{Value, json};

use crate::target::{Target, action_of, fresh, nothing_because, with};

/// 6.1: Event has these fields, and MUST fit JSON Schema v0. What does not is refused, and decides nothing.
#[tokio::test]
async fn an_event_lacks_no_required_field() {
    let target = Target::any().await;
    let event = target.event(&fresh("room"), true);
    for field in [
        "v",
        "event_id",
        "tenant_id",
        "source",
        "room_id",
        "actor",
        "content",
        "ts",
        "actor/id",
        "actor/kind",
        "content/type",
        "content/text",
    ] {
        let pointer = format!("/{field}");
        let reply = target
            .post("/v0/events", &with(&event, &pointer, None))
            .await;
        assert!(reply.status.is_client_error(), "without {field}: {reply:?}");
        reply.problem(reply.status.as_u16());
    }
    let reply = target.post("/v0/events", &event).await;
    reply.is_new();
    assert_eq!(action_of(&reply.plan()).0, "request_generation");
}

/// 6.1: each field has its type and bounds.
#[tokio::test]
async fn an_event_must_fit_the_schema() {
    let target = Target::any().await;
    let event = target.event(&fresh("room"), true);
    let long = "x".repeat(257);
    let mut wrong: Vec<(&str, Value)> = Vec::new();
    for pointer in ["/event_id", "/tenant_id", "/room_id"] {
        for text in [
            "",
            "a\u{0}b",
            "a\nb",
            "\u{1b}[31m",
            "a b",
            "\u{202e}x",
            &long,
        ] {
            wrong.push((pointer, json!(text)));
        }
    }
    for pointer in ["/source", "/actor/id", "/actor/kind", "/content/type"] {
        for text in ["", "a\u{0}b", "a\nb", &long] {
            wrong.push((pointer, json!(text)));
        }
    }
    for pointer in [
        "/v",
        "/event_id",
        "/tenant_id",
        "/source",
        "/room_id",
        "/actor",
        "/content",
        "/ts",
    ] {
        for value in [json!(null), json!([]), json!(true), json!(-1), json!(1e300)] {
            wrong.push((pointer, value));
        }
    }
    for version in [json!(1), json!("0"), json!(0.5), json!(4_294_967_296_u64)] {
        wrong.push(("/v", version));
    }
    for time in [
        "yesterday",
        "2026-02-30T00:00:00Z",
        "2026-02-13T08:00:00",
        "",
    ] {
        wrong.push(("/ts", json!(time)));
    }
    for text in ["", " \n", "a\u{7}b", &"x".repeat(8001)] {
        wrong.push(("/content/text", json!(text)));
    }
    wrong.push(("/unknown", json!(1)));
    wrong.push(("/actor/admin", json!(true)));
    for (pointer, value) in wrong {
        let sent = with(&event, pointer, Some(value.clone()));
        let reply = target.post("/v0/events", &sent).await;
        assert!(
            reply.status.is_client_error(),
            "{pointer} = {value}: {reply:?}"
        );
        reply.problem(reply.status.as_u16());
    }
    let reply = target.post("/v0/events", &event).await;
    reply.is_new();
    reply.plan();
}

/// 6.1: an unknown version is told from every other fault by its code.
#[tokio::test]
async fn an_unknown_version_has_a_code_of_its_own() {
    let target = Target::any().await;
    let event = with(&target.event(&fresh("room"), true), "/v", Some(json!(1)));
    for path in ["/v0/events", "/v0/generations", "/v0/action-results"] {
        assert_eq!(target.post(path, &event).await.problem(400), 5002, "{path}");
    }
}

/// 6.1: what happened long ago or in the far future is an event like any other; its time decides nothing.
#[tokio::test]
async fn the_time_of_an_event_decides_nothing() {
    let target = Target::any().await;
    for ts in [
        "1970-01-01T00:00:00Z",
        "2026-02-13T08:00:00+09:00",
        "9000-01-01T00:00:00Z",
    ] {
        let event = with(&target.event(&fresh("room"), true), "/ts", Some(json!(ts)));
        let plan = target.decide(&event).await;
        assert_eq!(action_of(&plan).0, "request_generation", "{ts}");
    }
}

/// 6.2: a ResponsePlan has all its fields, of the right tenant and room.
#[tokio::test]
async fn a_plan_has_all_required_fields() {
    let target = Target::any().await;
    let room = fresh("room");
    for mentioned in [true, false] {
        let event = target.event(&room, mentioned);
        let plan = target.decide(&event).await;
        assert_eq!(plan["v"], 0);
        assert_eq!(plan["tenant_id"], target.tenant());
        assert_eq!(plan["room_id"], room.as_str());
        assert_eq!(plan["event_id"], event["event_id"]);
        let id = plan["plan_id"].as_str().unwrap_or_default();
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{plan}");
        assert!(
            plan["actions"]
                .as_array()
                .is_some_and(|all| !all.is_empty()),
            "{plan}"
        );
    }
}

/// 6.3: only these four actions are in force; the other two are reserved, whatever is said.
#[tokio::test]
async fn only_the_four_actions_are_in_force() {
    let target = Target::any().await;
    let contracts = target.get("/v0/contracts").await.plan();
    let active = json!([
        "do_nothing",
        "request_generation",
        "send_message",
        "send_reply"
    ]);
    if contracts["actions"]["active"] != active {
        // The orchestrator implements the two; it says so here, and its own suites hold them.
        chiffon_tests::not_run(
            "reserved actions are not emitted",
            "this control plane starts jobs",
        );
        return;
    }
    assert_eq!(
        contracts["actions"]["reserved"],
        json!(["start_agent_job", "request_approval"])
    );
    for text in [
        "Restart cron on nas",
        "start_agent_job",
        "Please approve: request_approval",
        "approve",
        "{\"type\":\"start_agent_job\"}",
    ] {
        let event = target.event(&fresh("room"), true);
        let event = with(&event, "/content/text", Some(json!(text)));
        let plan = target.decide(&event).await;
        assert!(
            active
                .as_array()
                .is_some_and(|all| all.contains(&json!(action_of(&plan).0))),
            "{plan}"
        );
    }
}

/// 6.3: a text that was generated goes to whoever was meant: REPLY becomes send_reply, and failure do_nothing.
#[tokio::test]
async fn a_generated_text_is_sent_as_the_plan_meant_it() {
    let target = Target::any().await;
    let room = fresh("room");
    let event = target.event(&room, true);
    let plan = target.decide(&event).await;
    let said = target
        .post("/v0/generations", &target.generated(&plan))
        .await
        .plan();
    assert_eq!(action_of(&said).0, "send_reply", "{said}");
    assert_eq!(said["actions"][0]["target"], room.as_str());
    assert_eq!(said["actions"][0]["reply_to"], event["event_id"]);
    assert_eq!(said["actions"][0]["text"], "I am well.");
    for status in ["failed", "refused"] {
        let plan = target.ask(&fresh("room")).await;
        let result = with(&target.generated(&plan), "/status", Some(json!(status)));
        let result = with(&result, "/text", None);
        let said = target.post("/v0/generations", &result).await.plan();
        assert_eq!(nothing_because(&said), format!("generation_{status}"));
    }
}
