//! Audit records, output and events in any number, written straight through the store as another orchestrator
//! on the same store would.

use chiffon_common::{
    AuditEntry, AuditId, MoveRecord, Principal, ProjectId, RequestId, Subject, TaskId, TenantId,
    TraceId,
};
use chiffon_orchestrator::{Clock, SystemClock};
use chiffon_store::{Commit, NewLogLine, Write};
use serde_json::json;
use uuid::Uuid;

use super::world::World;

impl World {
    /// One record that is so many events; each says `because`. The number of the last event there is then.
    pub async fn record(&self, project: &str, events: usize, because: &str) -> u64 {
        let subject = Subject {
            kind: "test".to_owned(),
            id: "x".to_owned(),
        };
        let moved = MoveRecord {
            subject: subject.clone(),
            from: None,
            to: "made".to_owned(),
            because: because.to_owned(),
        };
        let project: ProjectId = project.parse().unwrap();
        let entry = AuditEntry {
            v: 1,
            audit_id: AuditId::from_uuid(SystemClock.fresh_id()),
            tenant_id: TenantId::default(),
            project_id: Some(project),
            stream: "test".to_owned(),
            correlation_id: "test".to_owned(),
            request_id: None,
            actor: Principal {
                id: "test".to_owned(),
                kind: "service".to_owned(),
            },
            delegated: None,
            action: "test.made".to_owned(),
            target: subject,
            policy: None,
            result: "ok".to_owned(),
            reason_code: "test".to_owned(),
            trace_id: TraceId::from_uuid(SystemClock.fresh_id()),
            ts: SystemClock.now(),
            moves: vec![moved; events],
            data: json!({}),
            slice: None,
            slice_before: None,
            endings: None,
        };
        let commit = Commit {
            audit: vec![entry],
            ..Commit::default()
        };
        self.store.commit(commit).await.unwrap();
        self.store.stream_head().await.unwrap()
    }

    /// So many lines of output of a task, numbered from `first`.
    pub async fn say(&self, request: &str, task: &str, first: usize, lines: usize) {
        let id = |text: &str| text.parse::<Uuid>().unwrap();
        let line = |n: usize| NewLogLine {
            request_id: RequestId::from_uuid(id(request)),
            task_id: TaskId::from_uuid(id(task)),
            attempt: 1,
            ts: SystemClock.now(),
            line: format!("line {n}"),
        };
        let lines = (first..first + lines).map(line).collect();
        let commit = Commit {
            writes: vec![Write::Logs(lines)],
            ..Commit::default()
        };
        self.store.commit(commit).await.unwrap();
    }
}
