//! `chiffon request resolve` and `chiffon request retry-now`: a person's word on one task of a request.

use chiffon_common::{
    ErrorCode, Problem, TaskId,
    api::{RequestView, ResolveTask, TaskView},
};
use clap::ValueEnum;

use super::{Context, read_from, request::stands};
use crate::{
    args::{Ending, Resolve, RetryNow},
    exit::Exit,
    failure::Failure,
    output,
    render::{self, one_line},
};

/// Tasks that are named where another was meant.
const NAMED: usize = 5;

pub async fn resolve(context: &mut Context<'_>, args: &Resolve) -> Result<Exit, Failure> {
    let word = ResolveTask {
        choice: word_of(args.ending),
        comment: args.comment.clone(),
    };
    let said = read_from(context, async |client| {
        let request = client.request(client.resolve(&args.request).await?).await?;
        let task = one_open(&request, args.task)?;
        client.resolve_task(task, &word).await
    });
    let (request, stays) = said.await?;
    Ok(told(context, &request, stays))
}

pub async fn retry_now(context: &mut Context<'_>, args: &RetryNow) -> Result<Exit, Failure> {
    let said = read_from(context, async |client| {
        let request = client.request(client.resolve(&args.request).await?).await?;
        let mut last = None;
        for task in to_try(&request, args.task)? {
            last = Some(client.retry_task(task).await?);
        }
        Ok(last.unwrap_or(request))
    });
    let (request, stays) = said.await?;
    Ok(told(context, &request, stays))
}

/// How the request stands after a person's word. Where no fleet stays nothing of it goes on yet, and nobody may think so.
fn told(context: &Context<'_>, request: &RequestView, stays: bool) -> Exit {
    if stays || request.ended || request.waits_for_person {
        return stands(context, request);
    }
    let (terminal, id) = (context.terminal, request.request_id);
    output::one(terminal, request, || {
        let state = render::state(terminal.out, &request.state);
        format!("Request {id} is {state}: what is left of it waits for a fleet")
    });
    terminal.say(&format!(
        "No `chiffon up` runs: your word is kept, and the request goes on with the next one or with `chiffon watch {id}`."
    ));
    Exit::Ok
}

