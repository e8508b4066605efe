//! The catalogue: what may run, and starting an entry without a sentence.

use axum::{
    Json,
    extract::{Path, State as Extract},
    http::HeaderMap,
    response::Response,
};
use chiffon_common::{
    Content, EntryCall, EntryId, ErrorCode, FieldError, HostName, Problem,
    api::{AcceptEntries, CatalogueView, EntryRun, EntryView, RequestAccepted},
    visible,
};
use serde_json::{Map, Value};

use super::{
    State,
    frame::Trace,
    idempotency::{Call, hold},
    input::{Body, Id, NoQuery},
    problem::Refused,
    take::{Asking, take},
};
use crate::{
    catalogue::{Acceptance, Acceptances, Entry},
    engine::Editor,
    inventory::Inventory,
    planner::{Planner, Proposal, explicit_form, text::fold},
};

/// What stands in place of a secret value.
const MASK: &str = "[secret]";
/// Longest value that is shown in the text of a request, in characters.
const SHOWN: usize = 200;
/// How many entries are accepted by one call.
const MOST_ACCEPTED: usize = 5_000;

/// Shows the catalogue: what loaded, and what did not, with its reason.
#[utoipa::path(
    get, path = "/api/v1/catalogue", tag = "catalogue", operation_id = "show_catalogue",
    responses((status = 200, description = "All entries", body = CatalogueView))
)]
pub(super) async fn show(
    Extract(state): Extract<State>,
    _: NoQuery,
) -> Result<Json<CatalogueView>, Refused> {
    Ok(Json(state.shared.library.current().await?.catalogue.view()))
}

/// Shows one entry with its parameters.
#[utoipa::path(
    get, path = "/api/v1/catalogue/{id}", tag = "catalogue", operation_id = "show_entry",
    params(("id" = EntryId, Path)),
    responses((status = 200, description = "The entry", body = EntryView))
)]
pub(super) async fn entry(
    Extract(state): Extract<State>,
    _: NoQuery,
    Path(id): Path<String>,
) -> Result<Json<EntryView>, Refused> {
    let loaded = state.shared.library.current().await?;
    Ok(Json(found(loaded.catalogue.find(&id))?.view()))
}

/// An entry, or the error that it is not there, pointing at the address.
fn found(entry: Result<&Entry, Problem>) -> Result<&Entry, Refused> {
    entry.map_err(|problem| problem.at(FieldError::path("id", "names no entry")).into())
}

/// Starts an entry with parameters: a request like any other, without a sentence to be understood.
#[utoipa::path(
    post, path = "/api/v1/catalogue/{id}/run", tag = "catalogue", operation_id = "run_entry",
    params(("id" = EntryId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255)),
    request_body = EntryRun,
    responses((status = 202, description = "Taken", body = RequestAccepted))
)]
pub(super) async fn run(
    Extract(state): Extract<State>,
    _: NoQuery,
    trace: Trace,
    headers: HeaderMap,
    Id(id): Id<EntryId>,
    Body {
        value: asked,
        bytes,
    }: Body<EntryRun>,
) -> Result<Response, Refused> {
    let operation = format!("run:{id}");
    let call = Call {
        operation: &operation,
        headers: &headers,
        body: &bytes,
        key: None,
    };
    let held = hold(&state, &call).await?;
    let loaded = state.shared.library.current().await?;
    let entry = found(loaded.catalogue.find(id.as_str()))?;
    let wanted = Wanted {
        entry,
        hosts: &asked.hosts,
        parameters: asked.parameters,
    };
    let content = called(&loaded.planner, loaded.inventory()?, wanted)?;
    let asking = Asking {
        content,
        project_id: asked.project_id,
        room_id: asked.room_id,
        trace,
        held,
    };
    take(&state, asking).await
}

