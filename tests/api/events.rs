//! The event stream: document 001's names and form for a whole life, filters, numbers without holes, and its end.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use chiffon_bus::MemoryBus;
use serde_json::{Value, json};

use super::{
    client::problem,
    doctored::Doctored,
    listener::{Block, Listener},
    world::{Act, World},
};

const WRITE: &str = "write_file path=/tmp/x content=hello on nas";

/// The events of a store from `after` on, by asking.
async fn asked(world: &World, after: u64, filter: &str) -> Vec<Value> {
    let (mut after, mut all) = (after, Vec::new());
    loop {
        let (status, page) = world
            .get(&format!("/api/v1/events?after={after}&limit=500{filter}"))
            .await;
        assert_eq!(status, 200, "{page}");
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        after = page["next_after"].as_u64().unwrap();
        if after == page["head"].as_u64().unwrap() {
            return all;
        }
    }
}

/// The form that every event has (document 001); its object.
fn has_its_form(block: &Block) -> Value {
    let view = block.view();
    let members: BTreeSet<_> = view
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, BTreeSet::from(["data", "id", "timestamp", "type"]));
    assert_eq!(view["id"], format!("evt-{}", block.id.unwrap()));
    assert_eq!(view["type"].as_str(), block.event.as_deref());
    let time = view["timestamp"].as_str().unwrap();
    time.parse::<jiff::Timestamp>().unwrap();
    assert!(time.ends_with('Z'), "{time}");
    assert!(view["data"].is_object(), "{view}");
    view
}

