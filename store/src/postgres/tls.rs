//! TLS with Postgres: how the library asks for a handshake, answered by the room `tls`, and what an address may ask for.
//!
//! Certificates are always checked by authority and name: what libpq calls `verify-full`. An address that says nothing
//! asks for no TLS: a socket, loopback, or a network that is trusted.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use chiffon_tls::{TlsStream, Trust};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    config::{Config, SslMode},
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect},
};

use crate::Error;

/// An address, taken apart, and whether it asks for TLS.
///
/// # Errors
/// [`Error::Malformed`]; no word of the address stands in it.
pub(super) fn read(url: &str, has_ca: bool) -> Result<(Config, bool), Error> {
    // The library knows neither, and would repeat no more than that.
    if url.contains("sslrootcert=") {
        let text = "the address names sslrootcert; name the authority's file beside it (arbiter: store.ca_file)";
        return Err(Error::Malformed(text.to_owned()));
    }
    if url.contains("sslmode=verify-ca") {
        let text = "the address has sslmode=verify-ca; use verify-full: names are always checked";
        return Err(Error::Malformed(text.to_owned()));
    }
    let known = url.replace("sslmode=verify-full", "sslmode=require");
    // The library's word on a malformed address does not repeat it, so no password gets into an error.
    let parsed = known.parse::<Config>();
    let mut config = parsed.map_err(|error| {
        Error::Malformed(format!("the address of the database is no such: {error}"))
    })?;
    let says = known.contains("sslmode=");
    let wants = match config.get_ssl_mode() {
        SslMode::Require => true,
        // What the library takes an address for that says nothing.
        SslMode::Prefer if !says => has_ca,
        _ if has_ca => {
            let text = "an authority's file is named, and the address has an sslmode that does without; use sslmode=verify-full";
            return Err(Error::Malformed(text.to_owned()));
        }
        _ => false,
    };
    config.ssl_mode(match wants {
        true => SslMode::Require,
        false => SslMode::Disable,
    });
    Ok((config, wants))
}

/// Makes handshakes.
#[derive(Clone)]
pub(super) struct Tls(pub(super) Trust);

/// One handshake, with the host of this name.
pub(super) struct Handshake(Trust, String);

/// A connection behind its handshake.
pub(super) struct Spoken(TlsStream<Socket>);

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Spoken;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        Ok(Handshake(self.0.clone(), host.to_owned()))
    }
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Spoken;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Spoken>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { Ok(Spoken(self.0.connect(&self.1, stream).await?)) })
    }
}

impl tokio_postgres::tls::TlsStream for Spoken {
    /// A login by password is not bound to the connection; the name of the certificate is what keeps others out.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Spoken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Spoken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whether_it_is_tls() {
        for (url, has_ca, wants) in [
            ("postgres://a@h/d", false, false),
            ("postgres://a@h/d", true, true),
            ("postgres://a@h/d?sslmode=require", false, true),
            ("host=h user=a sslmode=verify-full", false, true),
            ("host=h user=a sslmode=prefer", false, false),
            ("host=h user=a sslmode=disable", false, false),
        ] {
            let (config, found) =
                read(url, has_ca).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(found, wants, "{url}");
            assert_eq!(config.get_ssl_mode() == SslMode::Require, wants, "{url}");
        }
        for (url, has_ca, word) in [
            (
                "postgres://a:secret@h/d?sslmode=disable",
                true,
                "verify-full",
            ),
            (
                "postgres://a:secret@h/d?sslmode=verify-ca",
                false,
                "verify-full",
            ),
            ("postgres://a:secret@h/d?sslrootcert=x", false, "ca_file"),
            (
                "postgres://a:secret@h/d?sslmode=sometimes",
                false,
                "no such",
            ),
        ] {
            let Err(Error::Malformed(why)) = read(url, has_ca) else {
                panic!("{url} was taken");
            };
            assert!(
                why.contains(word) && !why.contains("secret"),
                "{url}: {why}"
            );
        }
    }
}
