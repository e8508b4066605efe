//! What the line has to know, read from the stored tasks and from the inventory; and what a task waits for,
//! in words that a person can do something with. Whose turn it is stands in `line`.

use std::collections::BTreeMap;

use chiffon_arbiter::{Run, Task, WaitingOn, changes};
use chiffon_common::{
    AgentKind, HostName, ProjectId, RequestId, Step, TaskId, api::AgentStatus, clock_words,
};
use chiffon_store::TaskRow;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    AdvanceError, Shared,
    dispatch::Slots,
    library::Moment,
    line::{Ahead, Claim, Holder, Line, Turn, Waiting},
    rows::lease_owner,
};
use crate::inventory::Inventory;

/// The states in which an agent may have a task.
pub(super) const IN_HAND: [&str; 4] = ["dispatched", "accepted", "running", "unknown"];

/// Places that are counted out. The words of each who waits change whenever the line moves, and each change is
/// a write, so those further behind are told less.
const COUNTED: usize = 9;

impl Shared {
    /// The line before a round: who holds which rights, how much each project has at work, and free slots.
    pub(super) async fn line(
        &self,
        slots: &Slots,
        in_hand: &[TaskRow],
    ) -> Result<Line, AdvanceError> {
        let free = slots.iter().map(|(id, (_, free))| (id.clone(), *free));
        let limit = self.settings.project_tasks;
        let mut line = Line::new(free.collect(), limit);
        let mut projects: BTreeMap<RequestId, ProjectId> = BTreeMap::new();
        for row in in_hand {
            let unknown = is_unknown(row);
            let task = row.task_id;
            line.holds(leases_of(row), Holder { task, unknown });
            // What nobody has heard of for long is no reason to stop the rest of its project.
            if unknown || limit.is_none() {
                continue;
            }
            let project = match projects.get(&row.request_id) {
                Some(known) => known.clone(),
                None => self.load(row.request_id).await?.0.request.project_id,
            };
            line.at_work(&project);
            projects.insert(row.request_id, project);
        }
        Ok(line)
    }

    /// A task as the line sees it.
    pub(super) async fn waiting(
        &self,
        run: &Run,
        task: &Task,
        step: &Step,
        moment: Moment,
    ) -> Waiting {
        let claims = match changes(task, step) {
            true => self.claims(step, moment).await,
            false => Vec::new(),
        };
        Waiting {
            task: task.task_id,
            request: run.request.request_id,
            project: run.request.project_id.clone(),
            claims,
        }
    }

    /// The rights to be alone on the hosts of a step: by the name, and by the machine behind it, so that an
    /// inventory that is edited meanwhile, or names one machine twice, opens no gap.
    async fn claims(&self, step: &Step, moment: Moment) -> Vec<Claim> {
        let loaded = self.library.since(moment).await.ok();
        let inventory = loaded.as_ref().and_then(|loaded| loaded.inventory().ok());
        let mut claims: Vec<Claim> = Vec::new();
        for host in &step.hosts {
            let machine = inventory.and_then(|inventory| machine_claim(inventory, host));
            let leases = std::iter::once(host_claim(host)).chain(machine);
            for lease in leases {
                if !claims.iter().any(|claim| claim.lease == lease) {
                    let host = host.to_string();
                    claims.push(Claim { lease, host });
                }
            }
        }
        claims
    }

    /// What a task waits for, whose turn it is not.
    pub(super) async fn waits_for(&self, turn: &Turn) -> Result<WaitingOn, AdvanceError> {
        Ok(match turn {
            Turn::Host {
                claim,
                ahead: Ahead::Holds(task),
                before,
            } => {
                let tenant = &self.settings.tenant;
                let names = std::slice::from_ref(&claim.lease);
                let now = self.clock.now();
                let held = self.store.leases(tenant, names, now).await?;
                let since = held.first().map_or(now, |lease| lease.since);
                let owner = lease_owner(*task);
                let words = self.held_words(claim, &owner, since, *before).await;
                WaitingOn::Lease { words }
            }
            Turn::Host {
                claim,
                ahead: Ahead::Came(request),
                before,
            } => {
                let (host, place) = (&claim.host, place(*before));
                let words = format!("waits for {host}: request {request} came first{place}");
                WaitingOn::Lease { words }
            }
            Turn::Project(limit) => {
                let words =
                    format!("waits for its project, of which {limit} may be at work at once");
                WaitingOn::Resources { words }
            }
            Turn::Go(_) | Turn::Agent => WaitingOn::Agent {
                words: self.agent_words().await?,
            },
        })
    }

