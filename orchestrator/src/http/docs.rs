//! The documentation that the program brings with it: the OpenAPI document, its page (Swagger UI, embedded: nothing
//! is fetched from elsewhere), and a page for each error code, to which the `type` of a problem points.

use std::sync::Arc;

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use chiffon_common::{ErrorCode, FieldError};
use utoipa_swagger_ui::{Config, serve};

use super::{
    State,
    openapi::openapi,
    problem::{Refused, internal, missing},
};

/// Where the document lies.
const DOCUMENT: &str = "/api/v1/openapi.json";
/// Where its page lies.
const PAGE: &str = "/api/docs/";
/// What a page may do: nothing but be shown, with its own scripts and styles (S72).
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Whether a browser opens this by itself, without being able to send a bearer token.
pub(super) fn is_page(path: &str) -> bool {
    path == DOCUMENT
        || path == "/api/docs"
        || path.starts_with(PAGE)
        || path.starts_with("/errors/")
}

pub(super) fn routes() -> Router<State> {
    let page = get(|| async { asset("index.html") });
    Router::new()
        .route(DOCUMENT, get(document))
        .route("/api/docs", get(|| async { Redirect::permanent(PAGE) }))
        .route(PAGE, page)
        .route(
            "/api/docs/{*file}",
            get(|Path(file): Path<String>| async move { asset(&file) }),
        )
        .route("/errors/{code}", get(error_page))
}

async fn document() -> Result<Response, Refused> {
    let json = openapi()
        .to_pretty_json()
        .map_err(|error| internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

fn asset(file: &str) -> Result<Response, Refused> {
    // Without the validator of its makers, which would be asked over the network, and without the bar that
    // loads other documents, whose logo brings a style that the policy forbids.
    let config = Config::new([DOCUMENT])
        .validator_url("none")
        .use_base_layout();
    let found = serve(file, Arc::new(config)).ok().flatten();
    let asset = found.ok_or_else(|| missing("file of this name", "open /api/docs/"))?;
    let bytes = match file {
        "index.html" => String::from_utf8_lossy(&asset.bytes)
            .replace("Swagger UI", "Chiffon: HTTP API")
            .into_bytes(),
        _ => asset.bytes.into_owned(),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::try_from(asset.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if asset.gzpipped {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let kept = HeaderValue::from_static("private, max-age=3600");
    headers.insert(header::CACHE_CONTROL, kept);
    policy(headers);
    Ok(response)
}

fn policy(headers: &mut HeaderMap) {
    let value = HeaderValue::from_static(PAGE_POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, value);
}

async fn error_page(headers: HeaderMap, Path(code): Path<String>) -> Result<Response, Refused> {
    let code = code
        .parse()
        .ok()
        .and_then(ErrorCode::from_number)
        .ok_or_else(|| {
            missing("error code of this number", "`chiffon explain` lists all")
                .at(FieldError::path("code", "no error code"))
        })?;
    let accepted = headers.get(header::ACCEPT);
    let wants_html = accepted
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("text/html"));
    if !wants_html {
        let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
        return Ok((kind, code.page()).into_response());
    }
    let escaped = code
        .page()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{code}: {}</title><pre>{escaped}</pre></html>",
        code.title()
    );
    let mut response = axum::response::Html(page).into_response();
    policy(response.headers_mut());
    Ok(response)
}
