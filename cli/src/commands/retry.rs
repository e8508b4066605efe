//! `chiffon request retry`: the same again, as a new request that is seen through like any other.

use super::{Context, answer::Said, asking::tell_taken, through::see_through};
use crate::{
    args::Retry,
    exit::Exit,
    failure::Failure,
    session::{Need, Session},
};

pub async fn retry(context: &mut Context<'_>, args: &Retry) -> Result<Exit, Failure> {
    let said = Said::beforehand(&args.consent, args.patience);
    let session = Session::open(context, Need::OwnAgents).await?;
    let ended = again(context, &session, &args.request, &said).await;
    session.close().await;
    ended
}

async fn again(
    context: &mut Context<'_>,
    session: &Session,
    request: &str,
    said: &Said,
) -> Result<Exit, Failure> {
    let client = &session.client;
    let accepted = client.retry(client.resolve(request).await?).await?;
    tell_taken(context.terminal, accepted.request_id);
    see_through(context, session, accepted.request_id, said).await
}
