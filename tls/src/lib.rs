//! TLS as a client, by rustls with ring: whom it trusts, and the handshake. Whoever is spoken to shows a certificate for
//! the name it was called by, from an authority of the system or of one file; there is no way around either.
//!
//! What is spoken inside is left to the callers: HTTP to an external authoriser, the protocol of Postgres.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// What a handshake needs of the connection below it, and what comes of it.
pub use tokio_rustls::client::TlsStream;

/// Who is trusted.
#[derive(Clone)]
pub struct Trust(TlsConnector);

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Trust").finish_non_exhaustive()
    }
}

/// Why nobody could be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of authorities cannot be read.
    #[error("{} cannot be read: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// In words.
        why: String,
    },
    /// It holds no certificate.
    #[error("{} holds no certificate in PEM", .0.display())]
    Empty(PathBuf),
    /// The system names no authority.
    #[error(
        "this system has no authorities (such as the package ca-certificates); name a file of them"
    )]
    NoneOfSystem,
    /// The library does not want its own defaults.
    #[error("no TLS: {0}")]
    Library(String),
}

impl Trust {
    /// The authorities of a file of certificates in PEM and no others; without one, those of the system.
    ///
    /// # Errors
    /// Where there is no authority to be had.
    pub fn of(file: Option<&Path>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        let found = match file {
            Some(file) => of_file(file)?,
            // Those that cannot be read are missed only where a server is one of theirs.
            None => rustls_native_certs::load_native_certs().certs,
        };
        let (taken, _passed_over) = roots.add_parsable_certificates(found);
        if taken == 0 {
            return Err(file.map_or(TrustError::NoneOfSystem, |file| {
                TrustError::Empty(file.into())
            }));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TrustError::Library(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Speaks TLS on a connection with whoever shows that it is `host`, a name or an address.
    ///
    /// # Errors
    /// Where it does not; the words say what its certificate lacks.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "its name is no name of a host")
        })?;
        self.0.connect(name, stream).await
    }
}

fn of_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |why: String| TrustError::Unreadable {
        file: file.to_owned(),
        why,
    };
    let text = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    all.map_err(|error| unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_names_nobody_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let error = Trust::of(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
        std::fs::write(&file, "nothing of that kind").unwrap();
        assert!(matches!(Trust::of(Some(&file)), Err(TrustError::Empty(_))));
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA";
        std::fs::write(&file, cut).unwrap();
        assert!(Trust::of(Some(&file)).is_err());
        // A form that is one, and a certificate that is none.
        std::fs::write(&file, format!("{cut}\n-----END CERTIFICATE-----\n")).unwrap();
        assert!(matches!(Trust::of(Some(&file)), Err(TrustError::Empty(_))));
    }
}
