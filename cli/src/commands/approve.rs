//! `chiffon approve` and `chiffon reject`. Where no fleet stays that would run it, the approved request is
//! seen through here.

use chiffon_common::{
    Digest,
    api::{DecisionView, RequestView},
};

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

/// The option that permits.
const APPROVE: &str = "approve";

pub async fn approve(context: &mut Context<'_>, args: &Approve) -> Result<Exit, Failure> {
    let digest = digest(args.digest.as_deref())?;
    let session = Session::open(context, Need::Agents).await?;
    let ended = give(context, &session, args, digest).await;
    session.close().await;
    ended
}

/// `--digest`.
pub(super) fn digest(given: Option<&str>) -> Result<Option<Digest>, Failure> {
    let digest = given.map(str::parse::<Digest>).transpose();
    digest.map_err(|error| {
        let todo = "Copy it from the plan: `chiffon plan show` shows it.";
        Failure::usage(format!("--digest: {error}."), todo)
    })
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
    let choice = args.choice.as_deref();
    decide(context, session, &request, question, choice, digest, &said).await
}

/// Answers a question of a request with one of its options, and sees the request through where no fleet stays. An
/// approval takes the digest of the plan that was read, or a word at the prompt below the plan.
pub(super) async fn decide(
    context: &mut Context<'_>,
    session: &Session,
    request: &RequestView,
    question: &DecisionView,
    choice: Option<&str>,
    digest: Option<Digest>,
    said: &Said,
) -> Result<Exit, Failure> {
    let client = &session.client;
    let is_approval = question.kind == "approval";
    // Nobody has read a plan whose digest they cannot name.
    let approves = is_approval && choice.unwrap_or(APPROVE) == APPROVE;
    let answered = match (choice, digest) {
        (_, None) if approves && !context.terminal.may_ask => {
            return Err(digest_is_missing(request));
        }
        (_, None) if approves => {
            let interrupt = &mut context.interrupt;
            match answer::approve(client, context.terminal, interrupt, request, said).await? {
                Verdict::Answered(request) | Verdict::OnlyPlanned(request) => *request,
                Verdict::Open(failure) => return Err(failure),
                Verdict::Interrupted => return Err(interrupted()),
            }
        }
        (None, _) if !is_approval => return Err(answer::other_question(request, question)),
        (choice, digest) => {
            let choice = choice.unwrap_or(APPROVE);
            let digest = digest.or(question.digest);
            let confirm = said.confirm.clone();
            let answer = answer::with_digest(question, choice, digest, confirm, said);
            client.answer(&answer).await?
        }
    };
    if session.is_one_shot() && !answered.ended {
        let id = answered.request_id;
        return see_through(context, session, id, said).await;
    }
    show(context, &answered);
    if approves && !answered.ended {
        // Whoever approves waits for it to begin. That nobody could be asked is no fault of the answer.
        let freeze = client.frozen().await.ok();
        if let Some(frozen) = freeze.and_then(|freeze| freeze.value.frozen) {
            let words = one_line(&frozen.words(), 600);
            let told = format!("It waits: {words}. `chiffon thaw` ends that.");
            context.terminal.say(&told);
        }
    }
    let rejected = answered.state == "rejected" && choice.is_none();
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

pub(super) fn show(context: &Context<'_>, request: &RequestView) {
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

pub(super) fn nothing_waits(request: &RequestView) -> Failure {
    let short = request.request_id.to_string();
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
