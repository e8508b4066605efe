//! `chiffon status`: health, agents and open requests on one screen.

use chiffon_common::api::{AgentView, Health, HostView, RequestView};
use serde::Serialize;

use super::{Context, health};
use crate::{
    client::ListRequests,
    exit::Exit,
    failure::Failure,
    output, render,
    session::{Need, Session, interrupted},
    terminal::Paint,
};

/// More open requests than a screen has lines.
const OPEN: u32 = 50;

#[derive(Serialize)]
struct Status {
    health: Health,
    /// Whether agents are there; without them nothing of what is open moves.
    fleet_runs: bool,
    agents: Vec<AgentView>,
    open_requests: Vec<RequestView>,
    /// Those of them that wait for a person, with their questions.
    waiting: Vec<RequestView>,
    /// Hosts on which the outcome of a change is open.
    needs_look: Vec<HostView>,
}

pub async fn status(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let session = Session::open(context, Need::Records).await?;
    let mut interrupt = context.interrupt.clone();
    let looked = tokio::select! {
        looked = look(context, &session) => looked,
        () = interrupt.wait() => Err(interrupted()),
    };
    session.close().await;
    let status = looked?;
    let paint = context.terminal.out;
    output::one(context.terminal, &status, || text(paint, &status));
    match status.health.status.as_str() {
        "ok" => Ok(Exit::Ok),
        _ => Ok(Exit::Failure),
    }
}

async fn look(context: &Context<'_>, session: &Session) -> Result<Status, Failure> {
    let (client, fleet_runs) = (&session.client, session.has_agents());
    let list = ListRequests {
        limit: OPEN,
        open_only: true,
        ..ListRequests::default()
    };
    let mut agents = client.agents().await?.items;
    let open_requests = client.requests(&list).await?.items;
    let mut waiting = Vec::new();
    for request in open_requests.iter().filter(|one| one.waits_for_person) {
        waiting.push(client.request(request.request_id).await?);
    }
    let mut needs_look = client.inventory().await?.hosts;
    needs_look.retain(|host| host.needs_look.is_some());
    let mut health = health(context, session).await?;
    if !fleet_runs {
        // What is known of them is how they were when they ended.
        agents.clear();
        health.agents.clear();
    }
    Ok(Status {
        health,
        fleet_runs,
        agents,
        open_requests,
        waiting,
        needs_look,
    })
}

fn text(paint: Paint, status: &Status) -> String {
    let mut parts = vec![render::health(paint, &status.health)];
    if !status.fleet_runs {
        parts.push("No fleet runs; `chiffon up` starts it.".to_owned());
    } else if !status.agents.is_empty() {
        parts.push(render::agents(paint, &status.agents));
    }
    parts.push(match status.open_requests.is_empty() {
        true => "No open requests.".to_owned(),
        false => render::requests(paint, &status.open_requests),
    });
    if !status.waiting.is_empty() {
        parts.push(render::waiting(paint, &status.waiting));
    }
    parts.extend(render::looks(paint, &status.needs_look));
    parts.join("\n\n")
}
