//! `Idempotency-Key` (R47) on everything that makes work or answers a question: asked twice is done once.

use std::sync::Arc;

use chiffon_bus::MemoryBus;
use serde_json::{Value, json};

use super::{
    client::{Reply, places, problem},
    doctored::Doctored,
    world::{Act, World},
};

const WRITE: &str = "write_file path=/tmp/x content=hello on nas";

/// A POST with a key.
async fn keyed(world: &World, path: &str, key: &str, body: &str) -> Reply {
    let call = world.call("POST", path).header("idempotency-key", key);
    let call = if body.is_empty() {
        call
    } else {
        call.raw(body)
    };
    call.send().await
}

fn is_replay(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

/// The same key with each of these bodies, which mean the same, gets the first answer again; another body is refused.
async fn asked_twice(
    world: &World,
    path: &str,
    bodies: &[&str],
    status: u16,
    other: (&str, &str),
) -> Value {
    let key = format!("key of {path}");
    let first = keyed(world, path, &key, bodies[0]).await;
    let answer = first.expect(status);
    assert!(!is_replay(&first), "{path}");
    for body in bodies {
        let again = keyed(world, path, &key, body).await;
        assert_eq!(again.expect(status), answer, "{path}: {body}");
        assert!(is_replay(&again), "{path}: {body}");
        assert_ne!(again.trace(), first.trace(), "a call of its own");
    }
    // The key in quotes, as the draft writes it.
    let again = keyed(world, path, &format!("\"{key}\""), bodies[0]).await;
    assert!(is_replay(&again), "{path}");
    let refused = keyed(world, other.0, &key, other.1).await;
    let said = problem(world, &refused, 422, 5010, other.0).await;
    assert_eq!(places(&said), ["header /idempotency-key"]);
    answer
}

/// How many requests there are.
async fn requests(world: &World) -> usize {
    let (_, all) = world.get("/api/v1/requests?limit=500").await;
    all["items"].as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_work_makes_it_once() {
    let world = World::plain(Act::Complete).await;
    let ways = [
        r#"{"text":"ping nas","project_id":"lab"}"#,
        "{ \"project_id\" : \"lab\",\n\t\"text\":\"ping nas\" }",
    ];
    for path in ["/api/v1/requests", "/request"] {
        // The two addresses are one operation.
        let before = requests(&world).await;
        let key = "key of two addresses";
        let reply = keyed(&world, path, key, ways[0]).await;
        reply.expect(202);
        assert_eq!(is_replay(&reply), before > 0, "{path}");
    }
    let other = ("/request", r#"{"text":"ping tower","project_id":"lab"}"#);
    let asked = asked_twice(&world, "/api/v1/requests", &ways, 202, other).await;
    assert_eq!(requests(&world).await, 2);

    let run = "/api/v1/catalogue/ping/run";
    let ways = [
        r#"{"hosts":["nas"],"project_id":"lab"}"#,
        r#"{"project_id":"lab", "hosts":["nas"]}"#,
    ];
    let other = (run, r#"{"hosts":["tower"],"project_id":"lab"}"#);
    asked_twice(&world, run, &ways, 202, other).await;
    assert_eq!(requests(&world).await, 3);

    let id = asked["request_id"].as_str().unwrap();
    world.until(id, &["completed"]).await;
    let retry = format!("/api/v1/requests/{id}/retry");
    let other = ("/request", r#"{"text":"ping nas"}"#);
    asked_twice(&world, &retry, &["{}", "", " { } "], 202, other).await;
    assert_eq!(requests(&world).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_a_question_gives_the_same_answer_again_also_when_all_has_moved_on() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask(WRITE).await;
    world.until(&id, &["awaiting_approval"]).await;
    let cancel = format!("/api/v1/requests/{id}/cancel");
    let second = world.ask(WRITE).await;
    let elsewhere = format!("/cancel/{second}");
    let view = asked_twice(&world, &cancel, &["{}", "", "{ }"], 200, (&elsewhere, "{}")).await;
    assert_eq!(view["state"], "cancelled");

    let request = world.until(&second, &["awaiting_approval"]).await;
    let digest = &request["plan"]["digest"];
    let decision = request["decisions"][0]["decision_id"].as_str().unwrap();
    let approve = json!({ "request_id": second, "digest": digest }).to_string();
    let spaced = format!("{{\"digest\" : {digest},\r\n \"request_id\" : \"{second}\"}}");
    let refused = json!({ "request_id": second, "digest": digest, "choice": "reject" }).to_string();
    let view = asked_twice(
        &world,
        "/approve",
        &[&approve, &spaced],
        200,
        ("/approve", &refused),
    )
    .await;
    assert_eq!(view["decisions"][0]["decision_id"], decision);
    world.until(&second, &["completed"]).await;
    // It has moved on, and the answer is that of then.
    let again = keyed(&world, "/approve", "key of /approve", &approve).await;
    assert_eq!(again.expect(200), view);
    assert_eq!(world.worker.starts().len(), 1);

    let third = world.ask(WRITE).await;
    let request = world.until(&third, &["awaiting_approval"]).await;
    let decision = request["decisions"][0]["decision_id"].as_str().unwrap();
    let resolve = format!("/api/v1/decisions/{decision}/resolve");
    let body = json!({ "choice": "approve", "digest": request["plan"]["digest"] }).to_string();
    let other = (&*resolve, r#"{"choice":"reject"}"#);
    asked_twice(&world, &resolve, &[&body], 200, other).await;
    world.until(&third, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 2);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_the_body_is_the_same_as_one_in_the_header() {
    let world = World::plain(Act::Complete).await;
    let body = r#"{"text":"ping nas","idempotency_key":"k"}"#;
    let first = world.call("POST", "/request").raw(body).send().await;
    let again = world.call("POST", "/request").raw(body).send().await;
    assert_eq!(first.expect(202), again.expect(202));
    assert!(is_replay(&again));
    // What the header says counts where both speak.
    let other = keyed(&world, "/request", "another", body).await;
    other.expect(202);
    assert!(!is_replay(&other));
    assert_eq!(requests(&world).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_too_long_or_no_text_is_refused_and_nothing_is_done() {
    let world = World::plain(Act::Complete).await;
    let good = r#"{"text":"ping nas"}"#;
    let longest = "k".repeat(255);
    keyed(&world, "/request", &longest, good).await.expect(202);
    let long = "k".repeat(256);
    for key in [
        &b""[..],
        b"\"\"",
        b"a\tb",
        b"\xc3\xbc",
        b"\xff",
        long.as_bytes(),
    ] {
        let call = world
            .call("POST", "/request")
            .header("idempotency-key", key);
        let reply = call.raw(good).send().await;
        let said = problem(&world, &reply, 400, 5001, "/request").await;
        assert_eq!(places(&said), ["header /idempotency-key"], "{key:?}");
    }
    for key in ["", "\u{0}", "a\nb", &long] {
        let body = json!({ "text": "ping nas", "idempotency_key": key });
        let reply = world.call("POST", "/request").json(&body).send().await;
        let said = problem(&world, &reply, 400, 5001, "/request").await;
        assert_eq!(places(&said), ["body /idempotency_key"], "{key:?}");
    }
    assert_eq!(requests(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_no_answer_to_keep() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask(WRITE).await;
    let request = world.until(&id, &["awaiting_approval"]).await;
    let wrong = json!({ "request_id": id, "digest": format!("sha256:{}", "0".repeat(64)) });
    let reply = keyed(&world, "/approve", "k", &wrong.to_string()).await;
    problem(&world, &reply, 409, 5203, "/approve").await;
    let right = json!({ "request_id": id, "digest": request["plan"]["digest"] });
    let reply = keyed(&world, "/approve", "k", &right.to_string()).await;
    reply.expect(200);
    assert!(!is_replay(&reply));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_are_one_and_the_other_is_told_to_come_again() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let store = Doctored::over(Arc::clone(&world.store));
    world.store = store.clone();
    let world = world.start().await;
    let body = r#"{"text":"ping nas"}"#;
    store.hold();
    let (first, ()) = tokio::join!(keyed(&world, "/request", "k", body), async {
        world
            .wait_for("the first commit", || store.held() == 1)
            .await;
        for body in [body, r#"{"text":"ping tower"}"#] {
            let reply = keyed(&world, "/request", "k", body).await;
            problem(&world, &reply, 409, 5011, "/request").await;
            let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=5).contains(&wait));
        }
        assert_eq!(store.held(), 1, "the second was begun");
        assert_eq!(requests(&world).await, 0);
        store.let_go();
    });
    let answer = first.expect(202);
    let again = keyed(&world, "/request", "k", body).await;
    assert_eq!(again.expect(202), answer);
    assert!(is_replay(&again));
    assert_eq!(requests(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_went_away_in_the_middle_may_ask_again() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let store = Doctored::over(Arc::clone(&world.store));
    world.store = store.clone();
    let world = world.start().await;
    let body = r#"{"text":"ping nas"}"#;
    store.hold();
    tokio::select! {
        reply = keyed(&world, "/request", "k", body) => panic!("answered while held: {reply:?}"),
        () = world.wait_for("the first commit", || store.held() == 1) => {}
    }
    world
        .wait_for("the end of the call", || store.held() == 0)
        .await;
    store.let_go();
    let reply = keyed(&world, "/request", "k", body).await;
    reply.expect(202);
    assert_eq!(requests(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_one() {
    let world = World::plain(Act::Complete).await;
    let body = r#"{"text":"ping nas"}"#;
    let calls = (0..20).map(|_| keyed(&world, "/request", "k", body));
    let mut answers = Vec::new();
    for reply in all(calls).await {
        if reply.status == 409 {
            problem(&world, &reply, 409, 5011, "/request").await;
        } else {
            answers.push(reply.expect(202));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(requests(&world).await, 1);
}

/// All of them at the same time.
async fn all<F: Future<Output = Reply>>(calls: impl Iterator<Item = F>) -> Vec<Reply> {
    let mut waiting: Vec<_> = calls.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        waiting.retain_mut(|call| match call.as_mut().poll(context) {
            std::task::Poll::Ready(reply) => {
                done.push(reply);
                false
            }
            std::task::Poll::Pending => true,
        });
        match waiting.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_outlives_the_orchestrator() {
    let mut world = World::plain(Act::Complete).await;
    let body = r#"{"text":"ping nas"}"#;
    let first = keyed(&world, "/request", "k", body).await.expect(202);
    let id = first["request_id"].as_str().unwrap().to_owned();
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    let again = keyed(&world, "/request", "k", body).await;
    assert_eq!(again.expect(202), first);
    assert!(is_replay(&again));
    let other = keyed(&world, "/request", "k", r#"{"text":"ping tower"}"#).await;
    problem(&world, &other, 422, 5010, "/request").await;
    world.until(&id, &["completed"]).await;
    assert_eq!(requests(&world).await, 1);
}
