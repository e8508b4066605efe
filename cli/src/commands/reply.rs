//! What the planner asks back, and its answer: at the prompt while a request is seen through, or by
//! `chiffon answer`. The same request goes on with it.

use chiffon_common::api::{DecisionView, RequestView, Resolve};

use super::{
    Context,
    answer::{ASKED, Said, Verdict, other_question, pending},
    approve::nothing_waits,
    asking::from_input,
    through::see_through,
};
use crate::{
    args::Answer,
    client::Client,
    exit::Exit,
    failure::Failure,
    interrupt::Interrupt,
    output,
    render::{self, one_line},
    session::{Need, Session},
    terminal::{Answered, Terminal, ask},
};

pub async fn answer(context: &mut Context<'_>, args: &Answer) -> Result<Exit, Failure> {
    let text = match args.answer.as_deref() {
        Some("-") => Some(from_input("Give the answer as an argument.")?),
        given => given.map(str::to_owned),
    };
    if text.is_none() && !context.terminal.may_ask {
        return Err(Failure::usage(
            "There is no answer, and nobody can be asked for it.",
            "Give it behind the id: chiffon answer ID ANSWER",
        ));
    }
    let said = Said::beforehand(&args.consent, args.patience);
    let session = Session::open(context, Need::Agents).await?;
    let ended = give(context, &session, args, text, &said).await;
    session.close().await;
    ended
}

async fn give(
    context: &mut Context<'_>,
    session: &Session,
    args: &Answer,
    text: Option<String>,
    said: &Said,
) -> Result<Exit, Failure> {
    let client = &session.client;
    let id = client.resolve(&args.request).await?;
    let request = client.request(id).await?;
    let question = pending(&request).ok_or_else(|| nothing_waits(&request))?;
    if question.kind == "approval" {
        return Err(Failure::plain(
            Exit::Conflict,
            format!("Request {id} waits for the approval of its plan, not for an answer."),
            format!("Read and approve it: chiffon approve {id}"),
        ));
    }
    // Without a word here, it is asked for on the way.
    if let Some(text) = text {
        let said = reply(question, text.trim(), args.comment.clone());
        client.resolve_with(question.decision_id, &said).await?;
    }
    see_through(context, session, id, said).await
}

/// Shows what is asked back, and asks for the answer where somebody can be asked.
pub async fn ask_back(
    client: &Client,
    terminal: &Terminal,
    interrupt: &mut Interrupt,
    request: &RequestView,
    said: &Said,
) -> Result<Verdict, Failure> {
    let open = Verdict::Open(asks_back(request));
    let Some(question) = pending(request).filter(|_| terminal.may_ask && !said.only_looks) else {
        return Ok(open);
    };
    terminal.say(&format!("\n{}", render::question(terminal.err, question)));
    for _ in 0..ASKED {
        let line = match ask("Your answer (nothing leaves it open):", interrupt).await {
            Answered::Line(line) => line,
            Answered::NoMore => break,
            Answered::Interrupted => return Ok(Verdict::Interrupted),
        };
        if line.is_empty() {
            break;
        }
        let said = reply(question, &line, None);
        match client.resolve_with(question.decision_id, &said).await {
            Ok(request) => return Ok(Verdict::Answered(Box::new(request))),
            // It is no answer, and the question is open still.
            Err(failure) if failure.exit == Exit::Usage => output::failure(terminal, &failure),
            Err(failure) => return Err(failure),
        }
    }
    Ok(open)
}

/// What was typed as an answer: the number of an option, an option, or own words.
pub(super) fn reply(question: &DecisionView, text: &str, comment: Option<String>) -> Resolve {
    // Where a value is missing, a number is a value.
    let number = text.parse::<usize>().ok();
    let number = number.filter(|_| question.missing.is_empty() && question.takes_text);
    let by_number = number.and_then(|number| question.options.get(number.checked_sub(1)?));
    let option = by_number.or_else(|| question.options.iter().find(|option| *option == text));
    let (choice, text) = match option {
        Some(option) => (Some(option.clone()), None),
        None if question.takes_text => (None, Some(text.to_owned())),
        None => (Some(text.to_owned()), None),
    };
    Resolve {
        choice,
        text,
        comment,
        ..Resolve::default()
    }
}

/// What is asked, and the command that answers it.
pub fn asks_back(request: &RequestView) -> Failure {
    let id = request.request_id;
    let Some(question) = pending(request) else {
        // Asked by a version before; it takes no answer.
        let because = one_line(&request.because, 400);
        return Failure::plain(Exit::Waiting, because, "Ask anew: chiffon run \"...\"");
    };
    let mut todo = other_question(request, question).todo;
    if !question.options.is_empty() && question.missing.is_empty() {
        todo += &format!("\nOr with one of those that come near: chiffon answer {id} 1");
        // Entries come near where nobody knows which is meant: perhaps none of them.
        if !question.nearest.is_empty() {
            todo += "\nSee all that may be asked: chiffon catalogue list";
        }
    }
    if !question.missing.is_empty() {
        let missing: Vec<String> = question
            .missing
            .iter()
            .map(|name| format!("{}=...", one_line(name, 64)))
            .collect();
        todo = format!("Answer it: chiffon answer {id} {}", missing.join(" "));
        if missing.len() > 1 {
            todo = format!("Answer it: chiffon answer {id} '{}'", missing.join(" "));
        }
    }
    match &request.problem {
        Some(problem) => Failure {
            exit: Exit::Waiting,
            todo,
            ..Failure::from(problem.clone())
        },
        None => Failure::plain(Exit::Waiting, one_line(&question.question, 400), todo),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "0199e2f4-77a1-7c40-8000-000000000001";

    fn question(kind: &str, missing: &[&str]) -> DecisionView {
        let value = json!({
            "decision_id": ID, "request_id": ID, "kind": kind, "state": "pending", "requester": "local:ada",
            "created_at": "2026-01-02T03:04:05Z", "deadline": "2026-01-02T03:04:05Z", "question": "which?",
            "options": ["Ping nas", "Restart cron"], "takes_text": kind == "question", "missing": missing,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_number_an_option_or_own_words() {
        let said = |kind: &str, missing: &[&str], text: &str| {
            let said = reply(&question(kind, missing), text, None);
            match (said.choice, said.text) {
                (Some(choice), None) => format!("choice {choice}"),
                (None, Some(text)) => format!("text {text}"),
                both => panic!("{both:?}"),
            }
        };
        for (kind, missing, text, expected) in [
            ("question", &[][..], "2", "choice Restart cron"),
            ("question", &[], "Ping nas", "choice Ping nas"),
            ("question", &[], "3", "text 3"),
            ("question", &[], "0", "text 0"),
            ("question", &[], "ping web", "text ping web"),
            ("question", &["port"], "2", "text 2"),
            ("interrupted", &[], "2", "choice 2"),
            ("interrupted", &[], "retry", "choice retry"),
        ] {
            assert_eq!(said(kind, missing, text), expected, "{kind} {text:?}");
        }
    }
}
