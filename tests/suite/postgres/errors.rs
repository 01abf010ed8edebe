//! Every error has its kind, and nothing secret in it.

use std::time::Duration;

use flipper_core::{Error, ErrorKind, Expect, FeatureFlagClient, Store};
use flipper_postgres::PostgresStore;
use flipper_testkit::PostgresServer;

use super::{builder, hasty, psql, server, store, table};
use crate::records::{flag, name, number};

pub(super) fn shown(error: &Error) -> String {
    let mut shown = format!("{error} {error:?}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        shown.extend([error.to_string(), format!("{error:?}")]);
        source = error.source();
    }
    shown
}

async fn refused(url: &str) -> Error {
    let error = hasty(url, "feature_flags").connect().await.unwrap_err();
    assert_eq!(error.operation(), Some("connect"));
    assert!(!shown(&error).contains("hunter2"), "{error:?}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_refuses_is_told_by_kind() {
    let address = server().address();
    for (url, kind) in [
        (format!("postgres://flipper:hunter2@{address}/postgres"), ErrorKind::PermissionDenied),
        (format!("postgres://nobody:hunter2@{address}/postgres"), ErrorKind::PermissionDenied),
        (format!("postgres://flipper:secret@{address}/hunter2"), ErrorKind::InvalidInput),
        (format!("postgres://flipper:secret@{address}/postgres"), ErrorKind::InvalidInput),
        ("postgres://flipper:hunter2@127.0.0.1:1/postgres".to_owned(), ErrorKind::Unavailable),
        ("hunter2".to_owned(), ErrorKind::InvalidInput),
        ("postgres://flipper:hunter2@host:port/".to_owned(), ErrorKind::InvalidInput),
    ] {
        if url.ends_with("/hunter2") {
            // The server repeats the name of the database, which is no secret.
            assert_eq!(hasty(&url, "x").connect().await.unwrap_err().kind(), kind);
            continue;
        }
        let error = refused(&url).await;
        assert_eq!(error.kind(), kind, "{error}");
    }
    let error = builder(&server().url(), "no_such").connect().await.unwrap_err();
    assert!(error.message().contains("`create_table`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_limits_are_told_by_kind() {
    let (store, table) = store().await;
    store.put(&flag("X", 1), Expect::Any).await.unwrap();
    let psql = psql(&server().url()).await;
    psql.batch_execute(&format!(
        "CREATE ROLE reader_{table} LOGIN PASSWORD 'secret'; GRANT SELECT ON {table} TO reader_{table};"
    ))
    .await
    .unwrap();
    let url = format!("postgres://reader_{table}:secret@{}/postgres", server().address());
    let reader = builder(&url, &table).connect().await.unwrap();
    assert_eq!(number(&reader, "X").await, Some(1));
    let error = reader.put(&flag("X", 2), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let error = reader.delete(name("X"), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    // One whose table is taken away.
    psql.batch_execute(&format!("DROP TABLE {table}")).await.unwrap();
    assert_eq!(store.get(name("X")).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_too_many_connections_is_unavailable() {
    let server = PostgresServer::start(&["max_connections=4", "superuser_reserved_connections=0"]);
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(psql(&server.url()).await);
    }
    let error = hasty(&server.url(), "feature_flags").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_asked_for_and_verified() {
    // This server has none.
    let url = format!("{}?sslmode=require", server().url());
    let error = hasty(&url, "feature_flags").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let error = hasty(&url, "x").certificate_authorities("no PEM").connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_make_the_same_table_at_the_same_time() {
    let table = table();
    let mut makers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let builder = builder(&server().url(), &table).create_table();
        makers.spawn(async move { builder.connect().await });
    }
    for made in makers.join_all().await {
        made.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_edits_of_32_clients_none_is_lost() {
    let (store, table) = store().await;
    FeatureFlagClient::new(store).create("X").await.unwrap();
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..32 {
        let patience = Duration::from_mins(1);
        let builder =
            builder(&server().url(), &table).connections(1).timeout(patience).connect_timeout(patience);
        editors.spawn(async move {
            let client = FeatureFlagClient::builder(builder.connect().await.unwrap());
            let client = client.deadline(Duration::from_mins(2)).build();
            for number in 0..100 {
                client.set_client_data("X", [(format!("{editor}-{number}"), true)]).await.unwrap();
            }
        });
    }
    editors.join_all().await;
    let client = FeatureFlagClient::new(
        PostgresStore::builder(&server().url()).table(&table).connect().await.unwrap(),
    );
    assert_eq!(client.get_client_data("X").await.unwrap().len(), 3_200);
}
