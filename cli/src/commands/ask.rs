//! `chiffon ask`: hands a request in and comes back at once. Where no fleet runs it is kept in the data folder.

use super::{Context, asking::new_request};
use crate::{
    args::Ask,
    exit::Exit,
    failure::Failure,
    output, render,
    session::{Need, Session, interrupted},
};

pub async fn ask(context: &mut Context<'_>, args: &Ask) -> Result<Exit, Failure> {
    let request = new_request(&args.text, &args.belongs)?;
    let session = Session::open(context, Need::Records).await?;
    let accepted = tokio::select! {
        accepted = session.client.ask(&request) => accepted,
        () = context.interrupt.wait() => Err(interrupted()),
    };
    let stays = session.stays();
    session.close().await;
    let accepted = accepted?;
    let terminal = context.terminal;
    let id = accepted.request_id;
    output::one(terminal, &accepted, || {
        let state = render::state(terminal.out, &accepted.state);
        format!("Request {id} is taken: {state}.\nWatch it: chiffon watch {id}")
    });
    if !stays {
        terminal.say(&format!(
            "No `chiffon up` runs: the request is kept, and goes on with the next one or with `chiffon watch {id}`."
        ));
    }
    Ok(Exit::Ok)
}
