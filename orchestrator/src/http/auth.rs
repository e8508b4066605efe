//! The token: always required, on every address (DESIGN section 6). Also the Host allow-list, which is what
//! stands against DNS rebinding on loopback (S74).

use axum::{
    extract::{Request, State as Extract},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chiffon_common::{Digest, ErrorCode, Problem};

use super::{State, problem::Refused};

pub(super) async fn require_token(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = host_is_ours(request.headers()) {
        return Refused(problem).into_response();
    }
    if !token_fits(request.headers(), &state.token) {
        let problem = Problem::new(
            ErrorCode::Unauthenticated,
            "the request carries no valid token",
            "send `Authorization: Bearer <token>`; the token stands in the file `token` of the data folder",
        );
        return Refused(problem).into_response();
    }
    next.run(request).await
}

/// Compared by digest, so that the time it takes tells nothing of how much fits.
fn token_fits(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer "));
    given.is_some_and(|given| {
        Digest::of_bytes(given.as_bytes()) == Digest::of_bytes(token.as_bytes())
    })
}

fn host_is_ours(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    if matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        return Ok(());
    }
    let detail = format!(
        "host {:?} is not one of this server's names",
        chiffon_common::visible(host)
    );
    Err(Problem::new(
        ErrorCode::Forbidden,
        detail,
        "use 127.0.0.1 or localhost",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn only_the_whole_token_fits() {
        for (value, fits) in [
            ("Bearer chf_x", true),
            ("Bearer chf_", false),
            ("Bearer chf_xx", false),
            ("chf_x", false),
            ("bearer chf_x", false),
        ] {
            assert_eq!(
                token_fits(&headers(header::AUTHORIZATION, value), "chf_x"),
                fits,
                "{value}"
            );
        }
        assert!(!token_fits(&HeaderMap::new(), "chf_x"));
    }

    #[test]
    fn only_loopback_names_are_ours() {
        for (value, ours) in [
            ("127.0.0.1:8420", true),
            ("localhost", true),
            ("[::1]:8420", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:8420", false),
            ("", false),
        ] {
            assert_eq!(
                host_is_ours(&headers(header::HOST, value)).is_ok(),
                ours,
                "{value}"
            );
        }
    }
}
