//! Flags that are declared once, in code: checked by their type, compared with the store, and tested in all combinations.
//!
//! ```sh
//! cargo run --example typed_flags
//! cargo test --example typed_flags
//! ```

use flipper::{FeatureFlagClient, Flags, LocalClient, MemoryStore, ctx};

/// All flags of the shop.
#[derive(Flags, Clone, Copy, Debug, PartialEq)]
enum Feature {
    /// Half price for everybody.
    #[flag(name = "SHOP_SALE", owner = "marketing", expires = "2026-01-06")]
    Sale,
    /// No charge for shipping.
    #[flag(name = "SHOP_FREE_SHIPPING", owner = "logistics")]
    FreeShipping,
    /// Rates from the new supplier. The old one is about to close, so this is on where nobody can tell.
    #[flag(name = "SHOP_NEW_RATES", owner = "logistics", default = true)]
    NewRates,
}

fn price(flags: &LocalClient, user_id: u64, price: u32) -> u32 {
    let is_on = |feature: Feature| feature.is_enabled_local(flags, &ctx! { user_id: user_id });
    let price = if is_on(Feature::Sale) { price / 2 } else { price };
    if is_on(Feature::FreeShipping) { price } else { price + shipping(flags, 1) }
}

/// The function as it will be, and what is called in its place until then.
#[flipper::feature(Feature::NewRates, client = flags, redirect = old_shipping)]
fn shipping(flags: &LocalClient, parcels: u32) -> u32 {
    4 * parcels
}

fn old_shipping(_: &LocalClient, parcels: u32) -> u32 {
    5 * parcels
}

#[tokio::main]
async fn main() -> flipper::Result<()> {
    let client = FeatureFlagClient::new(MemoryStore::new());
    client.create("SHOP_GIFT_WRAP").await?;
    client.create("BLOG_COMMENTS").await?;

    // What does not fit? The flags of the blog, in the same store, are not this program's business.
    print!("{}", Feature::verify(&client).prefix("SHOP_").await?);
    for flag in Feature::create_missing(&client).await? {
        println!("created: {:?}, which is {}", flag.name(), flag.definition().description());
    }

    let local = client.local()?;
    println!("the price: {}", price(&local, 7, 100));
    Feature::Sale.get(&client).enable().await?;
    println!("in the sale: {}", price(&local, 7, 100));
    Feature::NewRates.get(&client).disable().await?;
    println!("with the old rates: {}", price(&local, 7, 100));

    // For what is asked often: a handle, which has the declared default.
    let sale = Feature::Sale.local(&local);
    println!("{} is {}", sale.name(), sale.is_enabled(&ctx! { user_id: 7 }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use flipper_testkit::{Combinations, TestFlags};

    use super::*;

    #[test]
    fn the_sale_halves_prices() {
        let flags = TestFlags::of::<Feature>();
        flags.set(Feature::Sale, true);
        assert_eq!(price(flags.local(), 7, 100), 54);
        flags.with_flag(Feature::FreeShipping, true, || assert_eq!(price(flags.local(), 7, 100), 50));
        assert_eq!(flags.checks_of(Feature::Sale)[0].context.get("user_id"), Some(&7.into()));
    }

    #[test]
    fn no_combination_makes_a_price_that_is_too_high_or_too_low() {
        Combinations::all(Feature::ALL.iter().copied()).strict().run(|flags| {
            assert!((50..=105).contains(&price(flags.local(), 7, 100)));
        });
    }
}
