//! `chiffon fleet`, `chiffon fleet pause|resume`.

use chiffon_common::{
    AgentId, ErrorCode, Problem,
    api::{AgentStatus, AgentView},
};

use super::{Context, read};
use crate::{
    args::{Change, Fleet},
    client::Client,
    exit::Exit,
    failure::Failure,
    output, render,
    session::{Need, Session, interrupted},
};

/// An agent's row changes with each sign of life; one that somebody else keeps changing is told.
const TRIES: u32 = 5;

pub async fn fleet(context: &mut Context<'_>, args: &Fleet) -> Result<Exit, Failure> {
    match &args.change {
        None => show(context).await,
        Some(Change::Pause { agent }) => set(context, agent, AgentStatus::Inactive).await,
        Some(Change::Resume { agent }) => set(context, agent, AgentStatus::Active).await,
    }
}

async fn show(context: &mut Context<'_>) -> Result<Exit, Failure> {
    let session = Session::open(context, Need::Records).await?;
    let agents = tokio::select! {
        agents = session.client.agents() => agents,
        () = context.interrupt.wait() => Err(interrupted()),
    };
    let runs = session.has_agents();
    session.close().await;
    let page = agents?;
    let terminal = context.terminal;
    output::list(terminal, &page.items, &page, || {
        match page.items.is_empty() {
            true => "No agent has ever run here; `chiffon up` starts them.".to_owned(),
            false => render::fleet(terminal.out, &page.items),
        }
    });
    if !runs && !page.items.is_empty() {
        terminal.say("No fleet runs; this is what was last known of it. `chiffon up` starts it.");
    }
    Ok(Exit::Ok)
}

async fn set(context: &mut Context<'_>, agent: &str, status: AgentStatus) -> Result<Exit, Failure> {
    let id = agent.parse::<AgentId>().map_err(|error| {
        let todo = "`chiffon fleet` shows all.";
        Failure::from(Problem::new(ErrorCode::NotFound, format!("{error}."), todo))
    })?;
    let agent = read(context, async |client| change(&client, &id, status).await).await?;
    let terminal = context.terminal;
    output::one(terminal, &agent, || {
        let what = match status {
            AgentStatus::Active => "gets work.",
            AgentStatus::Inactive => "gets no new work; what it has in hand goes on.",
        };
        format!("{} {what}", terminal.out.bold(agent.agent_id.as_str()))
    });
    Ok(Exit::Ok)
}

/// From the version that was read. A sign of life in between is nobody's word, so it is read again then; what
/// another person has said in between is told.
async fn change(client: &Client, id: &AgentId, status: AgentStatus) -> Result<AgentView, Failure> {
    let mut was = client.agent(id).await?;
    let said = was.value.status.clone();
    let mut tries = 1..TRIES;
    loop {
        let failure = match client.set_agent_status(&was, status).await {
            Err(failure) if failure.code == Some(ErrorCode::PreconditionFailed) => failure,
            other => return other,
        };
        was = client.agent(id).await?;
        if was.value.status != said || tries.next().is_none() {
            return Err(failure);
        }
    }
}
