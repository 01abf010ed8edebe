//! The first steps with a store: create, enable, condition, bucket, list.
//!
//! Run it with `cargo run --example first_store`. It uses the memory store; every other store has the same client.

use flipper::{Bucketer, Condition, Context, FeatureFlagClient, MemoryStore, Percentage, ctx};

#[tokio::main]
async fn main() -> flipper::Result<()> {
    let client = FeatureFlagClient::new(MemoryStore::new());

    // A new flag is off.
    let flag = client.create("MY_FEATURE").await?;
    println!("created:    {}", flag.is_enabled(&Context::EMPTY).await);
    flag.enable().await?;
    println!("enabled:    {}", flag.is_enabled(&Context::EMPTY).await);

    // For some only.
    let lovers = Condition::builder().eq("is_horse_lover", true).build()?;
    let breeders = Condition::builder().gt("number_of_horses_owned", 9000).ne("location", "city").build()?;
    flag.set_conditions(&[lovers, breeders]).await?;
    for (who, context) in [
        ("a horse lover", ctx! { is_horse_lover: true }),
        ("one with 8000 horses", ctx! { is_horse_lover: true, number_of_horses_owned: 8000 }),
    ] {
        println!("for {who}: {}", client.is_enabled("MY_FEATURE", &context).await);
    }

    // For half of the users, always the same half.
    let test = client.create_with("HOMEPAGE_AB_TEST", true, [("owner", "web")]).await?;
    test.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"])).await?;
    for user_id in 1..=4 {
        println!("for user {user_id}: {}", test.is_enabled(&ctx! { user_id: user_id }).await);
    }
    println!("\n{}", test.explain(&ctx! { user_id: 2 }).await?);

    // One way or the other.
    let context = ctx! { user_id: 1 };
    let page = client.when("HOMEPAGE_AB_TEST", &context).run(|| "the new page", || "the old page").await;
    println!("user 1 sees {page}\n");

    // All of them.
    let mut flags = client.list(None, 0);
    while let Some(flag) = flags.next().await {
        let flag = flag?;
        println!("{}: {}", flag.name(), flag.get_meta().await?);
    }
    Ok(())
}
