//! Between the slice that the arbiter moves and the rows that the store keeps.
//!
//! Reading puts a slice together; writing gives the rows that differ. The request row is written with every
//! change, because its version is what serialises the moves of one slice.

use std::collections::BTreeMap;

use chiffon_arbiter::{Decision, Request, Run, Task, TimerName};
use chiffon_common::{Frozen, Plan, RequestId, TaskId};
use chiffon_store::{
    DecisionRow, Expected, FreezeRow, PlanRow, RequestRow, RunRows, TaskRow, TimerRow, Write,
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Why rows are no slice. A fault of the data, not of the caller.
#[derive(Debug, thiserror::Error)]
#[error("stored {kind} {id} cannot be read")]
pub(crate) struct Unreadable {
    kind: &'static str,
    id: String,
    #[source]
    source: serde_json::Error,
}

/// The versions under which the rows of a slice were read.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    request: u64,
    tasks: BTreeMap<String, u64>,
    decisions: BTreeMap<String, u64>,
    freeze: Option<FreezeRow>,
}

impl Versions {
    /// The version of the freeze under which the slice was read; 0 where there was never one.
    pub(crate) fn freeze(&self) -> u64 {
        self.freeze.as_ref().map_or(0, |row| row.version)
    }

    /// A person's word that nothing is to be started, as it stood when the slice was read.
    pub(crate) fn frozen(&self) -> Option<&Frozen> {
        self.freeze.as_ref()?.frozen.as_ref()
    }
}

impl Versions {
    /// The version that the request's row has after the next write.
    pub(crate) fn next(&self) -> u64 {
        self.request + 1
    }
}

/// What a document says.
pub(crate) fn read<T: DeserializeOwned>(
    kind: &'static str,
    id: impl ToString,
    doc: &Value,
) -> Result<T, Unreadable> {
    T::deserialize(doc).map_err(|source| Unreadable {
        kind,
        id: id.to_string(),
        source,
    })
}

/// The name of a request's slice, for its timers and its audit stream.
pub(crate) fn slice_name(request: RequestId) -> String {
    format!("request:{request}")
}

/// The owner name under which a task holds leases.
pub(crate) fn lease_owner(task: TaskId) -> String {
    format!("task:{task}")
}

/// Puts a slice together.
pub(crate) fn slice_of(rows: &RunRows) -> Result<(Run, Versions), Unreadable> {
    let request: Request = read("request", rows.request.request_id, &rows.request.doc)?;
    let plan: Option<Plan> = rows
        .plan
        .as_ref()
        .map(|row| read("plan", row.request_id, &row.doc))
        .transpose()?;
    let mut versions = Versions {
        request: rows.request.version,
        freeze: rows.freeze.clone(),
        ..Versions::default()
    };
    let mut tasks = BTreeMap::new();
    for row in &rows.tasks {
        let task: Task = read("task", row.task_id, &row.doc)?;
        versions.tasks.insert(row.task_id.to_string(), row.version);
        tasks.insert(row.task_id, task);
    }
    let mut decisions = BTreeMap::new();
    for row in &rows.decisions {
        let decision: Decision = read("decision", &row.decision_id, &row.doc)?;
        versions
            .decisions
            .insert(row.decision_id.clone(), row.version);
        decisions.insert(decision.decision_id, decision);
    }
    let timers = rows
        .timers
        .iter()
        .filter_map(|row| {
            row.name
                .parse::<TimerName>()
                .ok()
                .map(|name| (name, row.due_at))
        })
        .collect();
    Ok((
        Run {
            request,
            plan,
            tasks,
            decisions,
            timers,
        },
        versions,
    ))
}

/// The writes that turn `before` into `after`. `before` is absent for a new slice.
pub(crate) fn writes(
    before: Option<&Run>,
    versions: &Versions,
    after: &Run,
    now: Timestamp,
) -> Result<Vec<Write>, serde_json::Error> {
    let mut writes = vec![request_write(versions, after, now)?];
    if before.is_none_or(|before| before.plan != after.plan)
        && let Some(plan) = &after.plan
    {
        writes.push(Write::Plan(PlanRow {
            tenant_id: after.request.tenant_id.clone(),
            request_id: after.request.request_id,
            digest: plan.digest,
            created_at: now,
            doc: serde_json::to_value(plan)?,
        }));
    }
    for task in after.tasks.values() {
        let was = before.and_then(|before| before.tasks.get(&task.task_id));
        if was != Some(task) {
            writes.push(task_write(versions, after, task, now)?);
            writes.extend(lease_writes(was, task, now));
        }
    }
    for decision in after.decisions.values() {
        if before.and_then(|before| before.decisions.get(&decision.decision_id)) != Some(decision) {
            writes.push(decision_write(versions, after, decision)?);
        }
    }
    writes.extend(timer_writes(before, after));
    Ok(writes)
}

