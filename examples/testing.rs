//! An application, and its unit tests with flags: `cargo test --example testing`, or `cargo run --example testing`.

use flipper::{FeatureFlagClient, MemoryStore, Result, ctx};

/// The application: it takes the client that it is given.
struct Shop {
    flags: FeatureFlagClient,
}

impl Shop {
    async fn price(&self, user_id: u64, price: u32) -> u32 {
        if self.flags.is_enabled("SALE", &ctx! { user_id: user_id }).await { price / 2 } else { price }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop { flags: FeatureFlagClient::new(MemoryStore::new()) };
    println!("without the flag: {}", shop.price(7, 100).await);
    shop.flags.create("SALE").await?.enable().await?;
    println!("with the flag:    {}", shop.price(7, 100).await);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flipper::{Bucketer, ErrorKind, Percentage, Timestamp};
    use flipper_testkit::{Fault, FaultStore, ManualClock, Operation};

    use super::*;

    #[tokio::test]
    async fn the_sale_halves_prices() {
        let flags = FeatureFlagClient::new(MemoryStore::new());
        flags.create("SALE").await.unwrap().enable().await.unwrap();
        assert_eq!(Shop { flags }.price(7, 100).await, 50);
    }

    #[tokio::test]
    async fn the_sale_begins_slowly() {
        let start = Timestamp::from_secs(1_700_000_000);
        let clock = ManualClock::new(start);
        let flags = FeatureFlagClient::builder(MemoryStore::new()).clock(clock.clone()).build();
        let sale = flags.create("SALE").await.unwrap();
        sale.enable().await.unwrap();
        let ramp = Percentage::linear_ramp(0.0, 1.0, Duration::from_hours(1), start).unwrap();
        sale.set_bucketer(&Bucketer::consistent_hash(ramp, ["user_id"])).await.unwrap();

        let shop = Shop { flags };
        assert_eq!(shop.price(7, 100).await, 100);
        clock.advance(Duration::from_hours(1));
        assert_eq!(shop.price(7, 100).await, 50);
    }

    #[tokio::test]
    async fn prices_stay_while_the_store_is_down() {
        let store = FaultStore::new(MemoryStore::new());
        let shop = Shop { flags: FeatureFlagClient::new(store.clone()) };
        store.push(Operation::Get, Fault::Fail(ErrorKind::Unavailable));
        assert_eq!(shop.price(7, 100).await, 100);
        assert_eq!(shop.flags.failed_checks(), 1);
    }
}
