//! Somebody edits what was approved: rows of the database, files of catalogue and inventory, the configuration, the
//! messages on the bus. Whatever it is and whenever it happens, nothing of it runs.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that fails is a test that fails, and says where"
)]

use std::{
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use chiffon_bus::{
    Bus, DeclareError, MemoryBus, Message, PublishError, QueueName, QueueSpec, SubscribeError,
    Subscription,
};
use chiffon_common::{Envelope, Plan};
use chiffon_store::{Commit, Expected, PlanRow, RequestRow, RunRows, TaskRow, Write};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    WRITE,
    world::{Act, World},
};

/// A bus on which what is sent to agents is lost while it is gagged. Remembers what it was.
pub struct Gagged {
    inner: MemoryBus,
    pub gagged: AtomicBool,
    lost: Mutex<Vec<Value>>,
}

impl Gagged {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryBus::new(),
            gagged: AtomicBool::new(false),
            lost: Mutex::default(),
        })
    }

    /// Messages of this type that were lost.
    pub fn lost(&self, kind: &str) -> Vec<Value> {
        let lost = self.lost.lock().unwrap();
        let of = lost.iter().filter(|one| one["message_type"] == kind);
        of.map(|one| one["payload"].clone()).collect()
    }
}

#[async_trait]
impl Bus for Gagged {
    async fn declare(&self, spec: QueueSpec) -> Result<(), DeclareError> {
        self.inner.declare(spec).await
    }

    async fn publish(&self, to: &QueueName, message: Message) -> Result<(), PublishError> {
        if to.as_str().starts_with("agent.") && self.gagged.load(Ordering::SeqCst) {
            let body = serde_json::from_slice(&message.body).unwrap();
            self.lost.lock().unwrap().push(body);
            return Ok(());
        }
        self.inner.publish(to, message).await
    }

    async fn subscribe(
        &self,
        queue: &QueueName,
        prefetch: NonZeroU32,
    ) -> Result<Box<dyn Subscription>, SubscribeError> {
        self.inner.subscribe(queue, prefetch).await
    }

    async fn depth(&self, queue: &QueueName) -> Option<u64> {
        self.inner.depth(queue).await
    }

    async fn close(&self, grace: Duration) {
        self.inner.close(grace).await;
    }
}

impl World {
    pub async fn rows(&self, id: &str) -> RunRows {
        let tenant = "default".parse().unwrap();
        let found = self.store.run(&tenant, id.parse().unwrap()).await;
        found.unwrap().unwrap()
    }

    pub async fn write_rows(&self, writes: Vec<Write>) {
        let commit = Commit {
            writes,
            ..Commit::default()
        };
        self.store.commit(commit).await.unwrap();
    }

    /// Edits the stored plan; with `forged`, its digest is made to fit.
    pub async fn edit_plan(&self, id: &str, forged: bool, edit: impl Fn(&mut Value)) {
        let row = self.rows(id).await.plan.unwrap();
        let mut doc = row.doc.clone();
        edit(&mut doc);
        let mut digest = row.digest;
        if forged {
            let plan: Plan = serde_json::from_value(doc.clone()).unwrap();
            let subject = plan.subject(&row.tenant_id, "local:anna");
            digest = subject.digest().unwrap();
            doc["digest"] = json!(digest);
        }
        let row = PlanRow { digest, doc, ..row };
        self.write_rows(vec![Write::Plan(row)]).await;
    }

    pub async fn edit_request(&self, id: &str, edit: impl Fn(&mut Value)) {
        let row = self.rows(id).await.request;
        let mut doc = row.doc.clone();
        edit(&mut doc);
        let version = row.version;
        let row = RequestRow { doc, ..row };
        self.write_rows(vec![Write::Request(Expected::Version(version), row)])
            .await;
    }

    /// A change that is approved and waits for the thaw.
    async fn approved_and_frozen(&self) -> String {
        let id = self.ask(WRITE).await;
        self.until(&id, &["awaiting_approval"]).await;
        self.freeze("for the test").await;
        let (status, body) = self.approve(&id).await;
        assert_eq!(status, 200, "{body}");
        self.until_it(&id, "its wait for the thaw", |request| {
            waits_for_the_thaw(request)
        })
        .await;
        id
    }

