//! Handles to flags in memory.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::LocalClient;
use crate::snapshot::{Bucket, Verdict};
use crate::{Context, Evaluation, Freshness};

/// Checks one flag of a [`LocalClient`].
///
/// As long as nothing is written to the store, a check of a flag that is on or off for everybody is two loads. After a
/// write, of whatever flag, the next check looks the flag up again; so a handle never answers from an older state than
/// [`LocalClient::is_enabled`] would.
///
/// Make one where a program starts, and share it: it is used by reference, on any number of threads.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Context, FeatureFlagClient};
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let checkout = client.local()?.flag("NEW_CHECKOUT");
/// assert!(!checkout.is_enabled(&Context::EMPTY));
///
/// client.create("NEW_CHECKOUT").await?.enable().await?;
/// assert!(checkout.is_enabled(&Context::EMPTY));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
pub struct LocalFlag {
    client: LocalClient,
    name: Box<str>,
    hash: u64,
    default: bool,
    /// What was found last, and in which state of the snapshot: `generation << 2 | found`, in one word, so that the two
    /// are never of different times.
    seen: AtomicU64,
}

/// What was found.
const OFF: u64 = 0;
const ON: u64 = 1;
const RULES: u64 = 2;
const ABSENT: u64 = 3;

impl LocalFlag {
    pub(super) fn new(client: LocalClient, name: Box<str>) -> Self {
        let hash = client.snapshot().hash(&name);
        // No state has the generation 0.
        Self { client, name, hash, default: false, seen: AtomicU64::new(0) }
    }

    /// Chooses what [`is_enabled`](Self::is_enabled) answers if there is no such flag, or if nobody can tell; off unless told.
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient};
    /// # use flipper_memory::MemoryStore;
    /// let local = FeatureFlagClient::new(MemoryStore::new()).local()?;
    /// assert!(local.flag("NOT_YET").or(true).is_enabled(&Context::EMPTY));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    #[must_use]
    pub fn or(mut self, default: bool) -> Self {
        self.default = default;
        self
    }

    /// Returns whether the flag is on for a context; if there is no such flag, what [`or`](Self::or) has said.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let checkout = client.local()?.flag("CHECKOUT");
    /// assert!(!checkout.is_enabled(&ctx! { user_id: 7 }));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    #[inline]
    pub fn is_enabled(&self, context: &Context<'_>) -> bool {
        self.is_enabled_or(context, self.default)
    }

    /// Returns whether the flag is on for a context, or `default`: as [`LocalClient::is_enabled_or`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let checkout = client.local()?.flag("OLD_CHECKOUT");
    /// assert!(checkout.is_enabled_or(&Context::EMPTY, true));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    #[inline]
    pub fn is_enabled_or(&self, context: &Context<'_>, default: bool) -> bool {
        let found = self.seen.load(Ordering::Relaxed) ^ self.client.snapshot().generation() << 2;
        if found <= ON {
            return found == ON;
        }
        self.look(found, context, default)
    }

    /// Returns whether the flag is on for a context, what decided it, and how old the flag is: as
    /// [`LocalClient::evaluate`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let checkout = client.local()?.flag("CHECKOUT");
    /// assert_eq!(checkout.evaluate(&Context::EMPTY, false).reason, Reason::NotFound);
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn evaluate(&self, context: &Context<'_>, default: bool) -> Evaluation {
        self.client.evaluate_hashed(self.hash, &self.name, context, default)
    }

    /// Returns the name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// assert_eq!(client.local()?.flag("CHECKOUT").name(), "CHECKOUT");
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Answers where the word alone does not.
    #[inline(never)]
    fn look(&self, found: u64, context: &Context<'_>, default: bool) -> bool {
        if found == ABSENT {
            return default;
        }
        if found != RULES {
            self.look_up();
        }
        self.client.check(self.hash, &self.name, context, default)
    }

    #[cold]
    fn look_up(&self) {
        let seen = self.client.snapshot().find(self.hash, &self.name, |found, state| {
            let found = match found.map(Bucket::verdict) {
                // Somebody is told of each check, or an attribute that Python cannot pass decides.
                _ if !self.client.is_plain() => RULES,
                Some(Verdict::Off) => OFF,
                Some(Verdict::On) => ON,
                Some(_) => RULES,
                // Each such check says so.
                None if state.freshness == Freshness::NeverLoaded => RULES,
                None => ABSENT,
            };
            state.generation << 2 | found
        });
        self.seen.store(seen, Ordering::Relaxed);
    }
}

impl Clone for LocalFlag {
    fn clone(&self) -> Self {
        let seen = AtomicU64::new(self.seen.load(Ordering::Relaxed));
        Self {
            client: self.client.clone(),
            name: self.name.clone(),
            hash: self.hash,
            default: self.default,
            seen,
        }
    }
}

impl fmt::Debug for LocalFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFlag").field("name", &self.name).finish_non_exhaustive()
    }
}
