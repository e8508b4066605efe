//! Who may speak to this listener at all: the right host name, no foreign page, not too often, with the token.
//!
//! The token is always required, on every address (DESIGN section 6). The Host allow-list is what stands
//! against DNS rebinding on loopback (S74), Origin and Sec-Fetch-Site against other pages in the same browser
//! (S71). A browser cannot send a bearer token by itself when it opens a page, so the pages of the
//! documentation, which hold nothing secret and change nothing, take it as the password of HTTP Basic too.

use std::net::IpAddr;

use axum::{
    extract::{Request, State as Extract},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chiffon_common::{Digest, ErrorCode, FieldError, Problem, visible};

use super::{State, problem::Refused};

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

pub(super) async fn guard(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let is_page = super::docs::is_page(request.uri().path());
    match admit(&state, &request, is_page) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            let mut response = refused.into_response();
            if response.status() == axum::http::StatusCode::UNAUTHORIZED {
                let scheme = match is_page {
                    true => {
                        "Basic realm=\"Chiffon: any name, the token as password\", charset=\"UTF-8\""
                    }
                    false => "Bearer realm=\"chiffon\"",
                };
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
            }
            response
        }
    }
}

fn admit(state: &State, request: &Request, is_page: bool) -> Result<(), Refused> {
    let headers = request.headers();
    host_is_ours(headers, &state.hosts)?;
    origin_is_ours(headers, request.method())?;
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    state.limiters.of_address(peer)?;
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_read && request.uri().path() == super::v0::HEALTH {
        return Ok(());
    }
    if !token_fits(headers, &state.token, is_page && is_read) {
        state.limiters.wrong_token(peer)?;
        return Err(Problem::new(
            ErrorCode::Unauthenticated,
            "the request carries no valid token",
            "send `Authorization: Bearer <token>`; the token stands in the file `token` of the data folder",
        )
        .at(FieldError::header("authorization", "missing or wrong"))
        .into());
    }
    state.limiters.of_principal()
}

/// Compared by digest, so that the time it takes tells nothing of how much fits.
fn token_fits(headers: &HeaderMap, token: &str, takes_basic: bool) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '));
    let given = match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case("bearer") => given.to_owned(),
        Some((scheme, given)) if takes_basic && scheme.eq_ignore_ascii_case("basic") => {
            let decoded = BASE64_STANDARD.decode(given.trim()).unwrap_or_default();
            let pair = String::from_utf8(decoded).unwrap_or_default();
            let password = pair
                .split_once(':')
                .map(|(_, password)| password.to_owned());
            password.unwrap_or_default()
        }
        _ => return false,
    };
    Digest::of_bytes(given.as_bytes()) == Digest::of_bytes(token.as_bytes())
}

/// The name in a `Host` or an origin, without its port.
fn name_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    }
}

fn host_is_ours(headers: &HeaderMap, hosts: &[String]) -> Result<(), Refused> {
    let mut given = headers.get_all(header::HOST).iter();
    let host = given
        .next()
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let name = name_of(host).to_ascii_lowercase();
    let is_loopback = matches!(&*name, "127.0.0.1" | "localhost" | "[::1]");
    // Two of them would let a proxy and us believe different ones.
    if given.next().is_none() && (is_loopback || hosts.contains(&name)) {
        return Ok(());
    }
    let detail = format!("host {:?} is not one of this server's names", visible(host));
    let todo = "use 127.0.0.1 or localhost, or add the name to http.hosts in chiffon.yaml";
    let field = FieldError::header("host", "not a name of this server");
    Err(Problem::new(ErrorCode::Forbidden, detail, todo)
        .at(field)
        .into())
}

/// A page of another origin may not speak to this server, whatever it knows. The two headers are the browser's
/// own words, which no page can change; programs send neither.
fn origin_is_ours(headers: &HeaderMap, method: &Method) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let foreign = |name: &str, said: &str| {
        let detail = format!("a page of another origin asks ({name}: {})", visible(said));
        let todo = "open the API's own page, or ask from a program";
        let field = FieldError::header(name, "not this server");
        Problem::new(ErrorCode::Forbidden, detail, todo)
            .at(field)
            .into()
    };
    if let Some(origin) = text("origin") {
        let authority = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"));
        let host = text("host").unwrap_or_default();
        if !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
            return Err(foreign("origin", origin));
        }
    }
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    match text("sec-fetch-site") {
        Some(site @ ("cross-site" | "same-site")) if !is_read => {
            Err(foreign("sec-fetch-site", site))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    fn headers<const N: usize>(pairs: [(&'static str, &str); N]) -> HeaderMap {
        let pairs = pairs.map(|(name, value)| {
            (
                HeaderName::from_static(name),
                value.parse::<HeaderValue>().unwrap(),
            )
        });
        HeaderMap::from_iter(pairs)
    }

    #[test]
    fn only_the_whole_token_fits() {
        let basic = format!("Basic {}", BASE64_STANDARD.encode("ann:chf_x"));
        for (value, api, page) in [
            ("Bearer chf_x", true, true),
            ("bearer chf_x", true, true),
            ("Bearer chf_", false, false),
            ("Bearer chf_xx", false, false),
            ("chf_x", false, false),
            (&*basic, false, true),
            ("Basic chf_x", false, false),
        ] {
            let headers = headers([("authorization", value)]);
            assert_eq!(token_fits(&headers, "chf_x", false), api, "{value}");
            assert_eq!(token_fits(&headers, "chf_x", true), page, "{value}");
        }
        assert!(!token_fits(&HeaderMap::new(), "chf_x", true));
    }

    #[test]
    fn only_loopback_and_configured_names_are_ours() {
        let hosts = ["chiffon.lan".to_owned()];
        for (value, ours) in [
            ("127.0.0.1:8420", true),
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("[::1]:8420", true),
            ("chiffon.lan", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8420", false),
            ("", false),
        ] {
            let headers = headers([("host", value)]);
            assert_eq!(host_is_ours(&headers, &hosts).is_ok(), ours, "{value}");
        }
        let mut twice = headers([("host", "localhost")]);
        twice.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(host_is_ours(&twice, &hosts).is_err());
        assert!(host_is_ours(&HeaderMap::new(), &hosts).is_err());
    }

    #[test]
    fn a_foreign_page_is_refused() {
        let host = ("host", "127.0.0.1:8420");
        for (origin, ours) in [
            ("http://127.0.0.1:8420", true),
            ("http://127.0.0.1:9", false),
            ("http://evil.example", false),
            ("null", false),
        ] {
            let headers = headers([host, ("origin", origin)]);
            assert_eq!(
                origin_is_ours(&headers, &Method::POST).is_ok(),
                ours,
                "{origin}"
            );
            assert_eq!(
                origin_is_ours(&headers, &Method::GET).is_ok(),
                ours,
                "{origin}"
            );
        }
        for (site, ours) in [
            ("same-origin", true),
            ("none", true),
            ("cross-site", false),
            ("same-site", false),
        ] {
            let headers = headers([host, ("sec-fetch-site", site)]);
            assert_eq!(
                origin_is_ours(&headers, &Method::POST).is_ok(),
                ours,
                "{site}"
            );
            assert!(
                origin_is_ours(&headers, &Method::GET).is_ok(),
                "a link may lead here"
            );
        }
    }
}
