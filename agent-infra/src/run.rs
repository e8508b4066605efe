//! One run: checked, prepared in its folder, supervised, followed and judged.

mod follow;
mod prepare;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use chiffon_agent::{Ended, Progress, Work};
use chiffon_common::{ErrorCode, Problem, Redactor, ResourceUsage, ResultStatus};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    ansible::Ansible,
    inventory::Inventory,
    isolation::Isolation,
    limits::{Limits, Passed},
    outcome::Account,
    supervise::{End, Spec, Why},
    supervised::Supervised,
    sweep,
};
use follow::{Followed, follow};
use prepare::{Prepared, prepare};

/// All hosts together, where the supervisor could not do it.
const REMOTE_TIME: Duration = Duration::from_secs(8);

/// What a run needs of the worker.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) supervisor: Vec<OsString>,
    pub(crate) ansible: Ansible,
    pub(crate) ssh_agent: Option<PathBuf>,
    pub(crate) isolation: Isolation,
}

/// Runs to the end.
pub(crate) async fn run(
    means: Means,
    work: Work,
    progress: mpsc::Sender<Progress>,
    stop: CancellationToken,
) -> Ended {
    let inventory = match Inventory::of(&work.bundle) {
        Ok(inventory) => inventory,
        Err(problem) => return refused(problem),
    };
    let redactor = prepare::redactor(&work, &inventory);
    let (hosts, run_id) = (work.hosts.clone(), work.run_id());
    let prepared = {
        let (means, inventory) = (means.clone(), inventory);
        tokio::task::spawn_blocking(move || prepare(&means, &work, &inventory)).await
    };
    let prepared = match prepared {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(problem)) => return refused(redacted(&redactor, problem)),
        Err(error) => return refused(fault(format!("preparing the run failed: {error}"))),
    };
    if stop.is_cancelled() {
        sweep::remove_control_folder(&run_id);
        return cancelled();
    }
    let ended = start_and_follow(&means, &prepared, &redactor, &hosts, &progress, &stop).await;
    sweep::remove_control_folder(&run_id);
    ended
}

async fn start_and_follow(
    means: &Means,
    prepared: &Prepared,
    redactor: &Redactor,
    hosts: &[chiffon_common::HostName],
    progress: &mpsc::Sender<Progress>,
    stop: &CancellationToken,
) -> Ended {
    let Prepared {
        folder,
        spec,
        cleaner,
        isolation,
    } = prepared;
    let started = Supervised::start(&means.supervisor, folder, "run", spec, redactor);
    let (run, speech) = match started {
        Ok(started) => started,
        Err(error) => return refused(fault(format!("the supervisor cannot be started: {error}"))),
    };
    chiffon_failpoint::hit!("agent.run.during");
    let account = Account::new(redactor.clone(), hosts);
    let followed = follow(run, speech, account, progress, stop).await;
    let Followed {
        end,
        stopped,
        account,
    } = followed;
    let mut clean = match &end {
        Some(end) => end.left == 0,
        // The supervisor died: what it held is still to be ended.
        None => sweep::end_here(&spec.run_id).await,
    };
    let cleaned = end.as_ref().and_then(|end| end.cleaned);
    match (cleaned, cleaner) {
        (Some(cleaned), _) => clean &= cleaned,
        // The supervisor could not do it, or saw no reason to.
        (None, Some(cleaner)) if end.is_none() || account.lost().is_some() => {
            clean &= cleaner.clean(&means.supervisor, folder, REMOTE_TIME).await;
        }
        (None, _) => {}
    }
    Ended {
        isolation: isolation.clone(),
        ..judge(end, stopped, clean, account, spec)
    }
}