    pub async fn is_refused(&self, id: &str, code: u16, what: &str) {
        let ended = self.until(id, &["failed", "completed"]).await;
        assert_eq!(
            (&ended["state"], &ended["problem"]["code"]),
            (&json!("failed"), &json!(code)),
            "{what}: {ended:#}"
        );
        let todo = ended["problem"]["todo"].as_str().unwrap();
        assert!(todo.contains("ask again"), "{what}: {todo}");
        assert_eq!(self.worker.starts(), [], "{what}");
    }

    fn file(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }
}

pub fn waits_for_the_thaw(request: &Value) -> bool {
    let waits = |task: &Value| {
        let because = task["because"].as_str().unwrap_or_default();
        task["state"] == "waiting" && because.starts_with("waits: frozen by local:anna since ")
    };
    request["tasks"]
        .as_array()
        .is_some_and(|tasks| tasks.iter().any(waits))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_edited_after_the_approval_start_nothing() {
    type Edit = fn(&mut Value);
    let plan_edits: [(&str, bool, Edit); 7] = [
        ("a parameter", false, |plan| {
            plan["steps"][0]["parameters"]["content"] = json!("evil");
        }),
        ("a host", false, |plan| {
            plan["steps"][0]["hosts"] = json!(["tower"]);
        }),
        ("the bundle", false, |plan| {
            plan["steps"][0]["bundle"] = json!(format!("sha256:{}", "0".repeat(64)));
        }),
        ("the time-out", false, |plan| {
            plan["steps"][0]["timeout_seconds"] = json!(86_400);
        }),
        ("how long the approval is good", false, |plan| {
            plan["good_for_seconds"] = json!(86_400);
        }),
        ("the plan with its digest", true, |plan| {
            plan["steps"][0]["parameters"]["content"] = json!("evil");
        }),
        ("the tier with the digest", true, |plan| {
            plan["tier"] = json!(0);
            plan["steps"][0]["tier"] = json!(0);
        }),
    ];
    let world = World::plain(Act::Complete).await;
    for (what, forged, edit) in plan_edits {
        let id = world.approved_and_frozen().await;
        world.edit_plan(&id, forged, edit).await;
        world.thaw().await;
        world.is_refused(&id, 5210, what).await;
    }
    // The plan with its digest in every row but that of the answered question.
    let id = world.approved_and_frozen().await;
    let edit: Edit = |plan| plan["steps"][0]["parameters"]["content"] = json!("evil");
    world.edit_plan(&id, true, edit).await;
    let digest = world.rows(&id).await.plan.unwrap().digest;
    world
        .edit_request(&id, |request| {
            request["planned"] = json!(digest);
            request["approval"]["digest"] = json!(digest);
        })
        .await;
    world.thaw().await;
    world.is_refused(&id, 5210, "all but the question").await;
    // A question that waits: what is approved then is what was read, and it is not what is stored.
    let id = world.ask(WRITE).await;
    world.until(&id, &["awaiting_approval"]).await;
    world.edit_plan(&id, false, edit).await;
    world.approve(&id).await;
    world.is_refused(&id, 5210, "before the answer").await;
}

/// Rows as the orchestrator itself writes them, of an approval that nobody gave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_was_written_into_the_rows_starts_nothing_and_is_found() {
    let world = World::plain(Act::Complete).await;
    let id = world.ask(WRITE).await;
    world.until(&id, &["awaiting_approval"]).await;
    let honest = world.approved_and_frozen().await;
    let (like, rows) = (world.rows(&honest).await, world.rows(&id).await);

    let mut decision = rows.decisions[0].clone();
    decision.state = like.decisions[0].state.clone();
    decision.doc["state"] = like.decisions[0].doc["state"].clone();
    let mut request = rows.request.clone();
    request.state = like.request.state.clone();
    request.doc["state"] = like.request.doc["state"].clone();
    request.doc["approval"] = like.request.doc["approval"].clone();
    request.doc["approval"]["decision"] = json!(decision.decision_id);
    request.doc["approval"]["digest"] = json!(rows.plan.unwrap().digest);
    let forged = "0199e2f4-77a1-7c40-8000-000000000002";
    let waiting = |task: &&TaskRow| task.state == "waiting";
    let mut task = like.tasks.iter().find(waiting).unwrap().clone();
    task.task_id = forged.parse().unwrap();
    task.request_id = rows.request.request_id;
    task.doc["task_id"] = json!(forged);
    let (asked, answered) = (rows.request.version, decision.version);
    world
        .write_rows(vec![
            Write::Decision(Expected::Version(answered), decision),
            Write::Request(Expected::Version(asked), request),
            Write::Task(Expected::Absent, task),
        ])
        .await;
    world.thaw().await;
    let ended = world.until(&id, &["failed", "completed"]).await;
    assert_eq!(
        (&ended["state"], &ended["problem"]["code"]),
        (&json!("failed"), &json!(5210)),
        "{ended:#}"
    );
    world.until(&honest, &["completed"]).await;
    assert_eq!(world.worker.starts().len(), 1, "only the honest one ran");

    // The record of its end fits the forged rows: what is missing is the way there.
    let (status, report) = world.post("/api/v1/audit/verify", json!({})).await;
    assert_eq!(status, 200, "{report}");
    let faults = report["faults"].as_array().unwrap();
    assert!(!faults.is_empty(), "{report}");
    for fault in faults {
        let fault = fault.as_str().unwrap();
        assert!(fault.contains(&id) && !fault.contains(&honest), "{fault}");
    }
    let told = report["faults"].to_string();
    assert!(told.contains("awaiting_approval by the record"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_edited_between_two_sends_is_not_sent_again() {
    let bus = Gagged::new();
    let mut world = World::at_rest(bus.clone(), Act::Complete);
    world.lifecycles.ack = SignedDuration::from_millis(100);
    let world = world.start().await;
    let id = world.ask(WRITE).await;
    world.until(&id, &["awaiting_approval"]).await;
    bus.gagged.store(true, Ordering::SeqCst);
    world.approve(&id).await;
    let sent = || bus.lost("work_request").len();
    // It is sent again as long as it is what was approved.
    world.wait_for("the second send", || sent() >= 2).await;
    world
        .edit_plan(&id, false, |plan| {
            plan["steps"][0]["parameters"]["content"] = json!("evil");
        })
        .await;
    let as_approved = || {
        let sent = bus.lost("work_request");
        sent.iter()
            .all(|request| request["parameters"]["content"] == "hello")
    };
    world
        .wait_for("a question instead", || {
            !as_approved() || !bus.lost("work_query").is_empty()
        })
        .await;
    assert!(as_approved(), "{:#?}", bus.lost("work_request"));
    let before = sent();
    let asked = bus.lost("work_query").len();
    world
        .wait_for("the next question", || bus.lost("work_query").len() > asked)
        .await;
    assert_eq!(sent(), before, "it was sent again");
    assert!(as_approved(), "{:#?}", bus.lost("work_request"));
    bus.gagged.store(false, Ordering::SeqCst);
    // The agent has never seen it, so it never began, and may not begin any more.
    world.is_refused(&id, 5210, "never arrived").await;
}

/// A key as `known_hosts` has it.
fn host_key(of: u8) -> String {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend([of; 32]);
    format!("192.0.2.7 ssh-ed25519 {}\n", BASE64_STANDARD.encode(blob))
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_change_after_the_approval_start_nothing() {
    let world = World::plain(Act::Complete).await;
    let hosts = fs::read_to_string(world.file("inventory/hosts.yml")).unwrap();
    let hosts = hosts.replace("all:\n", "all:\n  vars:\n    colour: red\n");
    let hosts = hosts + "    box:\n      ansible_host: 192.0.2.7\n";
    write(&world.file("inventory/hosts.yml"), &hosts);
    write(&world.file("inventory/known_hosts"), &host_key(1));
    let filters = "catalogue/collections/ansible_collections/my/own/plugins/filter/x.py";
    write(&world.file(filters), "# one\n");
    let append = |text: &str| format!("{text}# changed\n");
    let play = "catalogue/playbooks/write_file.yml";
    let role = "catalogue/roles/write_file/tasks/main.yml";
    let metadata = "catalogue/playbooks/write_file.chiffon.yml";
    let inventory = "inventory/hosts.yml";
    type Edit<'a> = &'a dyn Fn(&str) -> String;
    let edits: [(&str, &str, Edit<'_>); 8] = [
        ("the playbook", play, &append),
        ("a role", role, &append),
        ("a collection", filters, &append),
        ("its tier", metadata, &|text| {
            text.replace("tier: 1", "tier: 2")
        }),
        ("a group's variable", inventory, &|text| {
            text.replace("colour: red", "colour: blue")
        }),
        ("a host's variable", inventory, &|text| {
            text.replace("192.0.2.7\n", "192.0.2.7\n      ansible_user: root\n")
        }),
        ("a host's address", inventory, &|text| {
            text.replace("192.0.2.7", "192.0.2.8")
        }),
        ("a host's key", "inventory/known_hosts", &|_| host_key(2)),
    ];
    for (what, path, edit) in edits {
        let id = world
            .ask("write_file path=/tmp/x content=hello on box")
            .await;
        let request = world.until(&id, &["awaiting_approval", "failed"]).await;
        assert_eq!(request["state"], "awaiting_approval", "{what}: {request:#}");
        let path = world.file(path);
        let before = fs::read_to_string(&path).unwrap();
        let after = edit(&before);
        assert_ne!(before, after, "{what}");
        fs::write(&path, after).unwrap();
        world.approve(&id).await;
        world.is_refused(&id, 5414, what).await;
        fs::write(&path, before).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_a_link_to_another_by_now_starts_nothing() {
    let world = World::plain(Act::Complete).await;
    let roles = world.file("catalogue/roles");
    fs::rename(roles.join("write_file"), roles.join("one")).unwrap();
    let link = |to: &str| {
        let _was_there = fs::remove_file(roles.join("write_file"));
        std::os::unix::fs::symlink(to, roles.join("write_file")).unwrap();
    };
    link("one");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([roles.join("one"), roles.join("two")])
        .status();
    assert!(copied.unwrap().success());
    let other = roles.join("two/tasks/main.yml");
    let text = fs::read_to_string(&other).unwrap();
    fs::write(&other, text + "\n# another\n").unwrap();
    let id = world.approved_and_frozen().await;
    link("two");
    world.thaw().await;
    world.is_refused(&id, 5414, "the link").await;
    // And back: what was approved is what is there.
    link("one");
    let id = world.approved_and_frozen().await;
    link("two");
    link("one");
    world.thaw().await;
    world.until(&id, &["completed"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_approved_under_another_configuration_is_not_started() {
    let mut world = World::plain(Act::Complete).await;
    let id = world.approved_and_frozen().await;
    world.crash_orchestrator().await;
    world.lifecycles.single_person = false;
    world.start_orchestrator().await;
    world.thaw().await;
    world.is_refused(&id, 5209, "another policy").await;
    // The same under the rules of now.
    let id = world.ask(WRITE).await;
    world.approve(&id).await;
    world.until(&id, &["completed"]).await;
}

/// The orchestrator is gone, and somebody else who can write to the bus sends what it had sealed, edited.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_orchestrator_the_agent_refuses_by_itself() {
    let bus = Gagged::new();
    let mut world = World::at_rest(bus.clone(), Act::Complete).start().await;
    let id = world.ask(WRITE).await;
    world.until(&id, &["awaiting_approval"]).await;
    bus.gagged.store(true, Ordering::SeqCst);
    world.approve(&id).await;
    world
        .wait_for("the sealed work", || !bus.lost("work_request").is_empty())
        .await;
    world.crash_orchestrator().await;
    bus.gagged.store(false, Ordering::SeqCst);
    let lost = bus.lost.lock().unwrap().clone();
    let sealed = lost
        .iter()
        .find(|one| one["message_type"] == "work_request")
        .unwrap();
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit); 4] = [
        ("the message", |one| {
            one["payload"]["parameters"]["content"] = json!("evil")
        }),
        ("message and seal", |one| {
            one["payload"]["parameters"]["content"] = json!("evil");
            one["payload"]["seal"]["claims"]["parameters"]["content"] = json!("evil");
        }),
        ("no signature", |one| {
            drop(one.as_object_mut().unwrap().remove("signature"))
        }),
        ("another plan", |one| {
            let digest = format!("sha256:{}", "0".repeat(64));
            one["payload"]["seal"]["claims"]["plan"] = json!(digest);
        }),
    ];
    let agent = "infrastructure".parse().unwrap();
    let queue = QueueName::agent(&agent);
    for (what, edit) in edits {
        let mut message = sealed.clone();
        edit(&mut message);
        let body = serde_json::to_vec(&message).unwrap();
        let envelope = Envelope::from_bytes(&body).unwrap();
        let message = Message {
            message_id: envelope.message_id,
            sender: "stranger".to_owned(),
            body: body.as_slice().into(),
        };
        bus.publish(&queue, message).await.unwrap();
        let emptied = async {
            while bus.depth(&queue).await != Some(0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let emptied = tokio::time::timeout(super::world::PATIENCE, emptied).await;
        assert!(emptied.is_ok(), "{what}");
        assert_eq!(world.worker.starts(), [], "{what}");
    }
}
