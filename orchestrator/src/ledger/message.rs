//! The message of a ledger commit: `infra(<task-uuid>): Deploy Kuma to NAS`, a sentence or two, and
//! trailers for programs (document 004; DESIGN section 4.8). A pure function of the batch and its entries.
//!
//! People's words are brought onto one line and made visible, and stand behind words of ours, so that no
//! title can end the subject, open a trailer or move a cursor.

use chiffon_common::visible;
use chiffon_store::LedgerBatchRow;

use super::{
    doc::{LedgerDoc, StepDoc},
    files::{clock, seconds, word_of},
};

/// Longest subject text and trailer value in characters; git's own tools cut earlier still.
const LONGEST: usize = 120;

/// Most hosts named in a trailer; all of them stand in the record.
const MOST_HOSTS: usize = 20;

/// The message of a batch; `docs` is not empty.
pub(super) fn message(batch: &LedgerBatchRow, docs: &[LedgerDoc]) -> String {
    let (head, mut trailers) = match docs {
        [only] => (of_one(only), trailers_of(only)),
        several => (
            of_several(several),
            vec![("Readings", several.len().to_string())],
        ),
    };
    trailers.push(("Batch", batch.batch_no.to_string()));
    trailers.push(("Last-Seq", batch.last_entry.to_string()));
    let trailers = trailers.into_iter();
    let trailers: String = trailers
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect();
    format!("{head}\n{trailers}")
}

/// The first line of the message.
pub(super) fn subject(docs: &[LedgerDoc]) -> String {
    let head = match docs {
        [only] => of_one(only),
        several => of_several(several),
    };
    head.lines().next().unwrap_or_default().to_owned()
}

fn of_one(doc: &LedgerDoc) -> String {
    let task = doc.steps.first().map(|step| step.task_id.to_string());
    // A request that never came to a step is named by itself.
    let id = task.unwrap_or_else(|| doc.request_id.to_string());
    let mut head = format!("infra({id}): {}\n\n", line(&doc.title));
    head.push_str(&format!(
        "{} asked: {}\n",
        line(&doc.requester),
        line(&doc.text)
    ));
    head.push_str(&format!("It ended as {}", word_of(&doc.outcome)));
    if let Some(limit) = doc.limit_seconds {
        head.push_str(&format!(
            ", the time limit of the command, {limit} s, being over"
        ));
    }
    match &doc.problem {
        Some(problem) => {
            if doc.tells_changes {
                head.push_str(&format!(", {}", changes(&doc.steps)));
            }
            head.push_str(&format!(": {}\n", line(&problem.detail)));
        }
        None => head.push_str(&format!(", {}.\n", changes(&doc.steps))),
    }
    if doc.steps.len() > 1 {
        head.push('\n');
        for step in &doc.steps {
            head.push_str(&format!(
                "* {}: {}\n",
                word_of(&step.outcome),
                line(&step.title)
            ));
        }
    }
    head
}

fn changes(steps: &[StepDoc]) -> &'static str {
    let changed = steps.iter().any(|step| step.changed);
    let unknown = steps.iter().any(|step| step.changes_unknown);
    match (changed, unknown) {
        (true, false) => "with changes",
        (true, true) => "with changes, and it is not known whether with more",
        (false, true) => "and it is not known what it changed",
        (false, false) => "without changes",
    }
}

fn of_several(docs: &[LedgerDoc]) -> String {
    let mut head = format!("report: {} readings\n\n", docs.len());
    for doc in docs {
        let outcome = word_of(&doc.outcome);
        let title = line(&doc.title);
        head.push_str(&format!(
            "* {outcome}: {title} (request {})\n",
            doc.request_id
        ));
    }
    head
}

fn trailers_of(doc: &LedgerDoc) -> Vec<(&'static str, String)> {
    let mut trailers = vec![("Request", doc.request_id.to_string())];
    trailers.extend(doc.undo_of.map(|id| ("Undo-Of", id.to_string())));
    let tasks = doc
        .steps
        .iter()
        .map(|step| ("Task", step.task_id.to_string()));
    trailers.extend(tasks);
    trailers.extend(
        doc.plan_digest
            .map(|digest| ("Plan-Digest", digest.to_string())),
    );
    trailers.push(("Requester", line(&doc.requester)));
    trailers.extend(doc.approvers.iter().map(|who| ("Approver", line(who))));
    let said = doc.steps.iter().flat_map(|step| &step.said);
    trailers.extend(said.map(|said| {
        let comment = said.comment.as_deref().map(line).unwrap_or_default();
        let comment = match comment.is_empty() {
            true => comment,
            false => format!(": {comment}"),
        };
        let words = format!("{} said {}{comment}", line(&said.by), line(&said.choice));
        ("Resolved-By", words)
    }));
    let done_before = doc.steps.iter().filter_map(|step| step.done_before);
    trailers.extend(done_before.map(|at| ("Done-Before", clock(at))));
    trailers.push(("Tier", doc.tier.to_string()));
    trailers.push(("Hosts", hosts(&doc.steps)));
    trailers.push(("Outcome", word_of(&doc.outcome)));
    let limit = doc.limit_seconds;
    trailers.extend(limit.map(|limit| ("Time-Limit", format!("{limit} s"))));
    let code = doc
        .problem
        .as_ref()
        .map(|problem| problem.code.number().to_string());
    trailers.extend(code.map(|code| ("Problem", code)));
    let took = doc.ended_at.duration_since(doc.started_at).as_secs_f64();
    trailers.push(("Duration", format!("{} s", seconds(took))));
    trailers
}

fn hosts(steps: &[StepDoc]) -> String {
    let mut names: Vec<&str> = steps
        .iter()
        .flat_map(|step| &step.hosts)
        .map(|host| host.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(MOST_HOSTS);
    names.truncate(MOST_HOSTS);
    match (names.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

/// One visible line, not empty.
fn line(text: &str) -> String {
    let shown = visible(text);
    let words: Vec<&str> = shown.split_whitespace().collect();
    let joined = words.join(" ");
    match joined.chars().count() {
        0 => "(no words)".to_owned(),
        1..=LONGEST => joined,
        _ => joined.chars().take(LONGEST - 1).chain(['…']).collect(),
    }
}
