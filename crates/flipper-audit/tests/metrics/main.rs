//! What is counted and measured.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use flipper_audit::{EvaluationCount, EvaluationMeter, MeteredStore, MetricsPublisher};
use flipper_core::{
    Condition, Context, ErrorKind, FeatureFlagClient, Freshness, Snapshot, StaleCause, Timestamp, ctx,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Fault, FaultStore, Operation, Subject, store_conformance};
use metrics_exporter_prometheus::PrometheusBuilder;

fn metered() -> (EvaluationMeter, FeatureFlagClient) {
    let meter = EvaluationMeter::new();
    let client = FeatureFlagClient::builder(MemoryStore::new()).on_check(meter.counter()).build();
    (meter, client)
}

/// The counts, in words: `X on enabled 3`.
fn words(meter: &EvaluationMeter) -> Vec<String> {
    let in_words = |count: EvaluationCount| {
        let value = if count.value { "on" } else { "off" };
        format!("{} {value} {} {}", count.flag, count.reason, count.count)
    };
    meter.counts().into_iter().map(in_words).collect()
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

#[tokio::test]
async fn checks_are_counted_by_flag_answer_and_reason() {
    let (meter, client) = metered();
    let flag = client.create("X").await.unwrap();
    let local = client.local().unwrap();
    let handle = local.flag("X");
    local.is_enabled("X", &Context::EMPTY);
    flag.enable().await.unwrap();
    local.is_enabled("X", &Context::EMPTY);
    handle.is_enabled(&Context::EMPTY);
    client.is_enabled("X", &Context::EMPTY).await;
    flag.add_condition(&Condition::builder().eq("plan", "gold").build().unwrap()).await.unwrap();
    for plan in ["gold", "lead", "lead"] {
        handle.is_enabled(&ctx! { plan: plan });
    }
    local.is_enabled_or("NONE", &Context::EMPTY, true);
    assert_eq!(
        words(&meter),
        [
            "NONE on not_found 1",
            "X off check_failed 2",
            "X on conditions_met 1",
            "X off disabled 1",
            "X on enabled 3"
        ]
    );
}

#[test]
fn no_check_is_lost_between_threads_while_somebody_reads() {
    const THREADS: usize = 8;
    const CHECKS: usize = 20_000;
    let (meter, client) = metered();
    let names: Vec<String> = (0..500).map(|at| format!("F{at}")).collect();
    futures_lite::future::block_on(async {
        for name in &names {
            client.create(name).await.unwrap().enable().await.unwrap();
        }
    });
    let local = client.local().unwrap();
    let total = |meter: &EvaluationMeter| meter.counts().iter().map(|count| count.count).sum::<u64>();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (local, names) = (&local, &names);
            scope.spawn(move || {
                for check in 0..CHECKS {
                    local.is_enabled(&names[(check * 7 + thread) % names.len()], &Context::EMPTY);
                }
            });
        }
        // Whoever reads meanwhile never sees less than before.
        let mut before = 0;
        while before < (THREADS * CHECKS) as u64 {
            let now = total(&meter);
            assert!(now >= before, "{now} after {before}");
            before = now;
            std::thread::yield_now();
        }
    });
    let counts = meter.counts();
    assert_eq!(counts.len(), names.len());
    assert_eq!(total(&meter), (THREADS * CHECKS) as u64, "also when the threads have ended");
    assert!(format!("{meter:?}").contains("threads: 0"), "{meter:?}");
}

#[test]
fn names_that_are_made_up_take_no_more_than_their_share() {
    let (meter, client) = metered();
    let local = client.local().unwrap();
    futures_lite::future::block_on(client.create("REAL")).unwrap();
    for at in 0..10_000 {
        local.is_enabled(&format!("made up {at}"), &Context::EMPTY);
    }
    local.is_enabled("REAL", &Context::EMPTY);
    let counts = meter.counts();
    let find = |flag: &str| counts.iter().find(|count| &*count.flag == flag).map(|count| count.count);
    assert_eq!(counts.len(), EvaluationMeter::MOST_ABSENT + 2);
    assert_eq!(find("(other)"), Some(10_000 - EvaluationMeter::MOST_ABSENT as u64));
    assert_eq!(find("REAL"), Some(1));
}

#[test]
fn threads_that_come_and_go_leave_neither_names_nor_memory() {
    const THREADS: usize = 1_000;
    let (meter, client) = metered();
    let local = client.local().unwrap();
    futures_lite::future::block_on(client.create("REAL")).unwrap();
    for thread in 0..THREADS {
        let local = &local;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                local.is_enabled("REAL", &Context::EMPTY);
                for name in 0..5 {
                    local.is_enabled(&format!("made up {thread} {name}"), &Context::EMPTY);
                }
            });
        });
    }
    // Nobody has asked for the counts meanwhile.
    let shown = format!("{meter:?}");
    let running: usize = shown.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
    assert!(running <= 64, "{shown}");
    let counts = meter.counts();
    let find = |flag: &str| counts.iter().find(|count| &*count.flag == flag).map(|count| count.count);
    assert_eq!(counts.len(), EvaluationMeter::MOST_ABSENT + 2);
    assert_eq!(find("REAL"), Some(THREADS as u64));
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 6 * THREADS as u64, "and none is lost");
    assert_eq!(find("(other)"), Some((5 * THREADS - EvaluationMeter::MOST_ABSENT) as u64));
}

#[test]
fn clients_of_several_stores_are_counted_by_the_names_of_their_flags() {
    let meter = EvaluationMeter::new();
    let client = || FeatureFlagClient::builder(MemoryStore::new()).on_check(meter.counter()).build();
    let (one, other) = (client(), client());
    for client in [&one, &other, &one] {
        let local = client.local().unwrap();
        local.is_enabled("A", &Context::EMPTY);
        local.is_enabled("B\"\n\\{}", &Context::EMPTY);
    }
    assert_eq!(words(&meter), ["A off not_found 3", "B\"\n\\{} off not_found 3"]);
    let lines = scraped(async { MetricsPublisher::new().evaluations(meter.clone()).publish() });
    let strange = r#"flipper_evaluations_total{flag="B\"\n\\{}",value="off",reason="not_found"} 3"#;
    assert!(lines.iter().any(|line| line == strange), "{lines:?}");
}

#[test]
fn two_meters_in_one_thread_count_each_for_itself() {
    let ((one, first), (other, second)) = (metered(), metered());
    let (first, second) = (first.local().unwrap(), second.local().unwrap());
    for _ in 0..3 {
        first.is_enabled("A", &Context::EMPTY);
        second.is_enabled("A", &Context::EMPTY);
        second.is_enabled("B", &Context::EMPTY);
    }
    assert_eq!(words(&one), ["A off not_found 3"]);
    assert_eq!(words(&other), ["A off not_found 3", "B off not_found 3"]);
    // One that is gone leaves its place.
    drop((one, first));
    let (third, client) = metered();
    client.local().unwrap().is_enabled("C", &Context::EMPTY);
    assert_eq!(words(&third), ["C off not_found 1"]);
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

#[tokio::test]
async fn a_clone_of_a_meter_counts_with_it() {
    let meter = EvaluationMeter::new();
    let counter = meter.clone().counter();
    let client = FeatureFlagClient::builder(MemoryStore::new()).on_check(counter).build();
    client.is_enabled("X", &Context::EMPTY).await;
    assert_eq!(words(&meter), ["X off not_found 1"]);
}

store_conformance!(
    metered,
    Subject::new(|| async { MeteredStore::new("memory", MemoryStore::new()) }),
    absent = 8
);
