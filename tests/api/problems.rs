//! Every error is a problem (A2): whatever is wrong, the form is the same, and its page is there.

use std::sync::{Arc, atomic::Ordering};

use serde_json::{Value, json};

use super::{
    client::{Reply, places, problem},
    doctored::Doctored,
    wire::{Wire, request},
    world::{Act, World},
};

const NOBODY: &str = "0190a7e0-0000-7000-8000-000000000001";

/// What came back for a body as it stands.
async fn posted(world: &World, body: impl Into<Vec<u8>>) -> Reply {
    world.call("POST", "/request").raw(body).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_a_404_whether_its_id_is_unknown_or_nonsense() {
    let world = World::plain(Act::Complete).await;
    for path in ["/nothing/here", "/", "/api/v1", "/errors/5999", "/errors/x"] {
        let reply = world.call("GET", path).send().await;
        problem(&world, &reply, 404, 5004, path).await;
    }
    for noun in [
        "requests",
        "tasks",
        "decisions",
        "plans",
        "agents",
        "projects",
        "inventory",
    ] {
        // No noun has this; some cannot have it, for the space and the ü.
        for (id, shown) in [
            (NOBODY, NOBODY),
            ("nonsense", "nonsense"),
            ("%20%C3%BC", "%20%C3%BC"),
            ("%FF", "%FF"),
        ] {
            let path = format!("/api/v1/{noun}/{id}");
            let reply = world.call("GET", &path).send().await;
            let body = problem(
                &world,
                &reply,
                404,
                5004,
                &format!("/api/v1/{noun}/{shown}"),
            )
            .await;
            assert_eq!(places(&body), ["path /id"], "{path}");
        }
    }
    for (method, path) in [
        ("GET", format!("/api/v1/requests/{NOBODY}/plan")),
        ("GET", format!("/api/v1/requests/{NOBODY}/follow")),
        ("GET", format!("/api/v1/tasks/{NOBODY}/logs")),
        ("POST", format!("/api/v1/requests/{NOBODY}/cancel")),
        ("POST", format!("/api/v1/requests/{NOBODY}/retry")),
    ] {
        let reply = world.call(method, &path).send().await;
        problem(&world, &reply, 404, 5004, &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_the_body_names_is_pointed_at_in_the_body() {
    let world = World::plain(Act::Complete).await;
    let body = json!({ "request_id": NOBODY });
    let reply = world.call("POST", "/approve").json(&body).send().await;
    let said = problem(&world, &reply, 404, 5004, "/approve").await;
    assert_eq!(places(&said), ["body /request_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_an_address_does_not_take_is_a_405_that_names_those_it_does() {
    let world = World::plain(Act::Complete).await;
    for (method, path, taken) in [
        ("GET", "/approve", vec!["POST"]),
        ("DELETE", "/api/v1/requests", vec!["GET", "HEAD", "POST"]),
        ("POST", "/api/v1/events/stream", vec!["GET", "HEAD"]),
        (
            "PUT",
            "/api/v1/agents/infrastructure",
            vec!["GET", "HEAD", "PATCH"],
        ),
        ("PROPFIND", "/health", vec!["GET", "HEAD"]),
    ] {
        let reply = world.call(method, path).send().await;
        problem(&world, &reply, 405, 5005, path).await;
        let allow = reply.header("allow").unwrap_or_default();
        let mut allowed: Vec<_> = allow.split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, taken, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_ten_megabytes_is_refused_so_that_its_sender_hears_it() {
    let world = World::plain(Act::Complete).await;
    let text = json!({ "text": "x".repeat(10 * 1024 * 1024) });
    let reply = posted(&world, text.to_string()).await;
    problem(&world, &reply, 413, 5003, "/request").await;
    // The same in chunks, whose length nobody announces.
    let mut wire = Wire::open(&world).await;
    let more = [
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    ];
    wire.write(request(&world, "POST /request HTTP/1.1", &more))
        .await;
    let piece = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
    for _ in 0..160 {
        wire.write(&piece).await;
    }
    wire.write("0\r\n\r\n").await;
    let reply = wire.reply().await.expect("an answer");
    problem(&world, &reply, 413, 5003, "/request").await;
    // And the connection is good for the next.
    wire.write(request(&world, "GET /health HTTP/1.1", &[]))
        .await;
    wire.reply().await.expect("an answer").expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_not_said_to_be_json_is_a_415() {
    let world = World::plain(Act::Complete).await;
    let good = r#"{"text":"ping nas"}"#;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
    ] {
        let reply = world.call("POST", "/request").body(kind, good).send().await;
        let body = problem(&world, &reply, 415, 5006, "/request").await;
        assert_eq!(places(&body), ["header /content-type"]);
    }
    let cancel = format!("/cancel/{NOBODY}");
    let reply = world
        .call("POST", &cancel)
        .body("text/plain", "{}")
        .send()
        .await;
    problem(&world, &reply, 415, 5006, &cancel).await;
    let kind = "Application/JSON; charset=utf-8";
    let reply = world.call("POST", "/request").body(kind, good).send().await;
    reply.expect(202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_fit_is_a_400_that_points_at_the_place() {
    let world = World::plain(Act::Complete).await;
    let deep = "[".repeat(200) + &"]".repeat(200);
    for (body, place) in [
        (String::new(), "body "),
        ("{".to_owned(), "body "),
        ("not json".to_owned(), "body "),
        (r#"["ping nas"]"#.to_owned(), "body "),
        (r#"{"text":"ping nas"} {}"#.to_owned(), "body "),
        (r#"{"text":"ping nas"},"#.to_owned(), "body "),
        (
            r#"{"text":"ping nas","text":"ping tower"}"#.to_owned(),
            "body ",
        ),
        (
            r#"{"text":"ping nas","sudo":true}"#.to_owned(),
            "body /sudo",
        ),
        (
            r#"{"text":"ping nas","a/b~c":true}"#.to_owned(),
            "body /a~1b~0c",
        ),
        (r#"{"text":7}"#.to_owned(), "body /text"),
        (
            r#"{"text":"ping nas","project_id":"a b"}"#.to_owned(),
            "body /project_id",
        ),
        (r#"{"text":"\ud800"}"#.to_owned(), "body /text"),
        (format!(r#"{{"text":{deep}}}"#), "body /text"),
    ] {
        // Which of them it was, where one does not fit.
        println!("{body:.80}");
        let reply = posted(&world, body.clone()).await;
        let said = problem(&world, &reply, 400, 5001, "/request").await;
        assert_eq!(places(&said), [place], "{body}");
    }
    let reply = posted(&world, b"{\"text\":\"\xff\"}".to_vec()).await;
    problem(&world, &reply, 400, 5001, "/request").await;
    // Depth where anything goes.
    let run = "/api/v1/catalogue/ping/run";
    let body = format!(r#"{{"hosts":["nas"],"parameters":{{"x":{deep}}}}}"#);
    let reply = world.call("POST", run).raw(body).send().await;
    problem(&world, &reply, 400, 5001, run).await;
    let reply = world
        .call("POST", run)
        .raw(r#"{"hosts":["nas",7]}"#)
        .send()
        .await;
    let said = problem(&world, &reply, 400, 5001, run).await;
    assert_eq!(places(&said), ["body /hosts/1"]);
    // A list of its fields is no object, however deep it stands, and no key stands twice.
    let digest = format!("sha256:{}", "0".repeat(64));
    let verify = "/api/v1/audit/verify";
    let anchor = format!(r#"[1,1,1,"{digest}","{digest}","{digest}",null,"2026-01-02T03:04:05Z"]"#);
    let named = anchor_of(&digest);
    let entries = "/api/v1/acceptances";
    for (path, body, place) in [
        (verify, format!(r#"{{"anchors":[{anchor}]}}"#), "/anchors/0"),
        (
            verify,
            format!(r#"{{"anchors":[{named},{anchor}]}}"#),
            "/anchors/1",
        ),
        (
            entries,
            format!(r#"{{"entries":[["ping","{digest}",null]]}}"#),
            "/entries/0",
        ),
        (
            run,
            r#"{"hosts":["nas"],"parameters":{"x":{"a":1,"a":2}}}"#.to_owned(),
            "/parameters/x",
        ),
        (
            run,
            r#"{"hosts":["nas"],"parameters":{"x":1,"x":2}}"#.to_owned(),
            "/parameters",
        ),
    ] {
        println!("{body:.80}");
        let method = if path == entries { "PUT" } else { "POST" };
        let reply = world.call(method, path).raw(body).send().await;
        let said = problem(&world, &reply, 400, 5001, path).await;
        assert_eq!(places(&said), [format!("body {place}")]);
    }
    let reply = world
        .call("POST", verify)
        .raw(format!(r#"{{"anchors":[{named}]}}"#));
    reply.send().await.expect(200);
}

/// An anchor in its form.
fn anchor_of(digest: &str) -> Value {
    json!({
        "seal_no": 1, "first_seq": 1, "last_seq": 1, "root": digest, "previous": digest, "hash": digest,
        "at": "2026-01-02T03:04:05Z",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentence_that_is_none_is_a_422() {
    let world = World::plain(Act::Complete).await;
    for (text, code) in [
        (json!(""), 5007),
        (json!("  \n "), 5007),
        (json!("a\u{0}b"), 5008),
        (json!("x".repeat(8_001)), 5009),
    ] {
        let reply = posted(&world, json!({ "text": text }).to_string()).await;
        let said = problem(&world, &reply, 422, code, "/request").await;
        assert_eq!(places(&said), ["body /text"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_does_not_fit_is_a_400_that_names_the_parameter() {
    let world = World::plain(Act::Complete).await;
    for (query, place) in [
        ("limit=0", "query /limit"),
        ("limit=501", "query /limit"),
        ("limit=-1", "query /limit"),
        ("limit=x", "query /limit"),
        ("limit=1&limit=2", "query /limit"),
        ("colour=red", "query /colour"),
        ("state=sleeping", "query /state"),
        ("project_id=a%20b", "query /project_id"),
        ("open_only=perhaps", "query /open_only"),
        ("cursor=nonsense", "query /cursor"),
        ("cursor=", "query /cursor"),
    ] {
        let path = format!("/api/v1/requests?{query}");
        let reply = world.call("GET", &path).send().await;
        let said = problem(&world, &reply, 400, 5001, "/api/v1/requests").await;
        assert_eq!(places(&said), [place], "{query}");
    }
    for (path, place) in [
        ("/api/v1/audit?after=99999999999999999999", "query /after"),
        ("/api/v1/audit?after=9223372036854775808", "query /after"),
        ("/api/v1/events?after=-1", "query /after"),
        ("/api/v1/events?type=Bead", "query /type"),
        ("/api/v1/events?type=", "query /type"),
        ("/api/v1/events/stream?type=a%20b", "query /type"),
        ("/api/v1/tasks?state=asleep", "query /state"),
        ("/api/v1/decisions?state=asleep", "query /state"),
    ] {
        let reply = world.call("GET", path).send().await;
        let bare = path.split('?').next().unwrap();
        let said = problem(&world, &reply, 400, 5001, bare).await;
        assert_eq!(places(&said), [place], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_answers_like_every_other_fault_and_the_server_goes_on() {
    let mut world = World::plain(Act::Complete).await;
    world.crash_orchestrator().await;
    let store = Doctored::over(Arc::clone(&world.store));
    world.store = store.clone();
    world.start_orchestrator().await;
    let path = "/api/v1/projects";
    world.call("GET", path).send().await.expect(200);
    store.panics.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let call = world.call("GET", path).header("x-request-id", "mine");
        let reply = call.send().await;
        let said = problem(&world, &reply, 500, 5901, path).await;
        assert!(
            !said.to_string().contains("as ordered"),
            "it tells the panic: {said}"
        );
        assert_eq!(reply.header("x-request-id"), Some("mine"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
    store.panics.store(false, Ordering::SeqCst);
    world.call("GET", path).send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stops_half_way_is_a_408_after_ten_seconds_and_holds_up_nobody() {
    let world = World::plain(Act::Complete).await;
    let more = ["Content-Type: application/json", "Content-Length: 100"];
    let mut stopped = Vec::new();
    for _ in 0..20 {
        let mut wire = Wire::open(&world).await;
        wire.write(request(&world, "POST /request HTTP/1.1", &more))
            .await;
        wire.write("{\"text\":").await;
        stopped.push(wire);
    }
    let begun = std::time::Instant::now();
    world.call("GET", "/health").send().await.expect(200);
    let (_, all) = world.get("/api/v1/requests").await;
    assert_eq!(all["items"], json!([]));
    assert!(
        begun.elapsed().as_secs() < 5,
        "others waited {:?}",
        begun.elapsed()
    );
    for mut wire in stopped {
        let reply = wire.reply().await.expect("an answer");
        problem(&world, &reply, 408, 5015, "/request").await;
    }
    // Whoever goes away in the middle has asked for nothing.
    let mut wire = Wire::open(&world).await;
    wire.write(request(&world, "POST /request HTTP/1.1", &more))
        .await;
    wire.write("{\"text\":").await;
    drop(wire);
    world.call("GET", "/health").send().await.expect(200);
    let (_, all) = world.get("/api/v1/requests").await;
    assert_eq!(all["items"], Value::Array(Vec::new()));
}
