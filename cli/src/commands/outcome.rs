//! `chiffon request resolve` and `chiffon request retry-now`: a person's word on one task of a request.

use chiffon_common::{
    ErrorCode, Problem, TaskId,
    api::{RequestView, ResolveTask, TaskView},
};
use clap::ValueEnum;

use super::{Context, read, request::stands};
use crate::{
    args::{Ending, Resolve, RetryNow},
    exit::Exit,
    failure::Failure,
};

pub async fn resolve(context: &mut Context<'_>, args: &Resolve) -> Result<Exit, Failure> {
    let said = ResolveTask {
        choice: word(args.ending),
        comment: args.comment.clone(),
    };
    let request = read(context, async |client| {
        let request = client.request(client.resolve(&args.request).await?).await?;
        let task = one_open(&request, args.task)?;
        client.resolve_task(task, &said).await
    });
    let request = request.await?;
    Ok(stands(context, &request))
}

pub async fn retry_now(context: &mut Context<'_>, args: &RetryNow) -> Result<Exit, Failure> {
    let request = read(context, async |client| {
        let request = client.request(client.resolve(&args.request).await?).await?;
        let mut last = None;
        for task in to_try(&request, args.task)? {
            last = Some(client.retry_task(task).await?);
        }
        Ok(last.unwrap_or(request))
    });
    let request = request.await?;
    Ok(stands(context, &request))
}

fn word(ending: Ending) -> String {
    let value = ending.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// The task whose outcome is open: the one that is named, or the only one.
fn one_open(request: &RequestView, named: Option<TaskId>) -> Result<TaskId, Failure> {
    if let Some(task) = named {
        return Ok(task);
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
        return Ok(vec![task]);
    }
    let waits = |task: &&TaskView| task.state == "waiting" && task.tries_again_at.is_some();
    let tasks: Vec<_> = request.tasks.iter().filter(waits).collect();
    if tasks.is_empty() {
        return Err(Problem::new(
            ErrorCode::NoRetryWaits,
            format!(
                "Nothing of request {} waits to be tried again.",
                request.request_id
            ),
            format!(
                "Look at what it waits for: chiffon request show {}",
                request.request_id
            ),
        )
        .into());
    }
    Ok(tasks.into_iter().map(|task| task.task_id).collect())
}
