//! The PostgreSQL store against real servers: shared with flipper-client, restarted, paused, standing by, and in bad weather.

mod errors;
mod follow;
mod outages;
mod python;
mod sessions;
mod storm;
mod tables;
mod tls;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flipper_postgres::tokio_postgres::{Client, NoTls};
use flipper_postgres::{PostgresStore, PostgresStoreBuilder};
use flipper_testkit::PostgresServer;

/// The server of those tests that do not disturb it, each with a table of its own.
fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| PostgresServer::start(&[]))
}

fn table() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("flags_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn builder(url: &str, table: &str) -> PostgresStoreBuilder {
    PostgresStore::builder(url).table(table).poll_interval(Duration::from_millis(50))
}

/// A store on a table of its own, and the table.
async fn store() -> (PostgresStore, String) {
    let table = table();
    (builder(&server().url(), &table).create_table().connect().await.unwrap(), table)
}

/// One that finds out soon that nothing gets through.
fn hasty(url: &str, table: &str) -> PostgresStoreBuilder {
    let limit = Duration::from_millis(500);
    builder(url, table).timeout(limit).connect_timeout(limit)
}

/// Somebody else.
pub(crate) async fn psql(url: &str) -> Client {
    let (client, connection) = flipper_postgres::tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_opens_the_table_of_flipper_client() {
    let server = PostgresServer::start(&[]);
    let missing = flipper::open(&server.url()).await.unwrap_err();
    assert_eq!(missing.kind(), flipper::ErrorKind::InvalidInput);
    assert!(missing.message().contains("there is no such table"), "{missing}");
    PostgresStore::builder(&server.url()).create_table().connect().await.unwrap();
    let client = flipper::open(&server.url()).await.unwrap();
    client.create("X").await.unwrap().enable().await.unwrap();
    let again = flipper::open(&server.url().replacen("postgres:", "postgresql:", 1)).await.unwrap();
    assert!(again.is_enabled("X", &flipper::ctx! {}).await);

    for wrapper in ["?mirror", "?cache=10&ttl=60"] {
        let wrapped = flipper::open(&format!("{}{wrapper}", server.url())).await.unwrap();
        assert!(wrapped.is_enabled("X", &flipper::ctx! {}).await, "{wrapper}");
    }
}
