//! A type whose values are flags.

use std::future::Future;

use super::{FlagDefinition, Verify};
use crate::json::Object;
use crate::{Context, ErrorKind, Evaluation, FeatureFlag, FeatureFlagClient, LocalClient, LocalFlag, Result};

/// A type whose values are the flags that the code knows. `#[derive(Flags)]` implements it for an enum.
///
/// A misspelt flag then is an error of the compiler, a flag that is gone is gone from all code, and each check brings the
/// default that was declared. A flag is a value, not a field of some client: the same flag is asked of the client of the
/// application and of that of a test, and can be passed on, compared and kept in a table.
///
/// # Examples
///
/// Without the derive, to show what there is to it:
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Context, FeatureFlagClient, FlagDefinition, Flags};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Checkout;
///
/// impl Flags for Checkout {
///     const ALL: &'static [Self] = &[Checkout];
///
///     fn definition(self) -> &'static FlagDefinition {
///         const { &FlagDefinition::new("CHECKOUT").with_default(true) }
///     }
/// }
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// // There is no such flag, so the default counts.
/// assert!(Checkout.is_enabled(&client, &Context::EMPTY).await);
///
/// client.create("CHECKOUT").await?;
/// assert!(!Checkout.is_enabled(&client, &Context::EMPTY).await);
/// assert!(!Checkout.is_enabled_local(&client.local()?, &Context::EMPTY));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub trait Flags: Copy + Send + Sync + 'static {
    /// All flags of the type, in the order in which they are declared.
    const ALL: &'static [Self];

    /// Returns what the code says about the flag.
    fn definition(self) -> &'static FlagDefinition;

    /// Returns the name in the store.
    fn name(self) -> &'static str {
        self.definition().name()
    }

    /// Returns what counts if there is no such flag, or if nobody can tell.
    fn default_value(self) -> bool {
        self.definition().default_value()
    }

    /// Returns the flag of a name, or `None` if the code knows none.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|flag| flag.name() == name)
    }

    /// Returns whether the flag is on for a context, or its default: as [`FeatureFlagClient::is_enabled_or`].
    fn is_enabled(
        self,
        client: &FeatureFlagClient,
        context: &Context<'_>,
    ) -> impl Future<Output = bool> + Send {
        client.is_enabled_or(self.name(), context, self.default_value())
    }

    /// Returns whether the flag is on for a context, and what decided it: as [`FeatureFlagClient::evaluate`].
    ///
    /// # Errors
    ///
    /// Those of [`FeatureFlagClient::evaluate`].
    fn evaluate(
        self,
        client: &FeatureFlagClient,
        context: &Context<'_>,
    ) -> impl Future<Output = Result<Evaluation>> + Send {
        client.evaluate(self.name(), context, self.default_value())
    }

    /// Returns whether the flag is on for a context, or its default, without waiting: as [`LocalClient::is_enabled_or`].
    fn is_enabled_local(self, client: &LocalClient, context: &Context<'_>) -> bool {
        client.is_enabled_or(self.name(), context, self.default_value())
    }

    /// Returns a handle for a flag that is checked often. Its [`is_enabled`](LocalFlag::is_enabled) has the default.
    fn local(self, client: &LocalClient) -> LocalFlag {
        client.flag(self.name()).or(self.default_value())
    }

    /// Returns a handle to edit the flag by.
    fn get(self, client: &FeatureFlagClient) -> FeatureFlag {
        client.get(self.name())
    }

    /// Compares the flags that the code knows with those that the store has: see [`Verify`].
    fn verify(client: &FeatureFlagClient) -> Verify<'_> {
        Verify::new(client).and::<Self>()
    }

    /// Creates those flags that the store lacks, switched as their defaults say, so that no answer changes. Returns
    /// which they are. A flag that is there stays as it is, and so does one that cannot be read.
    ///
    /// # Errors
    ///
    /// Those of [`FeatureFlagClient::create`], but for [`AlreadyExists`](ErrorKind::AlreadyExists). Flags that come
    /// before the one that failed have been created.
    fn create_missing(client: &FeatureFlagClient) -> impl Future<Output = Result<Vec<Self>>> + Send {
        async move {
            let mut created = Vec::new();
            for flag in Self::ALL {
                match client.create_with(flag.name(), flag.default_value(), Object::default()).await {
                    Ok(_) => created.push(*flag),
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(created)
        }
    }
}