fn word_of(ending: Ending) -> String {
    let value = ending.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The task that is named: one of this request, so that nothing is said of another by mistake.
fn of_request(request: &RequestView, task: TaskId) -> Result<TaskId, Failure> {
    if request.tasks.iter().any(|one| one.task_id == task) {
        return Ok(task);
    }
    let id = request.request_id;
    let own: Vec<_> = request
        .tasks
        .iter()
        .take(NAMED)
        .map(|task| format!("{} (step {}, {})", task.task_id, task.step + 1, task.state))
        .collect();
    let todo = match own.as_slice() {
        [] => format!("It has none yet; look at it: chiffon request show {id}"),
        own => format!("Name one of its own by --task: {}", own.join(", ")),
    };
    let what = format!("Request {id} has no task {task}.");
    Err(Problem::new(ErrorCode::NotFound, what, todo).into())
}

/// The task whose outcome is open: the one that is named, or the only one.
fn one_open(request: &RequestView, named: Option<TaskId>) -> Result<TaskId, Failure> {
    if let Some(task) = named {
        return of_request(request, task);
    }
    let is_open = |task: &&TaskView| ["unknown", "interrupted"].contains(&&*task.state);
    let open: Vec<_> = request.tasks.iter().filter(is_open).collect();
    match open.as_slice() {
        [one] => Ok(one.task_id),
        [] => Err(Problem::new(
            ErrorCode::OutcomeKnown,
            format!(
                "Nothing is open about request {}, which is {}.",
                request.request_id, request.state
            ),
            format!("Look at it: chiffon request show {}", request.request_id),
        )
        .into()),
        several => {
            let ids: Vec<_> = several
                .iter()
                .map(|task| task.task_id.to_string())
                .collect();
            Err(Failure::usage(
                format!("How {} tasks ended is open.", several.len()),
                format!("Name one by --task: {}", ids.join(", ")),
            ))
        }
    }
}

/// The tasks that wait for another try; the one that is named, whatever it waits for.
fn to_try(request: &RequestView, named: Option<TaskId>) -> Result<Vec<TaskId>, Failure> {
    if let Some(task) = named {
        return Ok(vec![of_request(request, task)?]);
    }
    let waits = |task: &&TaskView| task.state == "waiting" && task.tries_again_at.is_some();
    let tasks: Vec<_> = request.tasks.iter().filter(waits).collect();
    if tasks.is_empty() {
        let (what, todo) = why_not(request);
        return Err(Problem::new(ErrorCode::NoRetryWaits, what, todo).into());
    }
    Ok(tasks.into_iter().map(|task| task.task_id).collect())
}

/// Why there is nothing to hurry up, and what could be meant instead.
fn why_not(request: &RequestView) -> (String, String) {
    let id = request.request_id;
    let state = request.state.replace('_', " ");
    if request.ended {
        return (
            format!("Request {id} has ended: it is {state}, and nothing of it is tried again."),
            format!("To have the same once more: chiffon request retry {id}"),
        );
    }
    if request.waits_for_person {
        return (
            format!("Request {id} is {state} and waits for a person, not for another try."),
            format!("See what it asks: chiffon request show {id}"),
        );
    }
    let open = |task: &&TaskView| !["completed", "failed", "cancelled"].contains(&&*task.state);
    let what = request.tasks.iter().find(open).map_or_else(
        || format!("Request {id} is {state}, and no step of it waits for another try."),
        |task| {
            let (step, because) = (task.step + 1, one_line(&task.because, 200));
            format!("Request {id} is {state}, and no step of it waits for another try. Step {step}: {because}")
        },
    );
    (
        what,
        format!("It goes on by itself; to look at it: chiffon request show {id}"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_of_another_request_is_not_meant() {
        let id = |n: u32| format!("0199e2f4-77a1-7c40-8000-00000000000{n}");
        let request: RequestView = serde_json::from_value(json!({
            "request_id": id(1), "project_id": "default", "room_id": "api", "requester": "local:ada",
            "text": "x", "state": "running", "ended": false, "waits_for_person": true,
            "because": "x", "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z",
            "tasks": [{
                "task_id": id(2), "request_id": id(1), "created_at": "2026-01-02T03:04:05Z", "step": 1,
                "title": "x", "entry": "ping", "mode": "apply", "state": "unknown", "bead_state": "blocked",
                "because": "x", "attempt": 1, "progress": 0,
            }],
        }))
        .unwrap();
        let own: TaskId = id(2).parse().unwrap();
        assert_eq!(one_open(&request, Some(own)).unwrap(), own);
        let other = id(3).parse().unwrap();
        for refused in [
            one_open(&request, Some(other)).unwrap_err(),
            to_try(&request, Some(other)).unwrap_err(),
        ] {
            let told = format!("{} {}", refused.what, refused.todo);
            assert!(told.contains(&format!("has no task {}", id(3))), "{told}");
            assert!(
                told.contains(&format!("{} (step 2, unknown)", id(2))),
                "{told}"
            );
        }
    }

    #[test]
    fn where_nothing_waits_to_be_tried_again_it_is_said_why() {
        let id = "0199e2f4-77a1-7c40-8000-000000000001";
        let request = |state: &str, ended: bool, asks: bool, task: &str| -> RequestView {
            let task = json!({
                "task_id": id, "request_id": id, "created_at": "2026-01-02T03:04:05Z", "step": 1,
                "title": "x", "entry": "ping", "mode": "apply", "state": task, "bead_state": "open",
                "because": "waits for nas", "attempt": 1, "progress": 0,
            });
            serde_json::from_value(json!({
                "request_id": id, "project_id": "default", "room_id": "api", "requester": "local:ada",
                "text": "x", "state": state, "ended": ended, "waits_for_person": asks, "because": "",
                "created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:05Z", "tasks": [task],
            }))
            .unwrap()
        };
        for (request, what, todo) in [
            (
                request("completed", true, false, "completed"),
                "has ended: it is completed",
                "request retry",
            ),
            (
                request("awaiting_approval", false, true, "open"),
                "waits for a person",
                "request show",
            ),
            (
                request("running", false, false, "waiting"),
                "Step 2: waits for nas",
                "goes on by itself",
            ),
            (
                request("running", false, false, "completed"),
                "no step of it waits",
                "request show",
            ),
        ] {
            let failure = to_try(&request, None).unwrap_err();
            assert_eq!(failure.code, Some(ErrorCode::NoRetryWaits));
            assert!(
                failure.what.contains(what) && failure.what.contains(id),
                "{failure:?}"
            );
            assert!(failure.todo.contains(todo), "{failure:?}");
        }
    }
}
