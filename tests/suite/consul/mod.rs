//! The Consul store against real agents, with a real peer, and in bad weather.

mod cluster;
mod editors;
mod follow;
mod hostile;
mod impostors;
mod outages;
mod places;
mod python;
pub(crate) mod rights;
mod storm;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use flipper_consul::{ConsulStore, ConsulStoreBuilder};
use flipper_core::{Context, Snapshot, Store};
use flipper_testkit::ConsulServer;
use reqwest::{Method, StatusCode, Url};

use crate::mirror::until;

const SOON: Duration = Duration::from_secs(4);

/// The server of those tests that do not disturb it, each below a base key of its own.
fn server() -> &'static ConsulServer {
    static SERVER: OnceLock<ConsulServer> = OnceLock::new();
    SERVER.get_or_init(|| ConsulServer::start(&[]))
}

fn base_key() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A store below a base key of its own, and the base key.
async fn store() -> (ConsulStore, String) {
    let base_key = base_key();
    (ConsulStore::builder(&server().url()).base_key(&base_key).connect().await.unwrap(), base_key)
}

/// One that finds out soon that nothing gets through.
fn hasty(url: &str) -> ConsulStoreBuilder {
    let limit = Duration::from_millis(500);
    ConsulStore::builder(url).timeout(Duration::from_secs(2)).connect_timeout(limit)
}

/// Somebody else on a server.
pub(crate) struct Cli {
    url: String,
    token: String,
}

impl Cli {
    fn new(server: &ConsulServer) -> Self {
        Self { url: server.url(), token: String::new() }
    }

    async fn try_ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Vec<u8>,
    ) -> reqwest::Result<(StatusCode, String)> {
        let mut url = Url::parse(&self.url).unwrap();
        url.path_segments_mut().unwrap().extend(["v1"]).extend(path);
        url.query_pairs_mut().extend_pairs(query);
        // The client wants one to be chosen before it is made, also for what is not encrypted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let answer =
            client.request(method, url).header("x-consul-token", &self.token).body(body).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    async fn ask(&self, method: Method, path: &[&str], query: &[(&str, &str)], body: Vec<u8>) -> String {
        let (status, text) = self.try_ask(method, path, query, body).await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        text
    }

    async fn set(&self, key: &str, value: impl Into<Vec<u8>>) {
        let path: Vec<&str> = ["kv"].into_iter().chain(key.split('/')).collect();
        assert_eq!(self.ask(Method::PUT, &path, &[], value.into()).await.trim(), "true");
    }

    async fn delete(&self, key: &str, query: &[(&str, &str)]) {
        let path: Vec<&str> = ["kv"].into_iter().chain(key.split('/')).collect();
        self.ask(Method::DELETE, &path, query, Vec::new()).await;
    }
}

/// The record of a flag that is on or off.
fn record(is_on: bool) -> String {
    crate::mirror::storm::state("X", i64::from(is_on)).as_json().to_owned()
}

fn snapshot(store: &ConsulStore) -> &Snapshot {
    store.snapshot().unwrap()
}

/// Whether a flag is on in memory; `None` if there is none.
fn is_on(store: &ConsulStore, name: &str) -> Option<bool> {
    snapshot(store).get(name).map(|known| known.value.is_enabled(&Context::EMPTY))
}
