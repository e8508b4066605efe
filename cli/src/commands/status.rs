//! `chiffon status`: health, agents and open requests on one screen.

use chiffon_common::api::{AgentView, Health, RequestView};
use serde::Serialize;

use super::{Context, read};
use crate::{client::ListRequests, exit::Exit, failure::Failure, output, render};

/// More open requests than a screen has lines.
const OPEN: u32 = 50;

#[derive(Serialize)]
struct Status {
    health: Health,
    agents: Vec<AgentView>,
    open_requests: Vec<RequestView>,
}

pub async fn status(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let list = ListRequests {
        limit: OPEN,
        open_only: true,
        ..ListRequests::default()
    };
    let status = read(context, async |client| {
        Ok(Status {
            health: client.health().await?,
            agents: client.agents().await?.items,
            open_requests: client.requests(&list).await?.items,
        })
    });
    let status = status.await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &status, || {
        let mut text = render::health(paint, &status.health);
        if !status.agents.is_empty() {
            text += &format!("\n\n{}", render::agents(paint, &status.agents));
        }
        text += "\n\n";
        text += &match status.open_requests.is_empty() {
            true => "No open requests.".to_owned(),
            false => render::requests(paint, &status.open_requests),
        };
        text
    });
    match status.health.status.as_str() {
        "ok" => Ok(Exit::Ok),
        _ => Ok(Exit::Failure),
    }
}
