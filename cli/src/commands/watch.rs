//! `chiffon watch`: follows a request live until it ends.

use std::time::Duration;

use super::{Context, answer::Said, through::see_through};
use crate::{
    args::Watch,
    exit::Exit,
    failure::Failure,
    session::{Need, Session},
};

pub async fn watch(context: &mut Context<'_>, args: &Watch) -> Result<Exit, Failure> {
    let session = Session::open(context, Need::Agents).await?;
    let ended = follow(context, &session, args).await;
    session.close().await;
    ended
}

async fn follow(
    context: &mut Context<'_>,
    session: &Session,
    args: &Watch,
) -> Result<Exit, Failure> {
    let id = session.client.resolve(&args.request).await?;
    let said = Said {
        // A question is named with exit code 6: who only watches may not be the one who decides.
        only_looks: true,
        timeout: args.patience.timeout.map(Duration::from_secs),
        ..Said::default()
    };
    see_through(context, session, id, &said).await
}
