//! Audit entries: one for each transaction that moved something.

use chiffon_arbiter::{Proof, Run};
use chiffon_common::{AuditEntry, AuditId, MoveRecord, PolicyResult, Principal, Subject};
use serde_json::Value;

use super::{Cause, Shared, plan_of, rows::slice_name};

/// The orchestrator itself, where no person and no agent acted.
pub(crate) fn chiffon() -> Principal {
    Principal {
        id: "chiffon".to_owned(),
        kind: "service".to_owned(),
    }
}

impl Shared {
    /// The record of a slice's moves. What happened last to the request itself names the action; where
    /// only a task or a decision moved, that one does.
    pub(crate) fn audit_of_moves(
        &self,
        run: &Run,
        cause: &Cause,
        moves: Vec<MoveRecord>,
        data: Value,
        proof: Proof,
    ) -> AuditEntry {
        let last = moves
            .iter()
            .rev()
            .find(|m| m.subject.kind == "request")
            .or(moves.last());
        let action = last.map_or_else(
            || "request.touched".to_owned(),
            |m| format!("{}.{}", m.subject.kind, m.to),
        );
        let target = last.map_or_else(
            || Subject {
                kind: "request".to_owned(),
                id: run.request.request_id.to_string(),
            },
            |m| m.subject.clone(),
        );
        let failed = moves.iter().any(|m| m.to == "failed");
        AuditEntry {
            v: 1,
            audit_id: AuditId::from_uuid(self.clock.fresh_id()),
            tenant_id: run.request.tenant_id.clone(),
            project_id: Some(run.request.project_id.clone()),
            stream: slice_name(run.request.request_id),
            correlation_id: plan_of(run).to_string(),
            request_id: Some(run.request.request_id),
            actor: cause.actor.clone(),
            delegated: (cause.actor.id != run.request.requester.id)
                .then(|| run.request.requester.clone()),
            action,
            target,
            policy: Some(PolicyResult {
                decision: "allow".to_owned(),
                policy: self.settings.rules,
                rule: cause.rule.to_owned(),
            }),
            result: if failed { "failed" } else { "ok" }.to_owned(),
            reason_code: cause.reason_code.to_owned(),
            trace_id: cause.trace.unwrap_or(run.request.trace_id),
            ts: self.clock.now(),
            moves,
            data,
            slice: Some(proof.slice),
            slice_before: None,
            endings: proof.endings,
        }
    }

    /// The record of something that is no request's: stream of this replica and day.
    pub(crate) fn audit_of_fleet(
        &self,
        action: &str,
        target: Subject,
        reason_code: &str,
        moves: Vec<MoveRecord>,
        data: Value,
    ) -> AuditEntry {
        let now = self.clock.now();
        let day = now.strftime("%Y-%m-%d");
        AuditEntry {
            v: 1,
            audit_id: AuditId::from_uuid(self.clock.fresh_id()),
            tenant_id: self.settings.tenant.clone(),
            project_id: None,
            stream: format!("{}/{}/{day}", self.settings.tenant, self.settings.replica),
            correlation_id: target.id.clone(),
            request_id: None,
            actor: chiffon(),
            delegated: None,
            action: action.to_owned(),
            target,
            policy: None,
            result: "ok".to_owned(),
            reason_code: reason_code.to_owned(),
            trace_id: chiffon_common::TraceId::from_uuid(self.clock.fresh_id()),
            ts: now,
            moves,
            data,
            slice: None,
            slice_before: None,
            endings: None,
        }
    }
}
