//! What checks and stores do, for Prometheus.
//!
//! Run it with `cargo run --example metrics`, or with `cargo run --example metrics -- --serve` and look at
//! <http://127.0.0.1:9464/metrics>.

use std::sync::Arc;
use std::time::Duration;

use flipper::audit::{EvaluationMeter, MeteredStore, MetricsPublisher};
use flipper::{CachedStore, FeatureFlagClient, MemoryStore, ctx};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> flipper::Result<()> {
    // The recorder renders; to serve that takes no more than what is at the end of this file.
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _ = metrics::set_global_recorder(recorder);

    // In earnest, a `RedisStore` is measured, and the cache is before it.
    let store = MeteredStore::new("redis", MemoryStore::new());
    let cached = Arc::new(CachedStore::new(store));
    let meter = EvaluationMeter::new();
    let client = FeatureFlagClient::builder(Arc::clone(&cached)).on_check(meter.counter()).build();
    let publisher = MetricsPublisher::new()
        .evaluations(meter)
        .cache("redis", move || (cached.stats().hits, cached.stats().misses));

    client.create("CHECKOUT").await?.enable().await?;
    for user_id in 0..1_000 {
        client.is_enabled("CHECKOUT", &ctx! { user_id: user_id }).await;
    }
    client.is_enabled("CHEKCOUT", &ctx! {}).await;

    // Before each scrape.
    publisher.publish();
    let is_of_flipper = |line: &&str| line.starts_with("flipper_") && !line.contains("quantile");
    handle.render().lines().filter(is_of_flipper).for_each(|line| println!("{line}"));
    if std::env::args().any(|argument| argument == "--serve") {
        serve(&handle, &publisher).await;
    }
    Ok(())
}

async fn serve(handle: &PrometheusHandle, publisher: &MetricsPublisher) {
    let Ok(listener) = TcpListener::bind("127.0.0.1:9464").await else {
        println!("port 9464 is taken");
        return;
    };
    while let Ok((mut stream, _)) = listener.accept().await {
        publisher.publish();
        handle.run_upkeep();
        let body = handle.render();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        // One request, of which nothing matters but that it is one.
        let _ = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 4096])).await;
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(body.as_bytes()).await;
    }
}
