//! Readers that cannot be given a row without a hole are told so (R44), and hold up nobody: too old, too slow, from
//! the future, too many.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use chiffon_bus::MemoryBus;

use super::{
    client::problem,
    listener::{Block, Listener},
    wire::Wire,
    world::{Act, World},
};

/// Further back than this a reader fetches everything anew.
const REPLAYED: u64 = 10_000;

/// What a reset says; it stands at the head, from where the stream goes on.
fn reset(block: &Block) -> (u64, String) {
    let view = block.view();
    assert_eq!(block.event.as_deref(), Some("reset"), "{view}");
    assert_eq!(view["type"], "reset");
    assert_eq!(view["id"], format!("evt-{}", block.id.unwrap()));
    let reason = view["data"]["reason"].as_str().unwrap();
    (block.id.unwrap(), reason.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_from_long_ago_or_from_the_future_begins_anew_at_the_head() {
    let world = World::plain(Act::Complete).await;
    let settled = world.ask("ping nas").await;
    world.until(&settled, &["completed"]).await;
    world
        .until_it(&settled, "its ledger commit", |request| {
            request["ledger_commit"].is_string()
        })
        .await;
    let begin = world.store.stream_head().await.unwrap();
    for _ in 0..10 {
        world.record("lab", 1_000, "x").await;
    }
    let head = world.store.stream_head().await.unwrap();
    assert_eq!(head, begin + REPLAYED, "nothing else happens");
    for (last, reason) in [
        (begin.saturating_sub(1), "too_old"),
        (0, "too_old"),
        (head + 1, "from_the_future"),
        (u64::MAX, "from_the_future"),
    ] {
        let mut listener = Listener::open(&world, "", Some(&last.to_string()))
            .await
            .unwrap();
        let told = reset(&listener.event().await.unwrap());
        assert_eq!(told, (head, reason.to_owned()), "{last}");
    }
    let mut listener = Listener::open(&world, "", Some(&"9".repeat(40)))
        .await
        .unwrap();
    assert_eq!(reset(&listener.event().await.unwrap()).1, "from_the_future");
    let (_, page) = world
        .get(&format!("/api/v1/events?after={}", head + 1))
        .await;
    assert_eq!(
        (&page["reset"], &page["next_after"]),
        (&"from_the_future".into(), &head.into())
    );

    // Exactly as far back as is told again, all of it comes.
    let mut whole = Listener::open(&world, "", Some(&begin.to_string()))
        .await
        .unwrap();
    for number in begin + 1..=head {
        assert_eq!(whole.event().await.unwrap().id, Some(number));
    }
    // After a reset the stream goes on from where it stood.
    let mut listener = Listener::open(&world, "", Some("0")).await.unwrap();
    let (head, _) = reset(&listener.event().await.unwrap());
    world.record("lab", 2, "x").await;
    for number in [head + 1, head + 2] {
        assert_eq!(listener.event().await.unwrap().id, Some(number));
    }
}

/// Events at a time: half of what a reader may be behind, so that only who does not read at all falls behind.
const BATCH: usize = 500;
/// Long enough that what the system keeps for a connection is full after some thousands.
const BECAUSE: usize = 4_096;
const BATCHES: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_loses_its_place_and_holds_up_nobody() {
    let world = World::plain(Act::Complete).await;
    let settled = world.ask("ping nas").await;
    world.until(&settled, &["completed"]).await;
    let start = world.store.stream_head().await.unwrap().to_string();
    let narrow = Wire::narrow(&world).await;
    let mut slow = Listener::over(narrow, &world, "", Some(&start))
        .await
        .unwrap();
    let mut quick = Listener::open(&world, "", Some(&start)).await.unwrap();
    let mut last: u64 = start.parse().unwrap();
    let mut slowest = Duration::ZERO;
    let because = "x".repeat(BECAUSE);
    for batch in 0..BATCHES {
        let begun = Instant::now();
        world.record("lab", BATCH, &because).await;
        // A change through the API is a writer like others, and wakes whoever tells the readers.
        let call = world.call("PUT", &format!("/api/v1/projects/p{batch}"));
        let call = call
            .header("if-none-match", "*")
            .json(&serde_json::json!({}));
        call.send().await.expect(201);
        slowest = slowest.max(begun.elapsed());
        let head = world.store.stream_head().await.unwrap();
        while last < head {
            let event = quick.event().await.unwrap();
            assert_ne!(
                event.event.as_deref(),
                Some("reset"),
                "the quick one was too slow"
            );
            assert_eq!(event.id, Some(last + 1));
            last += 1;
        }
    }
    assert!(
        slowest < Duration::from_secs(10),
        "a commit took {slowest:?}"
    );
    let id = world.ask("ping nas").await;
    world.until(&id, &["completed"]).await;

    // Now it reads: first what was under way, then that its place is lost, then what comes.
    let mut at: u64 = start.parse().unwrap();
    let place = loop {
        let event = slow.event().await.unwrap();
        if event.event.as_deref() == Some("reset") {
            break reset(&event);
        }
        assert_eq!(event.id, Some(at + 1), "a hole before the reset");
        at += 1;
    };
    assert_eq!(place.1, "too_slow");
    assert!(place.0 > at, "{place:?} after {at}");
    let head = world.record("lab", 3, "more").await;
    let mut at = place.0;
    while at < head {
        let event = slow.event().await.unwrap();
        assert_eq!(event.id, Some(at + 1), "a hole after the reset");
        at += 1;
    }
    println!("slowest commit {slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_readers_than_permitted_are_told_to_come_again() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.limits.streams = NonZeroU32::new(3).unwrap();
    let world = world.start().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Listener::open(&world, "", None).await.unwrap());
    }
    let path = "/api/v1/events/stream";
    let reply = world.call("GET", path).send().await;
    problem(&world, &reply, 429, 5014, path).await;
    assert_eq!(reply.header("retry-after"), Some("5"));
    // Asking goes on, and a place that becomes free is given to the next.
    world.call("GET", "/api/v1/events").send().await.expect(200);
    open.pop();
    let next = async {
        loop {
            if let Ok(listener) = Listener::open(&world, "", None).await {
                return listener;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::world::PATIENCE, next)
        .await
        .expect("a place became free");
}
