//! The HTTP API of section 13: which address leads where, and the form of every answer. No handler decides anything: it
//! hands bytes to the arbiter's shell and gives back what that says.

mod problem;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
};
use chiffon_common::{
    Digest, ErrorCode, FieldError, MAX_CONTRACT_BYTES, Problem, TraceId, TraceParent, contracts,
    visible,
};
use chiffon_http::Arriving;
use tokio::time::timeout;
use uuid::Uuid;

use crate::decide::{Answer, Arbiter, Refused};

/// What to do about a body that is too large.
const SHORTEN: &str = "send less at once";

/// How long who asks for health waits for a database that does not answer: probes give up soon.
const PROBED: Duration = Duration::from_secs(2);

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What every call needs.
pub(crate) struct Api {
    arbiter: Arc<Arbiter>,
    /// Digest of what callers must show.
    token: Option<Digest>,
    /// The answer of `GET /v0/contracts`.
    contracts: String,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Events,
    Generations,
    ActionResults,
    Contracts,
    Healthz,
    /// The page of an error code.
    Errors(ErrorCode),
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/v0/events" => Some(Self::Events),
            "/v0/generations" => Some(Self::Generations),
            "/v0/action-results" => Some(Self::ActionResults),
            "/v0/contracts" => Some(Self::Contracts),
            "/v0/healthz" => Some(Self::Healthz),
            _ => {
                let number = path.strip_prefix("/errors/")?.parse().ok()?;
                ErrorCode::from_number(number).map(Self::Errors)
            }
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Events | Self::Generations | Self::ActionResults => Method::POST,
            Self::Contracts | Self::Healthz | Self::Errors(_) => Method::GET,
        }
    }

    /// What an answer to another method must name (RFC 9110, section 15.5.6).
    fn allowed(self) -> HeaderValue {
        match self.method() {
            Method::POST => HeaderValue::from_static("POST"),
            _ => HeaderValue::from_static("GET, HEAD"),
        }
    }

    /// HEAD is wanted wherever GET is (RFC 9110, section 9.1); whoever answers it leaves the body out.
    fn takes(self, method: &Method) -> bool {
        *method == self.method() || self.method() == Method::GET && *method == Method::HEAD
    }
}

