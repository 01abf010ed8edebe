//! Flags in Redis, with a file and a bucket of S3 as replicas: Redis loses its data, and gets it back.
//!
//! ```sh
//! docker compose up -d --wait redis s3         # or any other servers, see `s3_backup`
//! cargo run --example replicated
//! ```

use std::sync::Arc;
use std::time::Duration;

use flipper::{
    ErrorKind, Expect, FeatureFlagClient, FileStore, FlagName, RedisStore, ReplicatedStore, S3Store, Store,
    ctx,
};

const BUCKET: &str = "flipper-example-replicated";
const FLAGS: [&str; 3] = ["EXAMPLE_SEARCH", "EXAMPLE_BANNER", "EXAMPLE_CHECKOUT"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let redis = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let file = std::env::temp_dir().join(format!("flipper-example-replicated-{}.json", std::process::id()));
    let store =
        ReplicatedStore::builder(RedisStore::builder(&redis).base_key("example-replicated").connect().await?)
            .replica("file", FileStore::open(&file)?)
            .replica("s3", S3Store::new(flipper_examples::s3(BUCKET).await, BUCKET))
            .start()?;
    let store = Arc::new(store);
    let client = FeatureFlagClient::new(Arc::clone(&store));

    for name in FLAGS {
        client.create_or_replace(name, true, [("owner", "shop")]).await?;
    }
    // The replicas are told in the background. Here, we want to know.
    for failure in store.flush(Duration::from_secs(10)).await {
        println!("{failure}");
    }
    for replica in store.status() {
        println!("{}: {} states written, {} to be told", replica.name, replica.written, replica.queued);
    }
    println!("the file differs: {:?}", store.verify("file").await?);

    // Redis loses everything: nobody has deleted it through this store, so no replica was told.
    for name in FLAGS {
        store.get_ref().delete(FlagName::new(name)?, Expect::Any).await?;
    }
    println!("{} is on: {}", FLAGS[0], client.is_enabled(FLAGS[0], &ctx! {}).await);
    match store.resync("s3").await {
        Err(error) if error.kind() == ErrorKind::Conflict => println!("not taken over: {}", error.message()),
        other => println!("{other:?}"),
    }
    println!("restored from the file: {:?}", store.restore("file").await?);
    println!("{} is on: {}", FLAGS[0], client.is_enabled(FLAGS[0], &ctx! {}).await);

    for name in FLAGS {
        client.destroy(name).await?;
    }
    // Tells the replicas the rest.
    client.close().await?;
    std::fs::remove_file(&file)?;
    let _ = std::fs::remove_file(file.with_extension("json.lock"));
    Ok(())
}
