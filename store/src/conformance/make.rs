//! Rows for the suite, as plain as they can be.

use chiffon_common::{
    AuditEntry, AuditId, Digest, MessageId, MoveRecord, PlanId, Principal, RequestId, Subject,
    TaskId, TenantId, TraceId,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Commit, DecisionRow, Error, Expected, NewLogLine, OutboxRow, PlanRow, ProjectRow, RequestRow,
    Store, TaskRow, Write,
};

/// A time, in seconds after the suite's beginning.
pub fn at(seconds: i64) -> Timestamp {
    let start = Timestamp::from_second(1_790_000_000).unwrap_or_default();
    start + SignedDuration::from_secs(seconds)
}

/// A new request id.
pub fn request_id() -> RequestId {
    RequestId::from_uuid(Uuid::now_v7())
}

/// A new task id.
pub(super) fn task_id() -> TaskId {
    TaskId::from_uuid(Uuid::now_v7())
}

/// A new message id.
pub fn message_id() -> MessageId {
    MessageId::from_uuid(Uuid::now_v7())
}

/// An id or name from its text.
pub(super) fn name<T: std::str::FromStr>(text: &str) -> T {
    let parsed = text.parse();
    parsed.unwrap_or_else(|_| panic!("{text:?} is no id"))
}

/// A commit of the default tenant with these writes.
pub fn commit(writes: impl IntoIterator<Item = Write>) -> Commit {
    Commit {
        writes: writes.into_iter().collect(),
        ..Commit::default()
    }
}

/// A request as it comes in.
pub fn request_row(created: Timestamp) -> RequestRow {
    RequestRow {
        tenant_id: TenantId::default(),
        request_id: request_id(),
        project_id: name("default"),
        room_id: name("room"),
        state: "received".to_owned(),
        ended: false,
        version: 1,
        created_at: created,
        updated_at: created,
        doc: json!({"title": "Deploy Kuma to NAS", "load": 0.1}),
    }
}

/// An open task of a request.
pub fn task_row(request: RequestId, created: Timestamp) -> TaskRow {
    TaskRow {
        tenant_id: TenantId::default(),
        task_id: TaskId::from_uuid(Uuid::now_v7()),
        request_id: request,
        state: "open".to_owned(),
        ended: false,
        agent_id: None,
        attempt: 0,
        version: 1,
        created_at: created,
        updated_at: created,
        doc: json!({"step": 1}),
    }
}

/// A pending decision of a request.
pub(super) fn decision_row(request: RequestId, created: Timestamp) -> DecisionRow {
    DecisionRow {
        tenant_id: TenantId::default(),
        decision_id: Uuid::now_v7().to_string(),
        request_id: request,
        state: "pending".to_owned(),
        version: 1,
        created_at: created,
        deadline: created + SignedDuration::from_hours(48),
        doc: json!({"question": "May it?"}),
    }
}

/// A plan of a request.
pub(super) fn plan_row(request: RequestId, plan: PlanId, created: Timestamp) -> PlanRow {
    PlanRow {
        tenant_id: TenantId::default(),
        request_id: request,
        digest: Digest::of_bytes(plan.to_string().as_bytes()),
        created_at: created,
        doc: json!({"plan_id": plan.to_string()}),
    }
}

/// A new plan id.
pub(super) fn plan_id() -> PlanId {
    PlanId::from_uuid(Uuid::now_v7())
}

/// A project of which nobody has said anything.
pub(super) fn project_row(project: &str) -> ProjectRow {
    ProjectRow {
        tenant_id: TenantId::default(),
        project_id: name(project),
        title: String::new(),
        description: String::new(),
        version: 1,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A line of a request's task.
pub(super) fn line(request: RequestId, task: TaskId, text: &str) -> NewLogLine {
    NewLogLine {
        request_id: request,
        task_id: task,
        attempt: 1,
        ts: at(1),
        line: text.to_owned(),
    }
}

/// A message that is due at once.
pub fn message(queue: &str, not_before: Timestamp) -> OutboxRow {
    OutboxRow {
        message_id: message_id(),
        tenant_id: TenantId::default(),
        queue: queue.to_owned(),
        body: b"{}".to_vec(),
        not_before,
        not_after: None,
        tries: 0,
    }
}

/// A record of a stream.
pub fn entry(stream: &str) -> AuditEntry {
    AuditEntry {
        v: 1,
        audit_id: AuditId::from_uuid(Uuid::now_v7()),
        tenant_id: TenantId::default(),
        project_id: None,
        stream: stream.to_owned(),
        correlation_id: "suite".to_owned(),
        request_id: None,
        actor: Principal {
            id: "local:suite".to_owned(),
            kind: "person".to_owned(),
        },
        delegated: None,
        action: "request.received".to_owned(),
        target: Subject {
            kind: "request".to_owned(),
            id: "1".to_owned(),
        },
        policy: None,
        result: "ok".to_owned(),
        reason_code: "suite".to_owned(),
        trace_id: TraceId::from_uuid(Uuid::now_v7()),
        ts: at(0),
        moves: Vec::new(),
        // A number that a careless reader gives back with another last digit.
        data: json!({"load": 0.1 + 0.2, "big": 1e23, "text": "Grüße\n"}),
        slice: None,
        slice_before: None,
        endings: None,
    }
}

/// A record of a stream in which so much moved.
pub(super) fn moving(stream: &str, moves: usize) -> AuditEntry {
    let entry = entry(stream);
    let moved = MoveRecord {
        subject: entry.target.clone(),
        from: Some("running".to_owned()),
        to: "completed".to_owned(),
        because: "it ended".to_owned(),
    };
    AuditEntry {
        moves: vec![moved; moves],
        ..entry
    }
}

/// Commits, which must succeed.
#[track_caller]
pub(super) fn done<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("must succeed: {error}"))
}

/// The error, which must be a conflict.
#[track_caller]
pub(super) fn assert_conflict<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::Conflict { .. })),
        "{result:?} is no conflict"
    );
}

/// The error, which must be the caller's fault.
#[track_caller]
pub(super) fn assert_malformed<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(
        matches!(result, Err(Error::Malformed(_))),
        "{result:?} is not malformed"
    );
}

/// Commits these writes, which must succeed.
pub(super) async fn stored(store: &dyn Store, writes: impl IntoIterator<Item = Write>) {
    done(store.commit(commit(writes)).await);
}

/// Stores a request and gives it back.
pub(super) async fn stored_request(store: &dyn Store, created: Timestamp) -> RequestRow {
    let row = request_row(created);
    done(
        store
            .commit(commit([Write::Request(Expected::Absent, row.clone())]))
            .await,
    );
    row
}
