//! The Consul store against what it is made of: how soon a change by somebody else is an answer, and what one change among many
//! flags costs.
//!
//! The server runs on this machine. What is bare does what no client can do without.

#![allow(clippy::unwrap_used, clippy::panic, clippy::similar_names, unreachable_pub, reason = "a benchmark")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use flipper_bench::{Bars, median, percentile, record, rounds};
use flipper_consul::ConsulStore;
use flipper_core::{BoxStream, Change, Context, FeatureFlagClient, Flag, LocalClient, Store};
use flipper_testkit::ConsulServer;
use futures_lite::StreamExt;
use reqwest::Client;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let mut bars = Bars::new();
    let server = ConsulServer::start(&[]);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let bench = Bench { server, http: Client::builder().no_proxy().tcp_nodelay(true).build().unwrap() };
        bench.seen(1, 60 * rounds(), "", &mut bars).await;
        bench.seen(10_000, 4 * rounds(), ".10000", &mut bars).await;
    });
    bars.finish()
}

struct Bench {
    server: ConsulServer,
    http: Client,
}

/// What a blocking query brings.
struct Answer {
    index: u64,
    keys: usize,
}

impl Bench {
    async fn put(&self, key: &str, flag: &Flag) {
        let url = format!("{}/v1/kv/{key}", self.server.url());
        let answer = self.http.put(url).body(flag.as_json().to_owned()).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap().trim(), "true");
    }

    /// Waits for a change below a prefix, and reads what is there: the keys, and the values as they come.
    async fn block(&self, prefix: &str, index: u64) -> Answer {
        let url = format!("{}/v1/kv/{prefix}/?recurse&index={index}&wait=60s", self.server.url());
        let answer = self.http.get(url).send().await.unwrap();
        let index = answer.headers()["x-consul-index"].to_str().unwrap().parse().unwrap();
        let body = answer.bytes().await.unwrap();
        let entries: Vec<Entry<'_>> = serde_json::from_slice(&body).unwrap();
        assert!(
            entries.iter().all(|entry| entry.value.is_some() && !entry.key.is_empty() && entry.index > 0)
        );
        Answer { index, keys: entries.len() }
    }

    /// From a `PUT` by somebody else until its new state is there: in the answers of the store, or returned by the bare query.
    async fn seen(&self, count: usize, rounds: usize, suffix: &str, bars: &mut Bars) {
        println!("a change by somebody else, {count} flags");
        let names = flipper_bench::names(count);
        for base in ["bare", "ours"] {
            let base = format!("{base}{count}");
            for name in &names {
                self.put(&format!("{base}/{name}"), &record(name, true)).await;
            }
        }
        let (bare_base, our_base) = (format!("bare{count}"), format!("ours{count}"));
        let store = ConsulStore::builder(&self.server.url()).base_key(&*our_base).connect().await.unwrap();
        let mut changes = store.watch().unwrap();
        let client = FeatureFlagClient::new(store);
        let local = client.local().unwrap();
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        let mut index = self.block(&bare_base, 1).await.index;
        for round in 0..rounds {
            let name = &names[round % count];
            let flag = record(name, round / count % 2 == 1);
            let start = Instant::now();
            let (answer, ()) = futures_util::future::join(
                self.block(&bare_base, index),
                self.put(&format!("{bare_base}/{name}"), &flag),
            )
            .await;
            bare.push(start.elapsed().as_secs_f64() * 1e6);
            assert_eq!(answer.keys, count);
            index = answer.index;

            let start = Instant::now();
            let seen = changed(&local, &mut changes, name, flag.is_switched_on());
            futures_util::future::join(seen, self.put(&format!("{our_base}/{name}"), &flag)).await;
            ours.push(start.elapsed().as_secs_f64() * 1e6);
            // So that both find the servers at rest.
            tokio::time::sleep(Duration::from_millis(if count > 1 { 60 } else { 1 })).await;
        }
        if count > 1 {
            let (bare, ours) = (median(bare), median(ours));
            println!("  PUT, query: median {bare:.0} us; PUT, changed answer: median {ours:.0} us");
            bars.at_most(&format!("consul.seen{suffix}"), ours / bare, 1.3);
            return;
        }
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let (bare, ours) = (percentile(&mut bare, share), percentile(&mut ours, share));
            println!("  {name}: PUT, query {bare:.0} us; PUT, changed answer {ours:.0} us");
            bars.at_most(&format!("consul.seen{suffix}.{name}"), ours / bare, 1.3);
        }
    }
}

async fn changed(local: &LocalClient, changes: &mut BoxStream<'static, Change>, name: &str, is_on: bool) {
    while local.is_enabled(name, &Context::EMPTY) != is_on {
        changes.next().await.unwrap();
    }
}

#[derive(serde::Deserialize)]
struct Entry<'a> {
    #[serde(rename = "Key", borrow)]
    key: std::borrow::Cow<'a, str>,
    #[serde(rename = "Value", borrow)]
    value: Option<std::borrow::Cow<'a, str>>,
    #[serde(rename = "ModifyIndex")]
    index: u64,
}
