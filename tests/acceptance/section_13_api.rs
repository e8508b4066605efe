//! Section 13: five addresses, each with its method; and what comes in that no honest sender would send.

use serde_json::{Value, json};

use crate::target::{OPEN, Target, action_of, fresh};

const POSTED: [&str; 3] = ["/v0/events", "/v0/generations", "/v0/action-results"];
const READ: [&str; 2] = ["/v0/contracts", "/v0/healthz"];

#[tokio::test]
async fn each_address_takes_its_method_alone() {
    let target = Target::any().await;
    for path in POSTED {
        for method in ["GET", "PUT", "DELETE", "PATCH"] {
            let reply = target.sent(target.request(method, path)).await;
            assert_eq!(reply.problem(405), 5005, "{method} {path}");
        }
    }
    for path in READ {
        let reply = target.sent(target.request("POST", path)).await;
        assert_eq!(reply.problem(405), 5005, "POST {path}");
    }
    for path in [
        "/v0",
        "/v0/event",
        "/v0/events/",
        "/v1/events",
        "/v0/events/../healthz%00",
    ] {
        let reply = target.get(path).await;
        assert_eq!(reply.status.as_u16(), 404, "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn its_health_can_be_asked() {
    let target = Target::any().await;
    assert_eq!(target.get("/v0/healthz").await.plan()["status"], "ok");
}

/// GET /v0/contracts: the actions, and a schema for everything that is sent and answered.
#[tokio::test]
async fn its_contracts_can_be_asked() {
    let target = Target::any().await;
    let contracts = target.get("/v0/contracts").await.plan();
    assert_eq!(contracts["versions"], json!([0]));
    for name in [
        "event",
        "response_plan",
        "action",
        "generation_result",
        "action_result",
        "authz_request",
        "authz_decision",
    ] {
        let schema = &contracts["schemas"][name];
        assert!(schema.is_object(), "no schema of {name}");
    }
    let required = &contracts["schemas"]["event"]["required"];
    let mut names: Vec<&str> = required
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    names.sort_unstable();
    let document = [
        "actor",
        "content",
        "event_id",
        "room_id",
        "source",
        "tenant_id",
        "ts",
        "v",
    ];
    assert_eq!(names, document, "the required fields of section 6.1");
}

/// The loop of an answer: event, generation, delivery, each at its address.
#[tokio::test]
async fn an_event_is_followed_to_its_end() {
    let target = Target::any().await;
    let room = fresh("room");
    for _ in 0..3 {
        let plan = target.ask(&room).await;
        assert_eq!(action_of(&plan).0, "request_generation");
        let said = target
            .post("/v0/generations", &target.generated(&plan))
            .await
            .plan();
        assert_eq!(action_of(&said).0, "send_reply");
        let receipt = target
            .post("/v0/action-results", &target.delivered(&said))
            .await
            .plan();
        for field in ["tenant_id", "room_id", "plan_id"] {
            assert_eq!(receipt[field], said[field], "{field}");
        }
    }
}

/// Results of nothing that was asked for.
#[tokio::test]
async fn a_result_of_nothing_is_told_so() {
    let target = Target::any().await;
    let unknown = json!({"plan_id": uuid::Uuid::now_v7().to_string(), "actions": [{"action_id": uuid::Uuid::now_v7().to_string()}]});
    assert_eq!(
        target
            .post("/v0/generations", &target.generated(&unknown))
            .await
            .problem(404),
        5021
    );
    assert_eq!(
        target
            .post("/v0/action-results", &target.delivered(&unknown))
            .await
            .problem(404),
        5021
    );
    let ignored = target.decide(&target.event(&fresh("room"), false)).await;
    let reply = target
        .post("/v0/generations", &target.generated(&ignored))
        .await;
    assert_eq!(reply.problem(409), 5022, "it asked for no generation");
    let plan = target.ask(&fresh("room")).await;
    let strange = json!({"plan_id": plan["plan_id"], "actions": unknown["actions"]});
    let reply = target
        .post("/v0/action-results", &target.delivered(&strange))
        .await;
    assert!(reply.status.is_client_error(), "{reply:?}");
    reply.problem(reply.status.as_u16());
}

/// Bodies that are none, in bounded time and memory; the next honest one is answered.
#[tokio::test]
async fn a_body_that_is_none_is_refused() {
    let target = Target::any().await;
    let deep = |open: &str, close: &str| {
        [open.repeat(10_000), close.repeat(10_000)]
            .concat()
            .into_bytes()
    };
    let bodies: Vec<(&str, Vec<u8>, u16)> = vec![
        ("empty", Vec::new(), 400),
        ("no JSON", b"event".to_vec(), 400),
        ("half of one", b"{\"v\":0,".to_vec(), 400),
        ("a list", b"[]".to_vec(), 400),
        ("two", b"{} {}".to_vec(), 400),
        (
            "no UTF-8",
            b"{\"v\":0,\"event_id\":\"\xff\xfe\"}".to_vec(),
            400,
        ),
        ("10,000 lists", deep("[", "]"), 400),
        ("10,000 objects", deep("{\"a\":", "}"), 400),
        ("a key twice", b"{\"v\":0,\"v\":0}".to_vec(), 400),
        ("10 MB", vec![b' '; 10 << 20], 413),
        (
            "10 MB of text",
            [b"\"".to_vec(), vec![b'x'; 10 << 20], b"\"".to_vec()].concat(),
            413,
        ),
    ];
    for path in POSTED {
        for (name, body, status) in &bodies {
            let reply = target.post_bytes(path, body.clone()).await;
            println!("{path}: {name}");
            reply.problem(*status);
        }
        let request = target.request("POST", path).body("{}");
        let reply = target
            .sent(request.header("content-type", "text/plain"))
            .await;
        assert_eq!(reply.problem(415), 5006);
    }
    assert_eq!(
        action_of(&target.ask(&fresh("room")).await).0,
        "request_generation"
    );
}

/// With a token, nobody is served without it; its health is no secret.
#[tokio::test]
async fn a_token_is_asked_for_where_there_is_one() {
    let config = format!("{OPEN}token: 0123456789abcdef0123\n");
    let Some(target) = Target::own("the token", &config).await else {
        return;
    };
    let event = target.event(&fresh("room"), true);
    for token in [
        None,
        Some(""),
        Some("0123456789abcdef0124"),
        Some("0123456789abcdef012"),
    ] {
        for path in POSTED {
            let request = target.request("POST", path).json(&event);
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            target.sent(request).await.problem(401);
        }
    }
    assert_eq!(target.get("/v0/healthz").await.plan()["status"], "ok");
    let request = target.request("POST", "/v0/events").json(&event);
    let reply = target
        .sent(request.bearer_auth("0123456789abcdef0123"))
        .await;
    reply.is_new();
    reply.plan();
}

/// Without a token, no page in a browser can speak for the person in front of it.
#[tokio::test]
async fn a_page_of_another_origin_is_refused_without_a_token() {
    let Some(target) = Target::own("pages of other origins", OPEN).await else {
        return;
    };
    let event = target.event(&fresh("room"), true);
    for (header, value) in [("origin", "https://example.com"), ("host", "example.com")] {
        let request = target
            .request("POST", "/v0/events")
            .json(&event)
            .header(header, value);
        target.sent(request).await.problem(403);
    }
}
