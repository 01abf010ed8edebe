//! The store keeps the contract on a cluster: when it is told of changes, when it polls, and without scripts.

use std::time::Duration;

use flipper_redis::{RedisStore, RedisStoreBuilder, redis};
use flipper_testkit::{Subject, With, store_conformance};

use super::cluster;
use crate::redis::base_key;

/// A store and its base key.
type Placed = With<RedisStore, (String, Make)>;

type Make = fn() -> RedisStoreBuilder;

async fn store(base_key: String, make: Make) -> Placed {
    let store = make().base_key(&base_key).timeout(Duration::from_secs(5)).connect().await.unwrap();
    With::new(store, (base_key, make))
}

fn subject(make: Make) -> Subject<Placed> {
    Subject::new(move || store(base_key(), make))
        .with_sibling(|store_| async move {
            let (base_key, make) = store_.companion().clone();
            std::sync::Arc::new(store(base_key, make).await)
        })
        .with_plant(|store, name, bytes| async move {
            let key = format!("{}/{name}", store.companion().0);
            plant(&key, &bytes).await;
        })
}

/// Writes a key on whichever server takes it.
async fn plant(key: &str, bytes: &[u8]) {
    for address in cluster().url().trim_start_matches("redis-cluster://").split(',') {
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let planted: redis::RedisResult<()> =
            redis::cmd("SET").arg(key).arg(bytes).query_async(&mut connection).await;
        if planted.is_ok() {
            return;
        }
    }
    panic!("no server takes {key}");
}

fn told() -> RedisStoreBuilder {
    RedisStore::builder(&cluster().url())
}

fn polling() -> RedisStoreBuilder {
    told().poll_only().poll_interval(Duration::from_millis(20))
}

store_conformance!(redis_cluster_told, subject(told), absent = 4);
store_conformance!(redis_cluster_polling, subject(polling), absent = 4);
