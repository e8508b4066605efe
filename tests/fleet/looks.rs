//! Hosts that need a look: the machine does, whatever it is called, for each change whose outcome is open there.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::sync::Arc;

use chiffon_bus::MemoryBus;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    crew::Crew,
    world::{Act, World},
};

/// `h1` and `twin` are one machine, which is neither this one nor reached by SSH.
const HOSTS: &str = "all:
  vars: {ansible_connection: community.docker.docker}
  hosts:
    h1: {ansible_host: box}
    twin: {ansible_host: box}
    h2:
";

async fn fleet() -> (World, Arc<Crew>) {
    let mut world = World::at_rest(Arc::new(MemoryBus::new()), Act::Complete);
    std::fs::write(world.home.path().join("inventory/hosts.yml"), HOSTS).unwrap();
    // After its end nothing holds the host of a lost change any more, so that another may come.
    let limits = &mut world.lifecycles;
    limits.not_after = SignedDuration::from_secs(8);
    limits.skew = SignedDuration::from_secs(1);
    limits.grace = SignedDuration::from_secs(3);
    let entry = world
        .home
        .path()
        .join("catalogue/playbooks/write_file.chiffon.yml");
    let text = std::fs::read_to_string(&entry).unwrap();
    let text = text.replace("timeout_seconds: 120", "timeout_seconds: 2");
    std::fs::write(&entry, text).unwrap();
    world.start_orchestrator().await;
    let crew = Crew::new();
    world.start_agent_of(crew.clone()).await;
    (world, crew)
}

async fn look(world: &World, host: &str) -> Value {
    let (status, shown) = world.get(&format!("/api/v1/inventory/{host}")).await;
    assert_eq!(status, 200, "{shown}");
    shown["needs_look"].clone()
}

