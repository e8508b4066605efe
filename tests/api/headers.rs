//! What surrounds every call: headers of answers, traces, and who may speak to this server at all.

use std::time::{Duration, Instant};

use chiffon_common::TraceParent;
use tokio::time::timeout;

use super::{
    client::{Reply, places, problem},
    listener::Listener,
    wire::{Wire, request, with_host},
    world::{Act, World},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// A health call is answered within this also while others misbehave; a busy machine needs some of it.
const SOON: Duration = Duration::from_secs(5);

fn parent(trace: &str) -> String {
    format!("00-{trace}-00f067aa0ba902b7-01")
}

async fn sent(world: &World, bytes: String) -> Reply {
    let mut wire = Wire::open(world).await;
    wire.write(bytes).await;
    wire.reply().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_tells_browsers_to_keep_their_hands_off() {
    let world = World::plain(Act::Complete).await;
    // The agent is known when it has worked.
    let id = world.ask("ping nas").await;
    world.until(&id, &["completed"]).await;
    let strict = "default-src 'none'; frame-ancestors 'none'";
    for (method, path, status, policy, kept) in [
        ("GET", "/health", 200, strict, "no-store"),
        ("GET", "/nothing", 404, strict, "no-store"),
        ("GET", "/approve", 405, strict, "no-store"),
        ("POST", "/request", 415, strict, "no-store"),
        ("GET", "/api/v1/openapi.json", 200, strict, "no-store"),
        (
            "GET",
            "/api/v1/agents/infrastructure",
            200,
            strict,
            "private, no-cache",
        ),
        ("GET", "/api/v1/events/stream", 200, strict, "no-cache"),
        (
            "GET",
            "/api/docs/",
            200,
            "script-src 'self'",
            "private, max-age=3600",
        ),
    ] {
        let answer = world.call(method, path).begin().await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(
            header("cross-origin-opener-policy"),
            "same-origin",
            "{path}"
        );
        assert_eq!(
            header("cross-origin-resource-policy"),
            "same-origin",
            "{path}"
        );
        assert_eq!(header("cache-control"), kept, "{path}");
        let said = header("content-security-policy");
        assert!(said.contains(policy), "{path}: {said}");
        assert!(!said.contains("unsafe-eval"), "{path}: {said}");
        header("traceparent").parse::<TraceParent>().unwrap();
    }
    let page = world
        .call("GET", "/errors/5004")
        .header("accept", "text/html");
    let page = page.send().await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .contains("script-src 'self'")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_id_comes_back_unless_it_could_do_harm() {
    let world = World::plain(Act::Complete).await;
    for path in ["/health", "/nothing"] {
        for id in [
            "a",
            "0190a7e0-0000-7000-8000-000000000001",
            "a/b:c@d",
            &"x".repeat(128),
        ] {
            let reply = world
                .call("GET", path)
                .header("x-request-id", id)
                .send()
                .await;
            assert_eq!(reply.header("x-request-id"), Some(id));
        }
        let long = "x".repeat(129);
        for id in [
            &b"a b"[..],
            b"a\tb",
            b"",
            b"\xc3\xbc",
            b"\xff",
            long.as_bytes(),
        ] {
            let reply = world
                .call("GET", path)
                .header("x-request-id", id)
                .send()
                .await;
            assert_eq!(reply.headers.get("x-request-id"), None, "{id:?}");
        }
        let reply = world.call("GET", path).send().await;
        assert_eq!(reply.headers.get("x-request-id"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_answer_record_and_event() {
    let world = World::plain(Act::Complete).await;
    let mut events = Listener::open(&world, "", None).await.unwrap();
    let body = serde_json::json!({ "text": "write_file path=/tmp/x content=hello on nas" });
    let call = world
        .call("POST", "/request")
        .header("traceparent", parent(TRACE));
    let reply = call.json(&body).send().await;
    let id = reply.expect(202)["request_id"].as_str().unwrap().to_owned();
    assert_eq!(reply.trace(), TRACE);
    assert_ne!(
        reply.header("traceparent"),
        Some(&*parent(TRACE)),
        "a span of its own"
    );

    let other = "0af7651916cd43dd8448eb211c80319c";
    let request = world.until(&id, &["awaiting_approval"]).await;
    let answer = serde_json::json!({ "request_id": id, "digest": request["plan"]["digest"] });
    let call = world
        .call("POST", "/approve")
        .header("traceparent", parent(other));
    let reply = call.json(&answer).send().await;
    reply.expect(200);
    assert_eq!(reply.trace(), other);
    world.until(&id, &["completed"]).await;

    let (_, audit) = world.get("/api/v1/audit?limit=500").await;
    let of_it = |record: &serde_json::Value| record["record"]["entry"]["request_id"] == id.as_str();
    let records: Vec<_> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| of_it(r))
        .collect();
    assert!(records.len() > 3, "{records:#?}");
    for record in records {
        let entry = &record["record"]["entry"];
        let trace = entry["trace_id"].as_str().unwrap().replace('-', "");
        let expected = if entry["reason_code"] == "answered" {
            other
        } else {
            TRACE
        };
        assert_eq!(trace, expected, "{entry:#}");
    }
    let events = events.until("request.completed").await;
    let views: Vec<_> = events.iter().map(|event| event.view()).collect();
    let traced: Vec<_> = views
        .iter()
        .filter(|view| view["data"]["request_id"] == id.as_str() && view["type"] != "log.message")
        .collect();
    assert!(traced.len() > 5, "{views:#?}");
    for view in traced {
        let trace = view["data"]["trace_id"].as_str().unwrap().replace('-', "");
        let expected = if view["data"]["reason_code"] == "answered" {
            other
        } else {
            TRACE
        };
        assert_eq!(trace, expected, "{view:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_trace_is_left_alone() {
    let world = World::plain(Act::Complete).await;
    let mut seen = std::collections::BTreeSet::new();
    for broken in [
        "",
        "nonsense",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ] {
        let reply = world
            .call("GET", "/health")
            .header("traceparent", broken)
            .send()
            .await;
        reply.expect(200);
        let trace = reply.trace();
        assert_ne!(trace, TRACE, "{broken}");
        assert_ne!(trace, "0".repeat(32), "{broken}");
        assert!(seen.insert(trace), "two calls have one trace");
    }
    // Two of them say nothing.
    let lines = [parent(TRACE), parent("0af7651916cd43dd8448eb211c80319c")];
    let lines = lines.map(|one| format!("traceparent: {one}"));
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    sent(&world, request(&world, "GET /health HTTP/1.1", &lines))
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_calls_to_a_name_of_this_server_are_heard() {
    let world = World::plain(Act::Complete).await;
    let address = world.orchestrator.as_ref().unwrap().address();
    let ours = format!("Host: {address}");
    for (line, hosts) in [
        ("GET /health HTTP/1.1", vec!["Host: evil.example"]),
        (
            "GET /health HTTP/1.1",
            vec!["Host: 127.0.0.1.evil.example:80"],
        ),
        ("GET /health HTTP/1.1", vec!["Host: "]),
        ("GET /health HTTP/1.1", vec![&*ours, "Host: evil.example"]),
        ("GET /health HTTP/1.1", vec![&*ours, &*ours]),
        ("GET /health HTTP/1.1", vec![]),
        ("GET /health HTTP/1.0", vec![]),
    ] {
        let reply = sent(&world, with_host(line, &hosts, &[])).await;
        let said = problem(&world, &reply, 403, 5202, "/health").await;
        assert_eq!(places(&said), ["header /host"], "{hosts:?}");
    }
    for host in [
        &*ours,
        "Host: localhost",
        "Host: LOCALHOST:1",
        "host: [::1]:9",
    ] {
        sent(&world, with_host("GET /health HTTP/1.1", &[host], &[]))
            .await
            .expect(200);
    }
    sent(&world, with_host("GET /health HTTP/1.0", &[&ours], &[]))
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_are_refused() {
    let world = World::plain(Act::Complete).await;
    let body = serde_json::json!({ "text": "ping nas" });
    let own = world.url("").trim_end_matches('/').to_owned();
    for (name, value, get, post) in [
        ("origin", "http://evil.example", 403, 403),
        ("origin", "http://127.0.0.1:1", 403, 403),
        ("origin", "null", 403, 403),
        ("origin", "", 403, 403),
        ("origin", &own, 200, 202),
        ("sec-fetch-site", "cross-site", 200, 403),
        ("sec-fetch-site", "same-site", 200, 403),
        ("sec-fetch-site", "same-origin", 200, 202),
        ("sec-fetch-site", "none", 200, 202),
    ] {
        let read = world
            .call("GET", "/health")
            .header(name, value)
            .send()
            .await;
        assert_eq!(read.status, get, "GET {name}: {value}: {}", read.text());
        let call = world.call("POST", "/request").header(name, value);
        let write = call.json(&body).send().await;
        assert_eq!(write.status, post, "POST {name}: {value}: {}", write.text());
        assert_eq!(write.headers.get("access-control-allow-origin"), None);
        if post == 403 {
            let said = problem(&world, &write, 403, 5202, "/request").await;
            assert_eq!(places(&said), [format!("header /{name}")]);
        }
    }
    let (_, all) = world.get("/api/v1/requests").await;
    assert_eq!(
        all["items"].as_array().unwrap().len(),
        3,
        "what was refused was done: {all:#}"
    );
}

/// Other calls are answered, and soon.
async fn others_are_served(world: &World) {
    for _ in 0..20 {
        let begun = Instant::now();
        let mut wire = Wire::open(world).await;
        wire.write(request(world, "GET /health HTTP/1.1", &[]))
            .await;
        wire.reply().await.expect("an answer").expect(200);
        assert!(
            begun.elapsed() < SOON,
            "another call took {:?}",
            begun.elapsed()
        );
    }
}

/// The connection is answered with an error or ended; either way it asks for no more.
async fn is_turned_away(wire: &mut Wire) {
    if let Some((status, _)) = wire.head().await {
        assert!((400..500).contains(&status), "{status}");
    }
    while !wire.some().await.is_empty() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_headers_and_a_header_without_end_are_turned_away_and_hurt_nobody() {
    let world = World::plain(Act::Complete).await;
    let many: Vec<_> = (0..200).map(|n| format!("X-{n}: y")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let mut flood = Wire::open(&world).await;
    flood
        .write(request(&world, "GET /health HTTP/1.1", &many))
        .await;
    is_turned_away(&mut flood).await;

    let mut long = Wire::open(&world).await;
    let start = request(&world, "GET /health HTTP/1.1", &[]);
    let start = start.trim_end().to_owned() + "\r\nX-Long: ";
    long.write(start).await;
    for _ in 0..64 {
        // It may hang up at any point of it.
        if long.try_write("x".repeat(16 * 1024)).await.is_err() {
            break;
        }
    }
    let _hung_up = long.try_write("\r\n\r\n").await;
    is_turned_away(&mut long).await;
    others_are_served(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_trickle_their_headers_keep_nobody_from_being_served() {
    let world = World::plain(Act::Complete).await;
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut wire = Wire::open(&world).await;
        slow.spawn(async move {
            for byte in "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ".bytes() {
                if wire.try_write([byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    others_are_served(&world).await;
    let id = world.ask("ping nas").await;
    world.until(&id, &["completed"]).await;
    let early = timeout(Duration::ZERO, slow.join_next()).await;
    assert!(
        early.is_err(),
        "they are still there while others are served"
    );
}
