//! The columns of a slice's rows held against its documents. What is listed, filtered and sorted goes by the columns, the
//! digest of the audit records by the documents: here the one is held equal to the other. What the documents are worth
//! is left to `verify_rows`.

use std::collections::BTreeSet;

use chiffon_store::{DecisionRow, RequestRow, RunRows, TaskRow};
use jiff::Timestamp;

use super::rows::{decision_row, lease_owner, request_row, slice_of, task_row};

/// A column: its name, what it says, and what the document says.
type Column = (&'static str, String, String);

/// The first column that says something else than its document; nothing also where a document cannot be read, which is
/// told elsewhere.
pub(super) fn differing(rows: &RunRows) -> Option<String> {
    let (run, _) = slice_of(rows).ok()?;
    let (request, at) = (&rows.request, rows.request.updated_at);
    let meant = request_row(&run, request.version, at).ok()?;
    let of = request.request_id;
    if let Some(words) = first(of_request(request, &meant)) {
        return Some(format!("request {of} {words}"));
    }
    for row in &rows.tasks {
        let id = row.task_id;
        let Some(task) = run.tasks.get(&id) else {
            return Some(format!(
                "task {id} of request {of} has the document of another"
            ));
        };
        let meant = task_row(&run, task, row.version, row.updated_at).ok()?;
        if let Some(words) = first(of_task(row, &meant)) {
            return Some(format!("task {id} of request {of} {words}"));
        }
        let owner = lease_owner(id);
        let held = rows.leases.iter().filter(|lease| lease.owner == owner);
        let held: BTreeSet<_> = held.map(|lease| lease.name.as_str()).collect();
        let told: BTreeSet<_> = task.leases.iter().map(String::as_str).collect();
        if let Some(name) = held.symmetric_difference(&told).next() {
            let (is, not) = match told.contains(name) {
                true => ("holds", "does not"),
                false => ("does not hold", "does"),
            };
            return Some(format!(
                "task {id} of request {of} {is} the lease {name} by its document, and by the table of leases it {not}"
            ));
        }
    }
    for row in &rows.decisions {
        let id = &row.decision_id;
        let parsed = id.parse().ok();
        let Some(decision) = parsed.and_then(|id| run.decisions.get(&id)) else {
            return Some(format!(
                "decision {id} of request {of} has the document of another"
            ));
        };
        let meant = decision_row(&run, decision, row.version).ok()?;
        if let Some(words) = first(of_decision(row, &meant)) {
            return Some(format!("decision {id} of request {of} {words}"));
        }
    }
    let (row, plan) = rows.plan.as_ref().zip(run.plan.as_ref())?;
    let columns = vec![
        said("digest", row.digest, plan.digest),
        said("tenant_id", &row.tenant_id, &run.request.tenant_id),
    ];
    Some(format!("the plan of request {of} {}", first(columns)?))
}

/// The first row that says it was written when none of these events was taken, which are those of its request up to
/// the version of its row: each write of a row has the time of one, that of the request's row of the last. Rows of which
/// no event is kept are of before.
pub(super) fn untimely(rows: &RunRows, events: &[Timestamp]) -> Option<String> {
    let (request, last) = (&rows.request, events.last()?);
    let of = request.request_id;
    let (said, last) = (request.updated_at, whole(*last));
    if said != last {
        return Some(format!(
            "request {of} has {said} in its column updated_at, and the last event of it was at {last}"
        ));
    }
    let is_of_one = |at: Timestamp| events.iter().any(|event| whole(*event) == at);
    let unheard = |name: &str, at: Timestamp| {
        let words = format!("has {at} in its column {name}, when nothing happened to its request");
        (!is_of_one(at)).then_some(words)
    };
    let tasks = rows.tasks.iter().find_map(|row| {
        let words = unheard("updated_at", row.updated_at)?;
        Some(format!("task {} of request {of} {words}", row.task_id))
    });
    tasks.or_else(|| {
        let words = unheard("created_at", rows.plan.as_ref()?.created_at)?;
        Some(format!("the plan of request {of} {words}"))
    })
}

fn first(columns: Vec<Column>) -> Option<String> {
    let differs = |(_, column, document): &Column| column != document;
    let (name, column, document) = columns.into_iter().find(differs)?;
    Some(format!(
        "has {column} in its column {name}, where its document says {document}"
    ))
}

fn said<T: ToString>(name: &'static str, column: T, document: T) -> Column {
    (name, column.to_string(), document.to_string())
}

/// Times are stored to the microsecond.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

fn time(name: &'static str, column: Timestamp, document: Timestamp) -> Column {
    said(name, column, whole(document))
}

fn of_request(row: &RequestRow, meant: &RequestRow) -> Vec<Column> {
    vec![
        said("state", &row.state, &meant.state),
        said("ended", row.ended, meant.ended),
        said("tenant_id", &row.tenant_id, &meant.tenant_id),
        said("request_id", row.request_id, meant.request_id),
        said("project_id", &row.project_id, &meant.project_id),
        said("room_id", &row.room_id, &meant.room_id),
        time("created_at", row.created_at, meant.created_at),
    ]
}

fn of_task(row: &TaskRow, meant: &TaskRow) -> Vec<Column> {
    let agent = |row: &TaskRow| match &row.agent_id {
        Some(agent) => agent.to_string(),
        None => "none".to_owned(),
    };
    vec![
        said("state", &row.state, &meant.state),
        said("ended", row.ended, meant.ended),
        said("tenant_id", &row.tenant_id, &meant.tenant_id),
        said("task_id", row.task_id, meant.task_id),
        said("agent_id", agent(row), agent(meant)),
        said("attempt", row.attempt, meant.attempt),
        time("created_at", row.created_at, meant.created_at),
    ]
}

fn of_decision(row: &DecisionRow, meant: &DecisionRow) -> Vec<Column> {
    vec![
        said("state", &row.state, &meant.state),
        said("tenant_id", &row.tenant_id, &meant.tenant_id),
        time("created_at", row.created_at, meant.created_at),
        time("deadline", row.deadline, meant.deadline),
    ]
}
