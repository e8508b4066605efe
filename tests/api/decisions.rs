//! Decisions over HTTP: what is asked back is a decision, its answer continues the same request, and what is no
//! answer changes nothing.

use std::{fs, path::Path, sync::Arc};

use chiffon_bus::MemoryBus;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    client::{places, problem},
    world::{Act, World},
};

/// The only decision of a request that waits.
async fn asked(world: &World, request: &str) -> Value {
    let path = format!("/api/v1/decisions?request_id={request}&state=pending");
    let page = world.call("GET", &path).send().await.expect(200);
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{page:#}");
    items[0].clone()
}

/// A fleet that is set up and not started yet.
fn at_rest() -> World {
    World::at_rest(Arc::new(MemoryBus::new()), Act::Complete)
}

fn id(decision: &Value) -> &str {
    decision["decision_id"].as_str().unwrap()
}

fn resolve(decision: &Value) -> String {
    format!("/api/v1/decisions/{}/resolve", id(decision))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_a_decision_and_its_answer_continues_the_same_request() {
    let world = World::plain(Act::Complete).await;
    let request = world.ask("package_install on mars").await;
    world.until(&request, &["needs_input"]).await;
    let question = asked(&world, &request).await;
    assert_eq!(question["kind"], "question", "{question:#}");
    assert_eq!(question["takes_text"], true);
    assert_eq!(question["context"], "package_install on mars");
    assert_eq!(question["requester"], "local:anna");
    assert_eq!(question["project_id"], "default");
    assert_eq!(question["default_choice"], Value::Null);
    let deadline = |view: &Value| view["deadline"].as_str().unwrap().to_owned();
    let created: jiff::Timestamp = question["created_at"].as_str().unwrap().parse().unwrap();
    let until: jiff::Timestamp = deadline(&question).parse().unwrap();
    assert_eq!(
        until.duration_since(created),
        SignedDuration::from_hours(48)
    );

    // First the host, then the name of the package that is missing too.
    let answer = json!({ "text": " on nas ", "comment": "the one in the cellar" });
    let (status, said) = world.post(&resolve(&question), answer).await;
    assert_eq!(
        (status, &said["request_id"]),
        (200, &request.clone().into()),
        "{said}"
    );
    let second = world
        .until_it(&request, "the second question", |request| {
            let asked = request["decisions"].as_array().map_or(0, Vec::len);
            request["state"] == "needs_input" && asked == 2
        })
        .await;
    assert_eq!(second["problem"]["code"], 5104, "{second:#}");
    let question_two = asked(&world, &request).await;
    assert_eq!(question_two["missing"], json!(["name"]), "{question_two:#}");
    // By the short way, which names the request.
    let answer = json!({ "request_id": request, "text": "htop" });
    let (status, said) = world.post("/approve", answer).await;
    assert_eq!(status, 200, "{said}");

    let (status, said) = world.approve(&request).await;
    assert_eq!(status, 200, "{said}");
    let done = world.until(&request, &["completed"]).await;
    assert_eq!(
        done["text"], "package_install on mars",
        "the first words stay"
    );
    let rounds = done["rounds"].as_array().unwrap();
    let answers: Vec<_> = rounds.iter().map(|round| &round["answer"]).collect();
    assert_eq!(answers, ["on nas", "htop"], "{rounds:#?}");
    let step = &done["plan"]["steps"][0];
    assert_eq!(
        (&step["hosts"], &step["parameters"]["name"]),
        (&json!(["nas"]), &json!("htop"))
    );

    let path = format!("/api/v1/decisions/{}", id(&question));
    let closed = world.call("GET", &path).send().await.expect(200);
    for (field, expected) in [
        ("state", "resolved"),
        ("choice", "own words"),
        ("text", "on nas"),
        ("resolved_by", "local:anna"),
        ("comment", "the one in the cellar"),
    ] {
        assert_eq!(closed[field], expected, "{closed:#}");
    }
    assert!(closed["resolved_at"].is_string(), "{closed:#}");
    told_by_name(&world, id(&question)).await;
    world.holds_together().await;
}

/// Document 001's names for what happened to a question.
async fn told_by_name(world: &World, decision: &str) {
    let path = "/api/v1/events?after=0&limit=500&type=decision.";
    let page = world.call("GET", path).send().await.expect(200);
    let told: Vec<&str> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["data"]["decision_id"] == decision)
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["decision.created", "decision.resolved"], "{page:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_refused_and_the_question_stays() {
    let world = World::plain(Act::Complete).await;
    let request = world.ask("ping").await;
    world.until(&request, &["needs_input"]).await;
    let question = asked(&world, &request).await;
    let path = resolve(&question);
    let long = "x".repeat(8001);
    let comment = "x".repeat(2001);
    for (body, status, code, place) in [
        (json!({ "text": "" }), 422, 5213, "body /text"),
        (json!({ "text": " \n\t" }), 422, 5213, "body /text"),
        (json!({}), 422, 5213, "body /choice"),
        (json!({ "text": "a\u{0}b" }), 400, 5001, "body /text"),
        (json!({ "text": "\u{1b}[2J" }), 400, 5001, "body /text"),
        (json!({ "text": long }), 400, 5001, "body /text"),
        (
            json!({ "text": "nas", "comment": comment }),
            400,
            5001,
            "body /comment",
        ),
        (
            json!({ "text": "nas", "comment": "\u{7}" }),
            400,
            5001,
            "body /comment",
        ),
        (json!({ "choice": "approve" }), 422, 5207, "body /choice"),
        (
            json!({ "choice": "ping", "text": "nas" }),
            400,
            5001,
            "body /text",
        ),
        (json!({ "text": 7 }), 400, 5001, "body /text"),
        (json!({ "txt": "nas" }), 400, 5001, "body "),
    ] {
        let reply = world.call("POST", &path).json(&body).send().await;
        let said = problem(&world, &reply, status, code, &path).await;
        let found = places(&said);
        assert!(
            found.iter().any(|one| one.starts_with(place)),
            "{body}: {said}"
        );
    }
    // A host that nobody knows is said at once, and does not use up the question.
    let unknown = world
        .call("POST", &path)
        .json(&json!({ "text": "mars" }))
        .send()
        .await;
    let said = problem(&world, &unknown, 422, 5102, &path).await;
    assert!(said["detail"].as_str().unwrap().contains("tower"), "{said}");
    assert_eq!(asked(&world, &request).await, question, "it has changed");
    assert_eq!(world.show(&request).await["state"], "needs_input");
    let nobody = "/api/v1/decisions/0199e2f4-77a1-7c40-8000-000000000009/resolve";
    let reply = world
        .call("POST", nobody)
        .json(&json!({ "text": "nas" }))
        .send()
        .await;
    problem(&world, &reply, 404, 5004, nobody).await;

    // An approval takes no words of one's own.
    let change = world.ask("write_file path=/tmp/x content=y on nas").await;
    world.until(&change, &["awaiting_approval"]).await;
    let approval = asked(&world, &change).await;
    assert_eq!(approval["default_choice"], "reject", "{approval:#}");
    assert_eq!(approval["takes_text"], false);
    let path = resolve(&approval);
    let reply = world
        .call("POST", &path)
        .json(&json!({ "text": "approve" }))
        .send()
        .await;
    let said = problem(&world, &reply, 422, 5207, &path).await;
    assert!(
        said["detail"].as_str().unwrap().contains("approve, reject"),
        "{said}"
    );

    // Closed by a cancellation, and who answers is told.
    let cancel = format!("/api/v1/requests/{request}/cancel");
    world.call("POST", &cancel).send().await.expect(200);
    let path = resolve(&question);
    let reply = world
        .call("POST", &path)
        .json(&json!({ "text": "nas" }))
        .send()
        .await;
    let said = problem(&world, &reply, 409, 5416, &path).await;
    assert!(
        said["detail"].as_str().unwrap().contains("by local:anna"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_answers_at_once_one_counts_and_the_others_are_told() {
    let world = World::plain(Act::Complete).await;
    let request = world.ask("ping").await;
    world.until(&request, &["needs_input"]).await;
    let question = asked(&world, &request).await;
    let path = resolve(&question);
    let answers = ["nas", "tower", "localhost", "nas and tower", "ping on nas"].map(|text| {
        let call = world.call("POST", &path).json(&json!({ "text": text }));
        tokio::spawn(async move { (text, call.send().await) })
    });
    let mut replies = Vec::new();
    for answer in answers {
        replies.push(answer.await.unwrap());
    }
    let (taken, refused): (Vec<_>, Vec<_>) = replies
        .into_iter()
        .partition(|(_, reply)| reply.status == 200);
    let [(winner, _)] = &taken[..] else {
        panic!("{} answers were taken", taken.len());
    };
    for (_, reply) in &refused {
        let said = problem(&world, reply, 409, 5204, &path).await;
        assert!(
            said["detail"]
                .as_str()
                .unwrap()
                .contains("own words by local:anna"),
            "{said}"
        );
    }
    let done = world.until(&request, &["completed"]).await;
    let rounds = done["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 1, "{rounds:#?}");
    assert_eq!(rounds[0]["answer"], **winner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_outlives_a_restart_and_its_answer_too() {
    let mut world = World::plain(Act::Complete).await;
    let request = world.ask("ping").await;
    world.until(&request, &["needs_input"]).await;
    let question = asked(&world, &request).await;
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    assert_eq!(asked(&world, &request).await, question);
    let (status, said) = world
        .post(&resolve(&question), json!({ "text": "nas" }))
        .await;
    assert_eq!(status, 200, "{said}");
    // Whatever was planned by then: the answer is on the disk.
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    let done = world.until(&request, &["completed"]).await;
    assert_eq!(done["plan"]["steps"][0]["hosts"], json!(["nas"]));
    world.holds_together().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_nobody_answers_times_out_and_its_request_expires() {
    let mut world = at_rest();
    world.lifecycles.question = SignedDuration::from_secs(1);
    let world = world.start().await;
    for (text, code) in [
        ("ping", 5116),
        ("write_file path=/tmp/x content=y on nas", 5205),
    ] {
        let request = world.ask(text).await;
        let ended = world.until(&request, &["expired"]).await;
        assert_eq!(ended["problem"]["code"], code, "{ended:#}");
        let question = &ended["decisions"][0];
        assert_eq!(question["state"], "timed_out", "{ended:#}");
        assert!(question["resolved_at"].is_string(), "{ended:#}");
        let path = resolve(question);
        let late = json!({ "choice": "approve", "digest": question["digest"] });
        let reply = world.call("POST", &path).json(&late).send().await;
        problem(&world, &reply, 409, 5204, &path).await;
    }
    let page = world
        .call("GET", "/api/v1/decisions?state=timed_out")
        .send()
        .await;
    assert_eq!(page.expect(200)["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_back_too_often_it_has_failed() {
    let world = World::plain(Act::Complete).await;
    let request = world.ask("what is the meaning of life").await;
    for round in 0..10_u64 {
        let waiting = |request: &Value| {
            let answered = request["rounds"].as_array().map_or(0, Vec::len);
            request["state"] == "needs_input" && answered as u64 == round
        };
        world.until_it(&request, "the next question", waiting).await;
        let question = asked(&world, &request).await;
        let text = format!("what is the meaning of life, {round}");
        let (status, said) = world
            .post(&resolve(&question), json!({ "text": text }))
            .await;
        assert_eq!(status, 200, "{said}");
    }
    let failed = world.until(&request, &["failed"]).await;
    assert_eq!(failed["problem"]["code"], 5115, "{failed:#}");
    assert_eq!(failed["rounds"].as_array().unwrap().len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_listed_by_request_state_and_project() {
    let world = World::plain(Act::Complete).await;
    let asking = json!({ "text": "ping", "project_id": "lab" });
    let reply = world.call("POST", "/request").json(&asking).send().await;
    let lab = reply.expect(202)["request_id"].as_str().unwrap().to_owned();
    world.until(&lab, &["needs_input"]).await;
    let other = world.ask("ping").await;
    world.until(&other, &["needs_input"]).await;
    for (query, expected) in [
        ("", &[&other, &lab][..]),
        ("?project_id=lab", &[&lab]),
        ("?project_id=lab&state=pending", &[&lab]),
        ("?project_id=lab&state=resolved", &[]),
        ("?project_id=nowhere", &[]),
        ("?limit=1", &[&other]),
    ] {
        let path = format!("/api/v1/decisions{query}");
        let page = world.call("GET", &path).send().await.expect(200);
        let items = page["items"].as_array().unwrap();
        let of: Vec<_> = items.iter().map(|one| one["request_id"].clone()).collect();
        assert_eq!(
            of,
            expected.iter().map(|id| json!(id)).collect::<Vec<_>>(),
            "{query}"
        );
    }
}

/// S31: the bytes that are shown are those whose digest is approved, and they hold what the plan shows.
/// An entry with a secret, beside the shipped ones.
fn secretive(catalogue: &Path) {
    for (path, text) in [
        (
            "playbooks/secretive.yml",
            "- name: Secretive\n  hosts: all\n  gather_facts: false\n  roles:\n    - secretive\n",
        ),
        (
            "playbooks/secretive.chiffon.yml",
            "title: Keep a secret\ndescription: Does nothing with it.\nexamples: []\ntier: 1\npreview: blind\n\
             timeout_seconds: 60\non_interrupt: ask\nrequires_become: false\nresources: {memory_gb: 0, gpu: false}\n",
        ),
        (
            "roles/secretive/tasks/main.yml",
            "- name: Nothing\n  ansible.builtin.debug:\n    msg: nothing\n",
        ),
        (
            "roles/secretive/meta/argument_specs.yml",
            "argument_specs:\n  main:\n    short_description: A secret\n    options:\n      password:\n        \
             description: The secret.\n        type: str\n        required: true\n        no_log: true\n",
        ),
    ] {
        let path = catalogue.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_answered_is_shown_to_nobody() {
    const SECRET: &str = "correct-horse-battery";
    let world = at_rest();
    secretive(&world.home.path().join("catalogue"));
    let world = world.start().await;
    for answer in [SECRET.to_owned(), format!("password={SECRET}")] {
        let request = world.ask("secretive on nas").await;
        let asks = world.until(&request, &["needs_input"]).await;
        assert_eq!(asks["problem"]["code"], 5104, "{asks:#}");
        let question = asked(&world, &request).await;
        assert_eq!(question["missing"], json!(["password"]), "{question:#}");
        let (status, said) = world
            .post(&resolve(&question), json!({ "text": answer }))
            .await;
        assert_eq!(status, 200, "{said}");
        let waits = world.until(&request, &["awaiting_approval"]).await;
        assert_eq!(
            waits["rounds"][0]["answer"], "password=[secret]",
            "{waits:#}"
        );
        let bytes = format!("/api/v1/requests/{request}/plan/bytes");
        let reply = world.call("GET", &bytes).send().await;
        problem(&world, &reply, 403, 5215, &bytes).await;
        for path in [
            format!("/request/{request}"),
            format!("/api/v1/decisions?request_id={request}"),
            format!("/api/v1/requests/{request}/plan"),
            "/api/v1/events?after=0&limit=500".to_owned(),
            "/api/v1/audit?limit=500".to_owned(),
        ] {
            let shown = world.call("GET", &path).send().await.text();
            assert!(!shown.contains(SECRET), "{path}: {shown}");
        }
        let (status, said) = world.approve(&request).await;
        assert_eq!(status, 200, "{said}");
        world.until(&request, &["completed"]).await;
        // Asked for again it is not asked back about.
        let again = format!("/api/v1/requests/{request}/retry");
        let again = world.call("POST", &again).send().await.expect(202);
        let again = again["request_id"].as_str().unwrap();
        let waits = world.until(again, &["awaiting_approval"]).await;
        assert!(!waits.to_string().contains(SECRET), "{waits:#}");
    }
    world.holds_together().await;
}
