//! Encryption.

use flipper_core::{ErrorKind, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::error;

/// Makes what encrypts: it trusts the authorities of the system, or those in PEM. Certificates are always verified.
pub(crate) fn connector(authorities: Option<&[u8]>) -> Result<MakeRustlsConnect> {
    // What the process has chosen, or this; somebody else may be quicker.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let Some(pem) = authorities else {
        let (connector, _) = MakeRustlsConnect::with_native_certs().map_err(|_| {
            let message = "the system has no certificates to trust: name one by `certificate_authorities`";
            error(ErrorKind::InvalidInput, message)
        })?;
        return Ok(connector);
    };
    let unreadable =
        || error(ErrorKind::InvalidInput, "the certificates to trust cannot be read: they have to be PEM");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|_| unreadable())?).map_err(|_| unreadable())?;
    }
    if roots.is_empty() {
        return Err(unreadable());
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
