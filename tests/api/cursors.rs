//! Cursors (A4): page by page while others add, nothing is missed and nothing comes twice; a cursor of another list
//! is refused.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    client::{places, problem},
    dice::Dice,
    world::{Act, World},
};

const WRITE: &str = "write_file path=/tmp/x content=hello on nas";

/// A list, what identifies an element of it, and in which order it stands.
struct List {
    path: String,
    key: fn(&Value) -> String,
    /// What two neighbours must be to each other.
    in_order: fn(&Value, &Value) -> bool,
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn time(value: &Value) -> Timestamp {
    text(value).parse().unwrap()
}

/// The times of two may be the same; what tells them apart is left to the whole walk.
fn newest_first(a: &Value, b: &Value) -> bool {
    time(&a["created_at"]) >= time(&b["created_at"])
}

fn lists(task: &str) -> Vec<List> {
    let list = |path: &str, key: fn(&Value) -> String, in_order: fn(&Value, &Value) -> bool| List {
        path: path.to_owned(),
        key,
        in_order,
    };
    vec![
        list(
            "/api/v1/requests",
            |one| text(&one["request_id"]),
            newest_first,
        ),
        list(
            "/api/v1/requests?project_id=lab",
            |one| text(&one["request_id"]),
            newest_first,
        ),
        list("/api/v1/tasks", |one| text(&one["task_id"]), newest_first),
        list(
            "/api/v1/decisions",
            |one| text(&one["decision_id"]),
            newest_first,
        ),
        list(
            "/api/v1/plans",
            |one| text(&one["plan_id"]),
            // When a plan was made is not shown; the other test holds its order.
            |_, _| true,
        ),
        list(
            "/api/v1/projects",
            |one| text(&one["project_id"]),
            |a, b| text(&a["project_id"]) < text(&b["project_id"]),
        ),
        list(
            "/api/v1/ledger",
            |one| text(&one["commit"]),
            |a, b| time(&a["time"]) >= time(&b["time"]),
        ),
        list(
            "/api/v1/audit",
            |one| text(&one["seq"]),
            |a, b| a["seq"].as_u64().unwrap() + 1 == b["seq"].as_u64().unwrap(),
        ),
        list(
            &format!("/api/v1/tasks/{task}/logs"),
            |one| text(&one["id"]),
            |a, b| a["id"].as_u64() < b["id"].as_u64(),
        ),
    ]
}

fn with(path: &str, more: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{more}")
}

/// Adds one of everything.
async fn add(world: &World, task: &(String, String), n: usize) {
    let body = json!({ "text": WRITE, "project_id": format!("p{n:03}") });
    world
        .call("POST", "/request")
        .json(&body)
        .send()
        .await
        .expect(202);
    let body = json!({ "text": "ping nas", "project_id": "lab" });
    world
        .call("POST", "/request")
        .json(&body)
        .send()
        .await
        .expect(202);
    world.say(&task.0, &task.1, n, 1).await;
}

/// A world in which each list has some elements, and a task with output.
async fn peopled() -> (World, (String, String)) {
    let world = World::plain(Act::Complete).await;
    let body = json!({ "text": "ping nas", "project_id": "lab" });
    let first = world
        .call("POST", "/request")
        .json(&body)
        .send()
        .await
        .expect(202);
    let first = first["request_id"].as_str().unwrap().to_owned();
    let ended = world.until(&first, &["completed"]).await;
    let task = (first, text(&ended["tasks"][0]["task_id"]));
    for n in 0..4 {
        add(&world, &task, n).await;
    }
    let (_, all) = world.get("/api/v1/requests?limit=500").await;
    for request in all["items"].as_array().unwrap() {
        let id = text(&request["request_id"]);
        let state = world.until(&id, &["awaiting_approval", "completed"]).await;
        if state["state"] == "completed" {
            world
                .until_it(&id, "its ledger commit", |request| {
                    request["ledger_commit"].is_string()
                })
                .await;
        }
    }
    (world, task)
}

async fn whole(world: &World, list: &List) -> Vec<Value> {
    let page = world
        .call("GET", &with(&list.path, "limit=500"))
        .send()
        .await;
    let page = page.expect(200);
    assert_eq!(
        page.get("next_cursor"),
        None,
        "{} has more than a page",
        list.path
    );
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walking_a_list_while_it_grows_misses_nothing_and_shows_nothing_twice() {
    let (world, task) = peopled().await;
    let mut dice = Dice::new();
    let mut added = 100;
    for list in lists(&task.1) {
        let before = whole(&world, &list).await;
        assert!(before.len() > 2, "{}: {before:#?}", list.path);
        let mut seen: Vec<Value> = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = 1 + dice.up_to(2);
            let mut path = with(&list.path, &format!("limit={limit}"));
            if let Some(cursor) = &cursor {
                path += &format!("&cursor={cursor}");
            }
            let page = world.call("GET", &path).send().await.expect(200);
            let items = page["items"].as_array().unwrap();
            assert!(items.len() as u64 <= limit, "{path}");
            seen.extend(items.iter().cloned());
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
            // A commit of the ledger that is being written is passed over, and not made up for.
            let is_whole = items.len() as u64 == limit || list.path == "/api/v1/ledger";
            assert!(is_whole, "{path} is short and not the last");
            // New ones while somebody walks; not without end, for some lists grow at their end.
            if added < 130 && dice.up_to(1) == 0 {
                add(&world, &task, added).await;
                added += 1;
            }
        }
        let keys: Vec<_> = seen.iter().map(list.key).collect();
        let set: BTreeSet<_> = keys.iter().collect();
        assert_eq!(
            set.len(),
            keys.len(),
            "{}: something twice in {keys:?}",
            list.path
        );
        let missed: Vec<_> = before
            .iter()
            .map(list.key)
            .filter(|key| !set.contains(key))
            .collect();
        assert!(
            missed.is_empty(),
            "{}: missed {missed:?} in {keys:?}",
            list.path
        );
        for pair in seen.windows(2) {
            assert!(
                (list.in_order)(&pair[0], &pair[1]),
                "{}: {pair:#?}",
                list.path
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_a_list_is_the_same_however_it_is_cut() {
    let (world, task) = peopled().await;
    for list in lists(&task.1) {
        let mut rounds = 0;
        // Heartbeats move the agent now and then: what was compared while something moved says nothing.
        while !is_alike(&world, &list).await {
            rounds += 1;
            assert!(rounds < 20, "{} is never at rest", list.path);
        }
    }
}

/// Holds the list in one piece against the list in small ones; false where something moved meanwhile.
async fn is_alike(world: &World, list: &List) -> bool {
    let before = world.store.stream_head().await.unwrap();
    let whole = whole(world, list).await;
    let expected: Vec<_> = whole.iter().map(list.key).collect();
    let mut walks = Vec::new();
    for limit in 1..=3 {
        let mut seen = Vec::new();
        let mut path = with(&list.path, &format!("limit={limit}"));
        loop {
            let page = world.call("GET", &path).send().await.expect(200);
            seen.extend(page["items"].as_array().unwrap().iter().map(list.key));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = with(&list.path, &format!("limit={limit}&cursor={cursor}"));
        }
        walks.push(seen);
    }
    if world.store.stream_head().await.unwrap() != before {
        return false;
    }
    for (walk, limit) in walks.into_iter().zip(1..) {
        assert_eq!(walk, expected, "{} by {limit}", list.path);
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walking_the_events_while_more_come_misses_no_number() {
    let (world, task) = peopled().await;
    let mut after = 0;
    let mut added = 200;
    let mut numbers = Vec::new();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let path = format!("/api/v1/events?after={after}&limit=3");
        let page = world.call("GET", &path).send().await.expect(200);
        for event in page["items"].as_array().unwrap() {
            numbers.push(text(&event["id"])[4..].parse::<u64>().unwrap());
            *kinds.entry(text(&event["type"])).or_default() += 1;
        }
        after = page["next_after"].as_u64().unwrap();
        let head = page["head"].as_u64().unwrap();
        assert!(after <= head, "{page:#}");
        if after == head {
            break;
        }
        if added < 210 {
            add(&world, &task, added).await;
            added += 1;
        }
    }
    let expected: Vec<_> = (1..=after).collect();
    assert_eq!(numbers, expected);
    // The same through a filter, which counts what it passes over.
    let (mut after, mut beads) = (0, 0);
    loop {
        let path = format!("/api/v1/events?after={after}&limit=2&type=bead.");
        let page = world.call("GET", &path).send().await.expect(200);
        let items = page["items"].as_array().unwrap();
        let is_bead = |event: &Value| text(&event["type"]).starts_with("bead.");
        assert!(items.iter().all(is_bead), "{items:#?}");
        beads += items.len();
        after = page["next_after"].as_u64().unwrap();
        if after >= *numbers.last().unwrap() {
            break;
        }
    }
    let of_first_walk: usize = kinds
        .iter()
        .filter(|(kind, _)| kind.starts_with("bead."))
        .map(|(_, n)| n)
        .sum();
    assert!(
        of_first_walk > 0 && beads >= of_first_walk,
        "{beads} of {kinds:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_of_another_list_or_of_other_filters_is_refused() {
    let (world, task) = peopled().await;
    let mut cursors = Vec::new();
    for list in lists(&task.1) {
        let page = world
            .call("GET", &with(&list.path, "limit=1"))
            .send()
            .await
            .expect(200);
        let cursor = page["next_cursor"].as_str();
        let cursor = cursor.unwrap_or_else(|| panic!("{} has one element: {page}", list.path));
        cursors.push((list.path, cursor.to_owned()));
    }
    let filtered = [
        "/api/v1/requests?project_id=p001",
        "/api/v1/requests?state=completed",
        "/api/v1/requests?open_only=true",
        "/api/v1/tasks?state=completed",
        "/api/v1/tasks?open_only=true",
        "/api/v1/decisions?state=pending",
    ];
    let paths = cursors.iter().map(|(path, _)| path.clone());
    let paths: Vec<_> = paths.chain(filtered.map(str::to_owned)).collect();
    for (of, cursor) in &cursors {
        for path in &paths {
            let reply = world
                .call("GET", &with(path, &format!("cursor={cursor}")))
                .send()
                .await;
            if path == of {
                reply.expect(200);
                continue;
            }
            let bare = path.split('?').next().unwrap();
            let said = problem(&world, &reply, 400, 5001, bare).await;
            assert_eq!(places(&said), ["query /cursor"], "{of} at {path}");
        }
    }
    // One that was written by hand.
    for cursor in ["x", "AAAA", "%00", "eA", &"A".repeat(5_000)] {
        let path = format!("/api/v1/requests?cursor={cursor}");
        let reply = world.call("GET", &path).send().await;
        problem(&world, &reply, 400, 5001, "/api/v1/requests").await;
    }
}
