//! `chiffon watch`: follows a request live until it ends.

use super::{Context, answer::Said, run::see_through};
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
    let said = Said {
        // A question is named with exit code 6: who only watches may not be the one who decides.
        only_looks: true,
        ..Said::default()
    };
    see_through(context, session, id, &said).await
}
