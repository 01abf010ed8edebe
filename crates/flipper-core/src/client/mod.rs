//! The client: what applications call.

mod change;
mod checked;
mod deadline;
mod edit;
mod handle;
mod listing;
mod local;
mod local_flag;
mod locks;
mod read;
mod records;
mod settle;
mod verbs;
mod when;

pub use checked::Checked;
pub use handle::FeatureFlag;
pub use listing::Listing;
pub use local::LocalClient;
pub use local_flag::LocalFlag;
pub use when::When;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use checked::{Need, OnCheck};
use locks::Locks;

use crate::events::{Emitter, EventEmitter, Events};
use crate::meter::EvaluationMeter;
use crate::snapshot::Seed;
use crate::store::{Capabilities, Store};
use crate::{Clock, Evaluator, Random, Result, Semantics, Snapshot, SystemClock, ThreadRandom, Timestamp};

/// Checks and edits the flags of a store.
///
/// A client is cheap to clone, and its clones share everything. Checks ask the store, unless it has its flags in memory.
/// Edits are a read and a write each: the write happens only if the flag is still as it was read, and is repeated
/// otherwise, so that no edit of anybody is lost on a store that can compare and set.
///
/// # Examples
///
/// With the memory store of `flipper-memory`:
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{Condition, FeatureFlagClient, ctx};
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let flag = client.create("HORSE_SOUNDS").await?;
/// flag.enable().await?;
/// flag.add_condition(&Condition::builder().eq("is_horse_lover", true).build()?).await?;
///
/// assert!(client.is_enabled("HORSE_SOUNDS", &ctx! { is_horse_lover: true }).await);
/// assert!(!client.is_enabled("HORSE_SOUNDS", &ctx! { is_horse_lover: false }).await);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct FeatureFlagClient {
    inner: Arc<Inner>,
    actor: Option<Arc<str>>,
}

struct Inner {
    store: Arc<dyn Store>,
    /// That of the store, so that a check need not ask for it.
    snapshot: Option<Snapshot>,
    emitter: RwLock<Arc<dyn Emitter>>,
    locks: Locks,
    semantics: Semantics,
    clock: Box<dyn Clock>,
    random: Box<dyn Random>,
    /// Who is told of checks.
    on_check: Option<OnCheck>,
    /// What counts checks.
    meter: Option<EvaluationMeter>,
    /// Its number, without a look at it; 0 if there is none.
    meter_id: u64,
    /// What makes keys of names where no snapshot does.
    seed: Seed,
    /// What a check in memory needs.
    need: Need,
    deadline: Duration,
    failed_checks: AtomicU64,
}

impl FeatureFlagClient {
    /// Makes a client of a store, with the defaults of [`builder`](Self::builder).
    pub fn new(store: impl Store) -> Self {
        Self::builder(store).build()
    }

    /// Starts a client of a store, to choose semantics, clock, randomness and the deadline of edits.
    pub fn builder(store: impl Store) -> ClientBuilder {
        ClientBuilder {
            store: Arc::new(store),
            semantics: Semantics::Documented,
            clock: Box::new(SystemClock),
            random: Box::new(ThreadRandom),
            on_check: None,
            meter: None,
            deadline: ClientBuilder::DEADLINE,
        }
    }

    /// Returns this client for somebody: events say that the changes are theirs.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// let client = FeatureFlagClient::new(MemoryStore::new());
    /// let alice = client.as_actor("alice");
    /// assert_eq!(alice.actor(), Some("alice"));
    /// ```
    pub fn as_actor(&self, actor: impl Into<Arc<str>>) -> Self {
        Self { inner: Arc::clone(&self.inner), actor: Some(actor.into()) }
    }

    /// Returns who makes the changes of this client.
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Returns where to register for events.
    ///
    /// A handler that owns a client of the same store's keeps that client, and so the store, alive until it is removed.
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use flipper_core::events::EventType;
    ///
    /// # let client = FeatureFlagClient::new(MemoryStore::new());
    /// client.events().on(EventType::PostCreate, |event| println!("{} was created", event.flag));
    /// ```
    pub fn events(&self) -> Events {
        Events(Arc::clone(&self.inner.emitter.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Replaces the emitter, for all clones of this client. Handlers of the old one are no longer called.
    pub fn set_emitter(&self, emitter: Arc<dyn Emitter>) {
        let mut current = self.inner.emitter.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, emitter);
        // In this order: what the old one owns may ask for the emitter when it is dropped.
        drop(current);
        drop(old);
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// Says what the store can do, here and now.
    pub fn capabilities(&self) -> Capabilities {
        self.inner.store.capabilities()
    }

    /// Closes the store, for all clones of this client: ends its background tasks and flushes what is pending.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn close(&self) -> Result<()> {
        self.inner.store.close().await
    }

    /// The time, by the client's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Tells this client and its clones from all others.
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.inner).addr()
    }
}

