//! Calls of the API with everything a client may get wrong, and what every problem must have.

use reqwest::{
    Method, RequestBuilder,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::world::{TOKEN, World};

/// An answer, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, if the status is this one.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        match self.body.is_empty() {
            true => Value::Null,
            false => self.json(),
        }
    }

    /// The trace id of the header `traceparent`.
    #[track_caller]
    pub fn trace(&self) -> String {
        let parent = self.header("traceparent").expect("there is a traceparent");
        let parts: Vec<_> = parent.split('-').collect();
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [2, 32, 16, 2], "{parent}");
        parts[1].to_owned()
    }
}

/// A call on its way.
pub struct Call {
    request: RequestBuilder,
    token: Option<String>,
}

impl World {
    /// A call with the right token, unless it says otherwise.
    pub fn call(&self, method: &str, path: &str) -> Call {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Call {
            request: self.client.request(method, self.url(path)),
            token: Some(TOKEN.to_owned()),
        }
    }
}

impl Call {
    pub fn without_token(mut self) -> Self {
        self.token = None;
        self
    }

    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.request = self.request.header(name, value);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw(body.to_string())
    }

    /// Bytes that say they are JSON.
    pub fn raw(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request = self
            .request
            .header(CONTENT_TYPE, "application/json")
            .body(body.into());
        self
    }

    pub fn body(mut self, kind: &str, body: &str) -> Self {
        self.request = self
            .request
            .header(CONTENT_TYPE, kind)
            .body(body.to_owned());
        self
    }

    /// Sends it; the body of the answer is left unread.
    pub async fn begin(self) -> reqwest::Response {
        let request = match &self.token {
            Some(token) => self.request.bearer_auth(token),
            None => self.request,
        };
        request.send().await.unwrap()
    }

    pub async fn send(self) -> Reply {
        let answer = self.begin().await;
        Reply {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.unwrap().to_vec(),
        }
    }
}

/// What every error must be (A2): the whole form, a page behind its type, the trace of its header. The body.
pub async fn problem(world: &World, reply: &Reply, status: u16, code: u16, path: &str) -> Value {
    assert_eq!(reply.status, status, "{path}: {}", reply.text());
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json"),
        "{path}"
    );
    let body = reply.json();
    let text = |name: &str| {
        let said = body[name].as_str();
        said.unwrap_or_else(|| panic!("{path}: {name} is no text in {body}"))
    };
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(text("type"), format!("/errors/{code}"));
    assert_eq!(text("instance"), path);
    assert_eq!(text("trace_id"), reply.trace(), "{body}");
    for name in ["title", "detail", "todo", "retry"] {
        assert!(!text(name).is_empty(), "{path}: {name} is empty in {body}");
    }
    let known = [
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "todo",
        "code",
        "retry",
        "trace_id",
        "errors",
        "reason_code",
    ];
    let members = body.as_object().unwrap().keys();
    let others: Vec<_> = members
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(others.is_empty(), "{path}: {others:?} in {body}");
    let page = world.call("GET", text("type")).send().await;
    assert_eq!(
        page.status,
        200,
        "{path}: there is no page {}",
        text("type")
    );
    let headline = format!("# {code}: {}\n", text("title"));
    assert!(page.text().starts_with(&headline), "{}", page.text());
    body
}

/// The places that a problem points at, as `in pointer`.
pub fn places(body: &Value) -> Vec<String> {
    let errors = body["errors"].as_array().into_iter().flatten();
    errors
        .map(|error| {
            format!(
                "{} {}",
                error["in"].as_str().unwrap(),
                error["pointer"].as_str().unwrap()
            )
        })
        .collect()
}
