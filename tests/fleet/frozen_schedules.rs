//! Schedules in a frozen fleet: what comes due starts nothing, waits where everybody sees it, and nothing of it is lost in
//! silence.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    schedules::{add, asked, at, due_times, end_run, records, schedule, until, wake, world},
    world::{Act, World},
};

/// A schedule whose time comes in a moment; where the machine is too busy for that moment, in a longer one.
async fn soon(world: &World) -> String {
    for seconds in [2, 10, 50] {
        let at = Timestamp::now() + SignedDuration::from_secs(seconds);
        let body = json!({ "at": at.to_string(), "text": "ping nas" });
        let (status, made) = world.post("/api/v1/schedules", body).await;
        if status == 201 {
            return made["schedule_id"].as_str().unwrap().to_owned();
        }
        assert_eq!(made["code"], 5126, "{made}");
    }
    panic!("its time is always over before it is there");
}

/// Whether a request waits for the thaw.
fn waits(request: &Value) -> bool {
    // Before it is planned a request has no tasks yet.
    let tasks = request["tasks"].as_array().into_iter().flatten();
    let mut because = tasks.filter_map(|task| task["because"].as_str());
    because.any(|because| because.contains("frozen by local:anna"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_due_in_a_freeze_waits_for_the_thaw_and_then_runs_once() {
    let world = World::plain(Act::Complete).await;
    world.freeze("backup").await;
    let id = soon(&world).await;
    let come = |now: &Value| now["last_request"].is_string();
    let now = until(&world, &id, "its time", come).await;
    let request = now["last_request"].as_str().unwrap().to_owned();
    let shown = world.until_it(&request, "what it waits for", waits).await;
    assert_eq!(shown["ended"], false, "{shown:#}");
    assert_eq!(world.worker.starts(), [], "it started in the freeze");
    assert_eq!(schedule(&world, &id).await["last_is_open"], true);
    world.thaw().await;
    world.until(&request, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
    let over = |now: &Value| now["state"] == "ended" && now["last_is_open"] == json!(false);
    until(&world, &id, "its end", over).await;
    assert_eq!(asked(&world, &id).await.len(), 1);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_pass_in_a_freeze_come_to_what_the_policy_says_after_the_thaw() {
    // No agent runs under a clock that is put: a run ends by being cancelled.
    let (world, hands) = world().await;
    hands.put_to(at("2040-06-01T00:31:00Z"));
    let often = async |missed: Value| {
        let mut body = json!({ "cron": "*/10 * * * *", "text": "ping nas" });
        let fields = missed.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        add(&world, body).await
    };
    let skip = often(json!({ "missed": "skip" })).await;
    let once = often(json!({ "missed": "once" })).await;
    let all = often(json!({ "missed": "all", "missed_within_seconds": 3600 })).await;
    let dummy = add(&world, json!({ "cron": "@yearly", "text": "ping nas" })).await;
    world.freeze("backup").await;
    hands.put_to(at("2040-06-01T00:40:10Z"));
    wake(&world, &dummy).await;
    let first = "2040-06-01T00:40:00Z";
    let is_open = |now: &Value| now["last_is_open"] == json!(true);
    for id in [&skip, &once, &all] {
        let now = until(&world, id, "its first run", is_open).await;
        assert_eq!(due_times(&world, id).await, [first]);
        // Planned, so that the clock may go on without ending it.
        let request = now["last_request"].as_str().unwrap();
        world.until_it(request, "what it waits for", waits).await;
    }
    // Three more come while that run waits for the thaw, for which it has an hour: nothing is asked beside it.
    hands.put_to(at("2040-06-01T01:15:00Z"));
    wake(&world, &dummy).await;
    for id in [&skip, &once, &all] {
        assert_eq!(due_times(&world, id).await, [first], "beside an open run");
    }
    world.thaw().await;
    for id in [&skip, &once, &all] {
        end_run(&world, id).await;
    }
    until(&world, &once, "the one run", is_open).await;
    assert_eq!(
        due_times(&world, &once).await,
        [first, "2040-06-01T01:10:00Z"]
    );
    end_run(&world, &once).await;
    let times = [
        first,
        "2040-06-01T00:50:00Z",
        "2040-06-01T01:00:00Z",
        "2040-06-01T01:10:00Z",
    ];
    for number in 2..=times.len() {
        until(&world, &all, times[number - 1], is_open).await;
        assert_eq!(due_times(&world, &all).await, times[..number]);
        end_run(&world, &all).await;
    }
    let passed = |now: &Value| now["next_at"] == "2040-06-01T01:20:00Z";
    for (id, missed) in [(&skip, 3), (&once, 2), (&all, 0)] {
        let now = until(&world, id, "the next time", passed).await;
        assert_eq!(now["missed_count"], missed, "{now:#}");
        let told = records(&world, id, "schedule.missed").await;
        assert_eq!(told.len(), usize::from(missed > 0), "{told:#?}");
    }
    assert_eq!(due_times(&world, &skip).await, [first]);
    world.holds_together().await;
}
