//! `chiffon run`: ask, show the plan, have it approved, follow, show the outcome and where it is recorded.

use super::{
    Context,
    answer::Said,
    asking::{new_request, tell_taken},
    through::see_through,
};
use crate::{
    args::Run,
    exit::Exit,
    failure::Failure,
    session::{Need, Session},
};

pub async fn run(context: &mut Context<'_>, args: &Run) -> Result<Exit, Failure> {
    let request = new_request(&args.text, &args.belongs)?;
    let said = Said {
        dry_run: args.dry_run,
        ..Said::beforehand(&args.consent, args.patience)
    };
    let session = Session::open(context, Need::OwnAgents).await?;
    let ended = match session.client.ask(&request).await {
        Ok(accepted) => {
            tell_taken(context.terminal, accepted.request_id);
            see_through(context, &session, accepted.request_id, &said).await
        }
        Err(failure) => Err(failure),
    };
    session.close().await;
    ended
}
