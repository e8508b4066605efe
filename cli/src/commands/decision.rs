//! `chiffon decision list|show|watch|answer`.

use chiffon_common::api::DecisionView;

use super::{
    Context,
    answer::Said,
    approve::{decide, digest},
    asking::from_input,
    decisions_watch, read, reply, tell_more,
};
use crate::{
    args::{AnswerDecision, Decision, ListDecisions as List},
    client::ListDecisions,
    exit::Exit,
    failure::Failure,
    output, render,
    session::{Need, Session},
};

pub async fn decision(context: &mut Context<'_>, args: &Decision) -> Result<Exit, Failure> {
    match args {
        Decision::List(args) => list(context, args).await,
        Decision::Show { decision } => show(context, decision).await,
        Decision::Watch(args) => decisions_watch::watch(context, args).await,
        Decision::Answer(args) => answer(context, args).await,
    }
}

async fn list(context: &mut Context<'_>, args: &List) -> Result<Exit, Failure> {
    let state = match (args.all, &args.state) {
        (true, _) => None,
        (false, Some(state)) => Some(state.clone()),
        (false, None) => Some("pending".to_owned()),
    };
    let page = read(context, async |client| {
        let request = match &args.request {
            Some(request) => Some(client.resolve(request).await?),
            None => None,
        };
        let list = ListDecisions {
            limit: args.part.limit,
            cursor: args.part.cursor.clone(),
            state: state.clone(),
            request,
            project: args.project.clone(),
        };
        client.decisions(&list).await
    });
    let page = page.await?;
    let terminal = context.terminal;
    output::list(terminal, &page.items, &page, || match &*page.items {
        [] if state.as_deref() == Some("pending") => "Nothing waits for an answer.".to_owned(),
        [] => "There are no such questions.".to_owned(),
        decisions => render::decisions(terminal.out, decisions),
    });
    tell_more(terminal, &page);
    Ok(Exit::Ok)
}

async fn show(context: &mut Context<'_>, id: &str) -> Result<Exit, Failure> {
    let decision: DecisionView = read(context, async |client| {
        client.decision(client.resolve_decision(id).await?).await
    })
    .await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &decision, || {
        render::decision(paint, &decision)
    });
    Ok(Exit::Ok)
}

async fn answer(context: &mut Context<'_>, args: &AnswerDecision) -> Result<Exit, Failure> {
    let text = match args.text.as_deref() {
        Some("-") => Some(from_input("Give the answer by --text.")?),
        given => given.map(str::to_owned),
    };
    let session = Session::open(context, Need::Agents).await?;
    let ended = give(context, &session, args, text).await;
    session.close().await;
    ended
}

async fn give(
    context: &mut Context<'_>,
    session: &Session,
    args: &AnswerDecision,
    text: Option<String>,
) -> Result<Exit, Failure> {
    let client = &session.client;
    let id = client.resolve_decision(&args.decision).await?;
    let decision = client.decision(id).await?;
    let digest = digest(args.digest.as_deref())?;
    let said = Said {
        confirm: args.confirm.clone(),
        comment: args.comment.clone(),
        ..Said::default()
    };
    // A closed one is the server's to refuse: it knows who was quicker.
    let is_open = decision.state == "pending";
    let choice = args.choice.as_deref();
    if let (None, Some(choice), true) = (&text, choice, is_open && !decision.takes_text) {
        let request = client.request(decision.request_id).await?;
        let choice = Some(choice);
        return decide(context, session, &request, &decision, choice, digest, &said).await;
    }
    let mut answer = reply::reply(&decision, choice.unwrap_or_default(), said.comment.clone());
    if text.is_some() {
        (answer.choice, answer.text) = (None, text);
    } else if let Some(choice) = choice.filter(|_| answer.choice.is_none()) {
        // What is no option is told as such; own words have a flag of their own.
        (answer.choice, answer.text) = (Some(choice.to_owned()), None);
    }
    answer.digest = digest;
    let request = client.resolve_with(id, &answer).await?;
    if session.is_one_shot() && !request.ended {
        return super::through::see_through(context, session, request.request_id, &said).await;
    }
    super::approve::show(context, &request);
    Ok(Exit::Ok)
}
