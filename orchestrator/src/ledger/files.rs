//! The files of an entry, paths and contents, as a pure function of it. Writing them is left to
//! `mod.rs`, their bytes to `yaml`.
//!
//! No folder is flat (R38): records lie by hour and then by the random end of the request's id, hosts by the first
//! byte of the digest of their name. A path is made of checked names, digits and our own words only.

use std::collections::BTreeMap;

use chiffon_common::{Digest, HostName, HostOutcome, RequestId};
use chiffon_store::LedgerEntryRow;
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;
use serde_json::Value;

use super::{
    doc::{LedgerDoc, StepDoc, StepOutcome},
    yaml::{Node, document},
};

type Pairs = Vec<(String, Node)>;

/// All files of an entry, by path. A later step wins over an earlier one on the same host and entry.
pub(super) fn files(row: &LedgerEntryRow, doc: &LedgerDoc) -> BTreeMap<String, String> {
    let record = record_path(row.created_at, doc.request_id);
    let mut files = BTreeMap::from([(record, document(&record_of(doc)))]);
    for step in &doc.steps {
        for (host, outcome) in step.touched() {
            let path = host_path(host, step);
            files.insert(path, document(&host_file(doc, step, host, outcome)));
        }
    }
    files
}

/// Where the record of a request lies that was made at this time.
pub fn record_path(made_at: Timestamp, request: RequestId) -> String {
    let hour = made_at.to_zoned(TimeZone::UTC).strftime("%Y/%m/%d/%H");
    // The last bytes of a UUIDv7 are random; the first ones are the time.
    let [.., a, b] = request.as_uuid().as_bytes();
    if chiffon_failpoint::mutant!("flat-ledger") {
        return format!("records/{request}.yml");
    }
    format!("records/{hour}/{a:02x}/{b:02x}/{request}.yml")
}

fn host_path(host: &HostName, step: &StepDoc) -> String {
    let folder = host_folder(host);
    format!("{folder}/{}.yml", step.entry)
}

/// Where the files of a host lie: one for each catalogue entry that was last run there.
pub fn host_folder(host: &HostName) -> String {
    let digest = Digest::of_bytes(host.as_str().as_bytes()).hex();
    let shard: String = digest.chars().take(2).collect();
    format!("hosts/{shard}/{host}")
}

fn host_file(
    doc: &LedgerDoc,
    step: &StepDoc,
    host: &HostName,
    outcome: Option<HostOutcome>,
) -> Pairs {
    let outcome = match (step.outcome, outcome) {
        // A step that came to its end says how it went on each host; one that did not says how it ended.
        (StepOutcome::Completed | StepOutcome::Failed, Some(outcome)) => word(&outcome),
        (ended, _) => word(&ended),
    };
    let mut pairs = vec![
        pair("entry", Node::text(&step.entry)),
        pair("title", Node::text(&step.title)),
        pair("outcome", outcome),
    ];
    // The outcome's word alone would leave it open, or say the contrary.
    if step.changed_before.contains(host) {
        pairs.push(pair("changed", Node::Scalar("true".to_owned())));
    }
    pairs.extend([
        pair("parameters", parameters(step)),
        pair("time", time(doc.ended_at)),
        pair("requester", Node::text(&doc.requester)),
        pair("approvers", list(&doc.approvers)),
        pair("request", Node::text(doc.request_id)),
        pair("task", Node::text(step.task_id)),
    ]);
    pairs.extend(
        doc.plan_digest
            .map(|digest| pair("plan_digest", Node::text(digest))),
    );
    pairs
}

