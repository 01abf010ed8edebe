//! Checks that never wait.

use std::fmt;
use std::hint;
use std::sync::atomic::Ordering;

use super::checked::Need;
use super::{FeatureFlagClient, Inner, LocalFlag};
use crate::evaluate::run_hash;
use crate::snapshot::{Bucket, State, Verdict};
use crate::{Context, Error, ErrorKind, Evaluation, Freshness, Reason, Result, Snapshot};

/// Checks the flags of a store that keeps them in memory: synchronous, infallible, and no dearer than a map lookup.
///
/// Made by [`FeatureFlagClient::local`], with that client's semantics, clock and randomness. It is cheap to clone, and
/// holds the store: as long as there is one, the flags are kept up to date.
///
/// # Cost
///
/// A check allocates nothing, takes no lock and shares nothing that is written to with other threads; the first check
/// that a thread makes after a write is the exception of [`Snapshot`]. A flag that is checked at one place of a program
/// is cheaper still by its [handle](Self::flag).
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Context, FeatureFlagClient, ctx};
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let local = client.local()?;
/// client.create("HORSE_SOUNDS").await?.enable().await?;
///
/// assert!(local.is_enabled("HORSE_SOUNDS", &ctx! { user_id: 7 }));
/// assert!(!local.is_enabled("COW_SOUNDS", &Context::EMPTY));
/// assert!(local.is_enabled_or("COW_SOUNDS", &Context::EMPTY, true));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct LocalClient {
    client: FeatureFlagClient,
    snapshot: Snapshot,
}

impl FeatureFlagClient {
    /// Returns a client that checks flags in memory, without waiting.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the store does not keep all of its flags in memory.
    pub fn local(&self) -> Result<LocalClient> {
        match &self.inner.snapshot {
            Some(snapshot) => Ok(LocalClient { client: self.clone(), snapshot: snapshot.clone() }),
            None => Err(Error::new(
                ErrorKind::Unsupported,
                "the store does not keep its flags in memory: wrap it in one that mirrors it",
            )
            .with_operation("local")),
        }
    }
}

impl LocalClient {
    /// Returns whether a flag is on for a context; off if there is no such flag.
    ///
    /// This is [`is_enabled_or`](Self::is_enabled_or) with `false`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?.enable().await?;
    /// let local = client.local()?;
    /// assert!(local.is_enabled("CHECKOUT", &ctx! { user_id: 7 }));
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    #[inline]
    pub fn is_enabled(&self, name: &str, context: &Context<'_>) -> bool {
        self.is_enabled_or(name, context, false)
    }

    /// Returns whether a flag is on for a context, or `default` if there is no such flag, or if the answer depends on
    /// what this version does not know. There is no flag of an illegal name.
    ///
    /// While the store cannot be reached, the last known state answers. If the store has never been reached, the answer
    /// is `default`, a warning is logged (target `flipper::checks`), and
    /// [`failed_checks`](FeatureFlagClient::failed_checks) counts.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let local = client.local()?;
    /// assert!(local.is_enabled_or("OLD_CHECKOUT", &Context::EMPTY, true));
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    #[inline]
    pub fn is_enabled_or(&self, name: &str, context: &Context<'_>, default: bool) -> bool {
        self.check(self.snapshot.hash(name), name, context, default)
    }

    /// Returns whether a flag is on for a context, what decided it, and how old the flag is. Else as
    /// [`is_enabled_or`](Self::is_enabled_or).
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let local = client.local()?;
    /// assert_eq!(local.evaluate("CHECKOUT", &Context::EMPTY, false).reason, Reason::NotFound);
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn evaluate(&self, name: &str, context: &Context<'_>, default: bool) -> Evaluation {
        self.evaluate_hashed(self.snapshot.hash(name), name, context, default)
    }

    /// Returns a handle to a flag, whether there is one or not.
    ///
    /// A handle need not look the flag up again, as long as nothing is written to the store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.create("CHECKOUT").await?.enable().await?;
    /// let checkout = client.local()?.flag("CHECKOUT");
    /// assert!((0..1_000).all(|user_id| checkout.is_enabled(&ctx! { user_id: user_id })));
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn flag(&self, name: impl Into<Box<str>>) -> LocalFlag {
        LocalFlag::new(self.clone(), name.into())
    }

    /// Returns how old the flags are.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// assert_eq!(client.local()?.freshness(), Freshness::Live);
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn freshness(&self) -> Freshness {
        self.snapshot.freshness()
    }

