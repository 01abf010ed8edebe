//! Flags in Consul: two services, each with all flags in memory. One edits, the other sees it.
//!
//! ```sh
//! docker compose up -d --wait consul           # or `consul agent -dev`; CONSUL_HTTP_ADDR says where, 127.0.0.1:8500 unless it is set
//! cargo run --example consul
//! ```

use std::time::Instant;

use flipper::{Condition, ConsulStore, FeatureFlagClient, Store, ctx};
use futures_lite::StreamExt;

const FLAG: &str = "EXAMPLE_CONSUL";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let connect = async || ConsulStore::builder_from_environment()?.connect().await;
    let editor = FeatureFlagClient::new(connect().await?);
    let store = connect().await?;
    let mut changes = store.watch().ok_or("Consul can be watched")?;
    let reader = FeatureFlagClient::new(store);
    let local = reader.local()?;

    let flag = editor.create(FLAG).await?;
    flag.add_condition(&Condition::builder().eq("is_beta", true).build()?).await?;
    let start = Instant::now();
    flag.enable().await?;
    // Checks never wait; this is for the example alone.
    while !local.is_enabled(FLAG, &ctx! { is_beta: true }) {
        changes.next().await.ok_or("the watch goes on")?;
    }
    println!("{FLAG} is on for beta users, as the other service knows {:?} after", start.elapsed());
    println!("{}", reader.explain(FLAG, &ctx! { is_beta: false }).await?);

    flag.destroy().await?;
    while local.snapshot().get(FLAG).is_some() {
        changes.next().await.ok_or("the watch goes on")?;
    }
    println!("{FLAG} is gone; the flags are {:?}", local.freshness());
    reader.close().await?;
    editor.close().await?;
    Ok(())
}
