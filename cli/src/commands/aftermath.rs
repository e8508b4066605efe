//! What became of a request whose server went away in mid-follow. It was accepted, so nobody may be told
//! to ask again: the store is opened in this process, without agents, and what stands there is told.

use chiffon_common::{RequestId, api::RequestView};

use super::{
    Context, answer, reply,
    through::{show, show_documents},
};
use crate::{
    exit::Exit,
    failure::Failure,
    render::one_line,
    session::{Need, Session, interrupted},
};

/// Tells how the request stands: its outcome where it has ended, else how to follow it.
pub async fn aftermath(context: &mut Context<'_>, id: RequestId) -> Result<Exit, Failure> {
    let lost = "The connection to Chiffon is lost. Looking at what became of the request.";
    context.terminal.say(lost);
    let request = match look(context, id).await {
        Ok(request) => request,
        Err(failure) if failure.exit == Exit::Interrupted => return Err(failure),
        Err(failure) => return Err(not_known(id, &failure)),
    };
    match request.ended {
        true => show(context, &request),
        false => show_documents(context, &request),
    }
    verdict(&request)
}

async fn look(context: &mut Context<'_>, id: RequestId) -> Result<RequestView, Failure> {
    // Another fleet may have come in its place: that one knows it as well.
    let session = Session::open(context, Need::Records).await?;
    let request = tokio::select! {
        request = session.client.request(id) => request,
        () = context.interrupt.wait() => Err(interrupted()),
    };
    session.close().await;
    request
}

fn verdict(request: &RequestView) -> Result<Exit, Failure> {
    let short = request.request_id.to_string();
    if request.ended {
        return Ok(Exit::of_request(request));
    }
    if request.state == "needs_input" {
        return Err(reply::asks_back(request));
    }
    if let Some(question) = answer::pending(request) {
        return Err(match question.kind.as_str() {
            "approval" => Failure::plain(
                Exit::Waiting,
                "Chiffon has stopped, and the plan waits for approval.",
                format!(
                    "Read and approve it: chiffon approve {short}\nFollow it: chiffon watch {short}"
                ),
            ),
            _ => answer::other_question(request, question),
        });
    }
    let state = one_line(&request.state.replace('_', " "), 40);
    let because = one_line(request.because.trim_end_matches('.'), 300);
    Err(Failure::plain(
        Exit::Unknown,
        format!("Chiffon has stopped before request {short} ended; it is {state}: {because}."),
        watch(&short),
    ))
}

fn not_known(id: RequestId, failure: &Failure) -> Failure {
    let short = id.to_string();
    Failure {
        exit: Exit::Unknown,
        what: format!(
            "Request {short} was accepted, but what became of it is not known: {}",
            failure.what
        ),
        todo: watch(&short),
        code: failure.code,
        errors: Vec::new(),
    }
}

fn watch(short: &str) -> String {
    format!("It was accepted and is not lost. See it through: chiffon watch {short}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "0199e2f4-77a1-7c40-8000-000000000001";

    fn request(state: &str, ended: bool, question: Option<&str>) -> RequestView {
        let mut value = json!({
            "request_id": ID, "project_id": "default", "room_id": "api", "requester": "local:ada",
            "text": "x", "state": state, "ended": ended, "because": "a step runs",
            "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
        });
        if let Some(kind) = question {
            value["decisions"] = json!([{
                "decision_id": ID, "request_id": ID, "kind": kind, "state": "pending",
                "requester": "local:ada", "created_at": "2026-01-02T03:04:05Z",
                "question": "What became of it?", "options": ["again", "give_up"],
                "deadline": "2026-01-02T03:04:05Z",
            }]);
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_accepted_request_is_never_to_be_asked_again() {
        assert_eq!(verdict(&request("completed", true, None)), Ok(Exit::Ok));
        assert_eq!(verdict(&request("failed", true, None)), Ok(Exit::Failure));
        let open = [
            (
                request("running", false, None),
                Exit::Unknown,
                "chiffon watch",
            ),
            (
                request("awaiting_approval", false, Some("approval")),
                Exit::Waiting,
                "chiffon approve",
            ),
            (
                request("running", false, Some("unknown_outcome")),
                Exit::Waiting,
                "--choice again|give_up",
            ),
        ];
        for (request, exit, todo) in open {
            let failure = verdict(&request).unwrap_err();
            assert_eq!(failure.exit, exit, "{failure:?}");
            assert!(failure.todo.contains(todo), "{failure:?}");
            assert!(!failure.todo.contains("chiffon run"), "{failure:?}");
        }
        let unseen = not_known(ID.parse().unwrap(), &Failure::internal("no disk"));
        assert_eq!(unseen.exit, Exit::Unknown);
        assert!(
            unseen.todo.contains("chiffon watch 0199e2f4-77a1"),
            "{unseen:?}"
        );
    }
}