fn of_kind<'a>(views: &'a [Value], kind: &str) -> Vec<&'a Value> {
    views.iter().filter(|view| view["type"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_life_of_a_change_is_told_in_the_names_of_document_001() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.start_orchestrator().await;
    let mut listener = Listener::open(&world, "", None).await.unwrap();
    let first = listener.block().await.unwrap();
    assert_eq!(
        first.retry.as_deref(),
        Some("2000"),
        "how long a client waits comes first"
    );
    let place = listener.block().await.unwrap();
    assert_eq!(
        (place.data, place.event),
        (None, None),
        "the place comes before any event"
    );
    let begin = place.id.unwrap();
    world.start_agent().await;
    let body = json!({ "text": WRITE, "project_id": "lab" });
    let id = world
        .call("POST", "/request")
        .json(&body)
        .send()
        .await
        .expect(202);
    let id = id["request_id"].as_str().unwrap().to_owned();
    world.approve(&id).await;
    let shown = world.until(&id, &["completed"]).await;
    let agent = world.agent.take().unwrap();
    agent.drain(Duration::from_secs(5)).await;
    let blocks = listener.until("agent.completed").await;

    let numbers: Vec<_> = blocks.iter().map(|block| block.id.unwrap()).collect();
    let expected: Vec<_> = (begin + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "numbers rise without holes");
    let views: Vec<_> = blocks.iter().map(has_its_form).collect();
    let told = asked(&world, begin, "").await;
    assert_eq!(
        told[..views.len()],
        views[..],
        "asking gives the same as listening"
    );

    let tasks = shown["tasks"].as_array().unwrap();
    let tasks: Vec<_> = tasks.iter().map(|task| &task["task_id"]).collect();
    assert!(!tasks.is_empty());
    let decision = &shown["decisions"][0]["decision_id"];
    for (kind, states) in [
        ("request.created", vec!["received"]),
        ("request.completed", vec!["completed"]),
        ("bead.completed", vec!["completed"; tasks.len()]),
        ("decision.created", vec!["pending"]),
        ("decision.resolved", vec!["resolved"]),
        ("agent.completed", vec!["shutdown"]),
    ] {
        let events = of_kind(&views, kind);
        let told: Vec<_> = events
            .iter()
            .map(|event| event["data"]["state"].as_str().unwrap())
            .collect();
        assert_eq!(told, states, "{kind} in {views:#?}");
    }
    for kind in [
        "agent.spawned",
        "agent.status_change",
        "bead.created",
        "bead.assigned",
        "bead.status_change",
        "log.message",
        "request.status_change",
    ] {
        assert!(
            !of_kind(&views, kind).is_empty(),
            "{kind} is not told: {views:#?}"
        );
    }
    for view in &views {
        let (kind, data) = (view["type"].as_str().unwrap(), &view["data"]);
        let noun = kind.split('.').next().unwrap();
        if ["bead", "request", "decision", "log"].contains(&noun) {
            assert_eq!(data["project_id"], "lab", "{view:#}");
            assert_eq!(data["request_id"], id.as_str(), "{view:#}");
        }
        match noun {
            "bead" => {
                assert!(tasks.contains(&&data["bead_id"]), "{view:#}");
                assert_eq!(data["task_id"], data["bead_id"], "{view:#}");
                let status = data["status"].as_str().unwrap();
                assert!(
                    ["open", "in_progress", "blocked", "closed"].contains(&status),
                    "{view:#}"
                );
            }
            "decision" => assert_eq!(&data["decision_id"], decision, "{view:#}"),
            "agent" => assert_eq!(data["agent_id"], "infrastructure", "{view:#}"),
            "log" => {
                assert!(tasks.contains(&&data["bead_id"]), "{view:#}");
                assert_eq!(data["message"], "running write_file", "{view:#}");
            }
            "request" => {}
            other => panic!("{other} is no noun of this life: {view:#}"),
        }
        if noun != "log" {
            for name in ["audit_seq", "actor", "reason_code", "trace_id", "because"] {
                assert!(!data[name].is_null(), "{name} is missing in {view:#}");
            }
        }
    }
    let resolved = of_kind(&views, "decision.resolved")[0];
    assert_eq!(resolved["data"]["actor"], "local:anna");
    let assigned = of_kind(&views, "bead.assigned")[0];
    assert_eq!(
        assigned["data"]["agent_id"], "infrastructure",
        "{assigned:#}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_fails_is_told_as_completed_in_the_state_failed() {
    let world = World::plain(Act::Fail).await;
    let mut listener = Listener::open(&world, "?type=bead.,request.", None)
        .await
        .unwrap();
    listener.block().await.unwrap();
    let id = world.ask("ping nas").await;
    let blocks = listener.until("request.completed").await;
    let views: Vec<_> = blocks.iter().map(has_its_form).collect();
    for kind in ["bead.completed", "request.completed"] {
        let told = of_kind(&views, kind);
        assert_eq!(told.len(), 1, "{views:#?}");
        assert_eq!(told[0]["data"]["state"], "failed");
        assert_eq!(told[0]["data"]["request_id"], id.as_str());
    }
    assert_eq!(
        of_kind(&views, "bead.completed")[0]["data"]["status"],
        "closed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_are_told_and_lists_of_types_and_projects_are_kept_to() {
    let world = World::plain(Act::Complete).await;
    let seen = world.ask("ping nas").await;
    world.until(&seen, &["completed"]).await;
    let head = world.store.stream_head().await.unwrap().to_string();
    let mut filtered = Vec::new();
    for query in [
        "",
        "?project_id=lab",
        "?type=bead.created",
        "?type=bead.",
        "?type=request.created,decision.",
        "?project_id=lab&type=request.created,%20project.",
    ] {
        filtered.push((
            query,
            Listener::open(&world, query, Some(&head)).await.unwrap(),
        ));
    }
    for project in ["lab", "home"] {
        let body = json!({ "text": WRITE, "project_id": project });
        let id = world
            .call("POST", "/request")
            .json(&body)
            .send()
            .await
            .expect(202);
        world
            .until(id["request_id"].as_str().unwrap(), &["awaiting_approval"])
            .await;
    }
    // The last event, which every filter but that of the other types lets through.
    for (project, tag) in [("lab", "\"1\""), ("home", "\"1\"")] {
        let call = world.call("PUT", &format!("/api/v1/projects/{project}"));
        let call = call.header("if-match", tag).json(&json!({ "title": "x" }));
        call.send().await.expect(200);
    }
    let all = asked(&world, head.parse().unwrap(), "").await;
    assert!(
        all.iter().any(|view| view["type"] == "project.edited"),
        "{all:#?}"
    );
    for (query, mut listener) in filtered {
        let takes = |view: &&Value| {
            let kind = view["type"].as_str().unwrap();
            let is_lab = view["data"]["project_id"] == "lab";
            match query {
                "" => true,
                "?project_id=lab" => is_lab,
                "?type=bead.created" => kind == "bead.created",
                "?type=bead." => kind.starts_with("bead."),
                "?type=request.created,decision." => {
                    kind == "request.created" || kind.starts_with("decision.")
                }
                _ => is_lab && (kind == "request.created" || kind.starts_with("project.")),
            }
        };
        let expected: Vec<_> = all.iter().filter(takes).cloned().collect();
        assert!(!expected.is_empty(), "{query} takes nothing");
        let mut told = Vec::new();
        while told.len() < expected.len() {
            let event = listener
                .event()
                .await
                .unwrap_or_else(|| panic!("{query} ended"));
            told.push(has_its_form(&event));
        }
        assert_eq!(told, expected, "{query}");
        let query = query.replace('?', "&");
        assert_eq!(
            asked(&world, head.parse().unwrap(), &query).await,
            expected,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_forms_of_a_number_go_on_after_it_and_nonsense_is_refused() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask("ping nas").await;
    world.until(&id, &["completed"]).await;
    for last in ["3", "evt-3", " 3 "] {
        let mut listener = Listener::open(&world, "", Some(last)).await.unwrap();
        assert_eq!(listener.event().await.unwrap().id, Some(4), "{last:?}");
    }
    for last in ["x", "evt-", "evt-x", "-1", "1.5", "0x3", "evt-evt-3"] {
        let reply = Listener::open(&world, "", Some(last)).await.err().unwrap();
        problem(&world, &reply, 400, 5001, "/api/v1/events/stream").await;
    }
    // The name without a number begins anew: browsers send an empty one after a reset of it.
    let mut listener = Listener::open(&world, "", Some("")).await.unwrap();
    listener.block().await.unwrap();
    let head = world.store.stream_head().await.unwrap();
    assert!(listener.block().await.unwrap().id.unwrap() >= head.min(4));
}

/// The sign of life comes after 15 seconds, which is why this waits for that long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_whose_filter_passes_over_all_is_told_where_it_stands() {
    let world = World::plain(Act::Complete).await;
    let mut filtered = Listener::open(&world, "?type=decision.", None)
        .await
        .unwrap();
    let mut quiet = Listener::open(&world, "?type=decision.", None)
        .await
        .unwrap();
    for listener in [&mut filtered, &mut quiet] {
        listener.block().await.unwrap();
        listener.block().await.unwrap();
    }
    let begun = Instant::now();
    let id = world.ask("ping nas").await;
    world.until(&id, &["completed"]).await;
    let completed = world.store.stream_head().await.unwrap();
    let place = filtered.block().await.unwrap();
    assert_eq!(
        (&place.event, &place.data),
        (&None, &None),
        "it has no data"
    );
    let place = place.id.unwrap();
    assert!(place >= completed - 1, "{place} of {completed}");
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    // Whoever comes back to it is told nothing of what was before.
    let mut again = Listener::open(&world, "", Some(&place.to_string()))
        .await
        .unwrap();
    let last = world.record("lab", 1, "x").await;
    while again.event().await.unwrap().id != Some(last) {}
    // The other is told the same, beside its signs of life.
    assert!(quiet.read().await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_followers_end_by_themselves_when_the_orchestrator_stops() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Hold);
    let store = Doctored::over(Arc::clone(&world.store));
    world.store = store.clone();
    let mut world = world.start().await;
    let id = world.ask(WRITE).await;
    let request = world.until(&id, &["awaiting_approval"]).await;
    let mut listeners = Vec::new();
    for query in ["", "?type=bead.created"] {
        let mut listener = Listener::open(&world, query, None).await.unwrap();
        listener.block().await.unwrap();
        listeners.push(listener);
    }
    let (_, follow) = world
        .get(&format!("/api/v1/requests/{id}/follow?after=1000000"))
        .await;
    let path = format!(
        "/api/v1/requests/{id}/follow?after=1000000&version={}",
        follow["version"]
    );
    let follower = world.call("GET", &path);
    let looks = || store.looks.load(Ordering::SeqCst);
    let before = looks();
    let follower = tokio::spawn(follower.send());
    world.wait_for("the follower", || looks() > before).await;
    let orchestrator = world.orchestrator.take().unwrap();
    let begun = Instant::now();
    orchestrator.stop(Duration::from_secs(20)).await;
    for mut listener in listeners {
        while listener.block().await.is_some() {}
        assert!(listener.ended(), "it was cut in the middle");
    }
    let shown = follower.await.unwrap().expect(200);
    assert_eq!(shown["request"]["state"], request["state"]);
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "streams held up the end: {took:?}"
    );
}
