//! A freeze that is committed in the very moment between the judgement of a start and its commit.

use std::sync::{Arc, atomic::Ordering};

use chiffon_bus::MemoryBus;
use reqwest::header;
use serde_json::Value;

use crate::{
    doctored::Doctored,
    world::{Act, TOKEN, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_between_judgement_and_commit_stops_the_start() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    let store = Doctored::over(Arc::clone(&world.store));
    world.store = store.clone();
    let world = world.start().await;
    store.freezes.store(true, Ordering::SeqCst);
    let id = world.ask("ping on nas").await;
    let waits = |request: &Value| {
        let because = &request["tasks"][0]["because"];
        let because = because.as_str().unwrap_or_default();
        because.starts_with("waits: frozen by local:eve since ")
    };
    world.until_it(&id, "its wait for the thaw", waits).await;
    assert!(
        !store.freezes.load(Ordering::SeqCst),
        "no start was held against the freeze"
    );
    assert_eq!(world.worker.starts(), []);
    let thaw = world.client.delete(world.url("/api/v1/freeze"));
    let thaw = thaw.bearer_auth(TOKEN).header(header::IF_MATCH, "*");
    assert_eq!(thaw.send().await.unwrap().status(), 200);
    world.until(&id, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1);
}
