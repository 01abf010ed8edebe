//! Where a server is, and how it is reached.

use std::process::Command;

use flipper_core::{ErrorKind, Page, Store};
use flipper_redis::{RedisStore, redis};
use flipper_testkit::RedisServer;

use super::{Cli, names, number, put, server, store};

#[tokio::test]
async fn keys_and_bytes_are_those_of_flipper_client() {
    let (store, base_key) = store().await;
    put(&store, "a/b é", 7).await;
    let mut cli = Cli::new(&server().url()).await;
    let stored: String = cli.tell(&["GET", &format!("{base_key}/a/b é")]).await;
    assert_eq!(stored, super::flag("a/b é", 7).as_json());
    assert_eq!(cli.tell::<i64>(&["TTL", &format!("{base_key}/a/b é")]).await, -1);
    let default = RedisStore::connect(&server().url()).await.unwrap();
    put(&default, "X", 1).await;
    assert!(cli.tell::<bool>(&["EXISTS", "features/X"]).await);
}

#[tokio::test]
async fn databases_and_sockets_are_reached() {
    let in_first = RedisStore::builder(&format!("{}/1", server().url())).base_key("places");
    let in_first = in_first.connect().await.unwrap();
    put(&in_first, "X", 1).await;
    let socket = format!("unix://{}?db=1", server().socket().display());
    let by_socket = RedisStore::builder(&socket).base_key("places").connect().await.unwrap();
    assert_eq!(number(&by_socket, "X").await, Some(1));
    let in_second = RedisStore::builder(&format!("{}/2", server().url())).base_key("places");
    assert_eq!(number(&in_second.connect().await.unwrap(), "X").await, None);
    let error = RedisStore::connect(&format!("{}/99", server().url())).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidInput, Some("connect")), "{error:?}");
}

#[tokio::test]
async fn a_user_and_a_password_that_need_escapes_are_taken() {
    let server = RedisServer::start(&[
        "--requirepass",
        "p@s/s:w#rd",
        "--user",
        "zoë",
        "on",
        ">hunter2",
        "~*",
        "+@all",
    ]);
    let password = "p%40s%2Fs%3Aw%23rd";
    let store = RedisStore::connect(&format!("redis://:{password}@{}", server.address())).await.unwrap();
    put(&store, "X", 1).await;
    let named =
        RedisStore::connect(&format!("redis://zo%C3%AB:hunter2@{}/0", server.address())).await.unwrap();
    assert_eq!(number(&named, "X").await, Some(1));
    let by_socket = format!("unix://{}?user=zo%C3%AB&pass=hunter2", server.socket().display());
    assert_eq!(number(&RedisStore::connect(&by_socket).await.unwrap(), "X").await, Some(1));
    let shown = format!("{store:?} {named:?} {:?}", RedisStore::builder(&by_socket));
    assert!(shown.contains(&server.address().to_string()), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("p@s") && !shown.contains(password), "{shown}");
}

#[tokio::test]
async fn the_connection_of_a_caller_is_used() {
    let client = redis::Client::open(server().url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let store = RedisStore::builder_from_connection(connection).base_key("callers").connect().await.unwrap();
    put(&store, "X", 3).await;
    assert_eq!(number(&store, "X").await, Some(3));
    assert_eq!(store.capabilities().watch, flipper_core::Watching::Polled);
    let of_client = RedisStore::builder_from_client(client).base_key("callers").connect().await.unwrap();
    assert_eq!(number(&of_client, "X").await, Some(3));
}

/// A certificate for this machine and the authority that has signed it, by openssl.
pub(crate) fn certificates(directory: &std::path::Path) {
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem \
         && openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out request.pem \
         && printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' >names \
         && openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem";
    let made = Command::new("sh").args(["-c", script]).current_dir(directory).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn encryption_verifies_who_is_there() {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let path = |name: &str| directory.path().join(name).display().to_string();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (tls_port, cert, key, ca) = (port.to_string(), path("cert.pem"), path("key.pem"), path("ca.pem"));
    let _server = RedisServer::start(&[
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ]);
    let address = format!("rediss://localhost:{port}");
    // Nobody whom the system trusts has signed this.
    let error = RedisStore::connect(&address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");

    let certificates =
        redis::TlsCertificates { client_tls: None, root_cert: Some(std::fs::read(ca).unwrap()) };
    let client = redis::Client::build_with_tls(address.as_str(), certificates).unwrap();
    let store = RedisStore::builder_from_client(client).connect().await.unwrap();
    let mut changes = super::watch(&store).await;
    put(&store, "X", 5).await;
    assert_eq!(super::told(&mut changes).await, "put X 5");
    assert_eq!(names(&store, Page::ALL).await.0, ["X"]);
}
