//! What checks and stores do, for Prometheus: flags in Redis, mirrored for some and cached for others.
//!
//! ```sh
//! docker compose up -d --wait redis            # or any other server; REDIS_URL says where, redis://127.0.0.1 unless it is set
//! cargo run --example metrics
//! cargo run --example metrics -- serve         # on http://127.0.0.1:9464/metrics; Ctrl-C ends it
//! ```

use std::sync::Arc;
use std::time::Duration;

use flipper::audit::{MeteredStore, MetricsPublisher};
use flipper::{CachedStore, EvaluationMeter, FeatureFlagClient, MirrorStore, OpenOptions, ctx};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const FLAG: &str = "EXAMPLE_METRICS";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    // The recorder renders; to serve that takes no more than what is at the end of this file.
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;

    // What is measured is Redis: the mirror and the cache are before it.
    let redis = Arc::new(MeteredStore::new("redis", OpenOptions::new().open_store(&address).await?));
    let mirror = MirrorStore::start(Arc::clone(&redis)).await?;
    let cache = Arc::new(CachedStore::new(redis));
    let meter = EvaluationMeter::new();
    let mirrored = FeatureFlagClient::builder(mirror).meter(meter.clone()).build();
    let cached = FeatureFlagClient::builder(Arc::clone(&cache)).meter(meter.clone()).build();
    let local = mirrored.local()?;
    let publisher = MetricsPublisher::new()
        .evaluations(meter)
        .snapshot("redis", local.snapshot().clone())
        .cache("redis", move || (cache.stats().hits, cache.stats().misses));

    mirrored.create(FLAG).await?.enable().await?;
    for user_id in 0..1_000 {
        local.is_enabled(FLAG, &ctx! { user_id: user_id });
        cached.is_enabled(FLAG, &ctx! { user_id: user_id }).await;
    }
    cached.is_enabled("EXAMPLE_MISSPELT", &ctx! {}).await;
    mirrored.destroy(FLAG).await?;

    // Before each scrape.
    publisher.publish();
    let is_of_flipper = |line: &&str| line.starts_with("flipper_") && !line.contains("quantile");
    handle.render().lines().filter(is_of_flipper).for_each(|line| println!("{line}"));
    if std::env::args().any(|argument| argument == "serve") {
        serve(&handle, &publisher).await?;
    }
    mirrored.close().await?;
    Ok(cached.close().await?)
}

async fn serve(handle: &PrometheusHandle, publisher: &MetricsPublisher) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:9464").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
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