fn record_of(doc: &LedgerDoc) -> Pairs {
    let mut pairs = vec![
        pair("request", Node::text(doc.request_id)),
        pair("title", Node::text(&doc.title)),
        pair("text", Node::text(&doc.text)),
        pair("outcome", word(&doc.outcome)),
    ];
    pairs.extend(doc.undo_of.map(|id| pair("undo_of", Node::text(id))));
    let limit = doc
        .limit_seconds
        .map(|limit| Node::Scalar(limit.to_string()));
    pairs.extend(limit.map(|limit| pair("time_limit_seconds", limit)));
    pairs.extend(doc.problem.as_ref().map(|problem| {
        let code = Node::Scalar(problem.code.number().to_string());
        let detail = Node::text(&problem.detail);
        pair(
            "problem",
            Node::Map(vec![pair("code", code), pair("detail", detail)]),
        )
    }));
    pairs.extend([
        pair("tier", Node::Scalar(doc.tier.to_string())),
        pair("requester", Node::text(&doc.requester)),
        pair("approvers", list(&doc.approvers)),
    ]);
    pairs.extend(
        doc.plan_digest
            .map(|digest| pair("plan_digest", Node::text(digest))),
    );
    pairs.extend([
        pair("started", time(doc.started_at)),
        pair("ended", time(doc.ended_at)),
        pair("steps", Node::List(doc.steps.iter().map(step_of).collect())),
    ]);
    pairs
}

fn step_of(step: &StepDoc) -> Node {
    let outcomes = step.host_outcomes.iter();
    let outcomes = outcomes.map(|(host, outcome)| pair(host.as_str(), word(outcome)));
    let mut pairs = vec![
        pair("entry", Node::text(&step.entry)),
        pair("title", Node::text(&step.title)),
        pair("task", Node::text(step.task_id)),
        pair("tier", Node::Scalar(step.tier.to_string())),
        pair("outcome", word(&step.outcome)),
        pair("changed", changed(step)),
        pair(
            "duration_seconds",
            Node::Scalar(seconds(step.duration_seconds)),
        ),
        pair("hosts", list(&step.hosts)),
        pair("host_outcomes", Node::Map(outcomes.collect())),
        pair("parameters", parameters(step)),
    ];
    if !step.changed_before.is_empty() {
        let hosts: Vec<_> = step.changed_before.iter().collect();
        pairs.push(pair("changed_before_it_ended", list(&hosts)));
    }
    if !step.said.is_empty() {
        let said = step.said.iter().map(|said| {
            let mut pairs = vec![
                pair("by", Node::text(&said.by)),
                pair("said", Node::text(&said.choice)),
            ];
            let comment = said.comment.as_ref();
            pairs.extend(comment.map(|comment| pair("comment", Node::text(comment))));
            Node::Map(pairs)
        });
        pairs.push(pair("said_of_its_end", Node::List(said.collect())));
    }
    pairs.extend(step.done_before.map(|at| pair("done_before", time(at))));
    if let Some(evidence) = &step.evidence {
        let found = evidence
            .iter()
            .map(|(host, data)| pair(host.as_str(), Node::from(&Value::Object(data.clone()))));
        pairs.push(pair("evidence", Node::Map(found.collect())));
    }
    Node::Map(pairs)
}

/// Seconds with one digit after the point; nothing that is no number.
pub(super) fn seconds(value: f64) -> String {
    let finite = if value.is_finite() {
        value.max(0.0)
    } else {
        0.0
    };
    format!("{finite:.1}")
}

fn changed(step: &StepDoc) -> Node {
    match (step.changed, step.changes_unknown) {
        (false, true) => Node::text("unknown"),
        (changed, _) => Node::Scalar(changed.to_string()),
    }
}

fn pair(key: &str, node: Node) -> (String, Node) {
    (key.to_owned(), node)
}

fn parameters(step: &StepDoc) -> Node {
    Node::from(&Value::Object(step.parameters.clone()))
}

fn list<T: std::fmt::Display>(items: &[T]) -> Node {
    Node::List(items.iter().map(Node::text).collect())
}

fn time(at: Timestamp) -> Node {
    Node::text(clock(at))
}

/// A time in whole seconds.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The wire's own word for it.
pub(super) fn word_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        // Outcomes are enums without data, whose JSON is their name.
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

fn word(value: &impl Serialize) -> Node {
    Node::Text(word_of(value))
}
