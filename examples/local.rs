//! Checks that never wait: a request handler asks flags in memory, while somebody else changes them.

use std::time::{Duration, Instant};

use flipper::{Context, FeatureFlagClient, LocalClient, MemoryStore, ctx};

#[tokio::main]
async fn main() -> flipper::Result<()> {
    let client = FeatureFlagClient::new(MemoryStore::new());
    client.create("NEW_CHECKOUT").await?.enable().await?;
    // An error at start, and only here, if the store does not keep its flags in memory.
    let local = client.local()?;

    // A check by name, as in a request handler: no await, no error.
    println!("the checkout is {}", checkout(&local, 7));
    println!("a flag that nobody has made: {}", local.is_enabled_or("NOT_YET", &Context::EMPTY, true));

    // A handle, for a flag that is asked often. It follows the flag.
    let new_checkout = local.flag("NEW_CHECKOUT");
    println!("{} is {}", new_checkout.name(), new_checkout.is_enabled(&Context::EMPTY));
    client.disable("NEW_CHECKOUT").await?;
    println!("{} is {}", new_checkout.name(), new_checkout.is_enabled(&Context::EMPTY));

    // What decided, and how old the flags are.
    println!("{:?}", local.evaluate("NEW_CHECKOUT", &Context::EMPTY, false));

    let (start, mut checks) = (Instant::now(), 0_u32);
    while start.elapsed() < Duration::from_millis(100) {
        checks += 100;
        (0..100).for_each(|_| _ = std::hint::black_box(checkout(&local, 7)));
    }
    println!("{checks} checks in a tenth of a second, one after the other");
    Ok(())
}

fn checkout(local: &LocalClient, user_id: u64) -> &'static str {
    if local.is_enabled("NEW_CHECKOUT", &ctx! { user_id: user_id }) { "new" } else { "old" }
}
