//! What a real server answers when it refuses, and what is made of it.

use std::time::{Duration, Instant};

use flipper_core::{Error, ErrorKind, Expect, Page, Store, Watching};
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{RedisServer, collect};

use super::{Cli, failure, flag, name, names, number, put};

const LIMIT: Duration = Duration::from_secs(10);

fn told(error: &Error) -> (ErrorKind, bool) {
    (error.kind(), error.is_retryable())
}

/// Repeats a call until it fails.
async fn until_it_fails<T>(mut call: impl AsyncFnMut() -> Result<T, Error>) -> Error {
    let deadline = Instant::now() + LIMIT;
    loop {
        match call().await {
            Ok(_) => assert!(Instant::now() < deadline, "it does not fail"),
            Err(error) => return error,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What the server has said, which is the source.
fn said(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

const AGAIN: (ErrorKind, bool) = (ErrorKind::Unavailable, true);
const DENIED: (ErrorKind, bool) = (ErrorKind::PermissionDenied, false);

#[tokio::test]
async fn passwords_that_are_missing_or_wrong_are_denied() {
    let server = RedisServer::start(&["--requirepass", "right"]);
    let missing = RedisStore::connect(&server.url()).await.unwrap_err();
    assert_eq!(told(&missing), DENIED, "{missing:?}");
    assert!(said(&missing).starts_with("NOAUTH"), "{missing:?}");
    let wrong = RedisStore::connect(&format!("redis://:hunter2@{}", server.address())).await.unwrap_err();
    assert_eq!(told(&wrong), DENIED, "{wrong:?}");
    assert!(said(&wrong).starts_with("WRONGPASS"), "{wrong:?}");
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
    let polling = RedisStore::builder(&format!("redis://:hunter2@{}", server.address())).poll_only();
    assert_eq!(told(&polling.connect().await.unwrap_err()), DENIED);
}

#[tokio::test]
async fn what_a_user_may_not_do_is_denied() {
    let server = RedisServer::start(&[
        "--user",
        "reader",
        "on",
        "nopass",
        "~*",
        "+@read",
        "+scan",
        "--user",
        "elsewhere",
        "on",
        "nopass",
        "~other/*",
        "+@all",
        "--user",
        "scriptless",
        "on",
        "nopass",
        "~*",
        "+@all",
        "-@scripting",
        "--user",
        "bare",
        "on",
        "nopass",
        "~*",
        "+get",
        "+set",
        "+del",
        "+mget",
        "+scan",
    ]);
    let connect =
        async |user| RedisStore::connect(&format!("redis://{user}@{}", server.address())).await.unwrap();
    let everybody = RedisStore::connect(&server.url()).await.unwrap();
    let version = everybody.put(&flag("X", 1), Expect::Any).await.unwrap();

    let reader = connect("reader").await;
    assert_eq!(number(&reader, "X").await, Some(1));
    assert_eq!(names(&reader, Page::ALL).await.0, ["X"]);
    for expect in [Expect::Any, Expect::Absent, Expect::Matches(&version)] {
        let error = reader.put(&flag("X", 2), expect).await.unwrap_err();
        assert_eq!(told(&error), DENIED, "{error:?}");
    }
    assert_eq!(told(&reader.delete(name("X"), Expect::Any).await.unwrap_err()), DENIED);

    let elsewhere = connect("elsewhere").await;
    assert_eq!(told(&elsewhere.get(name("X")).await.unwrap_err()), DENIED);
    assert_eq!(told(&elsewhere.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap_err()), DENIED);

    let scriptless = connect("scriptless").await;
    let version = scriptless.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap();
    let old = flag("X", 1).version_of_bytes();
    let conflict = scriptless.put(&flag("X", 3), Expect::Matches(&old)).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    assert!(scriptless.delete(name("X"), Expect::Matches(&version)).await.unwrap());
    let mut cli = Cli::new(&server.url()).await;
    let info: String = cli.tell(&["INFO", "commandstats"]).await;
    let calls = |command: &str| info.contains(&format!("cmdstat_{command}:calls="));
    assert!(calls("watch") && calls("exec"), "{info}");
    assert!(!info.contains("cmdstat_eval:calls="), "{info}");

    // Neither scripts nor transactions: no edit is safe, and none is made.
    let bare = connect("bare").await;
    put(&bare, "X", 1).await;
    let error = bare.put(&flag("X", 2), Expect::Matches(&flag("X", 1).version_of_bytes())).await.unwrap_err();
    assert_eq!(told(&error), DENIED, "{error:?}");
    assert_eq!(bare.capabilities().watch, Watching::Polled);
    assert_eq!(everybody.capabilities().watch, Watching::Pushed);
}

#[tokio::test]
async fn a_full_server_takes_no_writes_and_loses_none() {
    let server = RedisServer::start(&["--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let version = store.put(&flag("X", 1), Expect::Any).await.unwrap();
    let mut cli = Cli::new(&server.url()).await;
    let _: String = cli.tell(&["CONFIG", "SET", "maxmemory", "1mb"]).await;
    for expect in [Expect::Any, Expect::Matches(&version)] {
        let error = store.put(&flag("X", 2), expect).await.unwrap_err();
        assert_eq!(told(&error), AGAIN, "{error:?}");
        assert!(said(&error).starts_with("OOM"), "{error:?}");
    }
    assert_eq!(number(&store, "X").await, Some(1));
    let _: String = cli.tell(&["CONFIG", "SET", "maxmemory", "0"]).await;
    store.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap();
}

#[tokio::test]
async fn replicas_and_servers_without_them_take_no_writes() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let version = store.put(&flag("X", 1), Expect::Any).await.unwrap();
    let mut cli = Cli::new(&server.url()).await;
    let _: String = cli.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let error = store.put(&flag("X", 2), Expect::Any).await.unwrap_err();
    assert_eq!((told(&error), said(&error).starts_with("NOREPLICAS")), (AGAIN, true), "{error:?}");
    let _: String = cli.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;

    // Of a primary that is not there.
    let _: String = cli.tell(&["REPLICAOF", "127.0.0.1", "1"]).await;
    for expect in [Expect::Any, Expect::Absent, Expect::Matches(&version)] {
        let error = store.put(&flag("X", 2), expect).await.unwrap_err();
        assert_eq!((told(&error), said(&error).starts_with("READONLY")), (AGAIN, true), "{error:?}");
    }
    assert_eq!(number(&store, "X").await, Some(1));
    let _: String = cli.tell(&["CONFIG", "SET", "replica-serve-stale-data", "no"]).await;
    let error = store.get(name("X")).await.unwrap_err();
    assert_eq!((told(&error), said(&error).starts_with("MASTERDOWN")), (AGAIN, true), "{error:?}");
    let _: String = cli.tell(&["REPLICAOF", "NO", "ONE"]).await;
    store.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_save_takes_no_writes() {
    let server = RedisServer::start(&["--save", "3600 1"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let version = store.put(&flag("X", 1), Expect::Any).await.unwrap();
    // Where it is to save, there is no directory any longer.
    std::fs::remove_dir_all(server.directory()).unwrap();
    let mut cli = Cli::new(&server.url()).await;
    let _: String = cli.tell(&["BGSAVE"]).await;
    for expect in [Expect::Any, Expect::Matches(&version)] {
        let error = until_it_fails(async || store.put(&flag("X", 1), expect).await).await;
        assert_eq!((told(&error), said(&error).starts_with("MISCONF")), (AGAIN, true), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_busy_is_tried_again() {
    let server = RedisServer::start(&["--enable-debug-command", "yes", "--busy-reply-threshold", "50"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    put(&store, "X", 1).await;
    let mut busy = Cli::new(&server.url()).await;
    let running = tokio::spawn(async move {
        let script = "local t = redis.call('TIME')[1] while redis.call('TIME')[1] - t < 3 do end";
        let _: Result<(), _> = redis::cmd("EVAL").arg(script).arg(0).query_async(&mut busy.0).await;
    });
    let error = until_it_fails(async || store.get(name("X")).await).await;
    assert_eq!((told(&error), said(&error).starts_with("BUSY")), (AGAIN, true), "{error:?}");
    running.abort();
}

#[tokio::test]
async fn a_server_that_loads_its_data_is_tried_again() {
    let slowly = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"];
    let server = RedisServer::start(&[&slowly[..], &["--enable-debug-command", "yes"]].concat());
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let mut cli = Cli::new(&server.url()).await;
    let _: () = cli.tell(&["DEBUG", "POPULATE", "1000"]).await;
    let loading = tokio::spawn(async move {
        let _: Result<(), _> = redis::cmd("DEBUG").arg("RELOAD").query_async(&mut cli.0).await;
    });
    let error = until_it_fails(async || store.get(name("X")).await).await;
    assert_eq!((told(&error), said(&error).starts_with("LOADING")), (AGAIN, true), "{error:?}");
    loading.abort();
}

#[tokio::test]
async fn a_node_of_a_cluster_says_that_it_is_one() {
    let server = RedisServer::start(&["--cluster-enabled", "yes"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let error = store.get(name("X")).await.unwrap_err();
    assert_eq!((told(&error), said(&error).starts_with("CLUSTERDOWN")), (AGAIN, true), "{error:?}");
}

#[tokio::test]
async fn too_many_clients_are_turned_away() {
    let server = RedisServer::start(&["--maxclients", "1"]);
    let _first = Cli::new(&server.url()).await;
    let error = failure(LIMIT, RedisStore::connect(&server.url())).await;
    assert_eq!(told(&error), AGAIN, "{error:?}");
}

#[tokio::test]
async fn keys_of_another_type_and_empty_ones_are_corrupt() {
    let (store, base_key) = super::store().await;
    let mut cli = Cli::new(&super::server().url()).await;
    let _: i64 = cli.tell(&["LPUSH", &format!("{base_key}/list"), "x"]).await;
    cli.set(&format!("{base_key}/empty"), "").await;
    let list = store.get(name("list")).await.unwrap_err();
    assert_eq!((told(&list), said(&list).starts_with("WRONGTYPE")), ((ErrorKind::Corrupt, false), true));
    let empty = store.get(name("empty")).await.unwrap_err();
    assert_eq!(told(&empty), (ErrorKind::Corrupt, false));
    assert!(empty.version().is_some(), "it can be repaired");
    assert_eq!(names(&store, Page::ALL).await.1, ["empty", "list"]);
    let expected = flag("list", 1).version_of_bytes();
    let error = store.put(&flag("list", 2), Expect::Matches(&expected)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    // Both are repaired by the verbs of the client.
    let client = flipper_core::FeatureFlagClient::new(store);
    client.create_or_replace("list", false, flipper_core::json::Object::default()).await.unwrap();
    client.destroy("empty").await.unwrap();
    assert!(!client.is_enabled_or("list", &flipper_core::Context::EMPTY, true).await);
}

#[tokio::test]
async fn a_listing_that_is_denied_ends_with_the_error() {
    let server = RedisServer::start(&["--user", "blind", "on", "nopass", "~*", "+get"]);
    let store = RedisStore::connect(&format!("redis://blind@{}", server.address())).await.unwrap();
    let listed = collect(store.list(Page::ALL)).await;
    let [Err(error)] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((told(error), error.operation()), (DENIED, Some("list")));
}
