//! Machines on which the outcome of a change is open: who needs a look, and a person's word that it was had.
//!
//! The marks are set and taken back with the moves of the task (`outgoing`), one for each task and place; here they are
//! read, for all names of a machine at once, and cleared by hand.

use std::collections::BTreeSet;

use chiffon_arbiter::Run;
use chiffon_common::{ErrorCode, HostName, Plan, Problem, RequestId, TaskId, api::NeedsLook};
use chiffon_store::{Commit, Error, HostRow, Write};
use serde_json::json;

use super::{
    Editor, Shared,
    turns::{host_claim, machine_claim},
};
use crate::inventory::Inventory;

/// Why a mark was not taken away.
#[derive(Debug)]
pub(crate) enum ClearError {
    /// It may not be now: what, why, and what to do.
    Refused(Problem),
    Store(Error),
}

impl From<Error> for ClearError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl Shared {
    /// What is open on a host, under whatever name, if something is.
    pub(crate) async fn needs_look(
        &self,
        host: &HostName,
        inventory: Option<&Inventory>,
    ) -> Result<Option<NeedsLook>, Error> {
        let open = self.open_on(host, inventory).await?;
        let Some(look) = look_of(&open) else {
            return Ok(None);
        };
        Ok(Some(NeedsLook {
            asked: self.asked(&open).await?,
            ..look
        }))
    }

    /// The marks of the machine behind a host.
    async fn open_on(
        &self,
        host: &HostName,
        inventory: Option<&Inventory>,
    ) -> Result<Vec<HostRow>, Error> {
        let places = places_of(host, inventory);
        self.store.open_at(&self.settings.tenant, &places).await
    }

    /// What a person should know before this plan runs: hosts on which another change is unresolved.
    pub(crate) async fn warnings(&self, run: &Run) -> Result<Vec<String>, Error> {
        match run.plan.as_ref().filter(|_| !run.request.state.ended()) {
            Some(plan) => self.warnings_of(plan, Some(run.request.request_id)).await,
            None => Ok(Vec::new()),
        }
    }

    /// The same of a plan; what its own request has left open does not count.
    pub(crate) async fn warnings_of(
        &self,
        plan: &Plan,
        own: Option<RequestId>,
    ) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        let loaded = self.library.current().await.ok();
        let inventory = loaded.as_ref().and_then(|loaded| loaded.inventory().ok());
        let mut hosts: Vec<_> = plan.steps.iter().flat_map(|step| &step.hosts).collect();
        hosts.sort();
        hosts.dedup();
        for host in hosts {
            let mut open = self.open_on(host, inventory).await?;
            open.retain(|mark| Some(mark.request_id) != own);
            warnings.extend(look_of(&open).map(|look| look.words(host)));
        }
        Ok(warnings)
    }

    /// A person has looked at a host: nothing is open of its machine any more. While somebody is still asked how a
    /// change ended there, the look is not had.
    pub(crate) async fn clear_host(
        &self,
        host: &HostName,
        inventory: &Inventory,
        editor: &Editor,
    ) -> Result<(), ClearError> {
        let open = self.open_on(host, Some(inventory)).await?;
        if open.is_empty() {
            return Ok(());
        }
        if let Some(request) = self.asked(&open).await? {
            return Err(ClearError::Refused(still_asked(host, request)));
        }
        let tasks: BTreeSet<TaskId> = open.iter().map(|mark| mark.task_id).collect();
        let was: Vec<_> = open
            .iter()
            .map(|mark| {
                json!({ "place": mark.place, "task_id": mark.task_id, "request_id": mark.request_id,
                        "because": mark.because })
            })
            .collect();
        let data = json!({ "needs_look": false, "was": was });
        let audit = self.edited("host", host.to_string(), data, editor);
        let unmark = |task_id| {
            let of_task = open.iter().filter(|mark| mark.task_id == task_id);
            Write::UnmarkHosts {
                task_id,
                places: Some(of_task.map(|mark| mark.place.clone()).collect()),
            }
        };
        let commit = Commit {
            tenant_id: self.settings.tenant.clone(),
            writes: tasks.into_iter().map(unmark).collect(),
            audit: vec![audit],
            ..Commit::default()
        };
        self.commit(commit).await?;
        Ok(())
    }

    /// The first request of which agent, check or person may still say how its task ended. Told by the column, so that
    /// a row that cannot be understood any more holds nothing for ever.
    async fn asked(&self, open: &[HostRow]) -> Result<Option<RequestId>, Error> {
        let tenant = &self.settings.tenant;
        let mut tasks: BTreeSet<TaskId> = BTreeSet::new();
        for mark in open.iter().filter(|mark| tasks.insert(mark.task_id)) {
            let rows = self.store.run(tenant, mark.request_id).await?;
            let mut of_request = rows.into_iter().flat_map(|rows| rows.tasks);
            if of_request.any(|task| task.task_id == mark.task_id && !task.ended) {
                return Ok(Some(mark.request_id));
            }
        }
        Ok(None)
    }
}

/// Where marks of the machine behind a host lie: by that machine, and by every name that it has now.
fn places_of(host: &HostName, inventory: Option<&Inventory>) -> Vec<String> {
    let mut places = vec![host_claim(host)];
    let Some(inventory) = inventory else {
        return places;
    };
    let machine = inventory
        .host(host)
        .and_then(|known| inventory.machine(known));
    if let Some(machine) = machine {
        let names = inventory.names_of_machine(&machine).iter();
        let same = names.filter(|name| *name != host);
        places.extend(same.map(host_claim));
        places.extend(machine_claim(inventory, host));
    }
    places
}

fn look_of(open: &[HostRow]) -> Option<NeedsLook> {
    let first = open.first()?;
    let mut others: Vec<RequestId> = Vec::new();
    for mark in open {
        if mark.request_id != first.request_id && !others.contains(&mark.request_id) {
            others.push(mark.request_id);
        }
    }
    Some(NeedsLook {
        since: first.since,
        because: first.because.clone(),
        request_id: Some(first.request_id),
        others,
        asked: None,
    })
}

fn still_asked(host: &HostName, request: RequestId) -> Problem {
    Problem::new(
        ErrorCode::LookStillAsked,
        format!(
            "the mark of {host} stays: how a change of request {request} ended there may still be said, and is asked"
        ),
        format!(
            "say how it ended, which takes the mark away: chiffon request resolve {request} completed, retry or failed"
        ),
    )
}
