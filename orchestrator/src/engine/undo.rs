//! Undo: what of a request is taken back, and how, from what was recorded of its run and from what the
//! catalogue says. A new request does it, with its own plan, preview and approval; making the plan's steps is
//! left to `planning`, whether a host is still as the run left it to the entry that takes back.

use std::collections::BTreeSet;

use chiffon_arbiter::{Request, Run, Task, TaskState};
use chiffon_common::{
    ErrorCode, HostName, HostOutcome, Problem, RequestId, Step, Tier, Undo, Undoing, api::Undone,
};
use chiffon_store::RequestRow;

use super::{AdvanceError, Shared, library::Loaded, planning::secret_values, views::shown_plan};
use crate::{
    ledger::{LedgerDoc, StepOutcome},
    planner::{Planned, Proposed},
};

/// Ledger entries that are looked through for later changes. Whoever takes back something older than that is
/// still held back by the entry itself, which looks at the host.
const LOOKED_AT: u64 = 10_000;
/// Ledger entries read at once.
const PAGE: u32 = 500;
/// Later changes that are named.
const NAMED: usize = 3;

/// What takes a request back.
#[derive(Debug)]
pub(crate) struct TakenBack {
    /// Steps in the reverse order, with the words that say what is left out.
    pub(crate) planned: Planned,
    /// Values that were secret in the original, and stay so.
    pub(crate) secrets: Vec<String>,
}

/// A step that changed something, and where.
struct Changed<'r> {
    step: &'r Step,
    task: &'r Task,
    hosts: Vec<HostName>,
}

impl Shared {
    /// What would take this request back; `by` is the request that is to do it, once there is one.
    pub(crate) async fn take_back(
        &self,
        loaded: &Loaded,
        undoing: Undoing,
        by: Option<RequestId>,
    ) -> Result<TakenBack, Problem> {
        let id = undoing.request;
        let (run, _) = self.load(id).await.map_err(|error| unread(id, &error))?;
        if !run.request.state.ended() {
            return Err(Problem::new(
                ErrorCode::NotEnded,
                format!(
                    "request {id} is {} and has not ended",
                    run.request.state.name()
                ),
                format!("wait for its end, or stop it first: chiffon request cancel {id}"),
            ));
        }
        self.not_twice(id, by).await?;
        let titles = Titles::of(&run);
        let (changed, left) = changed_steps(&run, &titles)?;
        let (able, left) = with_a_way_back(changed, left, undoing, &titles)?;
        let backwards = able.iter().rev();
        let steps = backwards.map(|one| way_back(loaded, one, &titles));
        let mut steps = steps.collect::<Result<Vec<_>, _>>()?;
        // The last one first, each after the one before it.
        for (at, step) in steps.iter_mut().enumerate() {
            step.after = at.checked_sub(1).into_iter().collect();
        }
        let mut because = format!("takes back request {id}: {}", in_words(&able));
        // What a person has to know first stands first.
        let mut said = self.changed_since(loaded, id, &able).await?;
        said.extend(left);
        for words in said {
            because.push_str("; ");
            because.push_str(&words);
        }
        let plan = run.plan.iter().flat_map(|plan| &plan.steps);
        Ok(TakenBack {
            planned: Planned {
                steps,
                confidence: 100,
                because,
            },
            secrets: plan.flat_map(secret_values).collect(),
        })
    }

