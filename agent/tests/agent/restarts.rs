//! Ends and new beginnings: of the agent, of its journal, of the bus.

use std::{sync::Arc, time::Duration};

use chiffon_agent::{Agent, StartError, Swept, SystemClock};
use chiffon_bus::QueueName;
use chiffon_common::{ErrorCode, ResultStatus, StatusKind};

use crate::support::{self, FakeWorker, Orchestrator, Script, code, start};

/// An agent with a run that does not end by itself.
async fn running(
    home: &std::path::Path,
    orchestrator: &Orchestrator,
    worker: &Arc<FakeWorker>,
) -> (chiffon_agent::AgentHandle, chiffon_common::AttemptRef) {
    let agent = start(home, orchestrator, worker).await;
    worker.script(Script::UntilStopped(ResultStatus::Failed));
    let attempt = orchestrator.ask(|_| {}).await;
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    orchestrator.send_own_bundle().await;
    worker.wait_started(1).await;
    (agent, attempt)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_crash_cut_is_swept_and_never_run_twice() {
    for (sweep, status, reason) in [
        (
            Swept::Clean,
            ResultStatus::Interrupted,
            ErrorCode::Interrupted,
        ),
        (
            Swept::Uncertain,
            ResultStatus::Unknown,
            ErrorCode::OutcomeUnknown,
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        let orchestrator = Orchestrator::new().await;
        let worker = Arc::new(FakeWorker::sweeping(sweep));
        let (agent, attempt) = running(home.path(), &orchestrator, &worker).await;
        let life = agent.incarnation();
        agent.abort().await;
        let agent = start(home.path(), &orchestrator, &worker).await;
        assert_eq!(agent.incarnation(), life);
        let result = orchestrator.result(attempt).await;
        assert_eq!((result.status, code(&result)), (status, Some(reason)));
        let swept = worker.swept();
        assert!(
            matches!(&swept[..], [(one, Some(_))] if *one == attempt),
            "{swept:?}"
        );
        assert_eq!(worker.started(), [attempt]);
        assert!(
            std::fs::read_dir(home.path().join("runs"))
                .unwrap()
                .next()
                .is_none()
        );
        let seqs: Vec<u64> =
            orchestrator.so_far(|heard| heard.statuses.iter().map(|one| one.seq).collect());
        assert!(
            seqs.iter().all(|seq| *seq < result.seq),
            "numbers rise over a restart"
        );
        agent.abort().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_had_not_started_runs_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    let attempt = orchestrator.ask(|_| {}).await;
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    agent.abort().await;
    let agent = start(home.path(), &orchestrator, &worker).await;
    orchestrator
        .hear("a second wish", |heard| {
            let wishes = heard
                .statuses
                .iter()
                .filter(|one| one.status == StatusKind::NeedsBundle)
                .count();
            (wishes >= 2).then_some(())
        })
        .await;
    orchestrator.send_own_bundle().await;
    assert_eq!(
        orchestrator.result(attempt).await.status,
        ResultStatus::Completed
    );
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_runs_end_or_stops_them() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let (agent, attempt) = running(home.path(), &orchestrator, &worker).await;
    let drained = agent.drain(Duration::from_millis(300)).await;
    assert!(drained.is_idle && drained.unconfirmed == 0, "{drained:?}");
    let result = orchestrator.result(attempt).await;
    assert_eq!(
        (result.status, code(&result)),
        (ResultStatus::Interrupted, Some(ErrorCode::Interrupted))
    );
    // The first one after the word to drain may still name the run; the last one does not.
    let last = |heard: &support::Heard| {
        let last = heard.heartbeats.last()?;
        (last.draining && last.running.is_empty()).then_some(())
    };
    orchestrator.hear("the last heartbeat", last).await;
    // What comes now stays in the queue for the next start.
    let next = orchestrator.ask(|_| {}).await;
    assert_eq!(
        orchestrator
            .bus
            .depth(&QueueName::agent(&orchestrator.agent))
            .await,
        Some(1)
    );
    let agent = start(home.path(), &orchestrator, &worker).await;
    assert_eq!(
        orchestrator.result(next).await.status,
        ResultStatus::Completed
    );
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_begins_a_new_life_that_claims_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let (agent, attempt) = running(home.path(), &orchestrator, &worker).await;
    let life = agent.incarnation();
    agent.abort().await;
    let journal = home.path().join("journal");
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    let agent = start(home.path(), &orchestrator, &worker).await;
    assert_ne!(agent.incarnation(), life);
    assert!(home.path().join("journal.damaged-1").exists());
    orchestrator.query(attempt).await;
    let answer = orchestrator.status(attempt, StatusKind::NeverSeen).await;
    assert_eq!(answer.incarnation, agent.incarnation());
    // Its processes are ended all the same: the run folder names them.
    assert!(matches!(&worker.swept()[..], [(one, Some(_))] if *one == attempt));
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_never_share_a_home() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    let (config, bus) = (
        support::config(home.path(), &orchestrator),
        Arc::clone(&orchestrator.bus),
    );
    let second = Agent::start(
        config,
        bus,
        Arc::clone(&worker) as Arc<_>,
        Arc::new(SystemClock),
    )
    .await;
    assert!(matches!(second, Err(StartError::InUse(_))), "{second:?}");
    agent.abort().await;
    start(home.path(), &orchestrator, &worker)
        .await
        .abort()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_lost_everything_is_found_again_and_gets_the_result() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let (agent, attempt) = running(home.path(), &orchestrator, &worker).await;
    orchestrator.memory.wipe();
    // The run goes on without a bus; then the queues come back and with them the cancel.
    tokio::time::sleep(Duration::from_millis(300)).await;
    orchestrator.declare().await;
    orchestrator.cancel(attempt).await;
    assert_eq!(
        orchestrator.result(attempt).await.status,
        ResultStatus::Cancelled
    );
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_no_bus_took_goes_out_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let agent = start(home.path(), &orchestrator, &worker).await;
    worker.script(Script::UntilStopped(ResultStatus::Failed));
    let attempt = orchestrator
        .ask(|request| request.timeout_seconds = 1)
        .await;
    orchestrator.status(attempt, StatusKind::NeedsBundle).await;
    orchestrator.send_own_bundle().await;
    worker.wait_started(1).await;
    orchestrator.memory.wipe();
    let drained = agent.drain(Duration::from_secs(5)).await;
    assert_eq!((drained.unconfirmed, drained.is_idle), (1, true));
    orchestrator.declare().await;
    let agent = start(home.path(), &orchestrator, &worker).await;
    assert_eq!(
        code(&orchestrator.result(attempt).await),
        Some(ErrorCode::TimedOut)
    );
    assert_eq!(worker.started(), [attempt]);
    agent.abort().await;
}
