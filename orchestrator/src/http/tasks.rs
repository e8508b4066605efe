//! Tasks and their output; and a person's word on one: how it ended, or that it be tried at once.

use std::collections::{BTreeMap, btree_map::Entry};

use axum::{Json, extract::State as Extract, http::HeaderMap, response::Response};
use chiffon_arbiter::{Resolved, Run, RunEvent};
use chiffon_common::{
    AgentId, RequestId, TaskId,
    api::{LogLine, Page, RequestView, ResolveTask, TaskView},
};
use chiffon_store::ListTasks;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    State,
    cursor::{List, page, read_timed, timed},
    decisions::{COMMENT, SHORT},
    follow::{LINES, line},
    frame::Trace,
    idempotency::{Call, hold},
    input::{Asked, Body, Id, NoQuery, Nothing, none_such, page_size, permitted, unfit_query},
    problem::Refused,
    requests::bring,
    unreadable::{Columns, Read, read},
};
use crate::engine::task_view;

const STATES: [&str; 10] = [
    "open",
    "waiting",
    "dispatched",
    "accepted",
    "running",
    "unknown",
    "interrupted",
    "completed",
    "failed",
    "cancelled",
];

/// Which tasks to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only of this request.
    request_id: Option<RequestId>,
    /// Only those that this agent has, or had last.
    agent_id: Option<AgentId>,
    /// Only in this state.
    state: Option<String>,
    /// Only those that have not ended.
    #[serde(default)]
    open_only: bool,
    /// At most this many.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Lists tasks, newest first.
#[utoipa::path(
    get, path = "/api/v1/tasks", tag = "tasks", operation_id = "list_tasks",
    params(ListQuery),
    responses((status = 200, description = "A page", body = Page<TaskView>))
)]
pub(super) async fn list(
    Extract(state): Extract<State>,
    Asked(asked): Asked<ListQuery>,
) -> Result<Json<Page<TaskView>>, Refused> {
    let limit = page_size(asked.limit, 50)?;
    if asked
        .state
        .as_deref()
        .is_some_and(|state| !STATES.contains(&state))
    {
        let why = format!("a task is in one of the states {}", STATES.join(", "));
        return Err(unfit_query("state", &why));
    }
    let filters = [
        asked
            .request_id
            .map(|id| id.to_string())
            .unwrap_or_default(),
        asked
            .agent_id
            .as_ref()
            .map(AgentId::to_string)
            .unwrap_or_default(),
        asked.state.clone().unwrap_or_default(),
        asked.open_only.to_string(),
    ];
    let cursors = List::new("tasks", &filters.each_ref().map(String::as_str));
    let list = ListTasks {
        request_id: asked.request_id,
        agent_id: asked.agent_id,
        state: asked.state,
        open_only: asked.open_only,
        after: cursors.place(asked.cursor.as_deref(), read_timed)?,
        limit: limit + 1,
    };
    let shared = &state.shared;
    let rows = shared.store.tasks(&shared.settings.tenant, list).await?;
    let (rows, next_cursor) = page(rows, limit, |row| {
        cursors.cursor(&timed(row.created_at, row.task_id))
    });
    // The tasks of one request stand beside each other mostly.
    let mut runs: BTreeMap<RequestId, Read<Run>> = BTreeMap::new();
    let mut items = Vec::with_capacity(rows.len());
    let mut unreadable = Vec::new();
    for row in rows {
        let run = match runs.entry(row.request_id) {
            Entry::Occupied(loaded) => loaded.into_mut(),
            Entry::Vacant(place) => {
                let loaded = shared.load(row.request_id).await;
                place.insert(read(loaded.map(|(run, _)| run))?)
            }
        };
        match run {
            Read::Here(run) => {
                let task = run.tasks.get(&row.task_id);
                items.extend(task.and_then(|task| task_view(run, task)));
            }
            Read::Gone => {}
            Read::Spoiled(problem) => unreadable.push(row.with(problem.clone())),
        }
    }
    Ok(Json(Page {
        items,
        unreadable,
        next_cursor,
    }))
}

/// Shows one task.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}", tag = "tasks", operation_id = "show_task",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task", body = TaskView))
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
    Id(id): Id<TaskId>,
) -> Result<Json<TaskView>, Refused> {
    let run = run_of(&state, id).await?;
    let task = run.tasks.get(&id).and_then(|task| task_view(&run, task));
    task.map(Json).ok_or_else(none_such::<TaskId>)
}

