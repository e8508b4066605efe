//! The HTTP API's client: one method a route, typed by `chiffon_common::api`. What the answers mean for
//! a command is left to the commands.

use std::{net::SocketAddr, time::Duration};

use chiffon_common::{
    ErrorCode, Problem, RequestId,
    api::{
        AgentView, Answer, AuditReport, CatalogueView, Follow, Health, InventoryView, LedgerLine,
        NewRequest, Page, ProblemBody, RequestAccepted, RequestView,
    },
};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{exit::Exit, failure::Failure};

/// Everything but following answers within this; a verification of a long audit log may take it.
const LIMIT: Duration = Duration::from_secs(60);

/// More than that never lies between two prefixes that people type.
const MOST_PAGES: usize = 20;

/// The shortest abbreviation of a request id.
const SHORTEST: usize = 6;

/// Speaks to one orchestrator.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// Which requests to list.
#[derive(Debug, Clone, Default)]
pub struct ListRequests {
    /// At most this many.
    pub limit: u32,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Only those that have not ended.
    pub open_only: bool,
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this group.
    pub project: Option<String>,
}

impl Client {
    /// A client of the orchestrator at this address.
    pub fn new(address: SocketAddr, token: String) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            // Loopback only: a proxy would have no business here, and would see the token.
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .timeout(LIMIT)
            .build()
            .map_err(|error| Failure::internal(format!("no HTTP client: {error}")))?;
        Ok(Self {
            http,
            base: format!("http://{address}"),
            token,
        })
    }

    /// `GET /health`.
    pub async fn health(&self) -> Result<Health, Failure> {
        self.get("/health", &[]).await
    }

    /// `POST /request`.
    pub async fn ask(&self, request: &NewRequest) -> Result<RequestAccepted, Failure> {
        self.post("/request", request).await
    }

    /// `GET /api/v1/requests/{id}`.
    pub async fn request(&self, id: RequestId) -> Result<RequestView, Failure> {
        self.get(&format!("/api/v1/requests/{id}"), &[]).await
    }

    /// `GET /api/v1/requests`.
    pub async fn requests(&self, list: &ListRequests) -> Result<Page<RequestView>, Failure> {
        let mut query = vec![("limit", list.limit.to_string())];
        if list.open_only {
            query.push(("open_only", true.to_string()));
        }
        let optional = [
            ("cursor", &list.cursor),
            ("state", &list.state),
            ("project_id", &list.project),
        ];
        for (name, value) in optional {
            query.extend(value.clone().map(|value| (name, value)));
        }
        self.get("/api/v1/requests", &query).await
    }

    /// `GET /api/v1/requests/{id}/follow`: answers when something is new, or after 25 s.
    pub async fn follow(&self, id: RequestId, after: u64, version: u64) -> Result<Follow, Failure> {
        let query = [
            ("after", after.to_string()),
            ("version", version.to_string()),
        ];
        self.get(&format!("/api/v1/requests/{id}/follow"), &query)
            .await
    }

    /// `POST /approve`.
    pub async fn answer(&self, answer: &Answer) -> Result<RequestView, Failure> {
        self.post("/approve", answer).await
    }

    /// `POST /cancel/{id}`.
    pub async fn cancel(&self, id: RequestId) -> Result<RequestView, Failure> {
        let nothing = serde_json::json!({});
        self.post(&format!("/cancel/{id}"), &nothing).await
    }

    /// `GET /api/v1/agents`.
    pub async fn agents(&self) -> Result<Page<AgentView>, Failure> {
        self.get("/api/v1/agents", &[]).await
    }

    /// `GET /api/v1/catalogue`.
    pub async fn catalogue(&self) -> Result<CatalogueView, Failure> {
        self.get("/api/v1/catalogue", &[]).await
    }

    /// `GET /api/v1/inventory`.
    pub async fn inventory(&self) -> Result<InventoryView, Failure> {
        self.get("/api/v1/inventory", &[]).await
    }

    /// `POST /api/v1/audit/verify`.
    pub async fn verify_audit(&self) -> Result<AuditReport, Failure> {
        let nothing = serde_json::json!({});
        self.post("/api/v1/audit/verify", &nothing).await
    }

    /// `GET /api/v1/ledger`.
    pub async fn ledger(&self, limit: u32) -> Result<Page<LedgerLine>, Failure> {
        self.get("/api/v1/ledger", &[("limit", limit.to_string())])
            .await
    }

    /// The request that is meant by an id or by the beginning of one.
    pub async fn resolve(&self, text: &str) -> Result<RequestId, Failure> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let prefix = text.to_ascii_lowercase();
        let is_prefix = prefix.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if !is_prefix || prefix.len() < SHORTEST {
            return Err(Failure::usage(
                format!("{text:?} is no request id."),
                format!(
                    "Give the id or at least its first {SHORTEST} characters; `chiffon request list` shows them."
                ),
            ));
        }
        let found = self.ids_that_begin_with(&prefix).await?;
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Failure::plain(
                Exit::NotFound,
                format!("No request begins with {prefix}."),
                "`chiffon request list` shows the requests there are.",
            )),
            several => Err(Failure::usage(
                format!("{} requests begin with {prefix}.", several.len()),
                "Give more characters; `chiffon request list` shows the ids.",
            )),
        }
    }

    async fn ids_that_begin_with(&self, prefix: &str) -> Result<Vec<RequestId>, Failure> {
        let mut list = ListRequests {
            limit: 500,
            ..ListRequests::default()
        };
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.requests(&list).await?;
            let ids = page.items.iter().map(|request| request.request_id);
            found.extend(ids.filter(|id| id.to_string().starts_with(prefix)));
            match page.next_cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => break,
            }
        }
        Ok(found)
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let path = match query.is_empty() {
            true => path.to_owned(),
            false => format!("{path}?{}", query.join("&")),
        };
        self.send(self.call(Method::GET, &path)).await
    }

    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.send(self.call(Method::POST, path).json(body)).await
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    async fn send<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, Failure> {
        let answer = call.send().await.map_err(|error| self.unheard(&error))?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| self.unheard(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| {
                Failure::internal(format!(
                    "{} gave an answer of another form: {error}",
                    self.base
                ))
            });
        }
        Err(refused(status, &body))
    }

    fn unheard(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        if error.is_timeout() {
            return Failure::plain(
                Exit::Timeout,
                format!("{base} gave no answer in time."),
                "`chiffon status` tells how it is, `chiffon request list` what it has taken.",
            );
        }
        let todo = match error.is_connect() {
            true => {
                "Start it with `chiffon up`, or run the command again: without one it does the work itself."
            }
            false => {
                "What was asked may have been taken: look with `chiffon request list` before it is asked again."
            }
        };
        let detail = format!("{base} does not answer: {}.", root_cause(error));
        Problem::new(ErrorCode::NotRunning, detail, todo).into()
    }
}

/// For query values: everything but the plainest characters.
fn escaped(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let write = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(write).collect()
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn refused(status: StatusCode, body: &[u8]) -> Failure {
    match serde_json::from_slice::<ProblemBody>(body) {
        Ok(problem) => Problem::new(problem.code, problem.detail, problem.todo).into(),
        Err(_) => Failure::internal(format!("the answer was {status} without a reason")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_cannot_bring_parameters_of_their_own() {
        assert_eq!(escaped("a&b=c d/ü"), "a%26b%3Dc%20d%2F%C3%BC");
    }

    #[test]
    fn a_problem_keeps_its_words_and_gets_its_exit_code() {
        let body = r#"{"type":"x","title":"t","status":409,"detail":"d","todo":"do","code":5203,"retry":"after_change","trace_id":"1"}"#;
        let failure = refused(StatusCode::CONFLICT, body.as_bytes());
        assert_eq!(failure.what, "d");
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(
            refused(StatusCode::BAD_GATEWAY, b"<html>").exit,
            Exit::Failure
        );
    }
}
