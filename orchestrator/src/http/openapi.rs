//! The routes, and the OpenAPI 3.1 document that is made from the very same list (A1). What every operation can
//! answer beside its own (no token, too many requests, a fault) is added here once.

use axum::Router;
use utoipa::{
    OpenApi,
    openapi::{
        self, ContentBuilder, Ref, RefOr, Response, ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    State, agents, audit, catalogue, decisions, events, follow, freeze, health, inventory, ledger,
    plans, projects, replay, requests, rooms, schedules, tasks, v0,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Chiffon",
        description = "From a sentence to an approved, verified and recorded change on real machines. Errors are problem+json (RFC 9457) with a code; every POST that creates work takes an Idempotency-Key; lists have cursors; traces follow W3C Trace Context.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(chiffon_common::api::ProblemBody, chiffon_common::FieldError, chiffon_common::Retry)),
    tags(
        (name = "requests", description = "What was asked"),
        (name = "plans", description = "What would be done"),
        (name = "tasks", description = "Steps at work"),
        (name = "decisions", description = "Questions to a person"),
        (name = "events", description = "What happens"),
        (name = "catalogue", description = "What may run"),
        (name = "inventory", description = "Where it may run"),
        (name = "agents", description = "Who carries it out"),
        (name = "freeze", description = "Whether anything is started at all"),
        (name = "schedules", description = "What is asked at set times"),
        (name = "projects", description = "Groups of requests"),
        (name = "audit", description = "The record of every decision"),
        (name = "ledger", description = "The record of every outcome"),
        (name = "control plane", description = "Events, texts and results of chat rooms (RFC-ARB-0001)"),
        (name = "short", description = "The short way in; the same handlers")
    )
)]
struct Document;

/// Every address of the API, and the document of them.
pub(super) fn routes() -> (Router<State>, openapi::OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(requests::list, requests::create))
        .routes(routes!(requests::show))
        .routes(routes!(requests::cancel))
        .routes(routes!(requests::retry))
        .routes(routes!(replay::replay))
        .routes(routes!(requests::undo))
        .routes(routes!(follow::follow))
        .routes(routes!(plans::of_request))
        .routes(routes!(plans::bytes))
        .routes(routes!(plans::list))
        .routes(routes!(plans::show))
        .routes(routes!(tasks::list))
        .routes(routes!(tasks::show))
        .routes(routes!(tasks::logs))
        .routes(routes!(tasks::resolve))
        .routes(routes!(tasks::retry))
        .routes(routes!(decisions::list))
        .routes(routes!(decisions::show))
        .routes(routes!(decisions::resolve))
        .routes(routes!(events::list))
        .routes(routes!(events::stream))
        .routes(routes!(catalogue::show))
        .routes(routes!(catalogue::entry))
        .routes(routes!(catalogue::run))
        .routes(routes!(catalogue::accept))
        .routes(routes!(inventory::show))
        .routes(routes!(inventory::host))
        .routes(routes!(inventory::clear))
        .routes(routes!(agents::list))
        .routes(routes!(agents::show, agents::edit))
        .routes(routes!(freeze::show, freeze::freeze, freeze::thaw))
        .routes(routes!(projects::list))
        .routes(routes!(projects::show, projects::put))
        .routes(routes!(schedules::list, schedules::create))
        .routes(routes!(schedules::show, schedules::put, schedules::remove))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(schedules::run))
        .routes(routes!(schedules::try_next))
        .routes(routes!(schedules::next))
        .routes(routes!(schedules::plan))
        .routes(routes!(schedules::approve, schedules::withdraw))
        .routes(routes!(audit::list))
        .routes(routes!(audit::head))
        .routes(routes!(audit::verify))
        .routes(routes!(audit::accept_key))
        .routes(routes!(ledger::list))
        .routes(routes!(v0::events))
        .routes(routes!(v0::generations))
        .routes(routes!(v0::action_results))
        .routes(routes!(v0::spoken))
        .routes(routes!(v0::health))
        .routes(routes!(rooms::messages))
        .routes(routes!(decisions::approve))
        .routes(routes!(health::health))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .split_for_parts();
    short_ways(&mut document);
    finish(&mut document);
    // Document 004's short addresses of the same handlers.
    let router = router
        .route("/request", axum::routing::post(requests::create))
        .route("/request/{id}", axum::routing::get(requests::show))
        .route("/cancel/{id}", axum::routing::post(requests::cancel));
    (router, document)
}

/// The OpenAPI document of the public API.
pub fn openapi() -> openapi::OpenApi {
    routes().1
}

/// Document 004's addresses are described as what they are: other names of the same operations.
fn short_ways(document: &mut openapi::OpenApi) {
    let paths = &mut document.paths.paths;
    for (short, long) in [
        ("/request", "/api/v1/requests"),
        ("/request/{id}", "/api/v1/requests/{id}"),
        ("/cancel/{id}", "/api/v1/requests/{id}/cancel"),
    ] {
        let Some(mut item) = paths.get(long).cloned() else {
            continue;
        };
        if short == "/request" {
            item.get = None;
        }
        for operation in operations(&mut item) {
            let id = operation.operation_id.take().unwrap_or_default();
            operation.operation_id = Some(format!("short_{id}"));
            operation.tags = Some(vec!["short".to_owned()]);
        }
        paths.insert(short.to_owned(), item);
    }
}

fn operations(item: &mut openapi::PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

fn finish(document: &mut openapi::OpenApi) {
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token in the file `token` of the data folder"))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let nothing: [&str; 0] = [];
    document.security = Some(vec![SecurityRequirement::new("token", nothing)]);
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            errors(path, operation);
        }
    }
}

/// What an operation can answer because of where it stands and what it takes.
fn errors(path: &str, operation: &mut Operation) {
    let mut can = vec![400, 401, 403, 429, 500, 503];
    if path.contains('{') {
        can.push(404);
    }
    let takes_body = operation.request_body.is_some();
    // Those that take nothing refuse a body that is no empty object.
    let is_bare_post = [
        "/cancel", "/retry", "/verify", "/freeze", "/pause", "/resume", "/run",
    ]
    .iter()
    .any(|end| path.contains(end));
    if takes_body || is_bare_post {
        can.extend([408, 409, 413, 415, 422]);
    }
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        // The handlers name why; the form is always the same.
        if let RefOr::T(response) = response
            && status.parse().is_ok_and(|status: u16| status >= 400)
        {
            *response = problem(&response.description);
        }
    }
    for status in can {
        let described = axum::http::StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason())
            .unwrap_or("Refused");
        responses
            .entry(status.to_string())
            .or_insert_with(|| RefOr::T(problem(described)));
    }
}

fn problem(described: &str) -> Response {
    let body = Ref::from_schema_name("ProblemBody");
    ResponseBuilder::new()
        .description(described)
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(body)).build(),
        )
        .build()
}
