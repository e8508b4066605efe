//! The digest over a slice that its audit records carry: whoever edits a row of a request, or deletes one,
//! no longer fits the chain (S66). Works on the stored documents, so that rows can be held against a record
//! without knowing what they mean; finding those rows and records is left to the shell.

use chiffon_common::{CanonicalError, Digest, to_canonical};
use serde_json::{Value, json};

use super::Run;

/// What agents tell all the time, and what only says why: it changes without a record of its own.
const PASSING_OF_TASK: [&str; 4] = ["seq", "progress", "because", "started_at"];
const PASSING_OF_REQUEST: [&str; 1] = ["because"];
const PASSING_OF_STATE: [&str; 2] = ["on", "deadline"];
const PASSING_OF_SENT: [&str; 2] = ["sends", "not_after"];
/// What of the passing passes no more once a request or a task has ended: people read it as what happened.
const TOLD_AT_THE_END: [&str; 2] = ["because", "started_at"];
/// The names of the states in which a request or a task has ended.
const ENDED: [&str; 5] = ["completed", "failed", "rejected", "expired", "cancelled"];

/// The stored documents of one slice, each kind in any order.
#[derive(Debug, Clone, Default)]
pub struct SliceDocs {
    /// The request.
    pub request: Value,
    /// Its plan.
    pub plan: Option<Value>,
    /// Its tasks.
    pub tasks: Vec<Value>,
    /// Its decisions.
    pub decisions: Vec<Value>,
}

impl SliceDocs {
    /// The digest over everything but what changes without a record: progress, sequence numbers, words of
    /// why, and how often something was sent.
    ///
    /// # Errors
    /// Where a document has no canonical form.
    pub fn proof(mut self) -> Result<Digest, CanonicalError> {
        strip(&mut self.request, &PASSING_OF_REQUEST);
        for task in &mut self.tasks {
            strip(task, &PASSING_OF_TASK);
        }
        for row in self.tasks.iter_mut().chain([&mut self.request]) {
            if let Some(state) = row.get_mut("state") {
                strip(state, &PASSING_OF_STATE);
                if let Some(sent) = state.get_mut("sent") {
                    strip(sent, &PASSING_OF_SENT);
                }
            }
        }
        Digest::of_value(&json!({
            "v": 1,
            "request": self.request,
            "plan": self.plan,
            "tasks": sorted(&self.tasks)?,
            "decisions": sorted(&self.decisions)?,
        }))
    }

    /// The digest over what is said of the request and of each task that has ended: why, and since when it had run.
    /// Nothing where nothing has ended.
    ///
    /// # Errors
    /// Where a document has no canonical form.
    pub fn endings(&self) -> Result<Option<Digest>, CanonicalError> {
        let rows = self.tasks.iter().chain([&self.request]);
        let endings: Vec<_> = rows
            .filter(|row| has_ended(row))
            .map(told_at_the_end)
            .collect();
        if endings.is_empty() {
            return Ok(None);
        }
        Digest::of_value(&json!({ "v": 1, "endings": sorted(&endings)? })).map(Some)
    }
}

pub(super) fn has_ended(row: &Value) -> bool {
    let state = row.pointer("/state/is").and_then(Value::as_str);
    state.is_some_and(|state| ENDED.contains(&state))
}

/// With the ids that say whose end it is.
fn told_at_the_end(row: &Value) -> Value {
    let fields = row.as_object().into_iter().flatten();
    let is_told = |name: &str| TOLD_AT_THE_END.contains(&name) || name.ends_with("_id");
    let told = fields.filter(|(name, _)| is_told(name));
    told.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What an audit record of a slice says of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Over everything but what changes without a record.
    pub slice: Digest,
    /// Over what is said of everything that has ended.
    pub endings: Option<Digest>,
}

impl Run {
    /// What an audit record of this slice carries.
    ///
    /// # Errors
    /// Where a part of it has no canonical form.
    pub fn proof(&self) -> Result<Proof, ProofError> {
        let tasks: Result<Vec<_>, _> = self.tasks.values().map(serde_json::to_value).collect();
        let decisions: Result<Vec<_>, _> =
            self.decisions.values().map(serde_json::to_value).collect();
        let docs = SliceDocs {
            request: serde_json::to_value(&self.request)?,
            plan: self.plan.as_ref().map(serde_json::to_value).transpose()?,
            tasks: tasks?,
            decisions: decisions?,
        };
        Ok(Proof {
            endings: docs.endings()?,
            slice: docs.proof()?,
        })
    }
}

/// Why a slice has no digest: it holds what is no JSON. No slice that was ever stored does.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A part is no JSON.
    #[error("a part of the request is no JSON")]
    Json(#[from] serde_json::Error),
    /// A part has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

fn strip(value: &mut Value, names: &[&str]) {
    if let Value::Object(fields) = value {
        fields.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// In the order of their canonical bytes, so that the order of reading does not count.
fn sorted(rows: &[Value]) -> Result<Value, CanonicalError> {
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows {
        keyed.push((to_canonical(row)?, row));
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(keyed.into_iter().map(|(_, row)| row.clone()).collect())
}
