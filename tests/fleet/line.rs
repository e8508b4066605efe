//! The line before the hosts: fair, one for each machine, told in words, and the same after a restart.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{collections::BTreeSet, sync::Arc};

use chiffon_bus::MemoryBus;
use serde_json::{Value, json};

use super::{
    crew::{Crew, How},
    world::{Act, World},
};

/// Machines that are neither this one nor reached by SSH, so that nothing has to be pinned. `h1` and `twin` are
/// one machine.
const HOSTS: &str = "all:
  vars: {ansible_connection: community.docker.docker}
  hosts:
    h1: {ansible_host: box}
    twin: {ansible_host: box}
    h2:
    h3:
    h4:
";

async fn fleet() -> (World, Arc<Crew>) {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    std::fs::write(world.home.path().join("inventory/hosts.yml"), HOSTS).unwrap();
    world.start_orchestrator().await;
    let crew = Crew::new();
    world.start_agent_of(crew.clone()).await;
    (world, crew)
}

/// Asks for a change that is told apart by its path, and approves it.
async fn change(world: &World, name: &str, hosts: &str) -> String {
    let text = format!("write_file path={name} content=x on {hosts}");
    let id = world.ask(&text).await;
    let (status, body) = world.approve(&id).await;
    assert_eq!(status, 200, "{body}");
    id
}

fn words(request: &Value) -> String {
    let tasks = request["tasks"].as_array().into_iter().flatten();
    let apply = tasks.filter(|task| task["mode"] == "apply");
    let because = apply.map(|task| task["because"].as_str().unwrap());
    because.collect::<Vec<_>>().join("; ")
}

async fn begun(world: &World, crew: &Crew, count: usize) {
    let what = format!("start number {count}");
    world.wait_for(&what, || crew.names().len() >= count).await;
    assert_eq!(crew.names().len(), count, "{:?}", crew.names());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_first_goes_first_also_after_a_restart_and_each_is_told_whom_it_waits_for() {
    let (mut world, crew) = fleet().await;
    let first = change(&world, "/a", "h2").await;
    begun(&world, &crew, 1).await;
    let wide = change(&world, "/b", "h1,h2").await;
    let says = |what: String| move |request: &Value| words(request).contains(&what);
    let held = says(format!("waits for h2, held by request {first} since "));
    world.until_it(&wide, "whom it waits for", held).await;
    // h1 is free, but it is next in the line of that machine, whatever others call it.
    let behind = change(&world, "/c", "twin").await;
    let came_first = format!("waits for twin: request {wide} came first; 1 before it");
    world.until_it(&behind, "its place", says(came_first)).await;
    let second = change(&world, "/d", "h2").await;
    let place = |request: &Value| {
        let words = words(request);
        words.contains(&format!("held by request {first} since "))
            && words.ends_with("; 1 before it")
    };
    world.until_it(&second, "its place", place).await;
    // Nobody is held up who wants nothing of it, and reading is free.
    let elsewhere = change(&world, "/e", "h3").await;
    begun(&world, &crew, 2).await;
    let reading = world.ask("ping on h2").await;
    world.until(&reading, &["completed"]).await;

    world.crash_orchestrator().await;
    crew.end("/a", How::done());
    world.start_orchestrator().await;
    begun(&world, &crew, 3).await;
    assert_eq!(crew.names(), ["/a", "/e", "/b"], "the order is lost");
    let alias = says(format!(
        "waits for twin, held under another name by request {wide}"
    ));
    world
        .until_it(&behind, "the machine's other name", alias)
        .await;
    for name in ["/b", "/c", "/d", "/e"] {
        crew.end(name, How::done());
    }
    for id in [&first, &wide, &behind, &second, &elsewhere] {
        world.until(id, &["completed"]).await;
    }
    assert_eq!(crew.names().len(), 5);
    world.holds_together().await;
}

/// One of a pair of lines that share no machine: every change of a line needs the first machine of it.
fn hosts(side: usize, n: usize, rng: &mut u64) -> &'static str {
    const SIDES: [[&str; 4]; 2] = [
        ["h1", "twin", "h1,h2", "h2,twin"],
        ["h3", "h3,h4", "h4,h3", "h3"],
    ];
    // xorshift: enough to shuffle, and the seed is all there is to print.
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    *rng ^= *rng << 17;
    let pick = (*rng as usize).wrapping_add(n) % 4;
    SIDES[side][pick]
}

fn machine(host: &str) -> &str {
    if host == "twin" { "h1" } else { host }
}

/// Two lines of changes run beside each other, and every run goes on only once one of the other line runs too. So
/// runs really overlap, in each of the rounds; were the leases too wide, nobody would meet, and too narrow, two of
/// one line would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_changes_that_overlap_never_meets_on_a_machine_and_keeps_its_order() {
    const ROUNDS: usize = 6;
    let seed = 20_261_129;
    println!("seed {seed}");
    let mut rng = seed;
    let (mut world, crew) = fleet().await;
    let mut ids = Vec::new();
    for n in 0..ROUNDS {
        for side in 0..2 {
            let on = hosts(side, n, &mut rng);
            ids.push(change(&world, &format!("/{side}/{n}"), on).await);
        }
    }
    for round in 0..ROUNDS {
        let both = || {
            let inside = crew.inside();
            (0..2).all(|side| {
                inside
                    .iter()
                    .any(|run| run.name == format!("/{side}/{round}"))
            })
        };
        world.wait_for(&format!("meeting {round}"), both).await;
        if round == ROUNDS / 2 {
            world.crash_orchestrator().await;
        }
        for side in 0..2 {
            crew.end(&format!("/{side}/{round}"), How::done());
        }
        if round == ROUNDS / 2 {
            world.start_orchestrator().await;
        }
    }
    for id in &ids {
        world.until(id, &["completed"]).await;
    }
    let begun = crew.begun();
    assert_eq!(begun.len(), ids.len(), "not once for each");
    let mut met = 0;
    for (run, others) in &begun {
        let own: BTreeSet<_> = run.hosts.iter().map(|host| machine(host)).collect();
        for other in others {
            met += 1;
            let shared = other.hosts.iter().find(|host| own.contains(machine(host)));
            assert_eq!(shared, None, "{run:?} meets {other:?}");
        }
    }
    assert!(met >= ROUNDS, "only {met} runs have met another");
    for side in 0..2 {
        let of_side = |name: &&String| name.starts_with(&format!("/{side}/"));
        let names = crew.names();
        let order: Vec<_> = names.iter().filter(of_side).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_has_no_more_at_work_than_it_may_and_says_so() {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Hold);
    world.project_tasks = std::num::NonZeroU32::new(1);
    let world = world.start().await;
    let first = world.ask("ping nas").await;
    world
        .wait_for("the first start", || world.worker.starts().len() == 1)
        .await;
    let second = world.ask("ping tower").await;
    let limit = |request: &Value| {
        words(request).contains("waits for its project, of which 1 may be at work")
    };
    world.until_it(&second, "its limit", limit).await;
    let body = json!({ "text": "ping tower", "project_id": "other" });
    let (status, other) = world.post("/request", body).await;
    assert_eq!(status, 202, "{other}");
    world
        .wait_for("another project's start", || {
            world.worker.starts().len() == 2
        })
        .await;
    world.worker.let_go();
    for id in [
        first.as_str(),
        &second,
        other["request_id"].as_str().unwrap(),
    ] {
        world.until(id, &["completed"]).await;
    }
    world.holds_together().await;
}
