//! Taking a request back: what is taken back and in which order, what is refused and in which words, and that
//! it is a request like any other.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is a test that fails, and says where"
)]

use chiffon_store::{Commit, Expected, PlanRow, RequestRow, TaskRow, Write};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    WRITE,
    world::{Act, World},
};

impl World {
    /// Asks, approves and sees it through to the ledger.
    pub async fn done(&self, text: &str) -> Value {
        let id = self.ask(text).await;
        self.finished(&id).await
    }

    /// Approves what waits and sees it through to the ledger.
    pub async fn finished(&self, id: &str) -> Value {
        let (status, body) = self.approve(id).await;
        assert_eq!(status, 200, "{body}");
        let recorded = |request: &Value| request["ledger_commit"].is_string();
        self.until_it(id, "its ledger commit", recorded).await
    }

    /// Asks for the undo of a request; the id of the new one.
    pub async fn undo(&self, id: &str) -> String {
        let (status, body) = self.ask_undo(id, json!({})).await;
        assert_eq!(status, 202, "{body}");
        id_of(&body)
    }

    pub async fn ask_undo(&self, id: &str, body: Value) -> (u16, Value) {
        self.post(&format!("/api/v1/requests/{id}/undo"), body)
            .await
    }

    async fn refuses_undo(&self, id: &str, status: u16, code: u16, words: &str) {
        let (got, problem) = self.ask_undo(id, json!({})).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{words}: {problem:#}");
        assert!(!problem["todo"].as_str().unwrap().is_empty(), "{problem}");
    }
}

fn id_of(request: &Value) -> String {
    request["request_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_is_a_request_of_its_own_and_can_be_taken_back_too() {
    let world = World::plain(Act::Complete).await;
    let original = world.done(WRITE).await;
    let id = id_of(&original);
    let undo = world.undo(&id).await;
    let waiting = world.until(&undo, &["awaiting_approval"]).await;
    assert_eq!(waiting["undo_of"], json!(id));
    assert_eq!(
        world.worker.starts().len(),
        1,
        "it ran before it was approved"
    );
    let steps = waiting["plan"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0]["entry"], "write_file_undo");
    assert_eq!(steps[0]["hosts"], json!(["nas"]));
    let task = &original["tasks"].as_array().unwrap().last().unwrap()["task_id"];
    assert_eq!(
        steps[0]["parameters"],
        json!({ "path": "/tmp/x", "run_id": task })
    );
    assert_eq!(
        world.show(&id).await["undone_by"]["request_id"],
        json!(undo)
    );

    let done = world.finished(&undo).await;
    assert_eq!(done["state"], "completed", "{done:#}");
    let shown = world.show(&id).await;
    assert_eq!(
        shown["undone_by"],
        json!({ "request_id": undo, "state": "completed" })
    );
    let log = std::process::Command::new("git")
        .arg("-C")
        .arg(world.home.path().join("ledger"))
        .args([
            "log",
            "-1",
            "--format=%B",
            done["ledger_commit"].as_str().unwrap(),
        ])
        .output()
        .unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    assert!(log.contains(&format!("Undo-Of: {id}")), "{log}");

    world.refuses_undo(&id, 409, 5311, &undo).await;
    let redo = world.undo(&undo).await;
    let redo = world.until(&redo, &["awaiting_approval"]).await;
    let step = &redo["plan"]["steps"][0];
    let undo_task = &done["tasks"].as_array().unwrap().last().unwrap()["task_id"];
    assert_eq!(step["entry"], "write_file_undo");
    assert_eq!(&step["parameters"]["run_id"], undo_task);
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_taken_back_is_refused_in_words() {
    let world = World::plain(Act::Complete).await;
    let reading = world.ask("ping nas").await;
    world.until(&reading, &["completed"]).await;
    world.refuses_undo(&reading, 409, 5310, "only read").await;

    let waiting = world.ask(WRITE).await;
    world.until(&waiting, &["awaiting_approval"]).await;
    world
        .refuses_undo(&waiting, 409, 5305, "has not ended")
        .await;
    world.post(&format!("/cancel/{waiting}"), json!({})).await;
    world.until(&waiting, &["cancelled"]).await;
    world.refuses_undo(&waiting, 409, 5310, "never ran").await;

    let restarted = id_of(&world.done("service_restart name=cron on nas").await);
    world
        .refuses_undo(&restarted, 409, 5312, "A restart has no way back")
        .await;
    let (status, problem) = world
        .ask_undo(&restarted, json!({ "what_can_be": true }))
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!(5312)), "{problem}");

