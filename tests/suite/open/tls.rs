//! Encryption, of which the environment tells whom to trust.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::process::told;
use super::s3::bucket;
use crate::redis::places::certificates;

/// Who speaks TLS on one side, and hands on to a server on the other. Returns the port.
async fn terminator(directory: &Path, server: std::net::SocketAddr) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_file(directory.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(directory.join("key.pem")).unwrap();
    let config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust it hangs up.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(server).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_reached_by_whom_the_system_trusts_and_by_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let bucket = bucket();
    let port = terminator(directory.path(), bucket.server.address()).await;
    let address = format!("s3://flags?endpoint=https://localhost:{port}&path_style");
    let open = |trusted: Option<&str>| {
        let mut environment = bucket.keys();
        if let Some(trusted) = trusted {
            let path = directory.path().join(trusted).display().to_string();
            environment.push(("SSL_CERT_FILE".to_owned(), path));
        }
        let address = address.clone();
        tokio::task::spawn_blocking(move || told(&address, &environment))
    };
    assert_eq!(open(Some("ca.pem")).await.unwrap(), "X is on, asked");
    let error = open(None).await.unwrap();
    assert!(error.starts_with("Unavailable: "), "{error}");
}