    /// Returns the client that this was made by: to edit flags, and to list them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # futures_lite::future::block_on(async {
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// let local = client.local()?;
    /// local.client().create("CHECKOUT").await?;
    /// assert_eq!(local.snapshot().len(), 1);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn client(&self) -> &FeatureFlagClient {
        &self.client
    }

    /// Returns the flags that are checked. They are the store's: nobody else may edit them, or they are no longer what
    /// the store has.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::{Context, FeatureFlagClient, Freshness, Reason, ctx};
    /// # use flipper_memory::MemoryStore;
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// assert!(client.local()?.snapshot().is_empty());
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    #[inline]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Whether a verdict is all that a check needs.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.client.inner.need == Need::Verdict
    }

    // Only goes on to another function, so that it need not save a register.
    #[inline(never)]
    pub(super) fn check(&self, hash: u64, name: &str, context: &Context<'_>, default: bool) -> bool {
        match self.client.inner.need {
            Need::Verdict => self.check_verdict(hash, name, context, default),
            Need::Count => self.check_counted(hash, name, context, default),
            Need::Reason => self.check_reason(hash, name, context, default),
        }
    }

    // In one place: put into each caller, it does not fit into the registers, and takes longer.
    #[inline(never)]
    fn check_verdict(&self, hash: u64, name: &str, context: &Context<'_>, default: bool) -> bool {
        match self.client.inner.check_verdict(&self.snapshot, hash, name, context, default) {
            found @ (Found::Off | Found::On) => found == Found::On,
            Found::Absent => default,
            Found::NeverLoaded => self.never_loaded(name, default),
        }
    }

    #[inline(never)]
    fn check_reason(&self, hash: u64, name: &str, context: &Context<'_>, default: bool) -> bool {
        match self.client.inner.check_reason(&self.snapshot, hash, name, context, default) {
            found @ (Found::Off | Found::On) => found == Found::On,
            found => self.absent(name, context, default, found),
        }
    }

    #[inline(never)]
    fn check_counted(&self, hash: u64, name: &str, context: &Context<'_>, default: bool) -> bool {
        match self.client.inner.check_counted(&self.snapshot, hash, name, context, default) {
            found @ (Found::Off | Found::On) => found == Found::On,
            found => self.absent(name, context, default, found),
        }
    }

    #[inline(never)]
    fn absent(&self, name: &str, context: &Context<'_>, default: bool, found: Found) -> bool {
        let freshness = || self.snapshot.freshness_of(name);
        self.client.inner.tell_absent(name, context, default, freshness);
        if found == Found::NeverLoaded { self.never_loaded(name, default) } else { default }
    }

    pub(super) fn evaluate_hashed(
        &self,
        hash: u64,
        name: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Evaluation {
        let found = self.client.inner.evaluate(&self.snapshot, hash, name, context, default);
        let evaluation = found.unwrap_or_else(|freshness| {
            if freshness == Freshness::NeverLoaded {
                self.never_loaded(name, default);
            }
            Evaluation::new(default, Reason::NotFound, freshness)
        });
        self.client.inner.tell(name, context, default, Ok(evaluation));
        evaluation
    }

    #[cold]
    #[inline(never)]
    fn never_loaded(&self, name: &str, default: bool) -> bool {
        self.client.inner.failed_checks.fetch_add(1, Ordering::Relaxed);
        log::warn!(target: "flipper::checks", "{name:?} is {default} by default: the store has never been read");
        default
    }
}

/// What a check finds. It fits into a register.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Off,
    On,
    /// There is no such flag.
    Absent,
    /// There is no such flag, or at least not yet.
    NeverLoaded,
}

impl Found {
    #[inline]
    pub(super) fn of(is_on: bool) -> Self {
        hint::select_unpredictable(is_on, Self::On, Self::Off)
    }

    /// Where there is no such flag.
    #[inline]
    pub(super) fn none(state: &State) -> Self {
        if state.freshness == Freshness::NeverLoaded { Self::NeverLoaded } else { Self::Absent }
    }
}

impl Inner {
    /// Checks a flag of the snapshot, for a context and with a default.
    #[inline]
    pub(super) fn check(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        name: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        match self.need {
            Need::Verdict => self.check_verdict(snapshot, hash, name, context, default),
            Need::Count => self.check_counted(snapshot, hash, name, context, default),
            Need::Reason => self.check_reason(snapshot, hash, name, context, default),
        }
    }

    /// Checks by a verdict.
    #[inline]
    fn check_verdict(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        name: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        let found =
            snapshot.find_again(hash, name, |found, state| self.check_found(found, state, context, default));
        match found {
            Some(found) => found,
            None => self.check_anew(snapshot, hash, name, context, default),
        }
    }

    #[cold]
    #[inline(never)]
    fn check_anew(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        name: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        snapshot.find(hash, name, |found, state| self.check_found(found, state, context, default))
    }

    #[inline(always)]
    fn check_found(
        &self,
        found: Option<&Bucket>,
        state: &State,
        context: &Context<'_>,
        default: bool,
    ) -> Found {
        match found {
            // On and off are data and no branch, which could not be predicted.
            Some(bucket) if bucket.verdict() <= Verdict::On => Found::of(bucket.verdict() == Verdict::On),
            Some(bucket) if bucket.verdict() == Verdict::Share => {
                Found::of(self.evaluator().draws(bucket.share()))
            }
            Some(bucket) => {
                let (flag, program) = (&bucket.record().value, bucket.program());
                let value = match bucket.verdict() {
                    Verdict::Test => self.evaluator().run_test(program, flag, *context),
                    Verdict::Hash => run_hash(program, *context),
                    _ => self.evaluator().run(program, flag, *context),
                };
                Found::of(value.unwrap_or(default))
            }
            None => Found::none(state),
        }
    }

    /// As [`check`](Self::check), and says what decided it; how old the flags are, if there is no such flag.
    pub(super) fn evaluate(
        &self,
        snapshot: &Snapshot,
        hash: u64,
        name: &str,
        context: &Context<'_>,
        default: bool,
    ) -> Result<Evaluation, Freshness> {
        snapshot.find(hash, name, move |found, state| {
            let freshness = state.freshness_of(name);
            let flag = &found.ok_or(freshness)?.record().value;
            Ok(Evaluation { freshness, ..self.evaluator().evaluate(flag, context, default) })
        })
    }
}

impl fmt::Debug for LocalClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalClient").field("client", &self.client).field("snapshot", &self.snapshot).finish()
    }
}
