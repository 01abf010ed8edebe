//! One Redis, three ways: asked at each check, with a cache before it, and mirrored.
//!
//! ```sh
//! docker compose up -d --wait redis            # or any other server; REDIS_URL says where, redis://127.0.0.1 unless it is set
//! cargo run --release --example layers
//! ```

use std::time::{Duration, Instant};

use flipper::ctx;

const FLAG: &str = "EXAMPLE_LAYERS";
const CHECKS: u32 = 2_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let plain = flipper::open(&address).await?;
    let cached = flipper::open(&format!("{address}?cache=5000&ttl=30")).await?;
    let mirror = flipper::open(&format!("{address}?mirror")).await?;
    plain.create(FLAG).await?.enable().await?;

    for (what, client) in [("asked", &plain), ("cached", &cached), ("mirrored", &mirror)] {
        let start = Instant::now();
        let mut on = 0;
        for user_id in 0..CHECKS {
            on += u32::from(client.is_enabled(FLAG, &ctx! { user_id: user_id }).await);
        }
        println!("{what}: {on} of {CHECKS} on, {:?} per check", start.elapsed() / CHECKS);
    }

    // A change by one is soon seen by all.
    plain.disable(FLAG).await?;
    let start = Instant::now();
    while mirror.local()?.is_enabled(FLAG, &ctx! {}) || cached.is_enabled(FLAG, &ctx! {}).await {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    println!("the change is seen by all, {:?} after the edit returned", start.elapsed());
    plain.destroy(FLAG).await?;
    for client in [plain, cached, mirror] {
        client.close().await?;
    }
    Ok(())
}
