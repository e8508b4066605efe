//! Where the broker is and how it is spoken to. Reading settings and keeping the password are left to the programs.

use std::{fmt, path::Path, time::Duration};

use chiffon_tls::{Trust, TrustError};
use lapin::uri::{AMQPScheme, AMQPUri};

/// Both sides send something at least so often, in seconds, and give the other up after twice that (R22).
const HEARTBEAT: u16 = 10;

/// The first wait before a lost connection is made again is drawn from so much: a fleet whose broker went does not come
/// back in step.
const PAUSE: Duration = Duration::from_secs(6);

/// How a broker is reached.
#[derive(Clone)]
pub struct AmqpOptions {
    pub(super) uri: AMQPUri,
    /// Present for `amqps`.
    pub(super) trust: Option<Trust>,
    pub(super) name: String,
    pub(super) pause: Duration,
}

/// Why these are no options.
#[derive(Debug, thiserror::Error)]
pub enum AmqpOptionsError {
    /// Not an address of a broker; the address itself is not repeated, as it may hold a password.
    #[error(
        "it has not the form amqp://USER:PASSWORD@HOST:PORT/VHOST (amqps for TLS; a vhost / is written %2f)"
    )]
    Url,
    /// Nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl AmqpOptions {
    /// A broker by its URL: `amqp://` plain, `amqps://` with TLS, whose authorities are those of `authorities` (a file of
    /// certificates in PEM), or of the system without one. Without a user it is `guest`, as everywhere.
    ///
    /// # Errors
    /// Where the URL is none, or the authorities cannot be had.
    pub fn new(url: &str, authorities: Option<&Path>) -> Result<Self, AmqpOptionsError> {
        let mut uri: AMQPUri = url.parse().map_err(|_| AmqpOptionsError::Url)?;
        if let Some(address) = bracketed(url) {
            uri.authority.host = address.to_owned();
        }
        if uri.authority.host.is_empty() {
            return Err(AmqpOptionsError::Url);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let trust = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => Some(Trust::of(authorities)?),
        };
        Ok(Self {
            uri,
            trust,
            name: "chiffon".to_owned(),
            pause: PAUSE,
        })
    }

    /// What the connections are called in the broker's lists.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With a password that does not stand in the URL.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        password.clone_into(&mut self.uri.authority.userinfo.password);
        self
    }

    /// The longest first wait before a lost connection is made again; six seconds unless told otherwise.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The login, which is the sender of all that is published.
    pub fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// The broker without the password, for people.
    pub fn address(&self) -> String {
        let (uri, authority) = (&self.uri, &self.uri.authority);
        let (host, port) = (&authority.host, authority.port);
        format!("{}://{host}:{port} (vhost {})", uri.scheme, uri.vhost)
    }
}

/// An IPv6 address, which the parser below takes for no host at all.
fn bracketed(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = authority.rsplit('@').next()?;
    host.strip_prefix('[')?
        .split_once(']')
        .map(|(host, _)| host)
}

/// Without the password.
impl fmt::Debug for AmqpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpOptions")
            .field("address", &self.address())
            .field("user", &self.user())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_who_and_no_password_is_shown() {
        let options = AmqpOptions::new("amqp://infra:s3cret@broker:5673/fleet", None).unwrap();
        assert_eq!(options.user(), "infra");
        assert_eq!(options.address(), "amqp://broker:5673 (vhost fleet)");
        assert!(!format!("{options:?}").contains("s3cret"));
        let options = AmqpOptions::new("amqp://[::1]", None).unwrap();
        assert_eq!(options.uri.authority.host, "::1");
        assert_eq!(options.uri.vhost, "/");
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for url in [
            "",
            "amqp:s3cret",
            "http://a:s3cret@b",
            "amqp://a:s3cret@b:none",
        ] {
            let error = AmqpOptions::new(url, None).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