    world.worker.act(Act::Fail);
    let failed = world.ask(WRITE).await;
    world.approve(&failed).await;
    world.until(&failed, &["failed"]).await;
    world
        .refuses_undo(&failed, 409, 5310, "is not taken back: look at nas")
        .await;
    world.worker.act(Act::Complete);

    let nobody = Uuid::nil().to_string();
    let (status, problem) = world.ask_undo(&nobody, json!({})).await;
    assert_eq!((status, &problem["code"]), (404, &json!(5004)), "{problem}");
    let (status, problem) = world.ask_undo("x", json!({})).await;
    assert_eq!((status, &problem["code"]), (404, &json!(5004)), "{problem}");
    for body in [
        json!({ "whatcanbe": true }),
        json!({ "what_can_be": 1 }),
        json!([]),
    ] {
        let (status, problem) = world.ask_undo(&restarted, body).await;
        assert_eq!((status, &problem["code"]), (400, &json!(5001)), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_is_gone_or_changed_is_not_taken() {
    let world = World::plain(Act::Complete).await;
    let id = id_of(&world.done(WRITE).await);
    let catalogue = world.home.path().join("catalogue/playbooks");
    let metadata = catalogue.join("write_file.chiffon.yml");
    let text = std::fs::read_to_string(&metadata).unwrap();

    let changed = text.replace("run_id: \"{chiffon_run_id}\"", "run_id: \"other\"");
    assert_ne!(changed, text);
    std::fs::write(&metadata, changed).unwrap();
    world
        .refuses_undo(&id, 409, 5313, "names another way back")
        .await;

    let (start, rest) = text.split_once("undo:\n").unwrap();
    let (_, rest) = rest.split_once("requires_become").unwrap();
    std::fs::write(&metadata, format!("{start}requires_become{rest}")).unwrap();
    world
        .refuses_undo(&id, 409, 5313, "names another way back")
        .await;

    std::fs::rename(
        catalogue.join("write_file.yml"),
        catalogue.join("other.yml"),
    )
    .unwrap();
    std::fs::rename(&metadata, catalogue.join("other.chiffon.yml")).unwrap();
    world
        .refuses_undo(&id, 409, 5313, "no entry write_file")
        .await;
    std::fs::rename(
        catalogue.join("other.yml"),
        catalogue.join("write_file.yml"),
    )
    .unwrap();
    std::fs::write(&metadata, &text).unwrap();

    let hosts = world.home.path().join("inventory/hosts.yml");
    let inventory = std::fs::read_to_string(&hosts).unwrap();
    std::fs::write(
        &hosts,
        inventory.replace("    nas:\n      ansible_connection: local\n", ""),
    )
    .unwrap();
    world.refuses_undo(&id, 422, 5102, "nas").await;
    std::fs::write(&hosts, inventory).unwrap();
    world.undo(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_undo_at_a_time_and_another_after_one_that_came_to_nothing() {
    let world = World::plain(Act::Complete).await;
    let id = id_of(&world.done(WRITE).await);
    let address = format!("/api/v1/requests/{id}/undo");
    let with_key = async || {
        let sent = world
            .client
            .post(world.url(&address))
            .bearer_auth(super::world::TOKEN)
            .header("idempotency-key", "undo-1")
            .send()
            .await
            .unwrap();
        (sent.status().as_u16(), sent.json::<Value>().await.unwrap())
    };
    // Without a body, and twice under one key: one request.
    let (status, first) = with_key().await;
    assert_eq!(status, 202, "{first}");
    assert_eq!(with_key().await, (202, first.clone()));
    let first = id_of(&first);
    world.until(&first, &["awaiting_approval"]).await;
    world.refuses_undo(&id, 409, 5311, &first).await;
    let waiting = world.show(&first).await;
    let reject =
        json!({ "request_id": first, "digest": waiting["plan"]["digest"], "choice": "reject" });
    let (status, body) = world.post("/approve", reject).await;
    assert_eq!(status, 200, "{body}");

    world.worker.act(Act::Fail);
    let second = world.undo(&id).await;
    world.until(&second, &["awaiting_approval"]).await;
    world.approve(&second).await;
    world.until(&second, &["failed"]).await;
    world.worker.act(Act::Complete);

    // Two that come at once: whichever way they fall, one goes on.
    let (one, other) = tokio::join!(
        world.ask_undo(&id, json!({})),
        world.ask_undo(&id, json!({}))
    );
    let mut ends = Vec::new();
    for (status, body) in [one, other] {
        if status == 202 {
            let request = world
                .until(&id_of(&body), &["awaiting_approval", "failed"])
                .await;
            ends.push(request["problem"]["code"].clone());
        } else {
            ends.push(body["code"].clone());
        }
    }
    ends.sort_by_key(Value::to_string);
    assert_eq!(ends, [json!(5311), Value::Null]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_says_what_changed_again_since() {
    let world = World::plain(Act::Complete).await;
    let id = id_of(
        &world
            .done("write_file path=/tmp/x content=a on nas,tower")
            .await,
    );
    let later = id_of(&world.done("write_file path=/tmp/x content=b on nas").await);
    world
        .done("write_file path=/tmp/y content=c on tower")
        .await;
    let undo = world.undo(&id).await;
    let undo = world.until(&undo, &["awaiting_approval"]).await;
    let because = undo["plan"]["because"].as_str().unwrap();
    let expected = format!("changed again since by request {later} on nas");
    assert!(because.contains(&expected), "{because}");
    assert_eq!(because.matches("changed again").count(), 1, "{because}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_steps_of_a_plan_are_taken_back_from_the_last_to_the_first() {
    let world = World::plain(Act::Complete).await;
    let a = world
        .done("write_file path=/tmp/a content=1 on nas,tower")
        .await;
    let b = world.done("write_file path=/tmp/b content=2 on nas").await;
    let restart = world.done("service_restart name=cron on nas").await;
    let ids: Vec<String> = [&a, &b, &restart].iter().map(|one| id_of(one)).collect();

    let both = world.joined(&[&ids[0], &ids[1]]).await;
    let undo = world.undo(&both).await;
    let undo = world.until(&undo, &["awaiting_approval"]).await;
    let steps = undo["plan"]["steps"].as_array().unwrap();
    let paths: Vec<_> = steps
        .iter()
        .map(|step| &step["parameters"]["path"])
        .collect();
    assert_eq!(paths, ["/tmp/b", "/tmp/a"]);
    assert_eq!(steps[1]["depends_on"], json!([0]));
    assert_eq!(steps[1]["hosts"], json!(["nas", "tower"]));

    let three = world.joined(&[&ids[0], &ids[2], &ids[1]]).await;
    world.refuses_undo(&three, 409, 5312, "step 2 (").await;
    let (status, body) = world.ask_undo(&three, json!({ "what_can_be": true })).await;
    assert_eq!(status, 202, "{body}");
    let undo = world.until(&id_of(&body), &["awaiting_approval"]).await;
    assert_eq!(undo["plan"]["steps"].as_array().unwrap().len(), 2);
    let because = undo["plan"]["because"].as_str().unwrap();
    assert!(because.contains("A restart has no way back"), "{because}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_the_run_stays_secret_in_what_takes_it_back() {
    let world = World::plain(Act::Complete).await;
    let catalogue = world.home.path().join("catalogue");
    let play = "- name: Tell\n  hosts: all\n  gather_facts: false\n  roles:\n    - ROLE\n";
    let metadata = "title: Tell\nexamples: []\ntier: 1\npreview: blind\ntimeout_seconds: 60\non_interrupt: ask\nundo: {entry: untell, parameters: {word: \"x{code}\"}}\nverify: {command: {argv: [/bin/true, '{code}']}}\nparameters: {code: {secret: true}}\n";
    let specs = "argument_specs:\n  main:\n    options:\n      PARAMETER:\n        type: str\n        required: true\n";
    let undo_metadata =
        "title: Untell\nlisted: false\ntier: 0\npreview: blind\ntimeout_seconds: 60\n";
    for (id, parameter, metadata) in [
        ("tell", "code", metadata),
        ("untell", "word", undo_metadata),
    ] {
        for (path, text) in [
            (format!("playbooks/{id}.yml"), play.replace("ROLE", id)),
            (format!("playbooks/{id}.chiffon.yml"), metadata.to_owned()),
            (
                format!("roles/{id}/meta/argument_specs.yml"),
                specs.replace("PARAMETER", parameter),
            ),
            (format!("roles/{id}/tasks/main.yml"), "[]\n".to_owned()),
        ] {
            let path = catalogue.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }
    let original = world.done("tell code=hunter2secret on nas").await;
    let steps = original["plan"]["steps"].as_array().unwrap();
    assert_eq!(
        (&steps[1]["entry"], &steps[1]["tier"]),
        (&json!("check_command"), &json!(1))
    );
    assert_eq!(steps[1]["verifies"], 0);
    let undo = world.undo(&id_of(&original)).await;
    // Tier 0 of its step does not make it a reading.
    let undo = world
        .until(&undo, &["awaiting_approval", "completed"])
        .await;
    assert_eq!(
        (&undo["state"], &undo["plan"]["tier"]),
        (&json!("awaiting_approval"), &json!(1))
    );
    let undo = world.finished(&id_of(&undo)).await;
    let log = std::process::Command::new("git")
        .arg("-C")
        .arg(world.home.path().join("ledger"))
        .args(["log", "-p", "main"])
        .output()
        .unwrap();
    let said = format!("{original}{undo}{}", String::from_utf8_lossy(&log.stdout));
    assert!(said.contains("untell"), "{said}");
    assert!(!said.contains("hunter2secret"), "{said}");
}

impl World {
    /// A request as if one plan had done what these did, one step each; no sentence makes such a plan yet.
    async fn joined(&self, requests: &[&String]) -> String {
        let tenant = chiffon_common::TenantId::default();
        let id: chiffon_common::RequestId = Uuid::now_v7().to_string().parse().unwrap();
        let mut writes = Vec::new();
        let mut steps = Vec::new();
        let mut plan = None;
        for (no, request) in requests.iter().enumerate() {
            let rows = self
                .store
                .run(&tenant, request.parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            let mut doc = rows.request.doc.clone();
            doc["request_id"] = json!(id);
            if no == 0 {
                let row = RequestRow {
                    request_id: id,
                    doc,
                    ..rows.request
                };
                writes.push(Write::Request(Expected::Absent, row));
            }
            let mut step = rows.plan.as_ref().unwrap().doc["steps"][0].clone();
            step["no"] = json!(no);
            step["depends_on"] = json!(no.checked_sub(1).map_or(vec![], |before| vec![before]));
            steps.push(step);
            plan = plan.or(rows.plan);
            let is_apply = |row: &&TaskRow| row.doc["mode"] == "apply";
            let task = rows.tasks.iter().find(is_apply).unwrap();
            let mut doc = task.doc.clone();
            let task_id: chiffon_common::TaskId = Uuid::now_v7().to_string().parse().unwrap();
            doc["task_id"] = json!(task_id);
            doc["step"] = json!(no);
            let row = TaskRow {
                task_id,
                request_id: id,
                doc,
                ..task.clone()
            };
            writes.push(Write::Task(Expected::Absent, row));
        }
        let plan: PlanRow = plan.unwrap();
        let mut doc = plan.doc.clone();
        doc["request_id"] = json!(id);
        doc["steps"] = json!(steps);
        doc["plan_id"] = json!(Uuid::now_v7());
        writes.push(Write::Plan(PlanRow {
            request_id: id,
            doc,
            ..plan
        }));
        let commit = Commit {
            tenant_id: tenant,
            writes,
            ..Commit::default()
        };
        self.store.commit(commit).await.unwrap();
        id.to_string()
    }
}
