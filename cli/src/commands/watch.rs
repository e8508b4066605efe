//! `chiffon watch`: follows a request live until it ends.

use super::{Context, answer::Said, follow::Questions, run::see_through};
use crate::{
    args::Watch,
    exit::Exit,
    failure::Failure,
    session::{Need, Session},
};

pub async fn watch(context: &mut Context<'_>, args: &Watch) -> Result<Exit, Failure> {
    let session = Session::open(context, Need::Agents).await?;
    let ended = follow(context, &session, &args.request).await;
    session.close().await;
    ended
}

async fn follow(
    context: &mut Context<'_>,
    session: &Session,
    request: &str,
) -> Result<Exit, Failure> {
    let id = session.client.resolve(request).await?;
    // Where a fleet stays, somebody else may answer; here it would wait for nobody.
    let questions = match session.is_one_shot() || context.terminal.may_ask {
        true => Questions::Stop,
        false => Questions::WaitOut,
    };
    see_through(context, session, id, &Said::default(), questions).await
}
