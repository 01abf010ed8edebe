//! Flags in a real Redis Cluster: three primaries, each with a replica.

mod conformance;
mod failover;
mod hostile;
mod moves;
mod storm;

use std::sync::OnceLock;
use std::time::Duration;

use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Page, Store, Watching};
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{RedisCluster, RedisServer};

use super::{base_key, names, number, put, told, wait_for, watch};
use crate::records::{flag, name};

/// The cluster of those tests that do not disturb it, each below a base key of its own.
fn cluster() -> &'static RedisCluster {
    static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
    CLUSTER.get_or_init(|| RedisCluster::start(3, 1, &[]))
}

async fn store() -> RedisStore {
    RedisStore::builder(&cluster().url()).base_key(base_key()).connect().await.unwrap()
}

/// Names of flags that are on all servers.
fn many(count: usize) -> Vec<String> {
    let mut names: Vec<_> = (0..count).map(|number| format!("F{number}")).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_spread_over_all_servers_and_listed_once_each() {
    let store = store().await;
    for of in many(300) {
        put(&store, &of, 7).await;
    }
    assert_eq!(names(&store, Page::ALL).await, (many(300), vec![]));
    for of in many(300) {
        assert_eq!(number(&store, &of).await, Some(7));
    }
    // Pages cover everything, whoever has it.
    let mut paged = Vec::new();
    for offset in (0..300).step_by(70) {
        paged.extend(names(&store, Page { offset, limit: Some(70) }).await.0);
    }
    assert_eq!(paged.len(), 300);
    assert_eq!(store.capabilities().watch, Watching::Pushed);
    let error = store.put(&flag("F1", 8), Expect::Absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_on_all_servers_are_told() {
    let store = store().await;
    let mut changes = watch(&store).await;
    for of in many(30) {
        put(&store, &of, 1).await;
        assert_eq!(told(&mut changes).await, format!("put {of} 1"));
    }
    assert!(store.delete(name("F3"), Expect::Any).await.unwrap());
    assert_eq!(told(&mut changes).await, "deleted F3");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_of_the_address_is_enough_even_a_replica() {
    let replica = cluster().url().rsplit_once(',').unwrap().1.to_owned();
    let key = base_key();
    for address in [format!("redis-cluster://{replica}"), format!("redis-cluster://127.0.0.1:1,{replica}")] {
        let store = RedisStore::builder(&address).base_key(&key).connect().await.unwrap();
        for of in many(20) {
            put(&store, &of, 2).await;
        }
        assert_eq!(names(&store, Page::ALL).await.0, many(20));
    }
    let client = redis::Client::open(format!("redis://{replica}")).unwrap();
    let store = RedisStore::builder_from_client(client).base_key(&key).cluster().connect().await.unwrap();
    assert_eq!(names(&store, Page::ALL).await.0, many(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_cluster_and_what_is_one_say_so() {
    let single = RedisServer::start(&[]);
    let error = RedisStore::connect(&format!("redis-cluster://{}", single.address())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.message().contains("write `redis://` for a single one"), "{error}");

    let url = cluster().url().replace("redis-cluster://", "redis://");
    let one = url.split(',').next().unwrap();
    let store = RedisStore::connect(one).await.unwrap();
    let mut refused = None;
    for of in many(20) {
        refused = refused.or(store.get(name(&of)).await.err());
    }
    let error = refused.unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.message().contains("write `redis-cluster://`"), "{error}");

    let error = RedisStore::connect(&format!("{}/1", cluster().url())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    let error = RedisStore::connect("redis-cluster://127.0.0.1:1,127.0.0.1:2").await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some("connect")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_of_all_servers_stay_secret_and_scripts_may_be_denied() {
    let cluster =
        RedisCluster::start(3, 0, &["--user", "careful", "on", ">hunter2", "~*", "+@all", "-@scripting"]);
    let url = cluster.url().replace("redis-cluster://", "redis-cluster://careful:hunter2@");
    let store = RedisStore::connect(&url).await.unwrap();
    let shown = format!("{store:?} {:?}", RedisStore::builder(&url));
    assert!(shown.contains("127.0.0.1") && !shown.contains("hunter2"), "{shown}");
    for of in many(10) {
        let before = put(&store, &of, 1).await;
        store.put(&flag(&of, 2), Expect::Matches(&before)).await.unwrap();
        let error = store.put(&flag(&of, 3), Expect::Matches(&before)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(number(&store, &of).await, Some(2));
    }
    let wrong = url.replace("hunter2", "hunter3");
    let error = RedisStore::connect(&wrong).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    assert!(!format!("{error:?}").contains("hunter3"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_many_clients_are_all_there() {
    let url = cluster().url();
    let key = base_key();
    let store = RedisStore::builder(&url).base_key(&key).connect().await.unwrap();
    let setup = FeatureFlagClient::new(store);
    for of in many(8) {
        setup.create(&of).await.unwrap();
    }
    let mut editors = Vec::new();
    for editor in 0..32_i64 {
        let store = RedisStore::builder(&url).base_key(&key).connect().await.unwrap();
        let client = FeatureFlagClient::builder(store).deadline(Duration::from_mins(1)).build();
        editors.push(tokio::spawn(async move {
            for edit in 0..100 {
                let condition =
                    flipper_core::Condition::builder().eq("edit", editor * 100 + edit).build().unwrap();
                client.add_condition(&format!("F{}", edit % 8), &condition).await.unwrap();
            }
        }));
    }
    for editor in editors {
        editor.await.unwrap();
    }
    let mut count = 0;
    for of in many(8) {
        count += setup.store().get(name(&of)).await.unwrap().unwrap().value.conditions().len();
    }
    assert_eq!(count, 3_200);
}