    /// One undo at a time, and none after one that was done. Of two that came together the older one goes on.
    async fn not_twice(&self, id: RequestId, by: Option<RequestId>) -> Result<(), Problem> {
        let tenant = &self.settings.tenant;
        let undos = self.store.undos_of(tenant, id).await;
        let undos = undos.map_err(|error| super::store_problem(&error))?;
        let own = by.and_then(|by| undos.iter().find(|row| row.request_id == by));
        let is_first = |row: &&RequestRow| match own {
            _ if row.ended => row.state == "completed",
            Some(own) => {
                let unplanned = matches!(row.state.as_str(), "received" | "planning");
                let key = |row: &RequestRow| (row.created_at, row.request_id);
                row.request_id != own.request_id && (!unplanned || key(row) < key(own))
            }
            None => true,
        };
        let Some(first) = undos.iter().find(is_first) else {
            return Ok(());
        };
        let other = first.request_id;
        let (detail, todo) = match first.state.as_str() {
            "completed" => (
                format!("request {id} was taken back already, by request {other}"),
                format!("look at it: chiffon request show {other}"),
            ),
            state => (
                format!("request {other} is taking request {id} back, and is {state}"),
                format!("see it through: chiffon request show {other}"),
            ),
        };
        Err(Problem::new(ErrorCode::UndoneAlready, detail, todo))
    }

    /// The undo that a request shows: the one that is under way or done, else the newest.
    pub(crate) async fn undone_by(
        &self,
        id: RequestId,
    ) -> Result<Option<Undone>, chiffon_store::Error> {
        let undos = self.store.undos_of(&self.settings.tenant, id).await?;
        let counts = |row: &&RequestRow| !row.ended || row.state == "completed";
        let found = undos.iter().find(counts).or(undos.first());
        Ok(found.map(|row| Undone {
            request_id: row.request_id,
            state: row.state.clone(),
        }))
    }