async fn run_of(state: &State, id: TaskId) -> Result<Run, Refused> {
    let shared = &state.shared;
    let found = shared.store.request_of_task(id).await?;
    let request = found
        .filter(|(tenant, _)| *tenant == shared.settings.tenant)
        .map(|(_, request)| request)
        .ok_or_else(none_such::<TaskId>)?;
    Ok(shared.load(request).await?.0)
}

/// Says how a task ended of which nobody else knows it, or lets it run again. Recorded once, with who said it.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/resolve", tag = "tasks", operation_id = "resolve_task",
    params(("id" = TaskId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = ResolveTask,
    responses(
        (status = 200, description = "The request as it stands then", body = RequestView),
        (status = 409, description = "How it ended is known already"),
        (status = 422, description = "The choice is not one of the options")
    )
)]
pub(super) async fn resolve(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Id(id): Id<TaskId>,
    Body { value: said, bytes }: Body<ResolveTask>,
) -> Result<Response, Refused> {
    permitted("/choice", &said.choice, SHORT)?;
    permitted(
        "/comment",
        said.comment.as_deref().unwrap_or_default(),
        COMMENT,
    )?;
    let event = RunEvent::Resolved(Resolved {
        task: id,
        choice: said.choice,
        by: state.principal.clone(),
        comment: said.comment,
    });
    let call = Call {
        operation: &format!("resolve-task:{id}"),
        headers: &headers,
        body: &bytes,
        key: None,
    };
    say(&state, id, event, "resolved", call, trace).await
}

/// Tries a task at once that waits for its next try.
#[utoipa::path(
    post, path = "/api/v1/tasks/{id}/retry", tag = "tasks", operation_id = "retry_task",
    params(("id" = TaskId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    responses(
        (status = 200, description = "The request as it stands then", body = RequestView),
        (status = 409, description = "It does not wait for another try")
    )
)]
pub(super) async fn retry(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Id(id): Id<TaskId>,
    _: Nothing,
) -> Result<Response, Refused> {
    let by = state.principal.clone();
    let event = RunEvent::RetryNow { task: id, by };
    let call = Call {
        operation: &format!("retry-task:{id}"),
        headers: &headers,
        body: &[],
        key: None,
    };
    say(&state, id, event, "retry_asked", call, trace).await
}

/// Brings a person's word on a task to its request.
async fn say(
    state: &State,
    id: TaskId,
    event: RunEvent,
    reason: &'static str,
    call: Call<'_>,
    trace: Trace,
) -> Result<Response, Refused> {
    let held = hold(state, &call).await?;
    let request = run_of(state, id).await?.request.request_id;
    bring(state, request, event, reason, trace, held).await
}

/// Which output to show.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// At most this many lines.
    #[param(minimum = 1, maximum = 500, default = 500)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Shows the output of a task, oldest line first.
#[utoipa::path(
    get, path = "/api/v1/tasks/{id}/logs", tag = "tasks", operation_id = "show_task_logs",
    params(("id" = TaskId, Path), LogQuery),
    responses((status = 200, description = "A page of lines", body = Page<LogLine>))
)]
pub(super) async fn logs(
    Extract(state): Extract<State>,
    Id(id): Id<TaskId>,
    Asked(asked): Asked<LogQuery>,
) -> Result<Json<Page<LogLine>>, Refused> {
    let limit = page_size(asked.limit, 500)?;
    let cursors = List::new("logs", &[&id.to_string()]);
    let after = cursors.place(asked.cursor.as_deref(), |place| place.parse::<u32>().ok())?;
    let mut after = u64::from(after.unwrap_or_default());
    let request = run_of(&state, id).await?.request.request_id;
    let mut lines = Vec::new();
    // Lines are numbered within the request, whose tasks run one after the other mostly.
    while lines.len() <= limit as usize {
        let rows = state.shared.store.logs(request, after, LINES).await?;
        let Some(last) = rows.last().map(|row| row.id) else {
            break;
        };
        after = last;
        lines.extend(rows.into_iter().filter(|row| row.task_id == id).map(line));
    }
    lines.truncate(limit as usize + 1);
    let (items, next_cursor) = page(lines, limit, |line| cursors.cursor(&line.id.to_string()));
    Ok(Json(Page::new(items, next_cursor)))
}
