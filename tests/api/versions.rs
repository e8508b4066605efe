//! Versions of objects (A4): what has not changed is not sent again, and nobody writes over what somebody else has
//! just said.

use serde_json::{Value, json};

use super::{
    client::{Reply, places, problem},
    world::{Act, World},
};

const LAB: &str = "/api/v1/projects/lab";
const AGENT: &str = "/api/v1/agents/infrastructure";

async fn put(world: &World, header: Option<(&str, &str)>, title: &str) -> Reply {
    let call = world.call("PUT", LAB).json(&json!({ "title": title }));
    let call = match header {
        Some((name, value)) => call.header(name, value),
        None => call,
    };
    call.send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_is_made_once_and_changed_from_the_version_that_was_read() {
    let world = World::plain(Act::Complete).await;
    let none_yet = Some(("if-none-match", "*"));
    let missing = put(&world, Some(("if-match", "\"1\"")), "too early").await;
    problem(&world, &missing, 412, 5012, LAB).await;
    let missing = put(&world, Some(("if-match", "*")), "too early").await;
    problem(&world, &missing, 412, 5012, LAB).await;
    world.call("GET", LAB).send().await.expect(404);

    let made = put(&world, none_yet, "first").await;
    assert_eq!(made.expect(201)["title"], "first");
    let first = made.header("etag").unwrap().to_owned();
    let again = put(&world, none_yet, "again").await;
    let said = problem(&world, &again, 412, 5012, LAB).await;
    assert_eq!(places(&said).len(), 1);

    let bare = put(&world, None, "bare").await;
    let said = problem(&world, &bare, 428, 5013, LAB).await;
    assert_eq!(places(&said), ["header /if-match"]);
    for wrong in ["\"999\"", "W/\"1\"", "\"zz\", \"998\""] {
        let refused = put(&world, Some(("if-match", wrong)), "wrong").await;
        problem(&world, &refused, 412, 5012, LAB).await;
    }
    for no_tag in ["999", "nonsense", "", "\"1\", nonsense"] {
        let refused = put(&world, Some(("if-match", no_tag)), "wrong").await;
        problem(&world, &refused, 400, 5001, LAB).await;
    }
    let both = world
        .call("PUT", LAB)
        .json(&json!({}))
        .header("if-match", &first);
    let both = both.header("if-none-match", "*").send().await;
    problem(&world, &both, 400, 5001, LAB).await;

    let changed = put(&world, Some(("if-match", &first)), "second").await;
    assert_eq!(changed.expect(200)["title"], "second");
    let second = changed.header("etag").unwrap().to_owned();
    assert_ne!(first, second);
    let late = put(&world, Some(("if-match", &first)), "late").await;
    problem(&world, &late, 412, 5012, LAB).await;
    let read = world.call("GET", LAB).send().await;
    assert_eq!(read.expect(200)["title"], "second");
    assert_eq!(read.header("etag"), Some(&*second));
    let known = world
        .call("GET", LAB)
        .header("if-none-match", &second)
        .send()
        .await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    put(&world, Some(("if-match", "*")), "whichever")
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_at_once_one_wins_and_the_other_is_told() {
    let world = World::plain(Act::Complete).await;
    let none_yet = Some(("if-none-match", "*"));
    let both = tokio::join!(put(&world, none_yet, "a"), put(&world, none_yet, "b"));
    let mut statuses = [both.0.status, both.1.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412]);
    for _ in 0..10 {
        let etag = world.call("GET", LAB).send().await;
        let etag = etag.header("etag").unwrap().to_owned();
        let header = Some(("if-match", &*etag));
        let (a, b) = tokio::join!(put(&world, header, "a"), put(&world, header, "b"));
        let (won, lost) = if a.status == 200 { (a, b) } else { (b, a) };
        let title = won.expect(200)["title"].clone();
        problem(&world, &lost, 412, 5012, LAB).await;
        assert_eq!(world.get(LAB).await.1["title"], title);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_keeps_its_bounds() {
    let world = World::plain(Act::Complete).await;
    for (body, place) in [
        (json!({ "title": "x".repeat(201) }), "body /title"),
        (json!({ "title": "a\u{7}" }), "body /title"),
        (
            json!({ "description": "x".repeat(4001) }),
            "body /description",
        ),
        (json!({ "name": "x" }), "body /name"),
    ] {
        let call = world.call("PUT", LAB).header("if-none-match", "*");
        let said = call.json(&body).send().await;
        let said = problem(&world, &said, 400, 5001, LAB).await;
        assert_eq!(places(&said), [place]);
    }
    let body = json!({ "title": "ü".repeat(200), "description": "x\ny" });
    let call = world.call("PUT", LAB).header("if-none-match", "*");
    call.json(&body).send().await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_has_not_changed_is_not_sent_again() {
    let world = World::plain(Act::Complete).await;
    let id = world
        .ask("write_file path=/tmp/x content=hello on nas")
        .await;
    world.until(&id, &["awaiting_approval"]).await;
    let path = format!("/api/v1/requests/{id}");
    let first = world.call("GET", &path).send().await;
    let tag = first.header("etag").unwrap().to_owned();
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let reply = world
            .call("GET", &path)
            .header("if-none-match", &known)
            .send()
            .await;
        assert_eq!((reply.status, reply.body.len()), (304, 0), "{known}");
        assert_eq!(reply.header("etag"), Some(&*tag));
    }
    world.approve(&id).await;
    world.until(&id, &["completed"]).await;
    world
        .until_it(&id, "its ledger commit", |request| {
            request["ledger_commit"].is_string()
        })
        .await;
    let changed = world
        .call("GET", &path)
        .header("if-none-match", &tag)
        .send()
        .await;
    assert_eq!(changed.expect(200)["state"], "completed");
    assert_ne!(changed.header("etag"), Some(&*tag));
}

/// Changes the agent's status from the version in force. A heartbeat may be faster, which a client answers by
/// reading again.
async fn set(world: &World, status: &str) -> Value {
    for _ in 0..20 {
        let read = world.call("GET", AGENT).send().await;
        let tag = read.header("etag").unwrap().to_owned();
        let call = world.call("PATCH", AGENT).header("if-match", &tag);
        let reply = call.json(&json!({ "status": status })).send().await;
        if reply.status != 412 {
            assert_ne!(reply.header("etag"), Some(&*tag));
            return reply.expect(200);
        }
    }
    panic!("the agent changes all the time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_changed_from_the_version_that_was_read() {
    let world = World::plain(Act::Complete).await;
    let is_there = world.ask("ping nas").await;
    world.until(&is_there, &["completed"]).await;
    let mut known = 0;
    for _ in 0..20 {
        let read = world.call("GET", AGENT).send().await;
        let tag = read.header("etag").unwrap();
        let again = world.call("GET", AGENT).header("if-none-match", tag);
        known = again.send().await.status;
        // A heartbeat may have come between.
        if known == 304 {
            break;
        }
    }
    assert_eq!(known, 304);
    let inactive = json!({ "status": "inactive" });
    let bare = world.call("PATCH", AGENT).json(&inactive).send().await;
    problem(&world, &bare, 428, 5013, AGENT).await;
    let stale = world.call("PATCH", AGENT).header("if-match", "\"0\"");
    problem(
        &world,
        &stale.json(&inactive).send().await,
        412,
        5012,
        AGENT,
    )
    .await;
    let nonsense = world.call("PATCH", AGENT).header("if-match", "*");
    let nonsense = nonsense.json(&json!({ "status": "asleep" })).send().await;
    let said = problem(&world, &nonsense, 400, 5001, AGENT).await;
    assert_eq!(places(&said), ["body /status"]);
    let nobody = "/api/v1/agents/nobody";
    let call = world.call("PATCH", nobody).header("if-match", "*");
    problem(
        &world,
        &call.json(&inactive).send().await,
        404,
        5004,
        nobody,
    )
    .await;
    let whichever = world.call("PATCH", AGENT).header("if-match", "*");
    let whichever = whichever.json(&inactive).send().await;
    assert_eq!(whichever.expect(200)["status"], "inactive");
    assert_eq!(set(&world, "active").await["status"], "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_a_person_has_put_aside_gets_no_work_until_it_is_active_again() {
    let mut world = World::plain(Act::Complete).await;
    let before = world.ask("ping nas").await;
    world.until(&before, &["completed"]).await;
    assert_eq!(set(&world, "inactive").await["status"], "inactive");
    let id = world.ask("ping tower").await;
    let waits = |request: &Value| {
        let because = request["tasks"][0]["because"].as_str().unwrap_or_default();
        because.contains("waits for an agent")
    };
    world.until_it(&id, "waiting for an agent", waits).await;
    // Neither heartbeats nor a restart take back what a person has said.
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    let heard = |agent: &Value| agent["state"] == "idle" && agent["version"] != "";
    let mut agent = world.get(AGENT).await.1;
    let until = std::time::Instant::now() + super::world::PATIENCE;
    while !heard(&agent) && std::time::Instant::now() < until {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        agent = world.get(AGENT).await.1;
    }
    assert!(heard(&agent), "{agent:#}");
    assert_eq!(agent["status"], "inactive");
    assert_eq!(world.show(&id).await["state"], "running");
    assert_eq!(world.worker.starts().len(), 1, "it was given work");
    set(&world, "active").await;
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_has_in_hand_goes_on_when_it_is_put_aside() {
    let world = World::plain(Act::Hold).await;
    let id = world.ask("ping nas").await;
    world
        .wait_for("the start", || world.worker.starts().len() == 1)
        .await;
    set(&world, "inactive").await;
    world.worker.let_go();
    world.until(&id, &["completed"]).await;
    assert_eq!(world.get(AGENT).await.1["status"], "inactive");
}
