//! Encryption, and the HTTP client.

use std::path::PathBuf;
use std::time::Duration;

use flipper_core::{ErrorKind, Result};
use reqwest::{Client, redirect};

use crate::error::error;

/// Whom to trust, and how to prove who we are: in PEM.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    /// The authorities to trust in place of the system's.
    pub(crate) roots: Option<Vec<u8>>,
    /// A certificate and its key.
    pub(crate) identity: Option<Vec<u8>>,
}

pub(crate) fn client(
    socket: Option<PathBuf>,
    connect_timeout: Duration,
    certificates: &Certificates,
) -> Result<Client> {
    let mut builder = Client::builder()
        // The token is for this agent alone.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true);
    if let Some(socket) = socket {
        #[cfg(unix)]
        {
            builder = builder.unix_socket(socket);
        }
        #[cfg(not(unix))]
        {
            drop(socket);
            return Err(error(ErrorKind::Unsupported, "this system has no sockets of that kind"));
        }
    }
    builder = with(builder, certificates)?;
    builder.build().map_err(|failure| {
        error(ErrorKind::InvalidInput, "the HTTP client cannot be made of these settings")
            .with_source(failure.without_url())
    })
}

#[cfg(feature = "tls-rustls")]
fn with(mut builder: reqwest::ClientBuilder, certificates: &Certificates) -> Result<reqwest::ClientBuilder> {
    // The HTTP client takes what the process has chosen. Where nothing is chosen, this is; somebody else may be quicker.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let unreadable = |what: &'static str| {
        move |failure: reqwest::Error| error(ErrorKind::InvalidInput, what).with_source(failure.without_url())
    };
    if let Some(roots) = &certificates.roots {
        let roots = reqwest::Certificate::from_pem_bundle(roots)
            .map_err(unreadable("the certificates to trust cannot be read: they have to be PEM"))?;
        if roots.is_empty() {
            return Err(error(
                ErrorKind::InvalidInput,
                "there is no certificate to trust in what was given: it has to be PEM",
            ));
        }
        builder = builder.tls_certs_only(roots);
    }
    if let Some(identity) = &certificates.identity {
        let identity = reqwest::Identity::from_pem(identity).map_err(unreadable(
            "the client's certificate and key cannot be read: they have to be PEM, one after the other",
        ))?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

#[cfg(not(feature = "tls-rustls"))]
fn with(builder: reqwest::ClientBuilder, certificates: &Certificates) -> Result<reqwest::ClientBuilder> {
    if certificates.roots.is_some() || certificates.identity.is_some() {
        let message = "certificates need the feature `tls-rustls` of the crate flipper, or flipper-consul";
        return Err(error(ErrorKind::Unsupported, message));
    }
    Ok(builder)
}
