//! Runs from the request to the confirmed result, over the memory bus: what goes well, what is
//! cancelled, what takes too long, what panics.

use std::sync::{Arc, atomic::Ordering};

use crate::support::{self, FakeWorker, Orchestrator, Script, code, start};
use chiffon_common::{ErrorCode, ResultStatus, StatusKind};

#[tokio::test(flavor = "multi_thread")]
async fn work_is_accepted_gets_its_bundle_runs_and_ends_once() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    worker.script(Script::Complete(vec!["one".to_owned(), "two".to_owned()]));
    let attempt = orchestrator.ask(|_| {}).await;
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    orchestrator.send_own_bundle().await;
    let result = orchestrator.result(attempt).await;
    assert_eq!(result.status, ResultStatus::Completed);
    assert_eq!(result.output, "one\ntwo");
    assert_eq!(
        result.resource_usage.cpu_hours, 0.0,
        "what is no number does not travel"
    );
    orchestrator.so_far(|heard| {
        let statuses: Vec<_> = heard
            .statuses
            .iter()
            .filter(|one| one.attempt == attempt)
            .collect();
        assert!(
            statuses.windows(2).all(|pair| pair[0].seq < pair[1].seq),
            "{statuses:?}"
        );
        assert!(statuses.iter().all(|one| one.seq < result.seq));
        let lines: Vec<&String> = statuses.iter().flat_map(|one| &one.lines).collect();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(statuses.last().unwrap().progress, 50);
        assert!(
            statuses
                .iter()
                .any(|one| one.metrics.get("cpu") == Some(&12.5))
        );
    });
    // The bundle is in the cache now, and its next run asks for nothing.
    let next = orchestrator.ask(|_| {}).await;
    assert_eq!(
        orchestrator.result(next).await.status,
        ResultStatus::Completed
    );
    orchestrator.so_far(|heard| {
        assert!(
            !heard
                .statuses
                .iter()
                .any(|one| one.attempt == next && one.status == StatusKind::NeedsBundle)
        );
    });
    assert_eq!(worker.started(), [attempt, next]);
    assert!(
        std::fs::read_dir(home.path().join("runs"))
            .unwrap()
            .next()
            .is_none(),
        "run folders are gone"
    );
    let drained = agent.drain(std::time::Duration::from_secs(5)).await;
    assert!(drained.is_idle && drained.unconfirmed == 0, "{drained:?}");
    let is_last =
        |heard: &Vec<chiffon_common::Heartbeat>| heard.last().is_some_and(|last| last.draining);
    assert!(
        orchestrator
            .hear("the last heartbeat", |heard| is_last(&heard.heartbeats)
                .then_some(true))
            .await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_attempt_is_answered_and_never_run_again() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    let request = orchestrator.sealed(support::work(&orchestrator.bundle));
    let attempt = request.attempt;
    let payload = chiffon_common::Payload::WorkRequest(Box::new(request));
    let message = orchestrator.message(&payload, &orchestrator.signer);
    for _ in 0..5 {
        orchestrator.put(message.clone()).await;
    }
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    orchestrator.send_own_bundle().await;
    orchestrator.result(attempt).await;
    orchestrator.put(message.clone()).await;
    orchestrator.results(attempt, 2).await;
    orchestrator.query(attempt).await;
    orchestrator.results(attempt, 3).await;
    assert_eq!(worker.started().len(), 1);
    agent.abort().await;
    // Not in the next life of the process either.
    let agent = start(home.path(), &orchestrator, &worker).await;
    orchestrator.put(message).await;
    orchestrator.results(attempt, 4).await;
    assert_eq!(worker.started().len(), 1);
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_counts_before_during_and_after() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    // Before its request, and over a restart.
    let request = orchestrator.sealed(support::work(&orchestrator.bundle));
    let early = request.attempt;
    orchestrator.cancel(early).await;
    orchestrator.query(early).await;
    orchestrator.status(early, StatusKind::NeverSeen).await;
    agent.abort().await;
    let agent = start(home.path(), &orchestrator, &worker).await;
    orchestrator
        .send(chiffon_common::Payload::WorkRequest(Box::new(request)))
        .await;
    let result = orchestrator.result(early).await;
    assert_eq!(
        (result.status, code(&result)),
        (ResultStatus::Cancelled, Some(ErrorCode::CancelledByPerson))
    );
    // While it waits for its bundle.
    let waiting = orchestrator.ask(|_| {}).await;
    orchestrator.status(waiting, StatusKind::NeedsBundle).await;
    orchestrator.cancel(waiting).await;
    assert_eq!(
        orchestrator.result(waiting).await.status,
        ResultStatus::Cancelled
    );
    assert_eq!(worker.started(), []);
    // While it runs: everything ended, not everything ended, and completed all the same.
    for (says, becomes) in [
        (ResultStatus::Failed, ResultStatus::Cancelled),
        (ResultStatus::Unknown, ResultStatus::Unknown),
        (ResultStatus::Completed, ResultStatus::Completed),
    ] {
        let before = worker.started().len();
        worker.script(Script::UntilStopped(says));
        let running = orchestrator.ask(|_| {}).await;
        if before == 0 {
            orchestrator.status(running, StatusKind::NeedsBundle).await;
            orchestrator.send_own_bundle().await;
        }
        worker.wait_started(before + 1).await;
        orchestrator.cancel(running).await;
        assert_eq!(orchestrator.result(running).await.status, becomes);
        // After the end: the result again.
        orchestrator.cancel(running).await;
        orchestrator.results(running, 2).await;
    }
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    worker.script(Script::UntilStopped(ResultStatus::Failed));
    let attempt = orchestrator
        .ask(|request| request.timeout_seconds = 1)
        .await;
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    orchestrator.send_own_bundle().await;
    let result = orchestrator.result(attempt).await;
    assert_eq!(
        (result.status, code(&result)),
        (ResultStatus::Failed, Some(ErrorCode::TimedOut))
    );
    assert!(
        result.duration_seconds >= 0.9,
        "{}",
        result.duration_seconds
    );
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_panics_cuts_its_run_off_and_is_swept_up_after() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    worker.script(Script::Panic);
    let attempt = orchestrator.ask(|_| {}).await;
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    orchestrator.send_own_bundle().await;
    let result = orchestrator.result(attempt).await;
    assert_eq!(
        (result.status, code(&result)),
        (ResultStatus::Interrupted, Some(ErrorCode::Interrupted)),
        "what it had done is open"
    );
    let swept = worker.swept();
    assert!(
        matches!(&swept[..], [(one, Some(_))] if *one == attempt),
        "{swept:?}"
    );
    // The agent lives on.
    let next = orchestrator.ask(|_| {}).await;
    assert_eq!(
        orchestrator.result(next).await.status,
        ResultStatus::Completed
    );
    agent.abort().await;
}

