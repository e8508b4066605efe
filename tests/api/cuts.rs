//! A reader whose connection is cut again and again, at any byte, while the fleet works: it ends up with the same
//! picture as somebody who asks (R42).

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use super::{
    dice::Dice,
    listener::{Block, Listener},
    world::{Act, World},
};

const CUTS: usize = 100;

/// What a client knows from events alone.
#[derive(Debug, Default)]
struct Picture {
    last: u64,
    requests: BTreeMap<String, String>,
    tasks: BTreeMap<String, String>,
    events: u64,
}

impl Picture {
    fn see(&mut self, block: &Block) {
        let number = block.id.unwrap();
        assert_eq!(number, self.last + 1, "after {}: {block:?}", self.last);
        self.last = number;
        self.events += 1;
        let view = block.view();
        let (kind, data) = (view["type"].as_str().unwrap(), &view["data"]);
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        if kind.starts_with("request.") {
            self.requests.insert(text("request_id"), text("state"));
        } else if kind.starts_with("bead.") {
            self.tasks.insert(text("bead_id"), text("state"));
        } else {
            assert_ne!(kind, "reset", "{view}");
        }
    }
}

/// Keeps the fleet at work until told to stop; the requests it asked for.
async fn keep_asking(world: &World, stop: &AtomicBool) -> Vec<String> {
    let mut asked = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let ping = world.ask("ping nas").await;
        let write = world
            .ask("write_file path=/tmp/x content=hello on tower")
            .await;
        world.until(&ping, &["completed"]).await;
        world.approve(&write).await;
        world.until(&write, &["completed"]).await;
        asked.extend([ping, write]);
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_cut_a_hundred_times_loses_nothing() {
    let world = World::plain(Act::Complete).await;
    let mut dice = Dice::new();
    let stop = AtomicBool::new(false);
    let mut picture = Picture {
        last: world.store.stream_head().await.unwrap(),
        ..Picture::default()
    };
    let first = picture.last;
    let reading = async {
        for _cut in 0..CUTS {
            let last = picture.last.to_string();
            let mut listener = Listener::open(&world, "", Some(&last)).await.unwrap();
            let most = dice.up_to(6_000) as usize;
            let mut read = 0;
            while read < most {
                read += listener.read().await;
                while let Some(block) = listener.come() {
                    if block.data.is_some() {
                        picture.see(&block);
                    }
                }
            }
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (asked, ()) = tokio::join!(keep_asking(&world, &stop), reading);
    let head = world.store.stream_head().await.unwrap();
    let last = picture.last.to_string();
    let mut listener = Listener::open(&world, "", Some(&last)).await.unwrap();
    while picture.last < head {
        picture.see(&listener.event().await.unwrap());
    }
    assert_eq!(picture.events, picture.last - first);
    let mut tasks = 0;
    for id in &asked {
        let shown = world.show(id).await;
        assert_eq!(
            shown["state"].as_str(),
            picture.requests.get(id).map(String::as_str)
        );
        for task in shown["tasks"].as_array().unwrap() {
            let known = picture.tasks.get(task["task_id"].as_str().unwrap());
            assert_eq!(
                task["state"],
                known.map_or(Value::Null, |state| state.as_str().into())
            );
            tasks += 1;
        }
    }
    assert_eq!(
        (picture.requests.len(), picture.tasks.len()),
        (asked.len(), tasks)
    );
    println!(
        "{CUTS} cuts, {} events, {} requests",
        picture.events,
        asked.len()
    );
}
