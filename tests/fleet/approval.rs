//! Approvals: one run of one plan, by a person who may, in time. Everything else is refused with a reason.

use std::sync::{Arc, atomic::Ordering};

use chiffon_bus::MemoryBus;
use chiffon_common::Principal;
use serde_json::{Value, json};

use super::{
    WRITE,
    world::{Act, World},
};

/// Two hours, in seconds: longer than an approval is good.
const TWO_HOURS: i64 = 7_200;

impl World {
    /// A plan that waits for its answer: the request and the digest.
    async fn waiting(&self) -> (String, Value) {
        let id = self.ask(WRITE).await;
        let request = self.until(&id, &["awaiting_approval"]).await;
        let digest = request["plan"]["digest"].clone();
        (id, digest)
    }

    async fn approve_with(&self, id: &str, digest: &Value) -> (u16, Value) {
        let body = json!({ "request_id": id, "digest": digest });
        self.post("/approve", body).await
    }

    fn set_clock(&self, seconds: i64) {
        self.clock.seconds.store(seconds, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_approvals_at_once_one_starts_one_run() {
    let world = World::plain(Act::Complete).await;
    let (id, digest) = world.waiting().await;
    let world = Arc::new(world);
    let posts: Vec<_> = (0..16)
        .map(|_| {
            let (world, id, digest) = (Arc::clone(&world), id.clone(), digest.clone());
            tokio::spawn(async move { world.approve_with(&id, &digest).await })
        })
        .collect();
    let mut good = 0;
    for post in posts {
        let (status, body) = post.await.unwrap();
        match status {
            200 => good += 1,
            _ => assert_eq!((status, &body["code"]), (409, &json!(5204)), "{body}"),
        }
    }
    assert_eq!(good, 1);
    world.until(&id, &["completed"]).await;
    // Used up: the same again, and by way of the decision, starts nothing.
    let (status, problem) = world.approve_with(&id, &digest).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5204)), "{problem}");
    let shown = world.show(&id).await;
    let decision = shown["decisions"][0]["decision_id"].as_str().unwrap();
    let path = format!("/api/v1/decisions/{decision}/resolve");
    let answer = json!({ "choice": "approve", "digest": digest });
    let (status, problem) = world.post(&path, answer).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5204)), "{problem}");
    assert_eq!(world.worker.starts().len(), 1);
    // Asked for again, it is another plan with another digest, and that approval is none of it.
    let (status, body) = world
        .post(&format!("/api/v1/requests/{id}/retry"), json!({}))
        .await;
    assert_eq!(status, 202, "{body}");
    let again = body["request_id"].as_str().unwrap();
    let request = world.until(again, &["awaiting_approval"]).await;
    assert_ne!(request["plan"]["digest"], digest);
    let (status, problem) = world.approve_with(again, &digest).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5203)), "{problem}");
    assert_eq!(world.worker.starts().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_person_approves_and_only_this_plan() {
    let mut world = World::plain(Act::Complete).await;
    let (one, of_one) = world.waiting().await;
    let (two, of_two) = world.waiting().await;
    assert_ne!(of_one, of_two, "two plans, one digest");
    let (status, problem) = world.approve_with(&one, &of_two).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5203)), "{problem}");
    for kind in ["service", "agent"] {
        world.crash_orchestrator().await;
        world.principal = Principal {
            id: format!("{kind}:bot"),
            kind: kind.to_owned(),
        };
        world.start_orchestrator().await;
        let (status, problem) = world.approve_with(&one, &of_one).await;
        assert_eq!(
            (status, &problem["code"]),
            (403, &json!(5202)),
            "{kind}: {problem}"
        );
    }
    assert_eq!(world.worker.starts(), []);
    world.crash_orchestrator().await;
    world.principal.id = "local:ada".to_owned();
    world.principal.kind = "person".to_owned();
    world.start_orchestrator().await;
    for (id, digest) in [(one, of_one), (two, of_two)] {
        let (status, body) = world.approve_with(&id, &digest).await;
        assert_eq!(status, 200, "{body}");
        world.until(&id, &["completed"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_run_out_stays_so_whatever_the_clock_says() {
    let bus = Arc::new(MemoryBus::new());
    let mut world = World::at_rest(bus, Act::Complete).start().await;
    let (approved, digest) = world.waiting().await;
    let (asked, of_asked) = world.waiting().await;
    // Nobody is there to run it until the approval has run out.
    world.crash_agent().await;
    world.set_clock(60);
    let (status, body) = world.approve_with(&approved, &digest).await;
    assert_eq!(status, 200, "{body}");
    world.set_clock(TWO_HOURS);
    let ended = world.until(&approved, &["expired", "completed"]).await;
    assert_eq!(
        (&ended["state"], &ended["problem"]["code"]),
        (&json!("expired"), &json!(5205)),
        "{ended:#}"
    );
    world.set_clock(49 * 3_600);
    let ended = world.until(&asked, &["expired"]).await;
    assert_eq!(ended["problem"]["code"], 5205, "{ended:#}");
    // Back before all of it, with an agent that could.
    world.set_clock(0);
    world.crash_orchestrator().await;
    world.start_orchestrator().await;
    world.start_agent().await;
    let (status, problem) = world.approve_with(&asked, &of_asked).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5204)), "{problem}");
    let (status, problem) = world.approve_with(&approved, &digest).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5204)), "{problem}");
    // What is asked now passes, so the agent would have taken the others.
    let id = world.ask("ping on nas").await;
    world.until(&id, &["completed"]).await;
    assert_eq!(
        world.worker.starts().len(),
        1,
        "an approval came back to life"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_while_it_is_cancelled_starts_nothing_or_came_first() {
    let world = World::plain(Act::Complete).await;
    let (id, digest) = world.waiting().await;
    let (status, _) = world.post(&format!("/cancel/{id}"), json!({})).await;
    assert_eq!(status, 200);
    let (status, problem) = world.approve_with(&id, &digest).await;
    assert_eq!((status, &problem["code"]), (409, &json!(5416)), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("cancelled by local:anna"), "{detail}");
    assert_eq!(world.worker.starts(), []);
    for _ in 0..6 {
        let (id, digest) = world.waiting().await;
        let before = world.worker.starts().len();
        let path = format!("/cancel/{id}");
        let (cancelled, approved) = tokio::join!(
            world.post(&path, json!({})),
            world.approve_with(&id, &digest)
        );
        assert!(matches!(cancelled.0, 200 | 409), "{cancelled:?}");
        let ended = world.until(&id, &["cancelled", "completed"]).await;
        if approved.0 != 200 {
            let (status, problem) = &approved;
            assert_eq!(
                (*status, &problem["code"]),
                (409, &json!(5416)),
                "{problem}"
            );
            assert_eq!(ended["state"], "cancelled");
            assert_eq!(world.worker.starts().len(), before, "{ended:#}");
        }
    }
}
