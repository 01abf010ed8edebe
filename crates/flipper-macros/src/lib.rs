//! Declares feature flags in code, and puts functions behind them: the macros of [`flipper`], which has them with its
//! feature `macros`.
//!
//! ```
//! use flipper::{Flags, LocalClient};
//!
//! #[derive(Flags, Clone, Copy)]
//! enum Feature {
//!     #[flag(name = "CHECKOUT", owner = "payments")]
//!     Checkout,
//! }
//!
//! #[flipper::feature(Feature::Checkout, client = flags)]
//! fn checkout(flags: &LocalClient) -> Option<&'static str> {
//!     Some("one page")
//! }
//! ```
//!
//! [`flipper`]: https://docs.rs/flipper

mod attributes;
mod date;
mod definition;
mod derive;
mod feature;
mod names;
mod patterns;

use proc_macro::TokenStream;

/// Declares flags once, as the variants of an enum: their names, owners, expiry dates, defaults and descriptions.
///
/// It implements the trait `flipper::Flags`, by which flags are checked, compared with those of the store, and created.
///
/// | key of `#[flag(…)]` | |
/// |---|---|
/// | `name = "CHECKOUT"` | the name in the store; required, so that it can be found by searching, and stays when a variant is renamed |
/// | `owner = "payments"` | whom to ask |
/// | `expires = "2027-01-31"` | the last day, in UTC, on which the flag is meant to be there |
/// | `default = true` | what counts if there is no such flag, or if nobody can tell; `false` unless given |
///
/// The documentation of a variant is the flag's description. `#[flags(crate = path)]` on the enum names the crate that has the trait, for those
/// who depend on `flipper-core` alone or have renamed `flipper`.
///
/// A flag is a variant and not the field of a struct, because it is a value: it needs no client to be there, is passed on, compared, kept in
/// tables and given to a test.
///
/// # Errors
///
/// It does not compile if a name is given twice or cannot be the name of a flag, if a date is none, and if a key is
/// missing, unknown or given twice.
///
/// # Examples
///
/// ```
/// use flipper::{FeatureFlagClient, Flags, MemoryStore, ctx};
///
/// #[derive(Flags, Clone, Copy, Debug, PartialEq)]
/// enum Feature {
///     /// The checkout on one page.
///     #[flag(name = "CHECKOUT", owner = "payments", expires = "2027-01-31")]
///     Checkout,
///     /// Rates from the new supplier. Its failure must not change prices.
///     #[flag(name = "NEW_RATES", owner = "pricing", default = true)]
///     NewRates,
/// }
///
/// # fn main() -> flipper::Result<()> { futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// assert!(!Feature::Checkout.is_enabled(&client, &ctx! { user_id: 7 }).await);
/// assert!(Feature::NewRates.is_enabled(&client, &ctx! { user_id: 7 }).await);
///
/// // In memory: without waiting, by name or by a handle.
/// let local = client.local()?;
/// assert!(Feature::NewRates.is_enabled_local(&local, &ctx! {}));
/// let checkout = Feature::Checkout.local(&local);
/// assert!(!checkout.is_enabled(&ctx! {}));
///
/// // What does the store lack, what does the code no longer know, what has expired?
/// println!("{}", Feature::verify(&client).await?);
/// assert_eq!(Feature::create_missing(&client).await?, [Feature::Checkout, Feature::NewRates]);
/// # Ok(()) }) }
/// ```
#[proc_macro_derive(Flags, attributes(flag, flags))]
pub fn derive_flags(input: TokenStream) -> TokenStream {
    derive::expand(input.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Runs a function only if a flag is on, and another one in its place if it is off: the decorator of flipper-client.
///
/// Write it with its path, `#[flipper::feature(…)]`: the compiler has a `feature` of its own. First comes the flag, a text or a flag that is
/// declared; then
///
/// | | |
/// |---|---|
/// | `client = expression` | what is asked, required: a `FeatureFlagClient` or a `LocalClient`, or what points to one. In a function that is not `async` it has to be a `LocalClient` |
/// | `redirect = path` | what is called with the same arguments if the flag is off, `self` first. Of an `async` function it is `async` as well |
/// | `context = expression` | the context, empty unless given |
/// | `default = true` | what counts if there is no such flag, or if nobody can tell; that of a declared flag, else `false`, unless given |
/// | `crate = path` | the crate that has the client, `flipper` unless given |
///
/// The expressions see the arguments of the function, `self` among them. Those that a pattern binds, as in `State(app): State<App>`, they see
/// as references. They are evaluated at each call, before the function is.
///
/// What `#[async_trait]` makes of an `async` function is not `async`: it returns a future. So it needs a `LocalClient`, and a `redirect` that is made so as well;
/// it asks when it is called, and not when it is awaited. For any other client, gate a function that it calls.
///
/// Without a `redirect`, a function whose flag is off returns the `Default` of its type: nothing, `None`, zero, an empty list. Where that is
/// not what callers should get, give a `redirect`.
///
/// # Examples
///
/// ```
/// use flipper::{FeatureFlagClient, LocalClient, MemoryStore, ctx};
///
/// #[flipper::feature("IMPROVED_HORSE_SOUNDS", client = flags, redirect = old_horse_sound)]
/// fn new_horse_sound(flags: &LocalClient, times: usize) -> String {
///     "Whinny ".repeat(times)
/// }
///
/// fn old_horse_sound(_flags: &LocalClient, times: usize) -> String {
///     "Neigh ".repeat(times)
/// }
///
/// struct Shop {
///     flags: FeatureFlagClient,
/// }
///
/// impl Shop {
///     #[flipper::feature("SALE", client = self.flags, context = ctx! { user_id: user_id })]
///     async fn discount(&self, user_id: u64) -> Option<u32> {
///         Some(10)
///     }
/// }
///
/// # fn main() -> flipper::Result<()> { futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let local = client.local()?;
/// assert_eq!(new_horse_sound(&local, 2), "Neigh Neigh ");
/// client.create("IMPROVED_HORSE_SOUNDS").await?.enable().await?;
/// assert_eq!(new_horse_sound(&local, 2), "Whinny Whinny ");
///
/// let shop = Shop { flags: client };
/// assert_eq!(shop.discount(7).await, None);
/// # Ok(()) }) }
/// ```
#[proc_macro_attribute]
pub fn feature(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let expanded = feature::expand(arguments.into(), function.clone().into()).map(TokenStream::from);
    // With the function as it is, so that those who call it are not told that there is none.
    expanded.unwrap_or_else(|error| TokenStream::from_iter([error.into_compile_error().into(), function]))
}
