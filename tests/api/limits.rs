//! How much one caller may ask for (S77, R48): requests in a time, connections at once.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use chiffon_bus::MemoryBus;
use tokio::time::timeout;

use super::{
    client::problem,
    wire::{Wire, request},
    world::{Act, World},
};

async fn limited(set: impl FnOnce(&mut World)) -> World {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    set(&mut world);
    world.start().await
}

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_told_when_to_come_again_and_heard_then() {
    let world = limited(|world| {
        world.limits.requests_per_second = number(1);
        world.limits.burst = number(5);
    })
    .await;
    let mut wait = None;
    for n in 0..20 {
        let body = serde_json::json!({ "text": "ping nas" });
        let reply = world.call("POST", "/request").json(&body).send().await;
        if reply.status != 429 {
            reply.expect(202);
            continue;
        }
        assert!(n >= 5, "the burst is 5, and request {n} is refused");
        assert_eq!(reply.json()["code"], 5014);
        wait = Some(reply.header("retry-after").unwrap().parse().unwrap());
        break;
    }
    let wait: u64 = wait.expect("twenty at once are too many");
    assert!((1..=5).contains(&wait), "{wait}");
    // As long as it was told to, and no longer.
    let told = Instant::now() + Duration::from_secs(wait);
    tokio::time::sleep_until(told.into()).await;
    let reply = world.call("GET", "/health").send().await;
    reply.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_for_its_number_is_a_problem_like_others() {
    let world = limited(|world| {
        world.limits.requests_per_second = number(5);
        world.limits.burst = number(5);
    })
    .await;
    let mut refused = None;
    for _ in 0..100 {
        let reply = world.call("GET", "/health").send().await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("a hundred at once are too many");
    // Its page is asked for when it was told to come again.
    let wait = refused.header("retry-after").unwrap().parse().unwrap();
    tokio::time::sleep(Duration::from_secs(wait)).await;
    problem(&world, &refused, 429, 5014, "/health").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_connection_is_free_the_next_waits_and_is_served_when_one_closes() {
    let world = limited(|world| world.limits.connections = number(5)).await;
    let ask = request(&world, "GET /health HTTP/1.1", &[]);
    let mut open = Vec::new();
    for _ in 0..5 {
        let mut wire = Wire::open(&world).await;
        wire.write(&ask).await;
        wire.reply().await.expect("an answer").expect(200);
        open.push(wire);
    }
    let mut sixth = Wire::open(&world).await;
    sixth.write(&ask).await;
    let early = timeout(Duration::from_millis(500), sixth.reply()).await;
    assert!(early.is_err(), "the sixth was served beside five");
    // Those that are open go on.
    open[0].write(&ask).await;
    open[0].reply().await.expect("an answer").expect(200);
    open.pop();
    sixth.reply().await.expect("an answer").expect(200);
}
