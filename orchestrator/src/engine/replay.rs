//! Telling a request again: its recorded events go through the arbiter once more, and every move must come
//! out as its audit records say, up to the rows as they are stored now. Nothing is changed by it.

use chiffon_arbiter::{Context, Ids, Proof, Run, RunPolicy, SliceDocs, apply};
use chiffon_common::{
    AuditEntry, Digest, ErrorCode, MoveRecord, Problem, RequestId,
    api::{ReplayReport, ReplayStep},
};
use chiffon_store::{RunEventRow, RunRows};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;

use super::{Shared, recorded::Told, rows, store_problem};

/// Others may move the request between the reads; then everything is read again.
const TRIES: usize = 5;

/// What is held against each other.
struct Story {
    events: Vec<RunEventRow>,
    policies: BTreeMap<Digest, RunPolicy>,
    records: Vec<AuditEntry>,
    rows: RunRows,
}

impl Shared {
    /// Tells a request again. What comes out otherwise is part of the report; an error means that it could not be
    /// told at all.
    pub(crate) async fn replay(&self, request: RequestId) -> Result<ReplayReport, Problem> {
        let mut tries = 0;
        loop {
            tries += 1;
            let story = self.story(request).await?;
            let report = tell(request, &story);
            let version = self.version_now(request).await?;
            if report.faults.is_empty() || tries == TRIES || version == story.rows.request.version {
                return Ok(report);
            }
        }
    }

    async fn version_now(&self, request: RequestId) -> Result<u64, Problem> {
        let found = self.store.run(&self.settings.tenant, request).await;
        let found = found.map_err(|error| store_problem(&error))?;
        Ok(found.map_or(0, |rows| rows.request.version))
    }

    async fn story(&self, request: RequestId) -> Result<Story, Problem> {
        let tenant = &self.settings.tenant;
        let store = |error| store_problem(&error);
        let rows = self.store.run(tenant, request).await.map_err(store)?;
        let Some(rows) = rows else {
            let forgotten = self.forgotten(request).await.map_err(store)?;
            return Err(forgotten.unwrap_or_else(|| no_request(request)));
        };
        let mut events = self
            .store
            .run_events(tenant, request)
            .await
            .map_err(store)?;
        // What came since the rows were read is not told of them.
        events.retain(|event| event.version <= rows.request.version);
        let mut policies = BTreeMap::new();
        for digest in events.iter().map(|event| event.policy) {
            if policies.contains_key(&digest) {
                continue;
            }
            let doc = self.store.run_policy(digest).await.map_err(store)?;
            let policy = doc.filter(|doc| Digest::of_value(doc).is_ok_and(|is| is == digest));
            if let Some(policy) = policy.and_then(|doc| serde_json::from_value(doc).ok()) {
                policies.insert(digest, policy);
            }
        }
        let stream = rows::slice_name(request);
        let records = self.store.audit_stream(&stream).await.map_err(store)?;
        let records = records.into_iter().map(|numbered| numbered.record.entry);
        Ok(Story {
            events,
            policies,
            records: records.filter(|entry| entry.slice.is_some()).collect(),
            rows,
        })
    }
}

fn no_request(request: RequestId) -> Problem {
    Problem::new(
        ErrorCode::NotFound,
        format!("there is no request {request}"),
        "`chiffon request list` shows those that are there",
    )
}

/// Tells the events in their order; ends at the first that comes out otherwise.
fn tell(request: RequestId, story: &Story) -> ReplayReport {
    let mut report = ReplayReport {
        request_id: request,
        same: false,
        events: 0,
        records: 0,
        steps: Vec::new(),
        faults: Vec::new(),
    };
    if story.events.is_empty() {
        let why = "nothing was kept of what was said to this request: it is of an earlier version";
        report.faults.push(why.to_owned());
        return report;
    }
    if let Err(fault) = tell_all(story, &mut report) {
        report.faults.push(fault);
    }
    report.same = report.faults.is_empty();
    report
}

