//! Ids for completion, asked of the running fleet by one question. Whatever is not as it should be gives
//! nothing: a key that was pressed must start nothing, make nothing, say nothing, and never wait for long.

use std::{collections::BTreeSet, time::Duration};

use chiffon_common::api::RequestView;
use clap_complete::engine::CompletionCandidate;

use crate::{
    client::{Client, ListDecisions, ListRequests},
    failure::Failure,
    home::{Home, Running, read_token},
    render::one_line,
};
use chiffon_program::Env;

/// Longer, and a person thinks that the key did nothing.
const LIMIT: Duration = Duration::from_millis(400);

/// More than anybody reads; older ones are typed.
const MOST: u32 = 200;

/// Beside an id on one line of a terminal.
const HELP: usize = 60;

/// Which requests fit a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Every one.
    All,
    /// Those that have not ended.
    Open,
    /// Those that wait for a person.
    Waiting,
}

/// Requests, newest first.
pub(super) fn requests(which: Which) -> Vec<CompletionCandidate> {
    let list = ListRequests {
        limit: MOST,
        open_only: which != Which::All,
        ..ListRequests::default()
    };
    let page = ask(async |client| client.requests(&list).await);
    let fits = |request: &RequestView| which != Which::Waiting || request.waits_for_person;
    let requests = page.into_iter().flat_map(|page| page.items).filter(fits);
    let named = requests.map(|request| {
        let help = format!("{}: {}", request.state.replace('_', " "), request.text);
        (request.request_id.to_string(), help)
    });
    candidates(named)
}

/// Decisions that wait, newest first.
pub(super) fn decisions() -> Vec<CompletionCandidate> {
    let list = ListDecisions {
        limit: MOST,
        state: Some("pending".to_owned()),
        ..ListDecisions::default()
    };
    let page = ask(async |client| client.decisions(&list).await);
    let decisions = page.into_iter().flat_map(|page| page.items);
    candidates(decisions.map(|one| (one.decision_id.to_string(), one.question)))
}

/// Schedules, newest first.
pub(super) fn schedules() -> Vec<CompletionCandidate> {
    let page = ask(async |client| client.schedules(MOST, None, None).await);
    let schedules = page.into_iter().flat_map(|page| page.items);
    let named = schedules.map(|schedule| {
        let asks = schedule
            .text
            .or(schedule.entry.map(|entry| entry.to_string()));
        let help = format!("{}: {}", schedule.state, asks.unwrap_or_default());
        (schedule.schedule_id.to_string(), help)
    });
    candidates(named)
}

/// Entries of the catalogue.
pub(super) fn entries() -> Vec<CompletionCandidate> {
    let catalogue = ask(async |client| client.catalogue().await);
    let entries = catalogue.into_iter().flat_map(|view| view.entries);
    candidates(entries.map(|entry| (entry.id.to_string(), entry.title)))
}

/// Hosts whose key can be asked for: this machine has none.
pub(super) fn hosts() -> Vec<CompletionCandidate> {
    let inventory = ask(async |client| client.inventory().await);
    let hosts = inventory.into_iter().flat_map(|view| view.hosts);
    let remote = hosts.filter(|host| !host.local);
    candidates(remote.map(|host| {
        let help = if host.pinned { "pinned" } else { "not pinned" };
        (host.name.to_string(), help.to_owned())
    }))
}

/// Hosts and their groups: where something can run.
pub(super) fn places() -> Vec<CompletionCandidate> {
    let inventory = ask(async |client| client.inventory().await);
    let hosts = inventory.map(|view| view.hosts).unwrap_or_default();
    let groups: BTreeSet<&String> = hosts.iter().flat_map(|host| &host.groups).collect();
    let groups = groups
        .into_iter()
        .map(|group| (group.clone(), "a group".to_owned()));
    let named = hosts.iter().map(|host| {
        let also = host.aliases.join(", ");
        (host.name.to_string(), also)
    });
    candidates(named.chain(groups))
}

/// Agents.
pub(super) fn agents() -> Vec<CompletionCandidate> {
    let agents = ask(async |client| client.agents().await);
    let agents = agents.into_iter().flat_map(|page| page.items);
    candidates(agents.map(|agent| (agent.agent_id.to_string(), agent.status)))
}

/// In this order, each with a word about it.
fn candidates(named: impl Iterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let candidate = |(n, (id, help)): (usize, (String, String))| {
        CompletionCandidate::new(id)
            .help(Some(one_line(&help, HELP).into()))
            .display_order(Some(n))
    };
    named.enumerate().map(candidate).collect()
}

fn ask<T>(question: impl AsyncFnOnce(Client) -> Result<T, Failure>) -> Option<T> {
    let home = Home::locate(&Env::of_process()).ok()?;
    let running = Running::of(&home)?;
    let client = Client::new(running.address, read_token(&home).ok()?).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let answer = async { tokio::time::timeout(LIMIT, question(client)).await };
    runtime.block_on(answer).ok()?.ok()
}