impl Inner {
    #[inline]
    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { semantics: self.semantics, clock: &*self.clock, random: &*self.random }
    }
}

impl fmt::Debug for FeatureFlagClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureFlagClient")
            .field("store", &self.inner.store)
            .field("actor", &self.actor)
            .finish_non_exhaustive()
    }
}

/// Chooses how a [`FeatureFlagClient`] works.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use std::time::Duration;
/// use flipper_core::Semantics;
///
/// let client = FeatureFlagClient::builder(MemoryStore::new())
///     .semantics(Semantics::FlipperClient)
///     .deadline(Duration::from_secs(2))
///     .build();
/// # let _ = client;
/// ```
#[must_use = "a client is made by `build`"]
pub struct ClientBuilder {
    store: Arc<dyn Store>,
    semantics: Semantics,
    clock: Box<dyn Clock>,
    random: Box<dyn Random>,
    on_check: Option<OnCheck>,
    meter: Option<EvaluationMeter>,
    deadline: Duration,
}

impl ClientBuilder {
    /// How long an edit may take unless told: 10 s.
    pub const DEADLINE: Duration = Duration::from_secs(10);

    /// Chooses the semantics; documented unless told.
    pub fn semantics(mut self, semantics: Semantics) -> Self {
        self.semantics = semantics;
        self
    }

    /// Chooses the clock of ramps, creation dates and events; the system's unless told.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Chooses the randomness of percentage bucketers; a generator per thread unless told.
    pub fn random(mut self, random: impl Random + 'static) -> Self {
        self.random = Box::new(random);
        self
    }

    /// Tells each check of the client, of its clones and of its [`LocalClient`]s with their handles: to count them, to learn
    /// who has seen what, to find flags that nobody asks for any more. Nobody is told unless asked; whoever is told first
    /// stays, and others are told after.
    ///
    /// `tell` is called in the thread of the check, before the check returns, and what it takes the check takes longer: it
    /// must not block, nor panic. It may check and edit flags; checks of the same client are told in turn. Handles look
    /// flags up each time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use flipper_core::FeatureFlagClient;
    /// # use flipper_memory::MemoryStore;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use flipper_core::ctx;
    ///
    /// # futures_lite::future::block_on(async {
    /// static SEEN: AtomicU64 = AtomicU64::new(0);
    /// let client = FeatureFlagClient::builder(MemoryStore::new())
    ///     .on_check(|check| {
    ///         SEEN.fetch_add(1, Ordering::Relaxed);
    ///         println!("{} is {} for {:?}", check.flag, check.value(), check.context.get("user_id"));
    ///     })
    ///     .build();
    /// client.is_enabled("CHECKOUT", &ctx! { user_id: 7 }).await;
    /// client.local()?.is_enabled("CHECKOUT", &ctx! { user_id: 8 });
    /// assert_eq!(SEEN.load(Ordering::Relaxed), 2);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn on_check(mut self, tell: impl Fn(&Checked<'_>) + Send + Sync + 'static) -> Self {
        self.on_check = Some(match self.on_check {
            Some(first) => Box::new(move |check| {
                first(check);
                tell(check);
            }),
            None => Box::new(tell),
        });
        self
    }

    /// Counts each check of the client, of its clones and of its [`LocalClient`]s with their handles, by flag, answer and reason: far cheaper than
    /// to be [told](Self::on_check) of it. Nothing is counted unless asked.
    pub fn meter(mut self, meter: EvaluationMeter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Chooses how long an edit may take, waits and repetitions included; [`DEADLINE`](Self::DEADLINE) unless told.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes the client.
    pub fn build(self) -> FeatureFlagClient {
        let Self { store, semantics, clock, random, on_check, meter, deadline } = self;
        let emitter: Arc<dyn Emitter> = Arc::new(EventEmitter::new());
        let inner = Inner {
            snapshot: store.snapshot().cloned(),
            store,
            emitter: RwLock::new(emitter),
            locks: Locks::default(),
            semantics,
            clock,
            random,
            need: match (semantics, &on_check, &meter) {
                (Semantics::Documented, None, None) => Need::Verdict,
                (Semantics::Documented, None, Some(_)) => Need::Count,
                _ => Need::Reason,
            },
            on_check,
            meter_id: meter.as_ref().map_or(0, EvaluationMeter::id),
            meter,
            seed: Seed::random(),
            deadline,
            failed_checks: AtomicU64::new(0),
        };
        FeatureFlagClient { inner: Arc::new(inner), actor: None }
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("store", &self.store)
            .field("semantics", &self.semantics)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
