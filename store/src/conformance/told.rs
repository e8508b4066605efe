//! The events of a request, kept for telling it again.

use std::sync::Arc;

use chiffon_common::{Digest, RequestId};
use serde_json::json;

use super::make::{at, commit, done, request_row};
use crate::{Error, Expected, RequestRow, RunEventRow, Store, Write};

fn event(request: &RequestRow, version: u64) -> Write {
    let policy_doc = json!({ "attempts": 3 });
    Write::RunEvent(RunEventRow {
        tenant_id: request.tenant_id.clone(),
        request_id: request.request_id,
        version,
        policy: policy_digest(),
        policy_doc: Some(policy_doc),
        doc: json!({ "event": { "event": "planning_began" }, "n": version }),
    })
}

fn policy_digest() -> Digest {
    Digest::of_bytes(b"policy")
}

/// Events come back in the order of their versions, with the limits that were in force, once.
pub async fn events_of_a_request_are_kept_in_order(store: Arc<dyn Store>) {
    let request = request_row(at(0));
    let made = Write::Request(Expected::Absent, request.clone());
    let writes = [
        made,
        event(&request, 1),
        event(&request, 3),
        event(&request, 2),
    ];
    done(store.commit(commit(writes)).await);
    let (tenant, id) = (&request.tenant_id, request.request_id);
    let found = done(store.run_events(tenant, id).await);
    let versions: Vec<_> = found.iter().map(|row| row.version).collect();
    assert_eq!(versions, [1, 2, 3]);
    assert_eq!(found[1].doc["n"], 2);
    let policy = done(store.run_policy(policy_digest()).await);
    assert_eq!(policy, Some(json!({ "attempts": 3 })));
    let other = done(store.run_policy(Digest::of_bytes(b"other")).await);
    assert_eq!(other, None);
    let nobody = RequestId::from_uuid(uuid::Uuid::from_u128(99));
    let none = done(store.run_events(tenant, nobody).await);
    assert!(none.is_empty());
}

/// A version is told once: the second is a conflict, and nothing of its commit is kept.
pub async fn an_event_is_kept_once(store: Arc<dyn Store>) {
    let request = request_row(at(0));
    let made = Write::Request(Expected::Absent, request.clone());
    let writes = [made, event(&request, 1)];
    done(store.commit(commit(writes)).await);
    let twice = store.commit(commit([event(&request, 1)])).await;
    assert!(matches!(twice, Err(Error::Conflict { .. })), "{twice:?}");
}