/// Records that entries, as they were read, count as what they say of themselves: tier and preview by their metadata,
/// as far as the scan confirms them. Accepted twice is accepted once.
#[utoipa::path(
    put, path = "/api/v1/acceptances", tag = "catalogue", operation_id = "accept_entries",
    request_body = AcceptEntries,
    responses(
        (status = 200, description = "The catalogue as it counts now", body = CatalogueView),
        (status = 404, description = "There is no such entry"),
        (status = 409, description = "An entry is not what was read any more")
    )
)]
pub(super) async fn accept(
    Extract(state): Extract<State>,
    _: NoQuery,
    Trace(trace): Trace,
    Body { value: asked, .. }: Body<AcceptEntries>,
) -> Result<Json<CatalogueView>, Refused> {
    let by = state.principal.clone();
    if by.kind != "person" {
        let detail = "only a person can accept entries";
        return Err(Problem::new(ErrorCode::Forbidden, detail, "let a person accept them").into());
    }
    let loaded = state.shared.library.current().await?;
    let mut accepted = Acceptances::new();
    if asked.entries.is_empty() || asked.entries.len() > MOST_ACCEPTED {
        let detail = format!("1 to {MOST_ACCEPTED} entries are accepted at a time");
        let problem = Problem::new(ErrorCode::MalformedMessage, detail, "name the entries");
        return Err(problem
            .at(FieldError::body("/entries", "too few or too many"))
            .into());
    }
    for (at, one) in asked.entries.into_iter().enumerate() {
        let entry = loaded
            .catalogue
            .find(one.entry.as_str())
            .map_err(|problem| {
                problem.at(FieldError::body(
                    format!("/entries/{at}/entry"),
                    "names no entry",
                ))
            })?;
        if entry.digest != one.digest {
            let detail = format!("{} is not what was read any more", entry.id);
            let todo = "read it again, then accept it: `chiffon catalogue show`";
            let field = FieldError::body(format!("/entries/{at}/digest"), "another one now");
            return Err(Problem::new(ErrorCode::EntryChanged, detail, todo)
                .at(field)
                .into());
        }
        let word = Acceptance {
            digest: one.digest,
            tier: one.tier,
        };
        accepted.insert(one.entry, word);
    }
    state.shared.accept(accepted, &Editor { by, trace }).await?;
    show(Extract(state), NoQuery).await
}

/// An entry with hosts and parameters as somebody says them.
pub(super) struct Wanted<'a> {
    pub(super) entry: &'a Entry,
    pub(super) hosts: &'a [String],
    pub(super) parameters: Map<String, Value>,
}

/// What is asked by it, held against catalogue and inventory: nothing is taken that cannot be planned.
pub(super) fn called(
    planner: &Planner,
    inventory: &Inventory,
    wanted: Wanted<'_>,
) -> Result<Content, Refused> {
    let call = EntryCall {
        entry: wanted.entry.id.clone(),
        hosts: hosts(inventory, wanted.hosts)?,
        parameters: wanted.parameters,
    };
    let proposed = match planner.plan_call(&call, inventory) {
        Proposal::Plan(planned) => planned.steps.into_iter().next(),
        Proposal::Ask(question) | Proposal::Nothing(question) => {
            return Err(question.problem.into());
        }
    };
    let call = match proposed {
        Some(step) => EntryCall {
            entry: step.entry,
            hosts: step.hosts,
            parameters: step.parameters,
        },
        None => call,
    };
    Ok(Content {
        kind: "entry".to_owned(),
        text: visible(&explicit_form(&shown(wanted.entry, &call))),
        mentions_chiffon: true,
        call: Some(call),
        retry_of: None,
        undo_of: None,
        answers: None,
    })
}

/// Names, nicknames and groups as hosts, each once.
fn hosts(inventory: &Inventory, names: &[String]) -> Result<Vec<HostName>, Refused> {
    let mut hosts = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let meant = inventory.meant(&fold(name)).ok_or_else(|| {
            let problem = inventory.unknown_host(name);
            let detail = problem.detail.clone();
            problem.at(FieldError::body(format!("/hosts/{at}"), detail))
        })?;
        hosts.extend(meant.iter().cloned());
    }
    hosts.sort();
    hosts.dedup();
    let names_nobody = !names.is_empty() && hosts.is_empty();
    if names_nobody {
        let detail = "the groups that are named have no hosts";
        let field = FieldError::body("/hosts", detail);
        let todo = "`chiffon inventory show` lists hosts and groups";
        return Err(Problem::new(ErrorCode::UnknownHost, detail, todo)
            .at(field)
            .into());
    }
    Ok(hosts)
}

/// The call as it may be shown: secret values masked, long ones cut.
fn shown(entry: &Entry, call: &EntryCall) -> EntryCall {
    let secret = entry.secret_parameters();
    let mut shown = call.clone();
    for (name, value) in &mut shown.parameters {
        if secret.contains(name) {
            *value = Value::String(MASK.to_owned());
            continue;
        }
        let text = match &*value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let cut: String = text.chars().take(SHOWN).collect();
        if cut.len() < text.len() {
            *value = Value::String(format!("{cut}..."));
        }
    }
    shown
}
