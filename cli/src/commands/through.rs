//! Seeing a request through: follow it, have its plan approved, show the outcome and where it is recorded. Every
//! command that starts or watches one ends here; what to show of a server that went away is left to `aftermath`.

use std::time::Duration;

use chiffon_common::{ErrorCode, RequestId, api::RequestView};
use tokio::time::Instant;

use super::{
    Context,
    aftermath::aftermath,
    answer::{self, Said, Verdict},
    follow::{Follower, Stopped, is_cut},
    reply,
};
use crate::{
    client::Client, exit::Exit, failure::Failure, output, render, session::Session,
    terminal::Format,
};

/// From wherever the request stands to its end, or to where a person is needed who cannot be asked.
pub async fn see_through(
    context: &mut Context<'_>,
    session: &Session,
    id: RequestId,
    said: &Said,
) -> Result<Exit, Failure> {
    let until = said.timeout.map(|most| Instant::now() + most);
    context.interrupt.set_deadline(until);
    let ended = follow_through(context, session, id, said).await;
    context.interrupt.set_deadline(None);
    match ended {
        Err(failure) if is_cut(&failure) && !session.is_one_shot() => aftermath(context, id).await,
        ended => ended,
    }
}

async fn follow_through(
    context: &mut Context<'_>,
    session: &Session,
    id: RequestId,
    said: &Said,
) -> Result<Exit, Failure> {
    let mut follower = Follower::new(context, session, id);
    loop {
        let stopped = follower.until_needed(&mut context.interrupt).await?;
        let request = match stopped {
            Stopped::Ended(request) => {
                let request = follower.recorded(*request).await?;
                if context.terminal.animate {
                    // Between what happened and what came of it.
                    context.terminal.say("");
                }
                show(context, &request);
                tell_unrecorded(context, &session.client, &request).await;
                return Ok(Exit::of_request(&request));
            }
            Stopped::Interrupted => return stop(context, session, follower, id, said).await,
            Stopped::Unread => return Ok(Exit::Ok),
            Stopped::Asks(request) => *request,
        };
        let client = &session.client;
        let (terminal, interrupt) = (context.terminal, &mut context.interrupt);
        let asks_back = request.state == "needs_input";
        let verdict = match asks_back {
            true => reply::ask_back(client, terminal, interrupt, &request, said).await,
            false => answer::approve(client, terminal, interrupt, &request, said).await,
        };
        match verdict {
            // Somebody was quicker; what they said counts, and is followed.
            Err(failure) if failure.code == Some(ErrorCode::DecisionClosed) => {
                context.terminal.say("It was answered elsewhere meanwhile.");
            }
            Err(failure) => return Err(failure),
            Ok(Verdict::Answered(_)) => {}
            Ok(Verdict::Interrupted) => return stop(context, session, follower, id, said).await,
            Ok(Verdict::OnlyPlanned(request)) => {
                return Ok(only_planned(context, &mut follower, *request).await);
            }
            Ok(Verdict::Open(_)) if asks_back => return Ok(ask_back(context, &request)),
            Ok(Verdict::Open(failure)) => {
                show_documents(context, &request);
                return Err(failure);
            }
        }
    }
}

fn ask_back(context: &Context<'_>, request: &RequestView) -> Exit {
    let terminal = context.terminal;
    match terminal.format {
        Format::Table => {
            output::failure(terminal, &reply::asks_back(request));
            // Who was asked has seen it.
            if !terminal.may_ask
                && let Some(near) = render::nearest(terminal.err, request)
            {
                terminal.say(&near);
            }
        }
        _ => show(context, request),
    }
    Exit::Waiting
}

/// Says so where the ledger has not got it by now: it is done all the same, and filled in later.
async fn tell_unrecorded(context: &Context<'_>, client: &Client, request: &RequestView) {
    if request.plan.is_none() || request.ledger_commit.is_some() {
        return;
    }
    let health = client.health().await.ok();
    let ledger = health.and_then(|health| health.components.get("ledger").cloned());
    let words = unrecorded(&request.state, ledger.as_deref());
    context.terminal.say(&context.terminal.err.warn(&words));
}

fn unrecorded(state: &str, ledger: Option<&str>) -> String {
    let ended = match state {
        "completed" => "done",
        other => other,
    };
    let why = match ledger {
        Some("ok") | None => "it is still to be written".to_owned(),
        Some(fault) => render::one_line(fault, 300),
    };
    let ended = render::one_line(ended, 40);
    format!("{ended}, but not recorded in the ledger yet: {why}")
}

pub(super) fn show(context: &Context<'_>, request: &RequestView) {
    let terminal = context.terminal;
    output::one(terminal, request, || render::outcome(terminal.out, request));
}

