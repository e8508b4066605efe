//! A thousand readers at once: all are told the same, and the fleet works on.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use chiffon_bus::MemoryBus;
use chiffon_tests::not_run;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use super::{
    listener::Listener,
    world::{Act, World},
};

const READERS: u64 = 1_000;
/// Both ends of each connection are in this process; the rest is for the fleet and the other tests.
const FILES: u64 = 2 * READERS + 500;

/// How many readers this process may have, after it has asked for more.
fn permitted() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|now| now < FILES) {
        let wanted = limit.maximum.map_or(FILES, |most| most.min(FILES));
        limit.current = Some(wanted);
        // Refused means that what there was is still there.
        let _refused = setrlimit(Resource::Nofile, limit);
    }
    match getrlimit(Resource::Nofile).current {
        Some(now) => READERS.min(now.saturating_sub(500) / 2),
        None => READERS,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_readers_are_all_told_the_same() {
    let readers = permitted();
    if readers < READERS {
        not_run(
            "a thousand readers of the event stream",
            &format!("this process may open files for {readers} only"),
        );
    }
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    world.limits.requests_per_second = NonZeroU32::new(10_000).unwrap();
    world.limits.burst = NonZeroU32::new(10_000).unwrap();
    let world = Arc::new(world.start().await);
    let warm = world.ask("ping nas").await;
    world.until(&warm, &["completed"]).await;
    let head = world.store.stream_head().await.unwrap();

    let begun = Instant::now();
    let mut opening = JoinSet::new();
    for _ in 0..readers {
        let world = Arc::clone(&world);
        opening.spawn(async move {
            Listener::open(&world, "", Some(&head.to_string()))
                .await
                .unwrap_or_else(|reply| panic!("a reader was refused: {}", reply.text()))
        });
    }
    let mut listeners = Vec::new();
    while let Some(listener) = opening.join_next().await {
        listeners.push(listener.unwrap());
    }
    let opened = begun.elapsed();

    let begun = Instant::now();
    let id = world.ask("ping nas").await;
    world.until(&id, &["completed"]).await;
    let worked = begun.elapsed();
    assert!(
        worked < Duration::from_secs(20),
        "readers held up the work: {worked:?}"
    );
    let mut reading = JoinSet::new();
    for mut listener in listeners {
        reading.spawn(async move { listener.until("request.completed").await });
    }
    let first = reading.join_next().await.unwrap().unwrap();
    assert!(first.len() > 5, "{first:#?}");
    let numbers: Vec<_> = first.iter().map(|block| block.id.unwrap()).collect();
    let expected: Vec<_> = (head + 1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    while let Some(told) = reading.join_next().await {
        assert_eq!(told.unwrap(), first, "one was told something else");
    }
    println!(
        "{readers} readers: opened in {opened:?}, work took {worked:?}, all told after {:?}",
        begun.elapsed()
    );
}
