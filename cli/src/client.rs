//! The HTTP API's client: one method a route, typed by `chiffon_common::api`, a noun a file below `client`.
//! Here is how a call is made and its answer read; what answers mean for a command is left to the commands.

mod events;
mod fleet;
mod history;
mod places;
mod requests;
mod resolve;
mod schedules;
mod sse;

use std::{net::SocketAddr, time::Duration};

use chiffon_common::{ErrorCode, Problem, api::ProblemBody};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};

use crate::{exit::Exit, failure::Failure};
pub use events::{Events, Heard, WantedEvents};
pub use history::AuditFrom;
pub use requests::{ListDecisions, ListRequests};
pub use sse::Block;

/// Everything but following and verifying answers within this.
const LIMIT: Duration = Duration::from_secs(60);

/// Below the 30 seconds after which the server closes an idle connection: a call must not meet one that is
/// just being closed.
const IDLE: Duration = Duration::from_secs(20);

/// How long a limit of the server is waited out before it is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// The header of a key that gives the same answer again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Speaks to one orchestrator.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// What was read with its version, for a change that is made from it.
#[derive(Debug, Clone)]
pub struct Versioned<T> {
    /// The value of the header `ETag`.
    pub tag: String,
    /// What was read.
    pub value: T,
}

impl Client {
    /// A client of the orchestrator at this address.
    pub fn new(address: SocketAddr, token: String) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            // Loopback only: a proxy would have no business here, and would see the token.
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .timeout(LIMIT)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| Failure::internal(format!("no HTTP client: {error}")))?;
        Ok(Self {
            http,
            base: format!("http://{address}"),
            token,
        })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let path = with_query(path, query);
        self.read(self.call(Method::GET, &path)).await
    }

    /// A good answer as it came.
    async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.send(self.call(Method::GET, path)).await?;
        let bytes = answer.bytes().await.map_err(|error| self.unheard(&error))?;
        Ok(bytes.to_vec())
    }

    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.read(self.call(Method::POST, path).json(body)).await
    }

    /// For calls that say everything by their address.
    async fn post_nothing<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.post(path, &serde_json::json!({})).await
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// The body of a good answer.
    async fn read<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, Failure> {
        Ok(self.read_versioned(call).await?.value)
    }

    /// The same with its version; the tag is empty where the answer has none.
    async fn read_versioned<T: DeserializeOwned>(
        &self,
        call: RequestBuilder,
    ) -> Result<Versioned<T>, Failure> {
        let answer = self.send(call).await?;
        let tag = text_of(&answer, header::ETAG).unwrap_or_default();
        let body = answer.bytes().await.map_err(|error| self.unheard(&error))?;
        let value = serde_json::from_slice(&body).map_err(|error| {
            let base = &self.base;
            Failure::internal(format!("{base} gave an answer of another form: {error}"))
        })?;
        Ok(Versioned { tag, value })
    }

    /// A good answer. Where the server asks to come later, and that is soon, it is asked again: nothing was
    /// done then.
    async fn send(&self, call: RequestBuilder) -> Result<Response, Failure> {
        let until = Instant::now() + PATIENCE;
        let mut call = call;
        loop {
            let again = call.try_clone();
            let answer = call.send().await.map_err(|error| self.unheard(&error))?;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            let wait = later(&answer).filter(|wait| Instant::now() + *wait <= until);
            match (again, wait) {
                (Some(again), Some(wait)) if status == StatusCode::TOO_MANY_REQUESTS => {
                    sleep(wait).await;
                    call = again;
                }
                _ => {
                    let body = answer.bytes().await.map_err(|error| self.unheard(&error))?;
                    return Err(refused(status, &body));
                }
            }
        }
    }

    fn silent(&self) -> Failure {
        Failure::plain(
            Exit::Timeout,
            format!("{} gave no answer in time.", self.base),
            "`chiffon status` tells how it is, `chiffon request list` what it has taken.",
        )
    }

    fn unheard(&self, error: &reqwest::Error) -> Failure {
        let base = &self.base;
        if error.is_timeout() {
            return self.silent();
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

fn text_of(answer: &Response, name: header::HeaderName) -> Option<String> {
    let value = answer.headers().get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

/// `Retry-After` in seconds, the only form that this server writes.
fn later(answer: &Response) -> Option<Duration> {
    let seconds = text_of(answer, header::RETRY_AFTER)?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let pair = |(name, value): &(&str, String)| format!("{name}={}", escaped(value));
    let query: Vec<String> = query.iter().map(pair).collect();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", query.join("&")),
    }
}

/// For values in addresses: everything but the plainest characters.
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
        Ok(body) => {
            let mut problem = Problem::new(body.code, body.detail, body.todo);
            problem.errors = body.errors;
            problem.into()
        }
        Err(_) => Failure::internal(format!("the answer was {status} without a reason")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_values_cannot_bring_parameters_of_their_own() {
        assert_eq!(escaped("a&b=c d/ü"), "a%26b%3Dc%20d%2F%C3%BC");
        let query = [("a", "1&b=2".to_owned()), ("c", "3".to_owned())];
        assert_eq!(with_query("/x", &query), "/x?a=1%26b%3D2&c=3");
        assert_eq!(with_query("/x", &[]), "/x");
    }

    #[test]
    fn a_problem_keeps_its_words_its_places_and_gets_its_exit_code() {
        let body = r#"{"type":"x","title":"t","status":409,"detail":"d","todo":"do","code":5203,"retry":"after_change","trace_id":"1",
            "errors":[{"in":"body","pointer":"/digest","detail":"of another plan"}]}"#;
        let failure = refused(StatusCode::CONFLICT, body.as_bytes());
        assert_eq!(failure.what, "d");
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(failure.errors[0].pointer, "/digest");
        assert_eq!(
            refused(StatusCode::BAD_GATEWAY, b"<html>").exit,
            Exit::Failure
        );
    }
}
