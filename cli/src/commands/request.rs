//! `chiffon request show|list|cancel`. Asking for the same again is left to `retry`, a person's word on one of its
//! tasks to `outcome`.

use chiffon_common::api::RequestView;

use super::{Context, outcome, read, retry::retry, tell_more};
use crate::{args::Request, client::ListRequests, exit::Exit, failure::Failure, output, render};

pub async fn request(context: &mut Context<'_>, args: &Request) -> Result<Exit, Failure> {
    match args {
        Request::Show { request } => show(context, request).await,
        Request::Cancel { request } => cancel(context, request).await,
        Request::Retry(args) => retry(context, args).await,
        Request::RetryNow(args) => outcome::retry_now(context, args).await,
        Request::Resolve(args) => outcome::resolve(context, args).await,
        Request::List(args) => {
            let list = ListRequests {
                limit: args.part.limit,
                cursor: args.part.cursor.clone(),
                open_only: args.open,
                state: args.state.clone(),
                project: args.project.clone(),
                room: args.room.clone(),
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
    Ok(stands(context, &request))
}

/// How a request stands now, on one line.
pub fn stands(context: &Context<'_>, request: &RequestView) -> Exit {
    let paint = context.terminal.out;
    output::one(context.terminal, request, || {
        let state = render::state(paint, &request.state);
        let because = render::one_line(&request.because, 300);
        format!("Request {} is {state}: {because}", request.request_id)
    });
    Exit::Ok
}

async fn show_list(context: &mut Context<'_>, list: &ListRequests) -> Result<Exit, Failure> {
    let page = read(context, async |client| client.requests(list).await).await?;
    output::list(context.terminal, &page.items, &page, || {
        none_of(list, &page.items)
            .unwrap_or_else(|| render::requests(context.terminal.out, &page.items))
    });
    tell_more(context.terminal, &page);
    Ok(Exit::Ok)
}

/// What there is none of, where something special was asked for.
fn none_of(list: &ListRequests, found: &[RequestView]) -> Option<String> {
    let mut wanted = String::new();
    if let Some(project) = &list.project {
        wanted += &format!(" of project {}", render::one_line(project, 80));
    }
    if let Some(room) = &list.room {
        wanted += &format!(" of room {}", render::one_line(room, 130));
    }
    if let Some(state) = &list.state {
        wanted += &format!(" in state {state}");
    }
    let is_special = !wanted.is_empty() || list.open_only || list.cursor.is_some();
    if !found.is_empty() || !is_special {
        return None;
    }
    let open = if list.open_only { "open " } else { "" };
    let more = if list.cursor.is_some() { "more " } else { "" };
    Some(format!("There are no {more}{open}requests{wanted}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_says_what_there_is_none_of() {
        let mut list = ListRequests::default();
        assert_eq!(none_of(&list, &[]), None);
        list.project = Some("nope".to_owned());
        let none = |list: &ListRequests| none_of(list, &[]).unwrap();
        assert_eq!(none(&list), "There are no requests of project nope.");
        list.open_only = true;
        list.state = Some("running".to_owned());
        assert_eq!(
            none(&list),
            "There are no open requests of project nope in state running."
        );
    }
}
