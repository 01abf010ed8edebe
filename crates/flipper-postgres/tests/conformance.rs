//! The store keeps the contract on a real server: when it is told of changes, when it polls, and as behind a pooler.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flipper_postgres::tokio_postgres::{NoTls, connect};
use flipper_postgres::{PostgresStore, PostgresStoreBuilder};
use flipper_testkit::{PostgresServer, Proxy, Subject, Weather, With, store_conformance};

/// The server of all tests here: each has a table of its own.
fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| PostgresServer::start(&["max_connections=500"]))
}

/// What is chosen besides.
type Settings = fn(PostgresStoreBuilder) -> PostgresStoreBuilder;

/// A store behind a proxy of its own.
type Placed = With<PostgresStore, Place>;

#[derive(Debug)]
struct Place {
    table: String,
    proxy: Proxy,
    settings: Settings,
}

async fn store(settings: Settings) -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    store_at(settings, format!("Suite \"{}\"", NUMBER.fetch_add(1, Ordering::Relaxed))).await
}

async fn store_at(settings: Settings, table: String) -> Placed {
    let proxy = Proxy::start(server().address()).await.unwrap();
    let builder = PostgresStore::builder(&server().url_at(proxy.address())).table(&table).create_table();
    let store = settings(builder.poll_interval(Duration::from_millis(20))).connect().await.unwrap();
    With::new(store, Place { table, proxy, settings })
}

fn subject(settings: Settings) -> Subject<Placed> {
    Subject::new(move || store(settings))
        .with_sibling(|store| async move {
            Arc::new(store_at(store.companion().settings, store.companion().table.clone()).await)
        })
        .with_plant(|store, name, bytes| async move {
            let (client, connection) =
                connect(&server().url(), NoTls).await.unwrap();
            tokio::spawn(connection);
            let table = store.companion().table.replace('"', "\"\"");
            let statement = format!(
                "INSERT INTO \"{table}\" VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET item = EXCLUDED.item"
            );
            client.execute(&statement, &[&name, &bytes]).await.unwrap();
        })
        .with_outage(|store| async move {
            store.companion().proxy.set(Weather::HangUp);
            store.companion().proxy.cut();
        })
}

store_conformance!(postgres_told, subject(|builder| builder), absent = 2);
store_conformance!(postgres_behind_a_pooler, subject(PostgresStoreBuilder::behind_pooler), absent = 2);
