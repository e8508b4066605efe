//! Schedules over HTTP: what is refused and where it points, versions, keys, pages, times, and how many there may be.

use std::sync::Arc;

use chiffon_common::ScheduleId;
use chiffon_store::{Commit, Expected, ScheduleRow, Write};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{Reply, places, problem},
    world::{Act, World},
};

const ALL: &str = "/api/v1/schedules";

async fn post(world: &World, body: &Value) -> Reply {
    world.call("POST", ALL).json(body).send().await
}

fn daily() -> Value {
    json!({ "cron": "0 3 * * *", "zone": "Europe/Berlin", "text": "ping nas", "title": "Nightly" })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = daily();
    body[name] = value;
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_at_once_and_pointed_at() {
    let world = World::plain(Act::Complete).await;
    let bare = |fields: Value| {
        let mut body = json!({ "text": "ping nas" });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    let entry = |fields: Value| {
        let mut body = json!({ "cron": "@daily", "entry": "ping", "hosts": ["nas"] });
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        body
    };
    for (body, status, code, place, words) in [
        (
            with("cron", json!("0 25 * * *")),
            422,
            5125,
            "body /cron",
            "the field hour",
        ),
        (
            with("cron", json!("0 3 * *")),
            422,
            5125,
            "body /cron",
            "five fields",
        ),
        (
            with("cron", json!("@reboot")),
            422,
            5125,
            "body /cron",
            "short forms",
        ),
        (
            with("cron", json!("0 0 30 2 *")),
            422,
            5126,
            "body /cron",
            "never comes",
        ),
        (
            with("zone", json!("Europe/Berln")),
            422,
            5127,
            "body /zone",
            "Europe/Berln",
        ),
        (
            with("at", json!("2040-01-01T00:00")),
            422,
            5125,
            "body /at",
            "both",
        ),
        (bare(json!({})), 422, 5125, "body /cron", "neither"),
        (
            bare(json!({ "at": "tomorrow" })),
            422,
            5125,
            "body /at",
            "no date and time",
        ),
        (
            with("missed_within_seconds", json!(60)),
            422,
            5125,
            "body /missed_within_seconds",
            "all",
        ),
        (
            with("entry", json!("ping")),
            422,
            5125,
            "body /entry",
            "both",
        ),
        (
            with("hosts", json!(["nas"])),
            422,
            5125,
            "body /text",
            "entry",
        ),
        (
            json!({ "cron": "@daily" }),
            422,
            5125,
            "body /text",
            "neither",
        ),
        (with("text", json!("")), 422, 5007, "body /text", "empty"),
        (
            with("text", json!("make me a sandwich")),
            422,
            5101,
            "body /text",
            "",
        ),
        (
            entry(json!({ "entry": "pong" })),
            404,
            5103,
            "body /entry",
            "pong",
        ),
        (
            entry(json!({ "hosts": ["mars"] })),
            422,
            5102,
            "body /hosts/0",
            "mars",
        ),
        (
            with("title", json!("x".repeat(201))),
            400,
            5001,
            "body /title",
            "200",
        ),
        (
            with("missed", json!("often")),
            400,
            5001,
            "body /missed",
            "often",
        ),
    ] {
        let refused = post(&world, &body).await;
        let said = problem(&world, &refused, status, code, ALL).await;
        assert!(
            places(&said).iter().any(|one| one == place),
            "{place}: {said}"
        );
        assert!(
            said["detail"].as_str().unwrap().contains(words),
            "{words}: {said}"
        );
    }
    let past = post(&world, &bare(json!({ "at": "2020-01-01T00:00" }))).await;
    let said = problem(&world, &past, 422, 5126, ALL).await;
    assert!(
        said["detail"].as_str().unwrap().contains("has passed"),
        "{said}"
    );
    let near = post(&world, &with("zone", json!("berlin"))).await;
    let said = problem(&world, &near, 422, 5127, ALL).await;
    assert!(
        said["todo"].as_str().unwrap().contains("Europe/Berlin"),
        "{said}"
    );
    assert_eq!(
        world.call("GET", ALL).send().await.expect(200)["items"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_changed_from_the_version_that_was_read() {
    let world = World::plain(Act::Complete).await;
    let keyed = |body: &Value| {
        world
            .call("POST", ALL)
            .header("idempotency-key", "k")
            .json(body)
    };
    let made = keyed(&daily()).send().await;
    let view = made.expect(201);
    assert_eq!(
        (&view["state"], &view["missed"]),
        (&json!("active"), &json!("once"))
    );
    assert_eq!(view["owner"], "local:anna");
    let id = view["schedule_id"].as_str().unwrap();
    let path = format!("{ALL}/{id}");
    assert_eq!(made.header("location"), Some(&*path));
    let again = keyed(&daily()).send().await;
    assert_eq!(again.expect(201)["schedule_id"], view["schedule_id"]);
    keyed(&with("title", json!("other")))
        .send()
        .await
        .expect(422);

    let tag = made.header("etag").unwrap().to_owned();
    let put = |tag: Option<String>, body: Value| {
        let call = world.call("PUT", &path).json(&body);
        match tag {
            Some(tag) => call.header("if-match", tag),
            None => call,
        }
    };
    let bare = put(None, daily()).send().await;
    problem(&world, &bare, 428, 5013, &path).await;
    let other = with("text", json!("ping tower"));
    let changed = put(Some(tag.clone()), other.clone()).send().await;
    assert_eq!(changed.expect(200)["text"], "ping tower");
    let late = put(Some(tag.clone()), daily()).send().await;
    problem(&world, &late, 412, 5012, &path).await;
    let known = world.call("GET", &path);
    let now = changed.header("etag").unwrap().to_owned();
    assert_eq!(known.header("if-none-match", &now).send().await.status, 304);

    let toggled = |word: &str| {
        world
            .call("POST", &format!("{path}/{word}"))
            .json(&json!({}))
    };
    let paused = toggled("pause").send().await.expect(200);
    assert_eq!(
        (&paused["state"], paused.get("next_at")),
        (&json!("paused"), None)
    );
    assert_eq!(toggled("pause").send().await.expect(200)["state"], "paused");
    let resumed = toggled("resume").send().await.expect(200);
    assert_eq!(resumed["next_at"], view["next_at"]);

    let late = world
        .call("DELETE", &path)
        .header("if-match", &tag)
        .send()
        .await;
    problem(&world, &late, 412, 5012, &path).await;
    let gone = world
        .call("DELETE", &path)
        .header("if-match", "*")
        .send()
        .await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    let none = world.call("GET", &path).send().await;
    problem(&world, &none, 404, 5004, &path).await;
    let none = world
        .call("DELETE", &path)
        .header("if-match", "*")
        .send()
        .await;
    problem(&world, &none, 404, 5004, &path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_told_in_the_zone_and_without_storing_anything() {
    let world = World::plain(Act::Complete).await;
    let path = "/api/v1/schedules/next";
    let tried = json!({ "cron": "30 2 * * SUN", "zone": "Europe/Berlin", "count": 60 });
    let times = world
        .call("POST", path)
        .json(&tried)
        .send()
        .await
        .expect(200);
    assert_eq!(times["times"].as_array().unwrap().len(), 60);
    let local = times["local"].to_string();
    // A year has a Sunday on which 02:30 is left out.
    assert_eq!(local.matches(" 03:30 +02:00").count(), 1, "{local}");
    assert!(local.contains("Sun 20"), "{local}");
    let bad = world
        .call("POST", path)
        .json(&json!({ "cron": "x * * * *" }));
    let said = problem(&world, &bad.send().await, 422, 5125, path).await;
    assert_eq!(places(&said), ["body /cron"]);
    let many = world
        .call("POST", path)
        .json(&json!({ "cron": "@daily", "count": 101 }));
    problem(&world, &many.send().await, 400, 5001, path).await;
    assert_eq!(
        world.call("GET", ALL).send().await.expect(200)["items"],
        json!([])
    );
    let id = post(&world, &daily()).await.expect(201)["schedule_id"].clone();
    let next = format!("{ALL}/{}/next", id.as_str().unwrap());
    let times = world
        .call("GET", &format!("{next}?count=3"))
        .send()
        .await
        .expect(200);
    assert_eq!(times["times"].as_array().unwrap().len(), 3);
    world
        .call("GET", &format!("{next}?count=0"))
        .send()
        .await
        .expect(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_a_thousand_at_most_and_their_list_has_pages() {
    let world = Arc::new(World::plain(Act::Complete).await);
    let first = post(&world, &daily()).await.expect(201);
    let id: ScheduleId = first["schedule_id"].as_str().unwrap().parse().unwrap();
    let row = world
        .store
        .schedule(&Default::default(), id)
        .await
        .unwrap()
        .unwrap();
    let paused = |_| {
        let row = ScheduleRow {
            schedule_id: ScheduleId::from_uuid(Uuid::now_v7()),
            state: "paused".to_owned(),
            next_at: None,
            ..row.clone()
        };
        Write::Schedule(Expected::Absent, row)
    };
    let commit = Commit {
        writes: (1..995).map(paused).collect(),
        ..Commit::default()
    };
    world.store.commit(commit).await.unwrap();
    // Twelve at once, where five have room.
    let mut more = tokio::task::JoinSet::new();
    for _one in 0..12 {
        let world = Arc::clone(&world);
        more.spawn(async move { post(&world, &daily()).await });
    }
    let more = more.join_all().await;
    let (made, refused): (Vec<_>, Vec<_>) = more.iter().partition(|reply| reply.status == 201);
    assert_eq!((made.len(), refused.len()), (5, 7));
    for more in refused {
        problem(&world, more, 409, 5128, ALL).await;
    }
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world
            .call("GET", &format!("{ALL}?limit=400{cursor}"))
            .send()
            .await
            .expect(200);
        found.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["schedule_id"].to_string()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 1_000);
    let active = world
        .call("GET", &format!("{ALL}?state=active"))
        .send()
        .await
        .expect(200);
    assert_eq!(active["items"].as_array().unwrap().len(), 6);
    world
        .call("GET", &format!("{ALL}?state=often"))
        .send()
        .await
        .expect(400);
}
