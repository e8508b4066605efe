//! What an agent refuses, and that nothing of it runs (S28, S41).

use std::{sync::Arc, time::Duration};

use chiffon_agent::{Agent, Clock, SystemClock};
use chiffon_bus::Message;
use chiffon_common::{
    Digest, ErrorCode, Incarnation, MessageId, Mode, Payload, ResultStatus, Signer, WorkRequest,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::support::{self, FakeWorker, Orchestrator, code, start};

async fn with_bundle() -> (
    tempfile::TempDir,
    Arc<Orchestrator>,
    Arc<FakeWorker>,
    chiffon_agent::AgentHandle,
) {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    (home, orchestrator, worker, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_from_its_seal_is_refused() {
    let (_home, orchestrator, worker, agent) = with_bundle().await;
    type Change = (&'static str, fn(&mut WorkRequest));
    let changes: [Change; 8] = [
        ("action", |request| {
            request.action = "reboot_host".parse().unwrap()
        }),
        ("parameters", |request| {
            drop(request.parameters.insert("name".to_owned(), "x".into()))
        }),
        ("hosts", |request| {
            request.hosts.push("web".parse().unwrap())
        }),
        ("mode", |request| request.mode = Mode::Check),
        ("longest run time", |request| request.timeout_seconds += 1),
        ("latest start", |request| {
            request.not_after += SignedDuration::from_secs(1)
        }),
        ("bundle", |request| {
            request.bundle = chiffon_common::Digest::of_bytes(b"x")
        }),
        ("attempt", |request| request.attempt.attempt += 1),
    ];
    for (field, change) in changes {
        let mut request = orchestrator.sealed(support::work(&orchestrator.bundle));
        change(&mut request);
        let attempt = request.attempt;
        orchestrator
            .send(Payload::WorkRequest(Box::new(request)))
            .await;
        let result = orchestrator.result(attempt).await;
        assert_eq!(
            (result.status, code(&result)),
            (ResultStatus::Refused, Some(ErrorCode::SealRefused)),
            "{field}"
        );
        assert!(result.error.unwrap().detail.contains(field));
    }
    assert_eq!(worker.started(), []);
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_signer_another_agent_or_another_life_is_refused() {
    let (_home, orchestrator, worker, agent) = with_bundle().await;
    let stranger = Signer::from_secret([66; 32]);
    // Sealed by the right key, sent by the wrong one.
    let request = orchestrator.sealed(support::work(&orchestrator.bundle));
    let forged = request.attempt;
    let payload = Payload::WorkRequest(Box::new(request));
    orchestrator
        .put(orchestrator.message(&payload, &stranger))
        .await;
    // Sent by the right key, sealed by the wrong one.
    let mut request = orchestrator.sealed(support::work(&orchestrator.bundle));
    request.seal = stranger.seal(request.seal.claims).unwrap();
    let badly_sealed = request.attempt;
    orchestrator
        .send(Payload::WorkRequest(Box::new(request)))
        .await;
    let mut others = Vec::new();
    for change in [0, 1] {
        let mut request = orchestrator.sealed(support::work(&orchestrator.bundle));
        match change {
            0 => request.seal.claims.agent = "infrastructure.other".parse().unwrap(),
            _ => request.seal.claims.incarnation = Incarnation::from_uuid(Uuid::now_v7()),
        }
        request.seal = orchestrator.signer.seal(request.seal.claims).unwrap();
        others.push(request.attempt);
        orchestrator
            .send(Payload::WorkRequest(Box::new(request)))
            .await;
    }
    for attempt in [forged, badly_sealed].into_iter().chain(others) {
        let result = orchestrator.result(attempt).await;
        assert_eq!(
            (result.status, code(&result)),
            (ResultStatus::Refused, Some(ErrorCode::SealRefused))
        );
    }
    assert_eq!(worker.started(), []);
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgery_says_nothing_about_a_known_attempt() {
    let (_home, orchestrator, worker, agent) = with_bundle().await;
    let request = orchestrator.sealed(support::work(&orchestrator.bundle));
    let attempt = request.attempt;
    let payload = Payload::WorkRequest(Box::new(request));
    orchestrator.send(payload.clone()).await;
    orchestrator
        .status(attempt, chiffon_common::StatusKind::NeedsBundle)
        .await;
    let stranger = Signer::from_secret([66; 32]);
    orchestrator
        .put(orchestrator.message(&payload, &stranger))
        .await;
    let refused = ErrorCode::SealRefused.number();
    orchestrator
        .hear("an error", |heard| {
            heard.errors.contains(&refused).then_some(())
        })
        .await;
    orchestrator.send_own_bundle().await;
    assert_eq!(
        orchestrator.result(attempt).await.status,
        ResultStatus::Completed
    );
    assert_eq!(worker.started(), [attempt]);
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_late_and_lower_attempts_are_refused() {
    let (_home, orchestrator, worker, agent) = with_bundle().await;
    let late = orchestrator
        .ask(|request| request.not_after = Timestamp::now() - SignedDuration::from_secs(1))
        .await;
    assert_eq!(
        code(&orchestrator.result(late).await),
        Some(ErrorCode::WorkExpired)
    );
    let third = orchestrator
        .ask(|request| request.attempt.attempt = 3)
        .await;
    orchestrator
        .status(third, chiffon_common::StatusKind::NeedsBundle)
        .await;
    let second = orchestrator
        .ask(|request| {
            request.attempt.task_id = third.task_id;
            request.attempt.attempt = 2;
        })
        .await;
    let result = orchestrator.result(second).await;
    assert_eq!(
        (result.status, code(&result)),
        (ResultStatus::Refused, Some(ErrorCode::StaleAttempt))
    );
    // A higher one takes the place of one that waits.
    let fourth = orchestrator
        .ask(|request| {
            request.attempt.task_id = third.task_id;
            request.attempt.attempt = 4;
        })
        .await;
    assert_eq!(
        code(&orchestrator.result(third).await),
        Some(ErrorCode::StaleAttempt)
    );
    orchestrator
        .status(fourth, chiffon_common::StatusKind::NeedsBundle)
        .await;
    orchestrator.send_own_bundle().await;
    orchestrator.result(fourth).await;
    assert_eq!(worker.started(), [fourth]);
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_goes_to_the_dead_letters() {
    let (_home, orchestrator, _worker, agent) = with_bundle().await;
    let id = MessageId::from_uuid(Uuid::now_v7());
    let body: Arc<[u8]> = b"{ no json".to_vec().into();
    orchestrator
        .put(Message {
            message_id: id,
            sender: "chiffon".to_owned(),
            body,
        })
        .await;
    let malformed = ErrorCode::MalformedMessage.number();
    orchestrator
        .hear("an error", |heard| {
            heard.errors.contains(&malformed).then_some(())
        })
        .await;
    tokio::time::timeout(support::PATIENCE, async {
        while orchestrator.dead_letters().await == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_is_another_is_asked_for_again_and_then_refused() {
    let (_home, orchestrator, worker, agent) = with_bundle().await;
    let attempt = orchestrator.ask(|_| {}).await;
    for asked in 1..=3 {
        orchestrator
            .hear("a wish for the bundle", |heard| {
                let wishes = heard
                    .statuses
                    .iter()
                    .filter(|one| one.status == chiffon_common::StatusKind::NeedsBundle)
                    .count();
                (wishes >= asked).then_some(())
            })
            .await;
        orchestrator
            .send_bundle(orchestrator.bundle.digest(), b"{\"files\":{}}")
            .await;
    }
    let result = orchestrator.result(attempt).await;
    assert_eq!(
        (result.status, code(&result)),
        (ResultStatus::Refused, Some(ErrorCode::ContentChanged))
    );
    assert_eq!(worker.started(), []);
    agent.abort().await;
}

/// Ten minutes behind the orchestrator.
struct Slow;

impl Clock for Slow {
    fn now(&self) -> Timestamp {
        Timestamp::now() - SignedDuration::from_secs(600)
    }

    fn boot(&self) -> Duration {
        SystemClock.boot()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_too_far_apart_are_named() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let config = support::config(home.path(), &orchestrator);
    let (bus, seam) = (Arc::clone(&orchestrator.bus), Arc::clone(&worker) as Arc<_>);
    let agent = Agent::start(config, bus, seam, Arc::new(Slow))
        .await
        .unwrap();
    orchestrator.learn_incarnation(agent.incarnation());
    let attempt = orchestrator.ask(|_| {}).await;
    assert_eq!(
        code(&orchestrator.result(attempt).await),
        Some(ErrorCode::ClockSkew)
    );
    agent.abort().await;
}

/// Every claim of a seal, edited by somebody who can write to the bus but holds no key of an orchestrator, with the
/// message made to fit: the signature of the seal is over each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_seal_is_refused_whatever_in_it_was_edited() {
    let (_home, orchestrator, worker, agent) = with_bundle().await;
    type Change = fn(&mut WorkRequest);
    let changes: [(&str, Change); 15] = [
        ("version", |one| one.seal.claims.v = 2),
        ("plan", |one| {
            one.seal.claims.plan = Digest::of_bytes(b"another plan")
        }),
        ("action", |one| {
            one.action = "reboot_host".parse().unwrap();
            one.seal.claims.action = one.action.clone();
        }),
        ("bundle", |one| {
            one.bundle = Digest::of_bytes(b"another");
            one.seal.claims.bundle = one.bundle;
        }),
        ("parameters", |one| {
            one.parameters.insert("name".to_owned(), "sshd".into());
            one.seal.claims.parameters = one.parameters.clone();
        }),
        ("hosts", |one| {
            one.hosts.push("web".parse().unwrap());
            one.seal.claims.hosts = one.hosts.clone();
        }),
        ("a seal for a check run, used for the real one", |one| {
            one.seal.claims.mode = Mode::Check;
            let signer = Signer::from_secret([7; 32]);
            one.seal = signer.seal(one.seal.claims.clone()).unwrap();
        }),
        ("mode", |one| {
            one.mode = Mode::Check;
            one.seal.claims.mode = one.mode;
        }),
        ("longest run time", |one| {
            one.timeout_seconds += 1;
            one.seal.claims.timeout_seconds = one.timeout_seconds;
        }),
        ("task", |one| {
            one.attempt.task_id = chiffon_common::TaskId::from_uuid(Uuid::now_v7());
            one.seal.claims.task_id = one.attempt.task_id;
        }),
        ("attempt", |one| {
            one.attempt.attempt += 1;
            one.seal.claims.attempt = one.attempt.attempt;
        }),
        ("issued at", |one| {
            one.seal.claims.issued_at += SignedDuration::from_secs(1)
        }),
        ("latest start", |one| {
            one.not_after += SignedDuration::from_hours(1);
            one.seal.claims.not_after = one.not_after;
        }),
        ("decision", |one| {
            let decision = chiffon_common::DecisionId::from_uuid(Uuid::now_v7());
            one.seal.claims.decision = Some(decision);
        }),
        ("approver", |one| {
            one.seal.claims.approver = Some("local:eve".to_owned())
        }),
    ];
    for (field, change) in changes {
        let mut request = orchestrator.sealed(support::work(&orchestrator.bundle));
        change(&mut request);
        let attempt = request.attempt;
        let payload = Payload::WorkRequest(Box::new(request));
        orchestrator.send(payload).await;
        let result = orchestrator.result(attempt).await;
        assert_eq!(
            (result.status, code(&result)),
            (ResultStatus::Refused, Some(ErrorCode::SealRefused)),
            "{field}"
        );
    }
    assert_eq!(worker.started(), []);
    agent.abort().await;
}

/// The very same bytes again, at once, after the run, and after the agent was started again: one run.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_again_by_somebody_runs_nothing_again() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    let request = orchestrator.sealed(support::work(&orchestrator.bundle));
    let attempt = request.attempt;
    let payload = Payload::WorkRequest(Box::new(request));
    let message = orchestrator.message(&payload, &orchestrator.signer);
    orchestrator.put(message.clone()).await;
    orchestrator
        .status(attempt, chiffon_common::StatusKind::NeedsBundle)
        .await;
    orchestrator.put(message.clone()).await;
    orchestrator.send_own_bundle().await;
    orchestrator.result(attempt).await;
    orchestrator.put(message.clone()).await;
    // Under another id, as a stranger would who has only read the bus.
    let again = Message {
        message_id: MessageId::from_uuid(Uuid::now_v7()),
        ..message.clone()
    };
    orchestrator.put(again).await;
    orchestrator.results(attempt, 2).await;
    agent.abort().await;
    let agent = start(home.path(), &orchestrator, &worker).await;
    let heard = orchestrator.so_far(|heard| heard.results.len());
    orchestrator.put(message).await;
    orchestrator.results(attempt, heard + 1).await;
    assert_eq!(worker.started(), [attempt]);
    agent.abort().await;
}
