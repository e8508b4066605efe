//! `chiffon decision list`.

use super::{Context, read, tell_more};
use crate::{args, client::ListDecisions, exit::Exit, failure::Failure, output, render};

pub async fn decision(context: &mut Context<'_>, args: &args::Decision) -> Result<Exit, Failure> {
    let args::Decision::List(args) = args;
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
    tell_more(terminal, page.next_cursor.as_deref());
    Ok(Exit::Ok)
}
