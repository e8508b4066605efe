//! Answering the question of a request: by flags, or at the prompt under the plan on one screen.

use chiffon_common::{
    Digest, HostName, Tier,
    api::{Answer, DecisionView, RequestView},
};

use crate::{
    client::Client,
    exit::Exit,
    failure::Failure,
    interrupt::Interrupt,
    render::{self, one_line},
    terminal::{Answered, Format, Terminal, ask},
};

/// What a person has said on the command line.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// `--yes`: up to this tier.
    pub yes: Option<Tier>,
    /// `--confirm`.
    pub confirm: Option<String>,
    /// `--comment`.
    pub comment: Option<String>,
}

/// What came of it.
pub enum Verdict {
    /// The question is answered.
    Answered(Box<RequestView>),
    /// Nobody could be asked, or nobody said a word; the question stays open.
    Open(Failure),
    /// Ctrl-C.
    Interrupted,
}

/// The question that waits, if one does.
pub fn pending(request: &RequestView) -> Option<&DecisionView> {
    request.decisions.iter().find(|one| one.state == "pending")
}

/// Asks for the approval of a plan, or gives it as the flags say.
pub async fn approve(
    client: &Client,
    terminal: &Terminal,
    interrupt: &mut Interrupt,
    request: &RequestView,
    said: &Said,
) -> Result<Verdict, Failure> {
    let Some(question) = pending(request) else {
        return Err(Failure::internal("a plan waits, but there is no question"));
    };
    if question.kind != "approval" {
        return other(client, terminal, interrupt, request, question).await;
    }
    let tier = question.tier.unwrap_or(Tier::Two);
    if terminal.format == Format::Table || terminal.may_ask {
        let plan = render::plan(terminal.err, request).unwrap_or_default();
        terminal.say(&format!("\n{plan}\n"));
    }
    if said.yes.is_some_and(|up_to| up_to >= tier) {
        let confirm = said.confirm.clone().or_else(|| host_to_type(request, tier));
        let answer = answer(question, "approve", confirm, said);
        return Ok(Verdict::Answered(Box::new(client.answer(&answer).await?)));
    }
    if !terminal.may_ask {
        return Ok(Verdict::Open(nobody_to_ask(request, question, tier)));
    }
    let answered = match tier {
        Tier::Zero | Tier::One => ask("Approve this plan? [y/N]", interrupt).await,
        Tier::Two => {
            let hosts = hosts(request).join(" or ");
            let words = format!("This is tier 2. Type the host name ({hosts}) to approve:");
            ask(&words, interrupt).await
        }
    };
    let line = match answered {
        Answered::Line(line) => line,
        Answered::NoMore => return Ok(Verdict::Open(nobody_to_ask(request, question, tier))),
        Answered::Interrupted => return Ok(Verdict::Interrupted),
    };
    let answer = match (tier, is_yes(&line)) {
        (Tier::Zero | Tier::One, true) => answer(question, "approve", said.confirm.clone(), said),
        (Tier::Two, _) if hosts(request).contains(&line.as_str()) => {
            answer(question, "approve", Some(line), said)
        }
        _ => answer(question, "reject", None, said),
    };
    Ok(Verdict::Answered(Box::new(client.answer(&answer).await?)))
}

/// A question about a run that was cut off, or whose outcome nobody knows.
async fn other(
    client: &Client,
    terminal: &Terminal,
    interrupt: &mut Interrupt,
    request: &RequestView,
    question: &DecisionView,
) -> Result<Verdict, Failure> {
    let open = other_question(request, question);
    if !terminal.may_ask {
        return Ok(Verdict::Open(open));
    }
    let options = question.options.join(", ");
    let words = one_line(&format!("{} ({options}):", question.question), 500);
    match ask(&words, interrupt).await {
        Answered::Line(line) if question.options.contains(&line) => {
            let answer = answer(question, &line, None, &Said::default());
            Ok(Verdict::Answered(Box::new(client.answer(&answer).await?)))
        }
        Answered::Line(_) | Answered::NoMore => Ok(Verdict::Open(open)),
        Answered::Interrupted => Ok(Verdict::Interrupted),
    }
}

/// An answer to this question, bound to the plan that it is about.
pub fn answer(
    question: &DecisionView,
    choice: &str,
    confirm: Option<String>,
    said: &Said,
) -> Answer {
    with_digest(question, choice, question.digest, confirm, said)
}

/// The same with the digest that the person has read.
pub fn with_digest(
    question: &DecisionView,
    choice: &str,
    digest: Option<Digest>,
    confirm: Option<String>,
    said: &Said,
) -> Answer {
    Answer {
        request_id: question.request_id,
        decision_id: Some(question.decision_id),
        digest,
        choice: Some(choice.to_owned()),
        confirm,
        comment: said.comment.clone(),
    }
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.to_ascii_lowercase().as_str())
}

fn hosts(request: &RequestView) -> Vec<&str> {
    let steps = request.plan.iter().flat_map(|plan| &plan.steps);
    let mut hosts: Vec<&str> = steps
        .flat_map(|step| &step.hosts)
        .map(HostName::as_str)
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// `--yes=2` is the explicit word for tier 2 already; the host is named for the record.
fn host_to_type(request: &RequestView, tier: Tier) -> Option<String> {
    let first = hosts(request).first().map(|host| (*host).to_owned());
    first.filter(|_| tier == Tier::Two)
}

fn nobody_to_ask(request: &RequestView, question: &DecisionView, tier: Tier) -> Failure {
    let flag = match tier {
        Tier::Two => "--yes=2",
        Tier::Zero | Tier::One => "--yes",
    };
    let digest = question.digest.map(|digest| format!(" --digest {digest}"));
    let host = hosts(request)
        .first()
        .map(|host| format!(" --confirm {host}"));
    let host = host.filter(|_| tier == Tier::Two).unwrap_or_default();
    Failure::plain(
        Exit::Waiting,
        format!("The plan of tier {tier} waits for approval."),
        format!(
            "Approve it: chiffon approve {}{}{host}\nOr approve beforehand, with {flag}.",
            request.request_id,
            digest.unwrap_or_default(),
        ),
    )
}

/// How to answer a question that is no approval.
pub fn other_question(request: &RequestView, question: &DecisionView) -> Failure {
    let options: Vec<String> = question
        .options
        .iter()
        .map(|one| one_line(one, 40))
        .collect();
    Failure::plain(
        Exit::Waiting,
        one_line(&question.question, 400),
        format!(
            "Answer it: chiffon approve {} --choice {}",
            request.request_id,
            options.join("|")
        ),
    )
}

/// How the sentence has to be asked again.
pub fn asks_back(request: &RequestView) -> Failure {
    let todo = match request.nearest.first() {
        Some(near) => format!(
            "Ask again in words that come nearer, for example: chiffon run \"{}\"",
            one_line(&near.example, 200)
        ),
        None => {
            "Ask again in other words; `chiffon catalogue list` shows what can be asked.".to_owned()
        }
    };
    match &request.problem {
        Some(problem) => Failure {
            exit: Exit::Waiting,
            ..Failure::from(problem.clone())
        },
        None => Failure::plain(Exit::Waiting, one_line(&request.because, 400), todo),
    }
}