/// Programs get the request where people have seen the plan already.
pub(super) fn show_documents(context: &Context<'_>, request: &RequestView) {
    if context.terminal.format != Format::Table {
        show(context, request);
    }
}

/// A dry run: the plan is what was asked for, and the request is closed by now.
async fn only_planned(
    context: &Context<'_>,
    follower: &mut Follower<'_>,
    request: RequestView,
) -> Exit {
    // Where the record cannot be waited for it is filled in later, as everywhere.
    let recorded = follower.recorded(request.clone()).await;
    let request = match recorded {
        // Of one that has ended nothing is warned any more, but it is this plan that is shown.
        Ok(recorded) => RequestView {
            warnings: request.warnings,
            ..recorded
        },
        Err(_) => request,
    };
    let terminal = context.terminal;
    output::one(terminal, &request, || {
        render::plan(terminal.out, &request, render::Extent::Screen).unwrap_or_default()
    });
    let id = request.request_id;
    terminal.say(&format!(
        "Only planned: nothing was changed, and request {id} is closed."
    ));
    Exit::Ok
}

/// Ctrl-C, or the time is over. A fleet that stays goes on without us; one that ends with us takes the request
/// with it.
async fn stop(
    context: &mut Context<'_>,
    session: &Session,
    follower: Follower<'_>,
    id: RequestId,
    said: &Said,
) -> Result<Exit, Failure> {
    let is_late = context.interrupt.is_late();
    // What is left to do is done whatever the clock says.
    context.interrupt.set_deadline(None);
    match (is_late, session.is_one_shot()) {
        (false, false) => {
            context
                .terminal
                .say(&format!("\nIt goes on without you. {}", how_to_go_on(id)));
            Ok(Exit::Interrupted)
        }
        (true, false) => {
            let request = session.client.request(id).await?;
            show_documents(context, &request);
            let what = format!("{} It goes on.", too_late(id, said));
            Err(Failure::plain(Exit::Timeout, what, how_to_go_on(id)))
        }
        (_, true) => {
            if is_late {
                context.terminal.say(&too_late(id, said));
            }
            let limit = said.timeout.filter(|_| is_late);
            let request = cancel(context, session, follower, id, limit).await?;
            Ok(match (is_late, request.state.as_str()) {
                (false, _) => Exit::Interrupted,
                // It was faster than the cancellation.
                (true, "completed") => Exit::Ok,
                (true, _) => Exit::Timeout,
            })
        }
    }
}

fn too_late(id: RequestId, said: &Said) -> String {
    let seconds = said.timeout.as_ref().map_or(0, Duration::as_secs);
    format!("Request {id} has not ended within {seconds} s.")
}

fn how_to_go_on(id: RequestId) -> String {
    format!("Watch it: chiffon watch {id}\nStop it:  chiffon request cancel {id}")
}

async fn cancel(
    context: &Context<'_>,
    session: &Session,
    mut follower: Follower<'_>,
    id: RequestId,
    limit: Option<Duration>,
) -> Result<RequestView, Failure> {
    context
        .terminal
        .say("\nCancelling, and waiting for its end. Ctrl-C once more ends at once.");
    let cancelled = match limit {
        Some(limit) => session.client.cancel_late(id, limit).await,
        None => session.client.cancel(id).await,
    };
    let request = match cancelled {
        Ok(request) if request.ended => request,
        // Its end could not be recorded either, so there is nothing to wait for.
        Err(failure) if failure.code.is_some_and(is_of_store) => {
            return Err(not_recorded(id, failure));
        }
        // Any other error is its own honest end: it had just ended.
        Ok(_) | Err(_) => follower.end_of_it().await?,
    };
    let request = follower.recorded(request).await?;
    show(context, &request);
    tell_unrecorded(context, &session.client, &request).await;
    Ok(request)
}

fn is_of_store(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::StoreFull
            | ErrorCode::StoreReadOnly
            | ErrorCode::StoreUnavailable
            | ErrorCode::StoreCorrupt
    )
}

/// The database could not be written when somebody wanted the request to end.
fn not_recorded(id: RequestId, failure: Failure) -> Failure {
    Failure {
        todo: format!(
            "That you stopped it is not recorded: {}. What runs is ended now; the next start takes request {id} up where it \
             is recorded, and `chiffon request cancel {id}` ends it then.",
            failure.todo
        ),
        ..failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_recorded_yet_is_told_with_its_reason() {
        assert_eq!(
            unrecorded("completed", Some("no room")),
            "done, but not recorded in the ledger yet: no room"
        );
        let late = unrecorded("failed", Some("ok"));
        assert!(late.starts_with("failed, but"), "{late}");
        assert!(late.ends_with("still to be written"), "{late}");
    }
}