    /// Words for changes of the same thing on the same host that came after this request.
    async fn changed_since(
        &self,
        loaded: &Loaded,
        id: RequestId,
        able: &[Changed<'_>],
    ) -> Result<Vec<String>, Problem> {
        let tenant = &self.settings.tenant;
        let store = |error: chiffon_store::Error| super::store_problem(&error);
        let own = self.store.ledger_entry(tenant, id).await.map_err(store)?;
        let Some(own) = own else {
            return Ok(Vec::new());
        };
        let mut words = Vec::new();
        let mut after = own.entry_no;
        while after < own.entry_no.saturating_add(LOOKED_AT) {
            let page = self.store.ledger_entries(tenant, after, PAGE).await;
            let page = page.map_err(store)?;
            let Some(last) = page.last() else {
                return Ok(words);
            };
            after = last.entry_no;
            for row in page {
                let Ok(doc) = serde_json::from_value::<LedgerDoc>(row.doc) else {
                    continue;
                };
                let hosts = same_again(loaded, &doc, able);
                if hosts.is_empty() {
                    continue;
                }
                if words.len() == NAMED {
                    words.push("and changed again by later requests".to_owned());
                    return Ok(words);
                }
                let hosts: Vec<HostName> = hosts.into_iter().collect();
                words.push(format!(
                    "changed again since by request {} on {}",
                    doc.request_id,
                    listed(&hosts)
                ));
            }
        }
        Ok(words)
    }
}

/// The hosts on which a later request changed what these steps had changed: by the same entry, where the way
/// back would be the same one.
fn same_again(loaded: &Loaded, doc: &LedgerDoc, able: &[Changed<'_>]) -> BTreeSet<HostName> {
    let mut hosts = BTreeSet::new();
    let later = doc.steps.iter().filter(|step| {
        step.changed && matches!(step.outcome, StepOutcome::Completed | StepOutcome::Failed)
    });
    for step in later {
        let Some(entry) = loaded.catalogue.get(step.entry.as_str()) else {
            continue;
        };
        let way_back = entry.undo_planned(&step.parameters);
        for one in able {
            if step.entry == one.step.entry && way_back == one.step.undo {
                let both = one.hosts.iter().filter(|host| step.hosts.contains(host));
                hosts.extend(both.cloned());
            }
        }
    }
    hosts
}

/// The titles of a plan without what is secret in them.
struct Titles(Vec<String>);

impl Titles {
    fn of(run: &Run) -> Self {
        let plan = run.plan.as_ref().map(|plan| shown_plan(run, plan));
        let steps = plan.map(|plan| plan.steps).unwrap_or_default();
        Self(steps.into_iter().map(|step| step.title).collect())
    }

    fn named(&self, step: &Step) -> String {
        let title = self.0.get(step.no as usize).map_or("", String::as_str);
        format!("step {} ({title})", step.no + 1)
    }
}

/// The steps that changed something, in their order, and words for those that were begun and are left alone.
fn changed_steps<'r>(
    run: &'r Run,
    titles: &Titles,
) -> Result<(Vec<Changed<'r>>, Vec<String>), Problem> {
    let id = run.request.request_id;
    let nothing = |why: String| {
        Problem::new(
            ErrorCode::NothingToUndo,
            format!("request {id} {why}, so there is nothing to take back"),
            format!("see what it did: chiffon request show {id}"),
        )
    };
    let Some(plan) = &run.plan else {
        return Err(nothing("never had a plan".to_owned()));
    };
    if plan.tier == Tier::Zero {
        return Err(nothing("only read".to_owned()));
    }
    let mut changed = Vec::new();
    let mut left = Vec::new();
    let works = plan
        .steps
        .iter()
        .filter(|step| step.tier > Tier::Zero && step.verifies.is_none());
    for step in works {
        let task = run.tasks.values().find(|task| task.does(step.no));
        let named = titles.named(step);
        match task.map(|task| (task, &task.state)) {
            Some((task, TaskState::Completed)) => {
                let hosts = changed_hosts(step, task);
                if !hosts.is_empty() {
                    changed.push(Changed { step, task, hosts });
                }
            }
            Some((task, state)) if task.attempt > 0 => left.push(format!(
                "{named} was {} and is not taken back: look at {}",
                state.name(),
                listed(&step.hosts)
            )),
            Some(_) | None => left.push(format!("{named} never ran")),
        }
    }
    if changed.is_empty() {
        let ended = match (run.request.state.name(), left.is_empty()) {
            ("completed", _) => "found everything as it was to be and changed nothing".to_owned(),
            (state, true) => format!("is {state} and changed nothing"),
            (state, false) => format!("is {state} and completed no change ({})", left.join("; ")),
        };
        return Err(nothing(ended));
    }
    Ok((changed, left))
}

/// Where a completed step changed something. What a first try changed, a second one finds done: then, and where
/// nobody reported, every host counts.
fn changed_hosts(step: &Step, task: &Task) -> Vec<HostName> {
    let Some(outcome) = task.outcome.as_ref().filter(|_| task.attempt <= 1) else {
        return step.hosts.clone();
    };
    let is_changed = |host: &&HostName| {
        let found = outcome.hosts.get(host.as_str());
        found.is_none_or(|found| {
            matches!(found.outcome, HostOutcome::Changed | HostOutcome::CutOff) || found.changed > 0
        })
    };
    step.hosts.iter().filter(is_changed).cloned().collect()
}

/// Of these steps the ones that can be taken back; the others are a reason to take back nothing, unless they
/// may stay.
fn with_a_way_back<'r>(
    changed: Vec<Changed<'r>>,
    mut left: Vec<String>,
    undoing: Undoing,
    titles: &Titles,
) -> Result<(Vec<Changed<'r>>, Vec<String>), Problem> {
    let id = undoing.request;
    let mut able = Vec::new();
    let mut unable = Vec::new();
    for one in changed {
        match &one.step.undo {
            Undo::Entry { .. } => able.push(one),
            Undo::None { why } => unable.push(format!(
                "{} has no way back: {}",
                titles.named(one.step),
                why.trim_end_matches('.')
            )),
        }
    }
    if able.is_empty() || !(unable.is_empty() || undoing.what_can_be) {
        let todo = match able.is_empty() {
            true => "change it by a request of its own".to_owned(),
            false => format!("take back the rest only: chiffon undo {id} --what-can-be"),
        };
        return Err(Problem::new(ErrorCode::CannotUndo, unable.join("; "), todo));
    }
    left.extend(unable);
    Ok((able, left))
}