impl Api {
    pub(crate) fn new(
        arbiter: Arc<Arbiter>,
        token: Option<&str>,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            arbiter,
            token: token.map(|token| Digest::of_bytes(token.as_bytes())),
            contracts: serde_json::to_string(&contracts(false)?)?,
        })
    }

    /// Answers one call.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request<Arriving>) -> Response<Body> {
        let trace = trace_of(request.headers());
        let path = request.uri().path().to_owned();
        let mut response = match self.routed(request, trace).await {
            Ok(response) => response,
            Err(refused) => problem::response(&refused, trace, &path),
        };
        let is_other_method = response.status() == StatusCode::METHOD_NOT_ALLOWED;
        let headers = response.headers_mut();
        if let Some(route) = Route::of(&path).filter(|_| is_other_method) {
            headers.insert(header::ALLOW, route.allowed());
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        response
    }

    async fn routed(
        self: &Arc<Self>,
        request: Request<Arriving>,
        trace: Option<TraceId>,
    ) -> Result<Response<Body>, Refused> {
        let (parts, incoming) = request.into_parts();
        let Some(route) = Route::of(parts.uri.path()) else {
            let detail = format!("there is nothing at {}", visible(parts.uri.path()));
            let todo = "the addresses are /v0/events, /v0/generations, /v0/action-results, /v0/contracts and /v0/healthz";
            return Err(Problem::new(ErrorCode::NotFound, detail, todo).into());
        };
        // Whether it lives is no secret, and asked by those who hold none.
        if !matches!(route, Route::Healthz | Route::Errors(_)) {
            self.admit(&parts.headers)?;
        }
        if !route.takes(&parts.method) {
            let detail = format!(
                "{} does not take {}",
                visible(parts.uri.path()),
                visible(parts.method.as_str())
            );
            let todo = format!("use {}", route.method());
            return Err(Problem::new(ErrorCode::MethodNotAllowed, detail, todo).into());
        }
        match route {
            Route::Contracts => Ok(json(StatusCode::OK, self.contracts.clone())),
            Route::Healthz => Ok(self.health().await),
            Route::Errors(code) => {
                let mut response = Response::new(Body::from(code.page()));
                let kind = HeaderValue::from_static("text/markdown; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                Ok(response)
            }
            Route::Events | Route::Generations | Route::ActionResults => {
                chiffon_http::is_json(&parts.headers)?;
                let bytes = chiffon_http::whole(incoming, MAX_CONTRACT_BYTES, SHORTEN).await?;
                self.decided(route, bytes, trace).await.map(answered)
            }
        }
    }

    /// In a task of its own: a caller that goes away must not stop a decision between its commit and its record.
    async fn decided(
        self: &Arc<Self>,
        route: Route,
        bytes: Vec<u8>,
        trace: Option<TraceId>,
    ) -> Result<Answer, Refused> {
        let arbiter = Arc::clone(&self.arbiter);
        let deciding = tokio::spawn(async move {
            match route {
                Route::Generations => arbiter.generation(&bytes, trace).await,
                Route::ActionResults => arbiter.action(&bytes, trace).await,
                _ => arbiter.event(&bytes, trace).await,
            }
        });
        deciding.await.unwrap_or_else(|_panicked| {
            let detail = "a fault of the arbiter itself";
            let todo = "please report this with the log of the arbiter";
            Err(Problem::new(ErrorCode::Internal, detail, todo).into())
        })
    }

    /// With a token, whoever shows it. Without one only this machine is listened to, and then no page of a browser may
    /// speak: not one of another origin, and not one that has made its own name lead here.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refused> {
        if let Some(token) = self.token {
            let given = headers.get(header::AUTHORIZATION);
            let given = given.and_then(|value| value.to_str().ok()?.split_once(' '));
            // Compared by digest, so that the time it takes tells nothing of how much fits.
            let fits = given.is_some_and(|(scheme, given)| {
                scheme.eq_ignore_ascii_case("bearer") && Digest::of_bytes(given.as_bytes()) == token
            });
            if fits {
                return Ok(());
            }
            let todo = "send `Authorization: Bearer <token>`, as set by token or token_file";
            let problem = Problem::new(
                ErrorCode::Unauthenticated,
                "the request carries no valid token",
                todo,
            );
            return Err(problem
                .at(FieldError::header("authorization", "missing or wrong"))
                .into());
        }
        let host = headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok());
        let is_page = headers.contains_key(header::ORIGIN);
        if host.is_some_and(is_loopback) && !is_page {
            return Ok(());
        }
        let detail = "without a token, only programs of this machine are served, under the name 127.0.0.1 or localhost";
        let todo = "set token or token_file, or call 127.0.0.1";
        Err(Problem::new(ErrorCode::Forbidden, detail, todo).into())
    }

    async fn health(&self) -> Response<Body> {
        let Arbiter {
            audit,
            store,
            watch,
            ..
        } = self.arbiter.as_ref();
        let audit = audit.fault().map(|fault| fault.0);
        let audit = audit.or_else(|| watch.audit());
        let store = match watch.store() {
            Some(fault) => Some(fault),
            None => match timeout(PROBED, store.ready()).await {
                Ok(ready) => ready.err().map(|error| error.to_string()),
                Err(_) => Some(format!(
                    "the database did not answer within {} s",
                    PROBED.as_secs()
                )),
            },
        };
        let is_well = audit.is_none() && store.is_none();
        let said = |fault: Option<String>| fault.unwrap_or_else(|| "ok".to_owned());
        let body = serde_json::json!({
            "status": if is_well { "ok" } else { "failing" },
            "audit": said(audit),
            "store": said(store),
            "version": crate::record::PROGRAM,
            "rules": self.arbiter.rules,
        });
        let status = match is_well {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        json(status, body.to_string())
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    // Names of hosts have no case.
    name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "[::1]")
}

fn trace_of(headers: &HeaderMap) -> Option<TraceId> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let parent: TraceParent = parent.parse().ok()?;
    Some(parent.trace_id)
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

fn answered(answer: Answer) -> Response<Body> {
    let mut response = json(StatusCode::OK, answer.body);
    if answer.repeated {
        let name = HeaderName::from_static("idempotency-replayed");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static("true"));
    }
    response
}

/// A trace for whoever brought none, so that an error can be found in the log.
fn fresh_trace() -> TraceId {
    TraceId::from_uuid(Uuid::now_v7())
}
