//! The Redis store against a real server, with real peers, and in bad weather.

mod cluster;
mod editors;
mod errors;
mod faults;
mod follow;
pub(crate) mod hostile;
mod listing;
pub(crate) mod places;
mod polling;
mod python;
mod replicas;
mod runtimes;
mod sentinel;
mod storm;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flipper_core::{BoxStream, Change, Page, Result, Store};
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{RedisServer, next};

use crate::records::{self, flag, name, number, put, watch};

/// The server of those tests that do not disturb it, each below a base key of its own.
fn server() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]))
}

fn base_key() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A store below a base key of its own, and the base key.
async fn store() -> (RedisStore, String) {
    let base_key = base_key();
    (RedisStore::builder(&server().url()).base_key(&base_key).connect().await.unwrap(), base_key)
}

/// Somebody else on a server.
struct Cli(redis::aio::MultiplexedConnection);

impl Cli {
    async fn new(address: &str) -> Self {
        let client = redis::Client::open(address).unwrap();
        Self(client.get_multiplexed_async_connection().await.unwrap())
    }

    /// Sends a command, given in words, and returns its answer.
    async fn tell<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.0).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    async fn set(&mut self, key: &str, value: impl AsRef<[u8]>) {
        let () = redis::cmd("SET").arg(key).arg(value.as_ref()).query_async(&mut self.0).await.unwrap();
    }
}

/// The names of the flags and of the bad records of a listing, sorted.
async fn names(store: &impl Store, page: Page) -> (Vec<String>, Vec<String>) {
    let (mut good, mut bad) = records::names(store, page).await;
    good.sort_unstable();
    bad.sort_unstable();
    (good, bad)
}

/// What a change says, in words.
fn words(change: &Change) -> String {
    match change {
        Change::Resync { cause } => format!("resync {cause:?}"),
        Change::Put(found) => {
            format!("put {} {}", found.value.name(), found.value.created_date().unwrap_or_default())
        }
        Change::Deleted { name, .. } => format!("deleted {name}"),
        Change::Bad { name, .. } => format!("bad {name}"),
        Change::Down { error } => format!("down {}", error.kind()),
        other => format!("{other:?}"),
    }
}

/// The next change, in words.
async fn told(changes: &mut BoxStream<'static, Change>) -> String {
    words(&next(changes).await.expect("the watch goes on"))
}

/// Waits until a watcher was told so.
async fn wait_for(changes: &mut BoxStream<'static, Change>, words: &str) {
    let waited =
        tokio::time::timeout(Duration::from_secs(30), async { while told(changes).await != words {} });
    waited.await.unwrap_or_else(|_| panic!("it is not told: {words}"));
}

/// The error of a call that has to end within a time.
async fn failure<T>(limit: Duration, call: impl Future<Output = Result<T>>) -> flipper_core::Error {
    let ended = tokio::time::timeout(limit, call).await.expect("the call does not end in time");
    match ended {
        Ok(_) => panic!("the call has succeeded"),
        Err(error) => error,
    }
}
