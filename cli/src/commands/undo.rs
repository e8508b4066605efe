//! `chiffon undo`: a request is taken back by a new one, which is seen through like any other.

use chiffon_common::api::UndoRequest;

use super::{Context, answer::Said, asking::tell_taken, through::see_through};
use crate::{
    args::Undo,
    exit::Exit,
    failure::Failure,
    session::{Need, Session},
};

pub async fn undo(context: &mut Context<'_>, args: &Undo) -> Result<Exit, Failure> {
    let session = Session::open(context, Need::OwnAgents).await?;
    let ended = take_back(context, &session, args).await;
    session.close().await;
    ended
}

async fn take_back(
    context: &mut Context<'_>,
    session: &Session,
    args: &Undo,
) -> Result<Exit, Failure> {
    let said = Said {
        dry_run: args.dry_run,
        ..Said::beforehand(&args.consent, args.patience)
    };
    let client = &session.client;
    let request = client.resolve(&args.request).await?;
    let asked = UndoRequest {
        what_can_be: args.what_can_be,
    };
    let accepted = client.undo(request, &asked).await?;
    tell_taken(context.terminal, accepted.request_id);
    see_through(context, session, accepted.request_id, &said).await
}