/// The call that takes one step back, as it was approved and as the catalogue still says it.
fn way_back(loaded: &Loaded, one: &Changed<'_>, titles: &Titles) -> Result<Proposed, Problem> {
    let step = one.step;
    let outdated = |why: String| {
        Problem::new(
            ErrorCode::UndoOutdated,
            format!(
                "{} cannot be taken back any more: {why}",
                titles.named(step)
            ),
            "put the catalogue back as it was, or change the host by a request of its own",
        )
    };
    let Some(entry) = loaded.catalogue.get(step.entry.as_str()) else {
        let why = format!("the catalogue has no entry {} any more", step.entry);
        return Err(outdated(why));
    };
    if entry.undo_planned(&step.parameters) != step.undo {
        let why = format!(
            "{} names another way back now than the plan that was approved",
            step.entry
        );
        return Err(outdated(why));
    }
    let run_id = one.task.task_id.to_string();
    let Undo::Entry {
        entry: named,
        parameters,
    } = entry.undo_of_run(&step.parameters, &run_id)
    else {
        return Err(outdated(format!("{} names no way back", step.entry)));
    };
    let Some(undo) = loaded.catalogue.get(named.as_str()) else {
        let why = format!("the catalogue has no entry {named} any more");
        return Err(outdated(why));
    };
    let parameters = undo.check(&parameters).map_err(|problems| {
        let first = problems.into_iter().next();
        let first = first.map_or_else(String::new, |problem| problem.detail);
        outdated(format!("{named} does not take what is recorded: {first}"))
    })?;
    // A host that has left the inventory is named as one that is not known.
    loaded.inventory()?.resolve(&one.hosts)?;
    Ok(Proposed {
        entry: undo.id.clone(),
        hosts: one.hosts.clone(),
        parameters,
        after: Vec::new(),
    })
}

/// `step 2 on nas, then step 1 on nas, tower`; the steps themselves stand in the plan.
fn in_words(able: &[Changed<'_>]) -> String {
    /// So many are named.
    const STEPS: usize = 4;
    if able.len() > STEPS {
        return format!("{} of its steps, the last one first", able.len());
    }
    let named = able.iter().rev();
    let named = named.map(|one| format!("step {} on {}", one.step.no + 1, listed(&one.hosts)));
    named.collect::<Vec<_>>().join(", then ")
}

fn listed(hosts: &[HostName]) -> String {
    /// So many are named.
    const HOSTS: usize = 8;
    let names: Vec<&str> = hosts.iter().take(HOSTS).map(HostName::as_str).collect();
    match hosts.len().saturating_sub(HOSTS) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn unread(id: RequestId, error: &AdvanceError) -> Problem {
    match error {
        AdvanceError::NoRequest => Problem::new(
            ErrorCode::NotFound,
            format!("there is no request {id}"),
            "`chiffon request list` shows all",
        ),
        AdvanceError::Forgotten(problem) => (**problem).clone(),
        AdvanceError::Store(error) => super::store_problem(error),
        other => Problem::new(
            ErrorCode::Internal,
            format!("request {id} cannot be read: {other}"),
            "see the log of the orchestrator",
        ),
    }
}

/// The words in which an undo stands in lists and in the record.
pub(crate) fn undo_words(original: &Request, undoing: Undoing) -> String {
    /// Characters of what was asked that are repeated.
    const REPEATED: usize = 80;
    let what = match undoing.what_can_be {
        true => "take back what can be taken back of",
        false => "take back",
    };
    let asked = original
        .text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let cut: String = asked.chars().take(REPEATED).collect();
    let dots = if cut.len() < asked.len() { "..." } else { "" };
    let words = format!("{what} request {}: {cut}{dots}", undoing.request);
    chiffon_common::visible(&words)
}
