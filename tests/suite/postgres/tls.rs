//! Encryption, on servers that have it: what an address asks for, and whom a store trusts.

use flipper_core::{Change, Error, ErrorKind, Store, Watching};
use flipper_postgres::PostgresStoreBuilder;
use flipper_testkit::{PostgresServer, next};

use super::errors::shown;
use super::{builder, psql};
use crate::records::{number, put, watch};
use crate::redis::places::certificates;

/// Who may come how: encrypted only, or either way. Everybody may see from elsewhere who is there.
const ENCRYPTED: &str = "hostssl postgres all all scram-sha-256\nhost template1 all all scram-sha-256\n";
const EITHER: &str = "host all all all scram-sha-256\n";

/// A server with a certificate for `localhost` and `127.0.0.1`, and the authority that has signed it, in PEM.
fn encrypted(rights: &str) -> (PostgresServer, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    certificates(directory.path());
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    let files: &[(&str, &[u8])] =
        &[("cert.pem", &read("cert.pem")), ("key.pem", &read("key.pem")), ("pg_hba.conf", rights.as_bytes())];
    let settings = &[
        "ssl=on",
        "ssl_cert_file={files}/cert.pem",
        "ssl_key_file={files}/key.pem",
        "hba_file={files}/pg_hba.conf",
    ];
    (PostgresServer::start_with_files(files, settings), read("ca.pem"))
}

fn at(server: &PostgresServer, host: &str, mode: &str) -> PostgresStoreBuilder {
    let port = server.address().port();
    let url = format!("postgres://flipper:secret@{host}:{port}/postgres{mode}");
    builder(&url, "feature_flags").create_table()
}

/// Why it does not connect, which has no password in it.
async fn refused(builder: PostgresStoreBuilder) -> Error {
    let told = format!("{builder:?}");
    let error = builder.connect().await.unwrap_err();
    for text in [told, shown(&error)] {
        assert!(!text.contains("secret"), "{text}");
    }
    error
}

/// How many connections of stores are encrypted, and how many are not.
async fn connections(server: &PostgresServer) -> (i64, i64) {
    let count = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) \
                 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'flipper'";
    let plain = server.url().replace("/postgres", "/template1?sslmode=disable");
    let row = psql(&plain).await.query_one(count, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_changes_are_encrypted_for_those_who_trust_the_authority() {
    let (server, authority) = encrypted(ENCRYPTED);
    for (host, mode) in [("localhost", "?sslmode=require"), ("127.0.0.1", "")] {
        let store =
            at(&server, host, mode).certificate_authorities(authority.clone()).connect().await.unwrap();
        assert_eq!(store.capabilities().watch, Watching::Pushed);
        let mut changes = watch(&store).await;
        put(&store, "X", 1).await;
        assert!(matches!(next(&mut changes).await, Some(Change::Put(_))));
        assert_eq!(number(&store, "X").await, Some(1));
        let (encrypted, plain) = connections(&server).await;
        assert!(encrypted >= 2 && plain == 0, "{host}: {encrypted}, {plain}");
        assert!(!format!("{store:?}").contains("secret"));
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_takes_encryption_refuses_what_is_plain() {
    let (server, authority) = encrypted(ENCRYPTED);
    let error = refused(at(&server, "127.0.0.1", "?sslmode=disable")).await;
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.message().contains("no encryption"), "{error}");
    // An authority that is told is no reason to encrypt what is told not to be.
    let builder = at(&server, "127.0.0.1", "?sslmode=disable").certificate_authorities(authority);
    assert_eq!(refused(builder).await.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_plain_is_if_it_is_told_to_be() {
    let (server, authority) = encrypted(EITHER);
    let plain = at(&server, "127.0.0.1", "?sslmode=disable").connect().await.unwrap();
    put(&plain, "X", 1).await;
    assert_eq!(connections(&server).await, (0, 1));
    // Where it is left open, the server has the choice, and this one can.
    let open = at(&server, "127.0.0.1", "?sslmode=prefer").certificate_authorities(authority);
    let open = open.connect().await.unwrap();
    assert_eq!(number(&open, "X").await, Some(1));
    assert_eq!(connections(&server).await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_encryption_is_used_where_it_is_not_insisted_on() {
    let server = PostgresServer::start(&[]);
    let (_, authority) = encrypted(EITHER);
    let store =
        at(&server, "127.0.0.1", "").certificate_authorities(authority.clone()).connect().await.unwrap();
    put(&store, "X", 1).await;
    let error =
        refused(at(&server, "127.0.0.1", "?sslmode=require").certificate_authorities(authority)).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("no encryption"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whom_nobody_vouches_for_is_refused() {
    let (server, _) = encrypted(EITHER);
    let (_, stranger) = encrypted(EITHER);
    // Also where encryption is not insisted on: somebody else may be there.
    for mode in ["?sslmode=require", "?sslmode=prefer", ""] {
        for builder in [
            at(&server, "localhost", mode),
            at(&server, "localhost", mode).certificate_authorities(stranger.clone()),
        ] {
            let error = refused(builder).await;
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.message().contains("certificate"), "{error}");
            assert!(error.message().contains("`certificate_authorities`"), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host_is_refused() {
    let (server, authority) = encrypted(EITHER);
    // All of 127.0.0.0/8 is this machine, and the certificate has one address of it.
    let proxy = flipper_testkit::Proxy::start(server.address()).await.unwrap();
    let url = format!(
        "host=wrong.test hostaddr=127.0.0.1 port={} user=flipper password=secret dbname=postgres sslmode=require",
        proxy.address().port()
    );
    let error = refused(builder(&url, "feature_flags").certificate_authorities(authority.clone())).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("wrong.test") && error.message().contains("localhost"), "{error}");
    let url = url.replace("wrong.test", "localhost");
    builder(&url, "feature_flags").create_table().certificate_authorities(authority).connect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_libpq_knows_besides_is_told_to_be_unknown() {
    for (mode, hint) in [
        ("sslmode=verify-full", "`sslmode=require`"),
        ("sslmode=verify-ca", "`sslmode=require`"),
        ("sslmode=allow", "`sslmode=require`"),
        ("sslmode=require&sslrootcert=/etc/ca.pem", "`certificate_authorities`"),
    ] {
        let error =
            refused(builder(&format!("postgres://flipper:secret@127.0.0.1/postgres?{mode}"), "x")).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.message().contains(hint), "{error}");
    }
}