fn expected(version: Option<u64>) -> (Expected, u64) {
    version.map_or((Expected::Absent, 1), |version| {
        (Expected::Version(version), version + 1)
    })
}

fn request_write(
    versions: &Versions,
    run: &Run,
    now: Timestamp,
) -> Result<Write, serde_json::Error> {
    let (expected, version) = expected((versions.request > 0).then_some(versions.request));
    Ok(Write::Request(expected, request_row(run, version, now)?))
}

/// A request with the columns that repeat what its document says.
pub(super) fn request_row(
    run: &Run,
    version: u64,
    now: Timestamp,
) -> Result<RequestRow, serde_json::Error> {
    let request = &run.request;
    Ok(RequestRow {
        tenant_id: request.tenant_id.clone(),
        request_id: request.request_id,
        project_id: request.project_id.clone(),
        room_id: request.room_id.clone(),
        state: request.state.name().to_owned(),
        ended: request.state.ended(),
        version,
        created_at: request.created_at,
        updated_at: now,
        doc: doc(request)?,
    })
}

fn task_write(
    versions: &Versions,
    run: &Run,
    task: &Task,
    now: Timestamp,
) -> Result<Write, serde_json::Error> {
    let (expected, version) = expected(versions.tasks.get(&task.task_id.to_string()).copied());
    Ok(Write::Task(expected, task_row(run, task, version, now)?))
}

/// The same for a task.
pub(super) fn task_row(
    run: &Run,
    task: &Task,
    version: u64,
    now: Timestamp,
) -> Result<TaskRow, serde_json::Error> {
    Ok(TaskRow {
        tenant_id: run.request.tenant_id.clone(),
        task_id: task.task_id,
        request_id: run.request.request_id,
        state: task.state.name().to_owned(),
        ended: task.state.ended(),
        agent_id: task.state.sent().map(|sent| sent.agent.clone()),
        attempt: task.attempt,
        version,
        created_at: task.created_at,
        updated_at: now,
        doc: doc(task)?,
    })
}

fn decision_write(
    versions: &Versions,
    run: &Run,
    decision: &Decision,
) -> Result<Write, serde_json::Error> {
    let id = decision.decision_id.to_string();
    let (expected, version) = expected(versions.decisions.get(&id).copied());
    Ok(Write::Decision(
        expected,
        decision_row(run, decision, version)?,
    ))
}

/// The same for a decision.
pub(super) fn decision_row(
    run: &Run,
    decision: &Decision,
    version: u64,
) -> Result<DecisionRow, serde_json::Error> {
    Ok(DecisionRow {
        tenant_id: run.request.tenant_id.clone(),
        decision_id: decision.decision_id.to_string(),
        request_id: run.request.request_id,
        state: decision.state.name().to_owned(),
        version,
        created_at: decision.created_at,
        deadline: decision.deadline,
        doc: doc(decision)?,
    })
}

fn lease_writes(was: Option<&Task>, task: &Task, now: Timestamp) -> Vec<Write> {
    let had: &[String] = was.map_or(&[], |was| &was.leases);
    let owner = lease_owner(task.task_id);
    let taken = task
        .leases
        .iter()
        .filter(|name| !had.contains(name))
        .map(|name| Write::TakeLease {
            name: name.clone(),
            owner: owner.clone(),
            now,
            // A host lease never expires under an unresolved attempt (DESIGN section 8).
            expires_at: None,
        });
    let given = had
        .iter()
        .filter(|name| !task.leases.contains(name))
        .map(|name| Write::ReleaseLease {
            name: name.clone(),
            owner: owner.clone(),
        });
    taken.chain(given).collect()
}

fn timer_writes(before: Option<&Run>, after: &Run) -> Vec<Write> {
    let slice = slice_name(after.request.request_id);
    let empty = BTreeMap::new();
    let had = before.map_or(&empty, |before| &before.timers);
    let set = after
        .timers
        .iter()
        .filter(|(name, due)| had.get(name) != Some(due))
        .map(|(name, due)| {
            Write::SetTimer(TimerRow {
                tenant_id: after.request.tenant_id.clone(),
                slice: slice.clone(),
                name: name.to_string(),
                due_at: *due,
            })
        });
    let cleared = had
        .keys()
        .filter(|name| !after.timers.contains_key(name))
        .map(|name| Write::ClearTimer {
            slice: slice.clone(),
            name: name.to_string(),
        });
    set.chain(cleared).collect()
}

fn doc<T: Serialize>(value: &T) -> Result<Value, serde_json::Error> {
    serde_json::to_value(value)
}