async fn resolve(world: &World, id: &str) {
    let request = world.show(id).await;
    let tasks = request["tasks"].as_array().unwrap();
    let is_open =
        |task: &&Value| ["unknown", "interrupted"].contains(&task["state"].as_str().unwrap());
    let open = tasks.iter().find(is_open);
    let task = open.unwrap()["task_id"].as_str().unwrap();
    let path = format!("/api/v1/tasks/{task}/resolve");
    let (status, said) = world.post(&path, json!({ "choice": "completed" })).await;
    assert_eq!(status, 200, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_open_changes_mark_one_machine_under_all_its_names_and_each_answer_takes_its_own_mark()
{
    let (mut world, crew) = fleet().await;
    let first = world
        .lose_change(&crew, "write_file path=/a content=x on h1")
        .await;
    // It starts once no agent can still run the first, whose outcome stays open.
    let second = world
        .lose_change(&crew, "write_file path=/b content=x on twin")
        .await;
    assert_eq!(crew.names(), ["/a", "/b"]);
    for name in ["h1", "twin"] {
        let shown = look(&world, name).await;
        assert_eq!(shown["request_id"], first, "{name}: {shown}");
        assert_eq!(shown["others"], json!([second]), "{name}: {shown}");
        assert_eq!(shown["asked"], first, "{name}: {shown}");
    }
    assert!(look(&world, "h2").await.is_null());

    // The questions are open: no word about the host takes the marks away.
    for name in ["h1", "twin"] {
        let (status, problem) = world
            .post_bare(&format!("/api/v1/inventory/{name}/clear"))
            .await;
        assert_eq!((status, &problem["code"]), (409, &json!(5317)), "{problem}");
        let todo = problem["todo"].as_str().unwrap();
        assert!(todo.contains(&format!("request resolve {first}")), "{todo}");
    }
    resolve(&world, &first).await;
    world.until(&first, &["completed"]).await;
    for name in ["h1", "twin"] {
        let shown = look(&world, name).await;
        assert_eq!(shown["request_id"], second, "{name}: {shown}");
        assert!(shown.get("others").is_none(), "{name}: {shown}");
    }
    resolve(&world, &second).await;
    world.until(&second, &["completed"]).await;
    for name in ["h1", "twin"] {
        assert!(look(&world, name).await.is_null(), "{name}");
    }
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_that_was_had_under_one_name_was_had_under_the_other() {
    let (mut world, crew) = fleet().await;
    world.crash_orchestrator().await;
    world.lifecycles.unknown = SignedDuration::from_secs(1);
    world.start_orchestrator().await;
    let id = world
        .begin_change(&crew, "write_file path=/a content=x on h1")
        .await;
    // The question about the outcome is short, that about the plan was not.
    world.crash_orchestrator().await;
    world.crash_agent_and_its_journal().await;
    world.lifecycles.question = SignedDuration::from_secs(1);
    world.start_orchestrator().await;
    world.start_agent_of(crew.clone()).await;
    world.until(&id, &["failed"]).await;
    for name in ["h1", "twin"] {
        let shown = look(&world, name).await;
        assert_eq!(shown["request_id"], id, "{name}: {shown}");
        assert!(shown.get("asked").is_none(), "{name}: {shown}");
    }
    let (status, cleared) = world.post_bare("/api/v1/inventory/twin/clear").await;
    assert_eq!(status, 200, "{cleared}");
    for name in ["h1", "twin"] {
        assert!(look(&world, name).await.is_null(), "{name}");
    }
    world.holds_together().await;
}

/// A reading cannot have changed anything: whatever became of it, no host needs a look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_whose_outcome_is_unknown_marks_no_host() {
    let (mut world, crew) = fleet().await;
    let words = "host_report on h1";
    let before = crew.names().len();
    let id = world.ask(words).await;
    world
        .wait_for("the start", || crew.names().len() == before + 1)
        .await;
    world.crash_agent_and_its_journal().await;
    world.start_agent_of(crew.clone()).await;
    let lost = |request: &Value| {
        let tasks = request["tasks"].as_array().unwrap();
        tasks.iter().any(|task| task["state"] == "unknown")
    };
    world.until_it(&id, "lost contact", lost).await;
    for name in ["h1", "twin"] {
        assert!(look(&world, name).await.is_null(), "{name} is marked");
        let (status, cleared) = world
            .post_bare(&format!("/api/v1/inventory/{name}/clear"))
            .await;
        assert_eq!(status, 200, "{cleared}");
    }
    resolve(&world, &id).await;
    world.until(&id, &["completed"]).await;
    let request = world.show(&id).await;
    let question = request["decisions"].as_array().unwrap().last().unwrap();
    let words = question["question"].as_str().unwrap();
    assert!(words.contains("the reading"), "{words}");
    world.holds_together().await;
}

/// A change that is stopped on its way: what it did where it came to no last count is not known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_change_marks_the_hosts_on_which_it_was_cut_off_and_no_other() {
    let (world, crew) = fleet().await;
    crew.cut_off_on("h2");
    let id = world
        .begin_change(&crew, "write_file path=/a content=x on h1,h2")
        .await;
    world.post(&format!("/cancel/{id}"), json!({})).await;
    let request = world.until(&id, &["cancelled"]).await;
    let words = "what was changed on h2 is not known";
    let because = request["because"].as_str().unwrap();
    assert!(because.contains(words), "{because}");
    let shown = look(&world, "h2").await;
    assert_eq!(shown["request_id"], id, "{shown}");
    let because = shown["because"].as_str().unwrap();
    assert!(because.contains(words), "{because}");
    for name in ["h1", "twin"] {
        assert!(look(&world, name).await.is_null(), "{name} was counted");
    }
    // Whoever wants it next is warned, and the record does not say that it was as before.
    let next = world.ask("write_file path=/b content=x on h2").await;
    let next = world.until(&next, &["awaiting_approval"]).await;
    let warning = next["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("h2 needs a look") && warning.contains(&id),
        "{warning}"
    );
    let recorded = |request: &Value| request["ledger_commit"].is_string();
    world.until_it(&id, "its ledger commit", recorded).await;
    let told = super::proof::git(&world, &["log", "--format=%B", "main"]);
    assert!(
        told.contains("It ended as cancelled, with changes, and it is not known whether with more"),
        "{told}"
    );
    // Nobody is asked about it, so a look is enough.
    let (status, cleared) = world.post_bare("/api/v1/inventory/h2/clear").await;
    assert_eq!(status, 200, "{cleared}");
    assert!(look(&world, "h2").await.is_null());
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_cut_off_marks_its_hosts_while_a_person_is_asked() {
    let (mut world, crew) = fleet().await;
    let words = "service_restart name=cron on h1";
    let id = world.begin_change(&crew, words).await;
    world.crash_agent().await;
    world.start_agent_of(crew.clone()).await;
    let asks = |request: &Value| {
        let asked = request["decisions"].as_array().unwrap();
        let open = |one: &&Value| one["kind"] == "interrupted" && one["state"] == "pending";
        asked.iter().any(|one| open(&one))
    };
    world.until_it(&id, "the question", asks).await;
    for name in ["h1", "twin"] {
        let shown = look(&world, name).await;
        assert_eq!(shown["request_id"], id, "{name}: {shown}");
        assert_eq!(shown["asked"], id, "{name}: {shown}");
    }
    let (status, problem) = world.post_bare("/api/v1/inventory/h1/clear").await;
    assert_eq!((status, &problem["code"]), (409, &json!(5317)), "{problem}");
    resolve(&world, &id).await;
    world.until(&id, &["completed"]).await;
    assert!(look(&world, "h1").await.is_null());

    // Cancelled in place of an answer, it stays as little known.
    let id = world.begin_change(&crew, words).await;
    world.crash_agent().await;
    world.start_agent_of(crew.clone()).await;
    world.until_it(&id, "the question", asks).await;
    world.post(&format!("/cancel/{id}"), json!({})).await;
    world.until(&id, &["cancelled"]).await;
    let shown = look(&world, "twin").await;
    assert_eq!(shown["request_id"], id, "{shown}");
    assert!(shown.get("asked").is_none(), "{shown}");
    let (status, cleared) = world.post_bare("/api/v1/inventory/twin/clear").await;
    assert_eq!(status, 200, "{cleared}");
    world.holds_together().await;
}