/// A part that is gone, its pulse say, would leave an agent that nobody hears of while its run goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_which_a_part_panics_ends_as_a_whole_and_its_run_is_told_of_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let mut agent = start(home.path(), &orchestrator, &worker).await;
    worker.script(Script::UntilStopped(ResultStatus::Failed));
    let attempt = orchestrator.ask(|_| {}).await;
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    orchestrator.send_own_bundle().await;
    worker.wait_started(1).await;
    worker.cannot_measure.store(true, Ordering::Relaxed);
    let ended = tokio::time::timeout(support::PATIENCE, agent.ended()).await;
    assert!(ended.is_ok(), "it goes on without its pulse");
    agent.abort().await;
    worker.cannot_measure.store(false, Ordering::Relaxed);
    let agent = start(home.path(), &orchestrator, &worker).await;
    let result = orchestrator.result(attempt).await;
    assert_eq!(
        (result.status, code(&result)),
        (ResultStatus::Interrupted, Some(ErrorCode::Interrupted))
    );
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_kept_and_those_who_wait_follow_in_order() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    let mut asked = Vec::new();
    for _ in 0..4 {
        worker.script(Script::UntilStopped(ResultStatus::Failed));
        let attempt = orchestrator.ask(|_| {}).await;
        if asked.is_empty() {
            orchestrator.status(attempt, StatusKind::NeedsBundle).await;
            orchestrator.send_own_bundle().await;
            worker.wait_started(1).await;
        }
        asked.push(attempt);
    }
    for last in &asked {
        orchestrator.query(*last).await;
        orchestrator.status(*last, StatusKind::Accepted).await;
    }
    worker.wait_started(2).await;
    assert_eq!(worker.started().len(), 2, "two slots");
    for attempt in &asked {
        worker
            .wait_started(1 + asked.iter().position(|one| one == attempt).unwrap())
            .await;
        orchestrator.cancel(*attempt).await;
        orchestrator.result(*attempt).await;
    }
    assert_eq!(worker.started(), asked);
    agent.abort().await;
}
