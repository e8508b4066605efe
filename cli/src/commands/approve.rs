//! `chiffon approve` and `chiffon reject`. Where no fleet stays that would run it, the approved request is
//! seen through here.

use chiffon_common::{Digest, api::RequestView};

use super::{
    Context,
    answer::{self, Said, Verdict},
    through::see_through,
};
use crate::{
    args::{Approve, Reject},
    exit::Exit,
    failure::Failure,
    output,
    render::{self, one_line},
    session::{Need, Session, interrupted},
};

pub async fn approve(context: &mut Context<'_>, args: &Approve) -> Result<Exit, Failure> {
    let digest = args.digest.as_deref().map(str::parse::<Digest>).transpose();
    let digest = digest.map_err(|error| {
        let todo = "Copy it from the plan: `chiffon request show` shows it.";
        Failure::usage(format!("--digest: {error}."), todo)
    })?;
    let session = Session::open(context, Need::Agents).await?;
    let ended = give(context, &session, args, digest).await;
    session.close().await;
    ended
}

pub async fn reject(context: &mut Context<'_>, args: &Reject) -> Result<Exit, Failure> {
    let session = Session::open(context, Need::Records).await?;
    let ended = refuse(context, &session, args).await;
    session.close().await;
    ended
}

async fn give(
    context: &mut Context<'_>,
    session: &Session,
    args: &Approve,
    digest: Option<Digest>,
) -> Result<Exit, Failure> {
    let client = &session.client;
    let request = client.request(client.resolve(&args.request).await?).await?;
    let question = answer::pending(&request).ok_or_else(|| nothing_waits(&request))?;
    let said = Said {
        confirm: args.confirm.clone(),
        comment: args.comment.clone(),
        ..Said::default()
    };
    let is_approval = question.kind == "approval";
    let answered = match (digest, &args.choice) {
        (_, Some(choice)) => {
            let digest = digest.or(question.digest);
            let confirm = args.confirm.clone();
            client
                .answer(&answer::with_digest(
                    question, choice, digest, confirm, &said,
                ))
                .await?
        }
        (Some(_), None) if is_approval => {
            let confirm = args.confirm.clone();
            client
                .answer(&answer::with_digest(
                    question, "approve", digest, confirm, &said,
                ))
                .await?
        }
        (_, None) if !is_approval => return Err(answer::other_question(&request, question)),
        (_, None) if !context.terminal.may_ask => return Err(digest_is_missing(&request)),
        (_, None) => {
            let interrupt = &mut context.interrupt;
            match answer::approve(client, context.terminal, interrupt, &request, &said).await? {
                Verdict::Answered(request) | Verdict::OnlyPlanned(request) => *request,
                Verdict::Open(failure) => return Err(failure),
                Verdict::Interrupted => return Err(interrupted()),
            }
        }
    };
    if session.is_one_shot() && !answered.ended {
        let id = answered.request_id;
        return see_through(context, session, id, &said).await;
    }
    show(context, &answered);
    let rejected = answered.state == "rejected";
    Ok(if rejected { Exit::Denied } else { Exit::Ok })
}

async fn refuse(
    context: &mut Context<'_>,
    session: &Session,
    args: &Reject,
) -> Result<Exit, Failure> {
    let client = &session.client;
    let request = client.request(client.resolve(&args.request).await?).await?;
    let question = answer::pending(&request).ok_or_else(|| nothing_waits(&request))?;
    if question.kind != "approval" {
        return Err(answer::other_question(&request, question));
    }
    let said = Said {
        comment: args.comment.clone(),
        ..Said::default()
    };
    let answered = client
        .answer(&answer::answer(question, "reject", None, &said))
        .await?;
    show(context, &answered);
    Ok(Exit::Ok)
}

fn show(context: &Context<'_>, request: &RequestView) {
    let terminal = context.terminal;
    output::one(terminal, request, || {
        let state = render::state(terminal.out, &request.state);
        let because = one_line(&request.because, 300);
        let short = request.request_id.to_string();
        let watch = match request.ended {
            true => String::new(),
            false => format!("\nWatch it: chiffon watch {short}"),
        };
        format!(
            "Request {} is {state}: {because}{watch}",
            request.request_id
        )
    });
}

fn nothing_waits(request: &RequestView) -> Failure {
    let short = request.request_id.to_string();
    if request.state == "needs_input" {
        return Failure::plain(
            Exit::Waiting,
            format!("Request {short} asks for a clearer sentence."),
            "Ask again: chiffon run \"...\"",
        );
    }
    let state = one_line(&request.state.replace('_', " "), 40);
    Failure::plain(
        Exit::Conflict,
        format!("Request {short} waits for no answer; its state is: {state}."),
        format!("`chiffon request show {short}` tells more."),
    )
}

fn digest_is_missing(request: &RequestView) -> Failure {
    let short = request.request_id.to_string();
    Failure::usage(
        "An approval without a prompt needs --digest, the plan that was read.",
        format!(
            "Read it: chiffon request show {short}\nThen: chiffon approve {short} --digest sha256:..."
        ),
    )
}
