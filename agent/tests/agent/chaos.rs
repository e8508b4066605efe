//! A storm: a bus that doubles, delays, loses and forgets, an agent that dies again and again. Every
//! task starts at most once and ends in one result, which stays the same however often it is told.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chiffon_bus::{
    Bus,
    chaos::{ChaosBus, Rates},
};
use chiffon_common::{AttemptRef, Payload, ResultStatus, StatusKind};

use crate::support::{self, FakeWorker, Orchestrator, start_on};

async fn storm(seed: u64) {
    println!("seed {seed}");
    let home = tempfile::tempdir().unwrap();
    let (orchestrator, worker) = (Orchestrator::new().await, Arc::new(FakeWorker::default()));
    let chaos: Arc<dyn Bus> = Arc::new(ChaosBus::new(
        Arc::clone(&orchestrator.bus),
        seed,
        Rates::default(),
    ));
    let mut agent = start_on(Arc::clone(&chaos), home.path(), &orchestrator, &worker).await;
    let mut asked: Vec<(AttemptRef, Payload)> = Vec::new();
    for round in 0..4 {
        for _ in 0..6 {
            let request = orchestrator.sealed(support::work(&orchestrator.bundle));
            let attempt = request.attempt;
            let payload = Payload::WorkRequest(Box::new(request));
            orchestrator.send(payload.clone()).await;
            asked.push((attempt, payload));
        }
        orchestrator.send_own_bundle().await;
        if round == 2 {
            agent.abort().await;
            agent = start_on(Arc::clone(&chaos), home.path(), &orchestrator, &worker).await;
        }
    }
    // As the real one does: the same again until there is an answer.
    let is_answered = |attempt: AttemptRef| {
        orchestrator.so_far(|heard| {
            heard
                .results
                .iter()
                .any(|(_, result)| result.attempt == attempt)
        })
    };
    tokio::time::timeout(support::PATIENCE, async {
        while let Some((_, payload)) = asked.iter().find(|(attempt, _)| !is_answered(*attempt)) {
            orchestrator.send(payload.clone()).await;
            if orchestrator.so_far(|heard| {
                heard
                    .statuses
                    .iter()
                    .any(|one| one.status == StatusKind::NeedsBundle)
            }) {
                orchestrator.send_own_bundle().await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("seed {seed}: not every attempt was answered"));
    for (attempt, _) in &asked {
        let result = orchestrator.result(*attempt).await;
        assert!(
            matches!(
                result.status,
                ResultStatus::Completed | ResultStatus::Interrupted
            ),
            "seed {seed}: {result:?}"
        );
        orchestrator.results(*attempt, 1).await;
    }
    let started = worker.started();
    let once: BTreeSet<AttemptRef> = started.iter().copied().collect();
    assert_eq!(
        once.len(),
        started.len(),
        "seed {seed}: an attempt started twice"
    );
    agent.abort().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_task_starts_at_most_once_and_ends_in_one_result() {
    for seed in [1, 7, 42] {
        storm(seed).await;
    }
}
