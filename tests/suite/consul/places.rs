//! Where agents are, and who is taken for one.

use flipper_core::{ErrorKind, FeatureFlagClient, Store};
use flipper_testkit::ConsulServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

#[tokio::test]
async fn a_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("consul.sock");
    let addresses = format!("addresses {{ http = \"127.0.0.1 unix://{}\" }}", path.display());
    let _server = ConsulServer::start(&[&addresses]);
    let store = ConsulStore::connect(&format!("unix://{}", path.display())).await.unwrap();
    let client = FeatureFlagClient::new(store);
    client.create("X").await.unwrap().enable().await.unwrap();
    assert!(client.local().unwrap().is_enabled("X", &Context::EMPTY));
}

#[tokio::test]
async fn encryption_verifies_who_is_there() {
    let directory = tempfile::tempdir().unwrap();
    crate::redis::places::certificates(directory.path());
    let path = |name: &str| directory.path().join(name).display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tls = format!(
        "ca_file = \"{}\"\ncert_file = \"{}\"\nkey_file = \"{}\"\nverify_incoming_https = true",
        path("ca.pem"),
        path("cert.pem"),
        path("key.pem")
    );
    let ports = format!("ports {{ https = {port} }}");
    let _server = ConsulServer::start(&[&tls, &ports]);
    let builder = || {
        let builder = ConsulStore::builder(&format!("https://localhost:{port}"));
        builder.start_timeout(Duration::from_secs(1))
    };
    // Nobody whom the system trusts has signed this.
    let error = builder().connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
    // It wants to know who we are, too.
    assert!(builder().root_certificates(read("ca.pem")).connect().await.is_err());
    let identity = format!("{}\n{}", read("cert.pem"), read("key.pem"));
    let store = builder().root_certificates(read("ca.pem")).identity(identity).connect().await.unwrap();
    FeatureFlagClient::new(store).create("X").await.unwrap();

    for pem in ["", "no certificate"] {
        let error = builder().root_certificates(pem).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
}

/// Somebody who gives the same answer to everything, and tells what it was asked.
async fn answering(answer: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 << 10];
            let count = stream.read(&mut request).await.unwrap_or_default();
            let _ = sender.send(String::from_utf8_lossy(&request[..count]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, receiver)
}

#[tokio::test]
async fn a_token_is_sent_nowhere_else() {
    let (elsewhere, mut asked) =
        answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]").await;
    let redirect = format!(
        "HTTP/1.1 307 Go\r\nlocation: {elsewhere}/v1/kv/features/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    let (here, mut first) = answering(redirect.leak()).await;
    let builder = hasty(&here).token("a-secret").start_timeout(Duration::from_millis(500));
    let error = builder.connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(first.recv().await.unwrap().to_ascii_lowercase().contains("x-consul-token: a-secret"));
    assert!(asked.try_recv().is_err(), "nobody goes there");
    assert!(!format!("{error:?} {error}").contains("a-secret"));
}

#[tokio::test]
async fn what_is_no_agent_is_not_taken_for_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nx-consul-index: 7\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "",
    ] {
        let (address, _asked) = answering(answer).await;
        let builder = hasty(&address).start_timeout(Duration::from_millis(300));
        let error = builder.connect().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unavailable), "{answer:?}: {error:?}");
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    for base_key in ["", "/", "/features", "a//b", "a/../b", "./a", "a\nb"] {
        let error = ConsulStore::builder(&server().url()).base_key(base_key).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{base_key:?}");
    }
    let error = ConsulStore::builder(&server().url()).token("a\nsecret").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error:?}").contains("secret"));
    // Namespaces are Enterprise's, and an unknown datacenter is nobody's.
    let builder = || hasty(&server().url()).start_timeout(Duration::from_millis(500));
    assert_eq!(builder().namespace("team").connect().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = builder().datacenter("mars").connect().await.unwrap_err();
    assert!(error.message().contains("mars") || error.message().contains("datacenter"), "{error:?}");
    let debug = format!("{:?}", builder().token("a-secret").basic_auth("me", "a-secret"));
    assert!(!debug.contains("a-secret"), "{debug}");
}

#[tokio::test]
async fn every_legal_base_key_is_one() {
    for base_key in ["with space/é😀", "100%/a?b#c&d=e", "a+b", "x;y"] {
        let builder = || ConsulStore::builder(&server().url()).base_key(base_key);
        let store = builder().connect().await.unwrap();
        store.put(&crate::mirror::storm::state("a/b c", 1), flipper_core::Expect::Absent).await.unwrap();
        let other = builder().connect().await.unwrap();
        assert_eq!(is_on(&other, "a/b c"), Some(true), "{base_key}");
    }
}
