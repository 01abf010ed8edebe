//! Who did what: a subscriber that writes a log, a listener, and a veto.
//!
//! Run it with `cargo run --example events`.

use std::sync::Arc;

use flipper::events::{Event, EventType, Handled, Subscriber};
use flipper::{Condition, FeatureFlagClient, MemoryStore};

/// Prints what has happened, in order.
struct Log;

impl Log {
    fn write(event: &Event<'_>) {
        println!("  {:<20} {} by {}", event.event_type(), event.flag, event.actor.unwrap_or("nobody"));
    }
}

impl Subscriber for Log {
    fn on_post_create(&self, event: &Event<'_>) -> Handled {
        Self::write(event);
        Ok(())
    }

    fn on_post_enable(&self, event: &Event<'_>) -> Handled {
        Self::write(event);
        Ok(())
    }

    fn on_post_add_condition(&self, event: &Event<'_>) -> Handled {
        Self::write(event);
        Ok(())
    }

    fn on_post_destroy(&self, event: &Event<'_>) -> Handled {
        Self::write(event);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> flipper::Result<()> {
    let client = FeatureFlagClient::new(MemoryStore::new());
    client.events().register_subscriber(Arc::new(Log));

    println!("What alice does is written down:");
    let alice = client.as_actor("alice");
    alice.create("CHECKOUT").await?;
    alice.add_condition("CHECKOUT", &Condition::builder().eq("is_admin", true).build()?).await?;

    println!("\nBefore a write, an error is a veto:");
    let rule = client.events().on(EventType::PreEnable, |event| {
        let has_owner = event.before.is_some_and(|flag| flag.client_data().to_json().contains("owner"));
        if has_owner { Ok(()) } else { Err("a flag without an owner stays off") }
    });
    match alice.enable("CHECKOUT").await {
        Err(error) => println!("  {error}"),
        Ok(()) => println!("  it was enabled"),
    }

    println!("\nWithout the rule:");
    client.events().remove_listener(rule);
    client.as_actor("bob").enable("CHECKOUT").await?;
    client.as_actor("bob").destroy("CHECKOUT").await
}
