//! Comparing what the code knows with what the store has.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;

use super::{FlagDefinition, Flags, Verification};
use crate::{ErrorKind, FeatureFlagClient, Result, Timestamp};

/// Compares the flags that the code knows with those that the store has: what [`Flags::verify`] returns, to be awaited.
///
/// Run it where a program starts, or in a job of continuous integration that has the store. It only reads; what to do
/// about what it finds is yours.
///
/// # Errors
///
/// Awaiting fails with the errors of the store if it cannot be listed to the end. What it finds is no error.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Date, FeatureFlagClient, FlagDefinition, Flags, Timestamp};
///
/// #[derive(Clone, Copy)]
/// struct Checkout;
///
/// impl Flags for Checkout {
///     const ALL: &'static [Self] = &[Checkout];
///
///     fn definition(self) -> &'static FlagDefinition {
///         const { &FlagDefinition::new("SHOP_CHECKOUT").with_expiry(Date::new(2027, 1, 31)) }
///     }
/// }
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// client.create("SHOP_SALE").await?;
/// client.create("BLOG_COMMENTS").await?;
///
/// let found = Checkout::verify(&client).prefix("SHOP_").at(Timestamp::from_secs(1_900_000_000)).await?;
/// assert_eq!(found.missing[0].name(), "SHOP_CHECKOUT");
/// assert_eq!(found.expired[0].name(), "SHOP_CHECKOUT");
/// assert_eq!(found.unknown, ["SHOP_SALE"]);
/// println!("{found}");
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[must_use = "nothing is compared until this is awaited"]
pub struct Verify<'c> {
    client: &'c FeatureFlagClient,
    definitions: Vec<&'static FlagDefinition>,
    prefix: String,
    at: Option<Timestamp>,
}

impl<'c> Verify<'c> {
    pub(super) fn new(client: &'c FeatureFlagClient) -> Self {
        Self { client, definitions: Vec::new(), prefix: String::new(), at: None }
    }

    /// Adds the flags of another type, for code that declares them in several places.
    pub fn and<F: Flags>(mut self) -> Self {
        self.definitions.extend(F::ALL.iter().map(|flag| flag.definition()));
        self
    }

    /// Says how the names of this code's flags begin, for a store that others use as well: flags of other names are not
    /// [unknown](Verification::unknown). All are, unless told.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Says at what time flags have to have expired to be told of; now, by the client's clock, unless told.
    pub fn at(mut self, time: Timestamp) -> Self {
        self.at = Some(time);
        self
    }

    async fn run(self) -> Result<Verification> {
        let mut found = Verification::default();
        let at = self.at.unwrap_or_else(|| self.client.now());
        found.expired = self.definitions.iter().copied().filter(|flag| flag.is_expired(at)).collect();

        let mut known = HashMap::new();
        for definition in &self.definitions {
            *known.entry(definition.name()).or_insert(0_usize) += 1;
        }
        let mut told = HashSet::new();
        let is_twice = |flag: &&FlagDefinition| known[flag.name()] > 1 && told.insert(flag.name());
        found.declared_twice = self.definitions.iter().copied().filter(is_twice).collect();

        let mut listed = HashSet::new();
        let mut flags = self.client.list(None, 0);
        while let Some(flag) = flags.next().await {
            let (name, is_readable) = match flag {
                Ok(flag) => (flag.name().to_owned(), true),
                Err(error) => match error.flag() {
                    Some(name) if error.kind() == ErrorKind::Corrupt => (name.to_owned(), false),
                    // A whole store can be corrupt as well, and then it has not told which flags it has.
                    _ => return Err(error.with_operation("verify")),
                },
            };
            let is_known = known.contains_key(name.as_str());
            if !is_known && !name.starts_with(&self.prefix) {
                continue;
            }
            if !is_known {
                found.unknown.push(name.clone());
            }
            if !is_readable {
                found.unreadable.push(name.clone());
            }
            listed.insert(name);
        }
        let mut told = HashSet::new();
        let is_missing = |flag: &&FlagDefinition| !listed.contains(flag.name()) && told.insert(flag.name());
        found.missing = self.definitions.iter().copied().filter(is_missing).collect();
        found.unknown.sort_unstable();
        found.unreadable.sort_unstable();
        Ok(found)
    }
}

impl<'c> IntoFuture for Verify<'c> {
    type Output = Result<Verification>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'c>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Verify<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify")
            .field("flags", &self.definitions.len())
            .field("prefix", &self.prefix)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
