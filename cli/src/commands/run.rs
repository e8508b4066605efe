//! `chiffon run`: ask, show the plan, have it approved, follow, show the outcome and where it is recorded.

use std::io::Read;

use chiffon_common::{
    ErrorCode, ProjectId, RequestId, Tier,
    api::{NewRequest, RequestView},
};

use super::{
    Context,
    aftermath::aftermath,
    answer::{self, Said, Verdict},
    follow::{Follower, Stopped, is_cut},
};
use crate::{
    args::Run,
    client::Client,
    exit::Exit,
    failure::Failure,
    output,
    render::{self},
    session::{Need, Session},
    terminal::Format,
};

/// The API refuses what is longer than a few thousand characters; this only bounds the reading.
const MOST_BYTES: u64 = 1 << 20;

pub async fn run(context: &mut Context<'_>, args: &Run) -> Result<Exit, Failure> {
    let request = new_request(args)?;
    let said = Said {
        yes: args.yes.and_then(|tier| Tier::try_from(tier).ok()),
        confirm: args.confirm.clone(),
        comment: args
            .yes
            .map(|tier| format!("approved beforehand by --yes={tier}")),
        only_looks: false,
    };
    let session = Session::open(context, Need::OwnAgents).await?;
    let ended = ask_and_follow(context, &session, &request, &said).await;
    session.close().await;
    ended
}

fn new_request(args: &Run) -> Result<NewRequest, Failure> {
    let text = match args.text.as_str() {
        "-" => from_input()?,
        text => text.to_owned(),
    };
    let project = args.project.as_deref().map(str::parse::<ProjectId>);
    let project = project
        .transpose()
        .map_err(|error| Failure::usage(format!("--project: {error}."), "Give another name."))?;
    Ok(NewRequest {
        text,
        project_id: project,
        room_id: None,
        idempotency_key: args.idempotency_key.clone(),
    })
}

fn from_input() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(MOST_BYTES)
        .read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::usage(
            format!("Standard input cannot be read: {error}."),
            "Give the sentence as an argument.",
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage(
            "Standard input is no UTF-8 text.",
            "Give the sentence as an argument.",
        )
    })?;
    Ok(without_line_end(&text).to_owned())
}

/// The line end that every tool writes after its output is no part of the sentence.
fn without_line_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    line.strip_suffix('\r').unwrap_or(line)
}

async fn ask_and_follow(
    context: &mut Context<'_>,
    session: &Session,
    request: &NewRequest,
    said: &Said,
) -> Result<Exit, Failure> {
    let accepted = session.client.ask(request).await?;
    let id = accepted.request_id;
    if context.terminal.format == Format::Table {
        let words = format!("Request {id}");
        context.terminal.say(&context.terminal.err.dim(&words));
    }
    see_through(context, session, id, said).await
}

/// From wherever the request stands to its end, or to where a person is needed who cannot be asked.
pub async fn see_through(
    context: &mut Context<'_>,
    session: &Session,
    id: RequestId,
    said: &Said,
) -> Result<Exit, Failure> {
    match follow_through(context, session, id, said).await {
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
            Stopped::Interrupted => return interrupted(context, session, id, follower).await,
            Stopped::Unread => return Ok(Exit::Ok),
            Stopped::Asks(request) => *request,
        };
        if request.state == "needs_input" {
            return Ok(ask_back(context, &request));
        }
        let client = &session.client;
        let interrupt = &mut context.interrupt;
        let verdict = answer::approve(client, context.terminal, interrupt, &request, said).await;
        match verdict {
            // Somebody was quicker; what they said counts, and is followed.
            Err(failure) if failure.code == Some(ErrorCode::DecisionClosed) => {
                context.terminal.say("It was answered elsewhere meanwhile.");
            }
            Err(failure) => return Err(failure),
            Ok(Verdict::Answered(_)) => {}
            Ok(Verdict::Interrupted) => return interrupted(context, session, id, follower).await,
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
            output::failure(terminal, &answer::asks_back(request));
            if !request.nearest.is_empty() {
                terminal.say(&render::nearest(terminal.err, request));
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

/// Ctrl-C. A fleet that stays goes on without us; one that ends with us takes the request with it.
async fn interrupted(
    context: &Context<'_>,
    session: &Session,
    id: RequestId,
    mut follower: Follower<'_>,
) -> Result<Exit, Failure> {
    let short = id.to_string();
    if !session.is_one_shot() {
        context.terminal.say(&format!(
            "\nIt goes on without you. Watch it: chiffon watch {short}\nStop it:  chiffon request cancel {short}"
        ));
        return Ok(Exit::Interrupted);
    }
    context
        .terminal
        .say("\nCancelling, and waiting for its end. Ctrl-C once more ends at once.");
    // An error here is its own honest end: it had just ended.
    let cancelled = session.client.cancel(id).await;
    let request = match cancelled {
        Ok(request) if request.ended => request,
        Ok(_) | Err(_) => follower.end_of_it().await?,
    };
    let request = follower.recorded(request).await?;
    show(context, &request);
    tell_unrecorded(context, &session.client, &request).await;
    Ok(Exit::Interrupted)
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

    #[test]
    fn one_line_end_is_no_part_of_the_sentence() {
        for (read, sentence) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a")] {
            assert_eq!(without_line_end(read), sentence);
        }
    }
}
