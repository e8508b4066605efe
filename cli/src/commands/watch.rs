//! `chiffon watch`: follows a request live until it ends. Everything that happens is left to `events`.

use std::time::Duration;

use super::{Context, answer::Said, events::events, through::see_through};
use crate::{
    args::Watch,
    exit::Exit,
    failure::Failure,
    session::{Need, Session},
};

pub async fn watch(context: &mut Context<'_>, args: &Watch) -> Result<Exit, Failure> {
    let Some(request) = &args.request else {
        return events(context, args).await;
    };
    let session = Session::open(context, Need::Agents).await?;
    let ended = follow(context, &session, request, args).await;
    session.close().await;
    ended
}

async fn follow(
    context: &mut Context<'_>,
    session: &Session,
    request: &str,
    args: &Watch,
) -> Result<Exit, Failure> {
    let id = session.client.resolve(request).await?;
    let said = Said {
        // A question is named with exit code 6: who only watches may not be the one who decides.
        only_looks: true,
        timeout: args.patience.timeout.map(Duration::from_secs),
        ..Said::default()
    };
    see_through(context, session, id, &said).await
}