fn judge(end: Option<End>, stopped: bool, clean: bool, account: Account, spec: &Spec) -> Ended {
    let usage = end.as_ref().map(usage).unwrap_or_default();
    let (status, error) = match &end {
        _ if !clean => (ResultStatus::Unknown, Some(leftovers())),
        Some(end) if end.not_started.is_some() => {
            let why = end.not_started.as_deref().unwrap_or_default();
            (
                ResultStatus::Refused,
                Some(fault(format!("Ansible cannot be started: {why}"))),
            )
        }
        Some(end)
            if end.exit == Some(1) && !spec.fence.is_empty() && account.no_sandbox().is_some() =>
        {
            let why = account.no_sandbox().unwrap_or_default();
            (ResultStatus::Refused, Some(no_sandbox(why)))
        }
        // Somebody else ended it, the kernel for want of memory, say: cut off, and not a failure of its playbook.
        Some(end)
            if end.why == Why::Ended
                && end.signal.is_some()
                && !stopped
                && account.problem(end.exit, end.signal).is_some() =>
        {
            (ResultStatus::Interrupted, Some(interrupted()))
        }
        // The connection was cut in the middle of a task: how far that came, nobody says.
        Some(end) if end.why == Why::Ended && !stopped && account.lost().is_some() => {
            let host = account.lost().unwrap_or_default();
            (ResultStatus::Interrupted, Some(contact_lost(host)))
        }
        Some(end) if end.why == Why::Ended => match account.problem(end.exit, end.signal) {
            // What ended by itself before the stop reached it has its own end.
            None => (ResultStatus::Completed, None),
            Some(_) if stopped => (ResultStatus::Cancelled, None),
            Some(problem) => (ResultStatus::Failed, Some(problem)),
        },
        Some(end) if end.why == Why::Limit => {
            let problem = end
                .passed
                .map_or_else(too_long, |it| too_much(it, &spec.limits));
            (ResultStatus::Failed, Some(problem))
        }
        Some(_) if stopped => (ResultStatus::Cancelled, None),
        Some(_) | None => (ResultStatus::Interrupted, Some(interrupted())),
    };
    let (hosts, output, diff) = account.into_parts();
    Ended {
        usage,
        hosts,
        output,
        diff,
        ..ended(status, error)
    }
}

fn usage(end: &End) -> ResourceUsage {
    ResourceUsage {
        cpu_hours: end.cpu_seconds / 3600.0,
        memory_peak_gb: end.peak_bytes as f64 / (1024.0 * 1024.0 * 1024.0),
    }
}

fn ended(status: ResultStatus, error: Option<Problem>) -> Ended {
    Ended {
        status,
        output: String::new(),
        usage: ResourceUsage::default(),
        hosts: std::collections::BTreeMap::new(),
        diff: None,
        error,
        isolation: String::new(),
    }
}

/// It was stopped before it began.
pub(crate) fn cancelled() -> Ended {
    ended(ResultStatus::Cancelled, None)
}

/// It never began.
pub(crate) fn refused(problem: Problem) -> Ended {
    ended(ResultStatus::Refused, Some(problem))
}

fn redacted(redactor: &Redactor, problem: Problem) -> Problem {
    Problem::new(problem.code, redactor.redact(&problem.detail), problem.todo)
}

pub(crate) fn fault(why: String) -> Problem {
    Problem::new(
        ErrorCode::AgentFault,
        format!("The agent could not run the playbook: {why}."),
        "`chiffon doctor` looks for the cause; the agent's log tells more.",
    )
}

fn leftovers() -> Problem {
    Problem::new(
        ErrorCode::OutcomeUnknown,
        "The run was ended, but it is not certain that nothing of it still runs on this machine or its hosts.",
        "Look for its processes on the hosts, then tell Chiffon how it ended.",
    )
}

fn too_long() -> Problem {
    Problem::new(
        ErrorCode::TimedOut,
        "The run took longer than it may and was ended.",
        "Find out what it waits for, or give the entry a longer timeout.",
    )
}

fn no_sandbox(why: &str) -> Problem {
    Problem::new(
        ErrorCode::IsolationMissing,
        format!("The sandbox of the run cannot be entered: {why}."),
        "Nothing was run. `chiffon doctor` tries it again; docs/isolation.md tells more.",
    )
}

fn too_much(passed: Passed, limits: &Limits) -> Problem {
    let (what, key) = match passed {
        Passed::Memory => (format!("{} MiB of memory", limits.memory_mib), "memory_mib"),
        Passed::Processes => (format!("{} processes", limits.processes), "processes"),
    };
    Problem::new(
        ErrorCode::RunTooLarge,
        format!("The run used more than {what} on the agent's machine and was ended."),
        format!(
            "See how far it came. Run it on fewer hosts, or raise agents.infrastructure.limits.{key}."
        ),
    )
}

fn contact_lost(host: &str) -> Problem {
    Problem::new(
        ErrorCode::Interrupted,
        format!(
            "The connection to {host} was lost in the middle of a task; whatever the run had left there was ended."
        ),
        "See how far it came, then ask again.",
    )
}

fn interrupted() -> Problem {
    Problem::new(
        ErrorCode::Interrupted,
        "The process that watched over the run died; everything the run started was ended.",
        "See how far it came, then ask again.",
    )
}
