//! What is counted and measured.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use flipper_audit::{MeteredStore, MetricsPublisher};
use flipper_core::{
    Context, ErrorKind, EvaluationMeter, FeatureFlagClient, Freshness, Snapshot, StaleCause, Timestamp,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation, Subject, store_conformance};
use metrics_exporter_prometheus::PrometheusBuilder;

fn metered() -> (EvaluationMeter, FeatureFlagClient) {
    let meter = EvaluationMeter::new();
    let client = FeatureFlagClient::builder(MemoryStore::new()).meter(meter.clone()).build();
    (meter, client)
}

/// Runs something with a recorder, and returns what a scrape would get.
fn scraped(run: impl Future<Output = ()>) -> Vec<String> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(run));
    handle
        .render()
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn names_of_flags_are_not_taken_for_anything_else() {
    let (meter, client) = metered();
    client.local().unwrap().is_enabled("B\"\n\\{}", &Context::EMPTY);
    let lines = scraped(async { MetricsPublisher::new().evaluations(meter).publish() });
    let strange = r#"flipper_evaluations_total{flag="B\"\n\\{}",value="off",reason="not_found"} 1"#;
    assert!(lines.iter().any(|line| line == strange), "{lines:?}");
}

#[test]
fn a_scrape_has_everything_once() {
    let lines = scraped(async {
        let (meter, client) = metered();
        client.create("X").await.unwrap().enable().await.unwrap();
        let stale = Snapshot::new(Freshness::Stale {
            since: Timestamp::from_micros(Timestamp::now().as_micros() - 5_000_000),
            cause: StaleCause::Unavailable,
        });
        let publisher = MetricsPublisher::new()
            .evaluations(meter)
            .snapshot("memory", client.store().snapshot().unwrap().clone())
            .snapshot("away", stale)
            .cache("redis", || (30, 2))
            .replicas(|| [("copy".to_owned(), Duration::from_millis(1_500), 4, true)]);
        for _ in 0..3 {
            client.is_enabled("X", &Context::EMPTY).await;
            publisher.publish();
        }
        publisher.publish();
    });
    for line in [
        r#"flipper_evaluations_total{flag="X",value="on",reason="enabled"} 3"#,
        r#"flipper_flags{store="memory"} 1"#,
        r#"flipper_fresh{store="memory"} 1"#,
        r#"flipper_fresh{store="away"} 0"#,
        r#"flipper_stale_seconds{store="memory"} 0"#,
        r#"flipper_cache_hits_total{cache="redis"} 30"#,
        r#"flipper_cache_misses_total{cache="redis"} 2"#,
        r#"flipper_replica_lag_seconds{replica="copy"} 1.5"#,
        r#"flipper_replica_queued{replica="copy"} 4"#,
        r#"flipper_replica_behind{replica="copy"} 1"#,
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} in {lines:#?}");
    }
    let stale =
        lines.iter().find_map(|line| line.strip_prefix(r#"flipper_stale_seconds{store="away"} "#)).unwrap();
    assert!((5.0..60.0).contains(&stale.parse::<f64>().unwrap()), "{stale}");
}

#[test]
fn calls_of_a_store_are_measured_and_their_errors_counted() {
    let lines = scraped(async {
        let store = FaultStore::new(MemoryStore::new());
        let client = FeatureFlagClient::new(MeteredStore::new("redis", store.clone()));
        client.create("X").await.unwrap();
        store.push(Operation::Put, Fault::Fail(ErrorKind::Unavailable));
        client.enable("X").await.unwrap_err();
        store.push(Operation::Get, Fault::Hang);
        let given_up =
            tokio::time::timeout(Duration::from_millis(20), client.is_enabled("X", &Context::EMPTY));
        assert!(given_up.await.is_err());
        let mut flags = client.list(None, 0);
        while futures_lite::StreamExt::next(&mut flags).await.is_some() {}
    });
    let count = |operation: &str| {
        let start =
            format!(r#"flipper_store_duration_seconds_count{{store="redis",operation="{operation}"}} "#);
        lines.iter().find_map(|line| line.strip_prefix(&start)?.parse::<u64>().ok())
    };
    assert_eq!(
        [count("get"), count("put"), count("look_up"), count("list")],
        [Some(2), Some(2), Some(1), Some(1)]
    );
    let errors: Vec<_> = lines.iter().filter(|line| line.starts_with("flipper_store_errors_total")).collect();
    let mut expected = [
        r#"flipper_store_errors_total{store="redis",operation="put",kind="unavailable"} 1"#,
        r#"flipper_store_errors_total{store="redis",operation="look_up",kind="cancelled"} 1"#,
    ];
    expected.sort_unstable();
    let mut errors: Vec<&str> = errors.into_iter().map(String::as_str).collect();
    errors.sort_unstable();
    assert_eq!(errors, expected);
}

store_conformance!(
    metered,
    Subject::new(|| async { MeteredStore::new("memory", MemoryStore::new()) }),
    absent = 8
);
