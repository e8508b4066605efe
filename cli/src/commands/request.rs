//! `chiffon request show|list|cancel`.

use super::{Context, read};
use crate::{args::Request, client::ListRequests, exit::Exit, failure::Failure, output, render};

pub async fn request(context: &mut Context<'_>, args: &Request) -> Result<Exit, Failure> {
    match args {
        Request::Show { request } => show(context, request).await,
        Request::Cancel { request } => cancel(context, request).await,
        Request::List {
            limit,
            open,
            state,
            project,
            cursor,
        } => {
            let list = ListRequests {
                limit: *limit,
                cursor: cursor.clone(),
                open_only: *open,
                state: state.clone(),
                project: project.clone(),
            };
            show_list(context, &list).await
        }
    }
}

async fn show(context: &mut Context<'_>, id: &str) -> Result<Exit, Failure> {
    let request = read(context, async |client| {
        client.request(client.resolve(id).await?).await
    });
    let request = request.await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &request, || {
        render::request(paint, &request)
    });
    Ok(Exit::Ok)
}

async fn cancel(context: &mut Context<'_>, id: &str) -> Result<Exit, Failure> {
    let request = read(context, async |client| {
        client.cancel(client.resolve(id).await?).await
    });
    let request = request.await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &request, || {
        let state = render::state(paint, &request.state);
        let because = render::one_line(&request.because, 300);
        format!("Request {} is {state}: {because}", request.request_id)
    });
    Ok(Exit::Ok)
}

async fn show_list(context: &mut Context<'_>, list: &ListRequests) -> Result<Exit, Failure> {
    let page = read(context, async |client| client.requests(list).await).await?;
    output::list(context.terminal, &page.items, &page, || {
        render::requests(context.terminal.out, &page.items)
    });
    if let Some(cursor) = &page.next_cursor {
        let cursor = render::one_line(cursor, 200);
        context
            .terminal
            .say(&format!("There are more: --cursor {cursor}"));
    }
    Ok(Exit::Ok)
}
