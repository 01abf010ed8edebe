//! The store keeps the contract on a real agent.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flipper_consul::ConsulStore;
use flipper_testkit::{ConsulServer, Proxy, Subject, Weather, With, store_conformance};

/// The server of all tests here: each has a base key of its own.
fn server() -> &'static ConsulServer {
    static SERVER: OnceLock<ConsulServer> = OnceLock::new();
    SERVER.get_or_init(|| ConsulServer::start(&[]))
}

/// A store behind a proxy of its own.
type Placed = With<ConsulStore, Place>;

#[derive(Debug)]
struct Place {
    base_key: String,
    proxy: Proxy,
}

async fn store() -> Placed {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    store_at(format!("suite/{}", NUMBER.fetch_add(1, Ordering::Relaxed))).await
}

async fn store_at(base_key: String) -> Placed {
    let proxy = Proxy::start(server().address()).await.unwrap();
    let builder = ConsulStore::builder(&proxy.address().to_string()).base_key(&base_key);
    let store = builder.timeout(Duration::from_secs(10)).connect().await.unwrap();
    With::new(store, Place { base_key, proxy })
}

store_conformance!(
    consul,
    Subject::new(store)
        .with_sibling(|store: Arc<Placed>| async move {
            Arc::new(store_at(store.companion().base_key.clone()).await)
        })
        .with_plant(|store: Arc<Placed>, name, bytes| async move {
            let mut url = reqwest::Url::parse(&server().url()).unwrap();
            let key = format!("{}/{name}", store.companion().base_key);
            url.path_segments_mut().unwrap().extend(["v1", "kv"]).extend(key.split('/'));
            let answer = reqwest::Client::new().put(url).body(bytes).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap().trim(), "true");
        })
        .with_outage(|store: Arc<Placed>| async move {
            store.companion().proxy.set(Weather::HangUp);
            store.companion().proxy.cut();
        })
);
