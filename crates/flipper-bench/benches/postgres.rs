//! The PostgreSQL store against the driver alone: reads, and how soon a change by somebody else is told.
//!
//! The server runs on this machine. What is bare does what no client can do without: it asks by a prepared statement, and parses the same bytes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::similar_names, unreachable_pub, reason = "a benchmark")]

use std::process::ExitCode;
use std::time::Instant;

use flipper_bench::{Bars, Race, median, record};
use flipper_core::{Change, Expect, Flag, FlagName, Store};
use flipper_postgres::PostgresStore;
use flipper_postgres::tokio_postgres::{AsyncMessage, Client, NoTls, Statement};
use flipper_testkit::PostgresServer;
use futures_lite::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const NAME: &str = "flag-number-7";
const CHANGES: usize = 2_000;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    let server = PostgresServer::start(&[]);
    let runtime = Runtime::new().unwrap();
    get(&server, &runtime, &mut bars);
    runtime.block_on(seen(&server, &mut bars));
    bars.finish()
}

async fn store(server: &PostgresServer, table: &str) -> PostgresStore {
    PostgresStore::builder(&server.url()).table(table).create_table().connect().await.unwrap()
}

/// The driver's connection, and the payloads of what it is told.
async fn connection(server: &PostgresServer) -> (Client, UnboundedReceiver<String>) {
    let url = server.url();
    let (client, mut connection) = flipper_postgres::tokio_postgres::connect(&url, NoTls).await.unwrap();
    let (sender, notices) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(message) = std::future::poll_fn(|task| connection.poll_message(task)).await {
            if let Ok(AsyncMessage::Notification(notice)) = message {
                _ = sender.send(notice.payload().to_owned());
            }
        }
    });
    (client, notices)
}

async fn bare_get(client: &Client, statement: &Statement, name: &str) -> Flag {
    let row = client.query_one(statement, &[&name]).await.unwrap();
    Flag::read(FlagName::new(name).unwrap(), row.get::<_, &[u8]>(0)).unwrap()
}

fn get(server: &PostgresServer, runtime: &Runtime, bars: &mut Bars) {
    let (store, client, statement) = runtime.block_on(async {
        let store = store(server, "read").await;
        for number in 0..64 {
            store.put(&record(&format!("flag-number-{number}"), true), Expect::Any).await.unwrap();
        }
        let (client, _) = connection(server).await;
        let statement = client.prepare("SELECT item FROM read WHERE name = $1").await.unwrap();
        (store, client, statement)
    });
    println!("one flag after the other");
    let ns = Race::new()
        .more_rounds(3)
        .subject("SELECT, parse", || runtime.block_on(bare_get(&client, &statement, NAME)).is_switched_on())
        .subject("get", || {
            let found = runtime.block_on(store.get(FlagName::new(NAME).unwrap())).unwrap();
            found.unwrap().value.is_switched_on()
        })
        .run();
    bars.at_most("postgres.get", ns[1] / ns[0], 1.15);
}

/// From an upsert by somebody else until its new state is there: told by the store, or read after the bare notice.
async fn seen(server: &PostgresServer, bars: &mut Bars) {
    println!("a change by somebody else");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    // Both have the same triggers.
    drop(store(server, "bare").await);
    let store = store(server, "ours").await;
    let mut changes = store.watch().unwrap();
    assert!(matches!(changes.next().await, Some(Change::Resync { .. })));
    let (somebody, _) = connection(server).await;
    let (listening, mut notices) = connection(server).await;
    let row = listening.query_one("SELECT 'bare'::regclass::oid::bigint", &[]).await.unwrap();
    listening.batch_execute(&format!("LISTEN flipper_{}", row.get::<_, i64>(0))).await.unwrap();
    let select = listening.prepare("SELECT item FROM bare WHERE name = $1").await.unwrap();
    let mut upserts = Vec::new();
    for table in ["bare", "ours"] {
        let upsert = format!(
            "INSERT INTO {table} (name, item) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET item = EXCLUDED.item"
        );
        upserts.push(somebody.prepare(&upsert).await.unwrap());
    }
    for round in 0..CHANGES {
        let flag = record(NAME, round % 2 == 0);
        let bytes = flag.as_json().as_bytes();
        let start = Instant::now();
        somebody.execute(&upserts[0], &[&NAME, &bytes]).await.unwrap();
        let name = notices.recv().await.unwrap();
        let read = bare_get(&listening, &select, &name).await;
        assert_eq!(read.is_switched_on(), flag.is_switched_on());
        bare.push(start.elapsed().as_secs_f64() * 1e6);

        let start = Instant::now();
        somebody.execute(&upserts[1], &[&NAME, &bytes]).await.unwrap();
        let Some(Change::Put(found)) = changes.next().await else { panic!("the watch goes on") };
        assert_eq!(found.value.is_switched_on(), flag.is_switched_on());
        ours.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let (bare, ours) = (median(bare), median(ours));
    println!("  upsert, notice, SELECT, parse: median {bare:.1} us; upsert, change: median {ours:.1} us");
    bars.at_most("postgres.seen", ours / bare, 1.3);
}