fn tell_all(story: &Story, report: &mut ReplayReport) -> Result<(), String> {
    let mut run: Option<Run> = None;
    let mut records = story.records.iter();
    for (row, expected) in story.events.iter().zip(1_u64..) {
        if row.version != expected {
            return Err(format!("event {expected} is missing"));
        }
        let (after, told) = tell_one(run.as_ref(), row, story)?;
        let proof = after.proof().map_err(|error| error.to_string())?;
        let was = run.as_ref().map(Run::proof).transpose();
        let was = was.map_err(|error| error.to_string())?;
        let is_recorded = !told.moves.is_empty() || was != Some(proof);
        if is_recorded {
            let record = records
                .next()
                .ok_or_else(|| format!("event {expected} has no audit record"))?;
            hold(record, &told.moves, proof, expected)?;
            report.records += 1;
        }
        report.events += 1;
        report.steps.push(ReplayStep {
            no: expected,
            at: told.at,
            event: told.name,
            moves: told.moves,
        });
        run = Some(after);
    }
    if let Some(left) = records.next() {
        return Err(format!(
            "the audit record {} ({}) follows from no event",
            left.audit_id, left.action
        ));
    }
    let proof = run.as_ref().map(Run::proof).transpose();
    let proof = proof.map_err(|error| error.to_string())?;
    let docs = docs_of(&story.rows);
    let endings = docs.endings().map_err(|error| error.to_string())?;
    let slice = docs.proof().map_err(|error| error.to_string())?;
    match proof == Some(Proof { slice, endings }) {
        true => Ok(()),
        false => Err("the stored rows are not what these events lead to".to_owned()),
    }
}

/// One event told: when, what, and what moved.
struct Retold {
    at: Timestamp,
    name: String,
    moves: Vec<MoveRecord>,
}

fn tell_one(
    before: Option<&Run>,
    row: &RunEventRow,
    story: &Story,
) -> Result<(Run, Retold), String> {
    let no = row.version;
    let told: Told = serde_json::from_value(row.doc.clone())
        .map_err(|error| format!("event {no} cannot be read: {error}"))?;
    let policy = story
        .policies
        .get(&row.policy)
        .ok_or_else(|| format!("the limits that event {no} was judged by are gone or changed"))?;
    match (before, told) {
        (None, Told::Received { new, at, .. }) => {
            let run = Run::received(*new, at, policy);
            let told = Retold {
                at,
                name: "received".to_owned(),
                moves: vec![super::arrived::arrival(&run)],
            };
            Ok((run, told))
        }
        (
            Some(before),
            Told::Event {
                event,
                at,
                minted,
                rules,
                frozen,
            },
        ) => {
            let name = serde_json::to_value(&event).ok();
            let name = name.and_then(|event| event["event"].as_str().map(ToOwned::to_owned));
            let context = Context {
                now: at,
                policy,
                // Events of before were judged by no rules but these limits.
                rules: rules.unwrap_or(row.policy),
                frozen: frozen.as_ref(),
                ids: Ids::again(&minted),
            };
            let moved = apply(before, *event, context)
                .map_err(|refusal| format!("event {no} is refused now: {refusal}"))?;
            let told = Retold {
                at,
                name: name.unwrap_or_default(),
                moves: moved.moves,
            };
            Ok((moved.run, told))
        }
        _ => Err(format!("event {no} is out of its place")),
    }
}

/// A record must say the same moves, and that they led to the same rows.
fn hold(record: &AuditEntry, moves: &[MoveRecord], proof: Proof, no: u64) -> Result<(), String> {
    if record.moves != moves {
        return Err(format!(
            "event {no} moves otherwise than the audit record {} ({}) says",
            record.audit_id, record.action
        ));
    }
    let is_told_so = record.endings.is_none() || record.endings == proof.endings;
    if record.slice != Some(proof.slice) || !is_told_so {
        return Err(format!(
            "event {no} leads elsewhere than the audit record {} ({}) says",
            record.audit_id, record.action
        ));
    }
    Ok(())
}

/// The stored documents of a request. One that its row lists in another state than its own says so, and has no
/// digest that any record knows.
pub(super) fn docs_of(rows: &RunRows) -> SliceDocs {
    let tasks = rows.tasks.iter().map(|row| listed(&row.doc, &row.state));
    let decisions = rows.decisions.iter();
    let decisions = decisions.map(|row| listed(&row.doc, &row.state));
    SliceDocs {
        request: listed(&rows.request.doc, &rows.request.state),
        plan: rows.plan.as_ref().map(|row| row.doc.clone()),
        tasks: tasks.collect(),
        decisions: decisions.collect(),
    }
}

fn listed(doc: &Value, state: &str) -> Value {
    let mut doc = doc.clone();
    if doc["state"]["is"].as_str() != Some(state)
        && let Value::Object(fields) = &mut doc
    {
        fields.insert("listed_as".to_owned(), state.into());
    }
    doc
}