    /// Who holds a host, since when, and whether that one waits itself.
    pub(super) async fn held_words(
        &self,
        claim: &Claim,
        owner: &str,
        since: Timestamp,
        before: usize,
    ) -> String {
        let task: Option<TaskId> = owner.strip_prefix("task:").and_then(|id| id.parse().ok());
        let request = match task {
            Some(task) => self.store.request_of_task(task).await.ok().flatten(),
            None => None,
        };
        let mut asks = "";
        let mut same = "";
        if let (Some(task), Some((_, request))) = (task, &request)
            && let Ok((run, _)) = self.load(*request).await
        {
            let open = |decision: &chiffon_arbiter::Decision| !decision.state.ended();
            if run.decisions.values().any(open) {
                asks = ", which waits for an answer itself";
            }
            let step = super::outgoing::step_of(&run, task).ok();
            let names_it = step.is_none_or(|(_, step)| {
                let mut hosts = step.hosts.iter();
                hosts.any(|host| host.as_str() == claim.host)
            });
            if !names_it {
                same = " under another name";
            }
        }
        let holder = request.map_or_else(
            || owner.to_owned(),
            |(_, request)| format!("request {request}"),
        );
        let since = clock_words(since, self.clock.now(), "%H:%M");
        let (host, place) = (&claim.host, place(before));
        format!("waits for {host}, held{same} by {holder} since {since}{asks}{place}")
    }

    /// What a task waits for where no agent takes it.
    async fn agent_words(&self) -> Result<String, AdvanceError> {
        let agents = self.store.agents(&self.settings.tenant).await?;
        let kind = AgentKind::Infrastructure;
        let heard = self.registry.all();
        let able = agents.iter().filter(|row| {
            let heard = heard.get(&row.agent_id);
            heard.is_some_and(|heard| heard.beat.kind == kind)
        });
        let (paused, active): (Vec<_>, Vec<_>) =
            able.partition(|row| row.status == AgentStatus::Inactive.name());
        let out = active
            .iter()
            .map(|row| Some((&row.agent_id, self.agent_fault(&row.agent_id)?)));
        // Where all of them are out, what is wrong with the first is what is waited for.
        if let Some(Some((agent, fault))) = out.clone().next()
            && out.clone().all(|one| one.is_some())
        {
            return Ok(format!("waits for agent {agent}: {fault}"));
        }
        Ok(match (active.is_empty(), paused.first()) {
            (false, _) => "waits for an agent with a free slot".to_owned(),
            (true, Some(paused)) => format!(
                "waits for an agent: {} is paused; chiffon fleet resume {}",
                paused.agent_id, paused.agent_id
            ),
            (true, None) => "waits for an agent to report".to_owned(),
        })
    }
}

/// The name of the right to be alone on what has this name.
pub(super) fn host_claim(host: &HostName) -> String {
    format!("host:{host}")
}

/// The name of the right to be alone on the machine behind a name, where that can be known.
pub(super) fn machine_claim(inventory: &Inventory, host: &HostName) -> Option<String> {
    let machine = inventory.machine(inventory.host(host)?)?;
    Some(format!("machine:{machine}"))
}

/// Whether contact with the task's agent is lost.
pub(super) fn is_unknown(row: &TaskRow) -> bool {
    row.state == "unknown"
}

fn leases_of(row: &TaskRow) -> Vec<String> {
    let names = row.doc.get("leases").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

fn place(before: usize) -> String {
    match before {
        0 => String::new(),
        1..=COUNTED => format!("; {before} before it"),
        _ => format!("; more than {COUNTED} before it"),
    }
}
