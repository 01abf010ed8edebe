//! Uses flags behind a Thrift server: that of `cargo run --example thrift_server`, or any other of the `FeatureFlagStore` service.
//!
//! It is at `127.0.0.1:9090`, or where `THRIFT_ADDRESS` says.

use std::time::Duration;

use flipper::{CompareAndSet, Condition, FeatureFlagClient, MirrorStore, ThriftStore, ctx};

#[tokio::main]
async fn main() -> flipper::Result<()> {
    let address = std::env::var("THRIFT_ADDRESS").unwrap_or_else(|_| "127.0.0.1:9090".to_owned());
    let store = ThriftStore::builder(&address).poll_interval(Duration::from_millis(200)).connect().await?;
    let client = FeatureFlagClient::new(store);
    // A server of the published service has no conditional writes.
    match client.capabilities().conditional_put {
        CompareAndSet::Atomic => println!("edits at the same time are all kept"),
        _ => println!("of two edits of one flag at the same time, one can be lost"),
    }

    client.create_or_replace("CHECKOUT", true, [("owner", "shop")]).await?;
    client.add_condition("CHECKOUT", &Condition::builder().gte("age", 18).build()?).await?;
    for age in [17, 18] {
        println!("CHECKOUT at {age}: {}", client.is_enabled("CHECKOUT", &ctx! { age: age }).await);
    }

    // Each of those was a call. With a mirror before it, checks do not leave this process.
    let store = ThriftStore::builder(&address).poll_interval(Duration::from_millis(200)).connect().await?;
    let local = FeatureFlagClient::new(MirrorStore::start(store).await?).local()?;
    println!("in memory: {}", local.is_enabled("CHECKOUT", &ctx! { age: 18 }));
    client.disable("CHECKOUT").await?;
    while local.is_enabled("CHECKOUT", &ctx! { age: 18 }) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("it was switched off, and the mirror has heard of it");
    client.destroy("CHECKOUT").await
}
