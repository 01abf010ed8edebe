//! The flags of one test.
#![allow(clippy::needless_pass_by_value, reason = "texts and declared flags are passed as they are")]

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use flipper_core::{AsFlag, Expect, FeatureFlagClient, Flag, FlagName, Flags, LocalClient, Store, Timestamp};
use flipper_memory::MemoryStore;

use crate::checks::Checks;
use crate::{FixedRandom, ManualClock, RecordedCheck};

/// The flags of one test.
///
/// They are in memory, and nobody else's: there is no global, so any number of tests run side by side. The code that is
/// tested gets their [`client`](Self::client) or [`local`](Self::local) client in the place of its own, and finds nothing
/// different. Clones are the same flags.
///
/// Time stands still, at 2023-11-14 22:13:20 UTC until [`clock`](Self::clock) is told, and percentage bucketers draw 0.5
/// until [`random`](Self::random) is told. So a test that passes does so each time.
///
/// [`strict`](Self::strict) flags fail a test that checks a flag which it has not declared: one that is misspelt, or that the
/// test's author has forgotten. The check panics. In case that nobody sees that, as in a task of a server, so does each clone
/// when it is dropped after such a check.
///
/// # Examples
///
/// ```
/// use flipper_core::{FeatureFlagClient, ctx};
/// use flipper_testkit::TestFlags;
///
/// async fn price(flags: &FeatureFlagClient, user_id: u64) -> u32 {
///     if flags.is_enabled("SALE", &ctx! { user_id: user_id }).await { 50 } else { 100 }
/// }
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let flags = TestFlags::strict();
/// flags.set("SALE", true);
/// assert_eq!(price(flags.client(), 7).await, 50);
///
/// let regular = flags.with_flag_async("SALE", false, async || price(flags.client(), 7).await).await;
/// assert_eq!(regular, 100);
/// assert_eq!(price(flags.client(), 7).await, 50);
///
/// let checks = flags.checks();
/// assert_eq!(checks.len(), 3);
/// assert_eq!((checks[1].flag.as_str(), checks[1].value), ("SALE", false));
/// # });
/// ```
#[derive(Clone)]
pub struct TestFlags(Arc<Inner>);

struct Inner {
    store: Arc<MemoryStore>,
    client: FeatureFlagClient,
    local: LocalClient,
    clock: ManualClock,
    random: FixedRandom,
    checks: Arc<Checks>,
}

impl TestFlags {
    /// Makes flags for a test that may check any flag. There are none yet.
    pub fn new() -> Self {
        Self::with_checks(Checks::new(false))
    }

    /// Makes flags for a test that fails if it checks a flag which it has neither [set](Self::set) nor
    /// [declared](Self::declare). There are none yet.
    ///
    /// ```should_panic
    /// use flipper_core::ctx;
    /// use flipper_testkit::TestFlags;
    ///
    /// let flags = TestFlags::strict();
    /// flags.set("CHECKOUT", true);
    /// flags.local().is_enabled("CHEKCOUT", &ctx! {});
    /// ```
    pub fn strict() -> Self {
        Self::with_checks(Checks::new(true))
    }

    /// Makes [strict](Self::strict) flags, with those of the code [declared](Self::declare_all).
    ///
    /// ```
    /// use flipper_core::ctx;
    /// use flipper_testkit::TestFlags;
    ///
    /// #[derive(flipper_macros::Flags, Clone, Copy)]
    /// #[flags(crate = flipper_core)]
    /// enum Feature {
    ///     #[flag(name = "SALE", default = true)]
    ///     Sale,
    /// }
    ///
    /// let flags = TestFlags::of::<Feature>();
    /// // As it is where nobody has created it.
    /// assert!(flipper_core::Flags::is_enabled_local(Feature::Sale, flags.local(), &ctx! {}));
    /// flags.set(Feature::Sale, false);
    /// assert!(!flipper_core::Flags::is_enabled_local(Feature::Sale, flags.local(), &ctx! {}));
    /// ```
    pub fn of<F: Flags>() -> Self {
        let flags = Self::strict();
        flags.declare_all::<F>();
        flags
    }

    fn with_checks(checks: Checks) -> Self {
        let (clock, random) = (ManualClock::new(Timestamp::from_secs(1_700_000_000)), FixedRandom::new(0.5));
        let (store, checks) = (Arc::new(MemoryStore::new()), Arc::new(checks));
        let recorder = Arc::clone(&checks);
        let client = FeatureFlagClient::builder(Arc::clone(&store))
            .clock(clock.clone())
            .random(random.clone())
            .on_check(move |check| recorder.record(check))
            .build();
        let local = client.local().expect("the memory store has its flags in memory");
        Self(Arc::new(Inner { store, client, local, clock, random, checks }))
    }

    /// Returns the client that is given to what is tested. By it, a test gives flags conditions and bucketers as well.
    pub fn client(&self) -> &FeatureFlagClient {
        &self.0.client
    }

    /// Returns the client that is given to what is tested, if that checks without waiting.
    pub fn local(&self) -> &LocalClient {
        &self.0.local
    }

    /// Returns the clock of the flags: it stands still until it is told.
    ///
    /// ```
    /// use std::time::Duration;
    /// use flipper_core::{Bucketer, Clock, Percentage, ctx};
    /// use flipper_testkit::TestFlags;
    ///
    /// # flipper_testkit::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let flags = TestFlags::new();
    /// let ramp = Percentage::linear_ramp(0.0, 1.0, Duration::from_secs(60), flags.clock().now())?;
    /// flags.set("X", true);
    /// flags.client().set_bucketer("X", &Bucketer::percentage(ramp)).await?;
    /// assert!(!flags.client().is_enabled("X", &ctx! {}).await);
    /// flags.clock().advance(Duration::from_secs(60));
    /// assert!(flags.client().is_enabled("X", &ctx! {}).await);
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn clock(&self) -> &ManualClock {
        &self.0.clock
    }

    /// Returns the randomness of percentage bucketers: a number from 0 to 1, 0.5 until it is told. A bucketer lets in who
    /// draws no more than its share.
    ///
    /// ```
    /// use flipper_core::{Bucketer, Percentage, ctx};
    /// use flipper_testkit::TestFlags;
    ///
    /// # flipper_testkit::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let flags = TestFlags::new();
    /// flags.set("X", true);
    /// flags.client().set_bucketer("X", &Bucketer::percentage(Percentage::new(0.1)?)).await?;
    /// assert!(!flags.local().is_enabled("X", &ctx! {}));
    /// flags.random().set(0.05);
    /// assert!(flags.local().is_enabled("X", &ctx! {}));
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn random(&self) -> &FixedRandom {
        &self.0.random
    }

    /// Makes a flag be on or off for everybody, whatever it was, and [declares](Self::declare) it.
    ///
    /// # Panics
    ///
    /// If the name cannot be that of a flag.
    pub fn set(&self, flag: impl AsFlag, is_on: bool) {
        let mut record = Flag::new(name(&flag), Timestamp::from_secs(1_700_000_000));
        record.set_enabled(is_on).expect("a new flag can be switched");
        self.0.checks.declare(flag.flag_name());
        at_once(self.0.store.put(&record, Expect::Any))
            .expect("the memory store works, unless it was closed");
    }

    /// Makes a flag be absent: callers get their defaults. It stays declared.
    ///
    /// ```
    /// use flipper_core::ctx;
    /// use flipper_testkit::TestFlags;
    ///
    /// let flags = TestFlags::strict();
    /// flags.set("X", false);
    /// flags.remove("X");
    /// assert!(flags.local().is_enabled_or("X", &ctx! {}, true));
    /// ```
    ///
    /// # Panics
    ///
    /// If the name cannot be that of a flag.
    pub fn remove(&self, flag: impl AsFlag) {
        let deleted = at_once(self.0.store.delete(name(&flag), Expect::Any));
        deleted.expect("the memory store works, unless it was closed");
    }

    /// Says that a flag may be checked, without making one: it is absent until it is [set](Self::set).
    ///
    /// # Panics
    ///
    /// If the name cannot be that of a flag.
    pub fn declare(&self, flag: impl AsFlag) {
        self.0.checks.declare(name(&flag).as_str());
    }

    /// [Declares](Self::declare) all flags that a type of the code has.
    pub fn declare_all<F: Flags>(&self) {
        for flag in F::ALL {
            self.declare(*flag);
        }
    }

    /// Runs a closure while a flag is on or off for everybody. Then the flag is what it was before, also if the closure
    /// panics. Such runs nest; of two for the same flag at once, on two threads or in two futures, each would take the
    /// other's flag for what was before.
    ///
    /// ```
    /// use flipper_core::Context;
    /// use flipper_testkit::TestFlags;
    ///
    /// let flags = TestFlags::new();
    /// let is_on = || flags.local().is_enabled("X", &Context::EMPTY);
    /// assert!(flags.with_flag("X", true, is_on));
    /// assert!(!is_on());
    /// ```
    ///
    /// # Panics
    ///
    /// If the closure does, or the name cannot be that of a flag.
    pub fn with_flag<T>(&self, flag: impl AsFlag, is_on: bool, run: impl FnOnce() -> T) -> T {
        let _restored = self.keep(&flag);
        self.set(flag, is_on);
        run()
    }

    /// As [`with_flag`](Self::with_flag), for a closure that is `async`. The flag is what it was before also if the future
    /// is dropped.
    ///
    /// ```
    /// use flipper_core::Context;
    /// use flipper_testkit::TestFlags;
    ///
    /// # flipper_testkit::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let flags = TestFlags::new();
    /// let is_on = async || flags.client().is_enabled("X", &Context::EMPTY).await;
    /// assert!(flags.with_flag_async("X", true, is_on).await);
    /// assert!(!is_on().await);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If the closure does, or the name cannot be that of a flag.
    pub async fn with_flag_async<T>(
        &self,
        flag: impl AsFlag,
        is_on: bool,
        run: impl AsyncFnOnce() -> T,
    ) -> T {
        let _restored = self.keep(&flag);
        self.set(flag, is_on);
        run().await
    }

    /// Returns the checks so far, by all clones and threads, in order.
    pub fn checks(&self) -> Vec<RecordedCheck> {
        self.0.checks.all()
    }

    /// Returns the checks of one flag so far, in order.
    pub fn checks_of(&self, flag: impl AsFlag) -> Vec<RecordedCheck> {
        let mut checks = self.checks();
        checks.retain(|check| check.flag == flag.flag_name());
        checks
    }

    /// Forgets the checks so far.
    pub fn clear_checks(&self) {
        self.0.checks.forget();
    }

    /// Returns the flags that are declared and have not been checked, by name: what the test has set for nothing.
    ///
    /// ```
    /// use flipper_testkit::TestFlags;
    ///
    /// let flags = TestFlags::new();
    /// flags.set("X", true);
    /// assert_eq!(flags.unchecked(), ["X"]);
    /// ```
    pub fn unchecked(&self) -> Vec<String> {
        self.0.checks.unchecked()
    }

    /// Returns the flags that were checked without being declared, by name, and forgives them: [strict](Self::strict) flags
    /// do not panic for them any more when they are dropped.
    pub fn take_undeclared(&self) -> Vec<String> {
        self.0.checks.take_undeclared()
    }

    /// Keeps a flag as it is, until what is returned is dropped.
    fn keep(&self, flag: &impl AsFlag) -> Kept {
        let name = name(flag);
        let before = at_once(self.0.store.get(name)).expect("the memory store works");
        let store = Arc::clone(&self.0.store);
        Kept { store, name: name.as_str().to_owned(), before: before.map(|found| found.value) }
    }
}

/// Puts a flag back.
struct Kept {
    store: Arc<MemoryStore>,
    name: String,
    before: Option<Flag>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // If what was tested has closed the store, there is nothing to put back.
        let _ = match &self.before {
            Some(before) => at_once(self.store.put(before, Expect::Any)).map(drop),
            None => at_once(self.store.delete(name(&self.name), Expect::Any)).map(drop),
        };
    }
}

fn name(flag: &impl AsFlag) -> FlagName<'_> {
    FlagName::new(flag.flag_name()).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the memory store never waits"),
    }
}

impl Default for TestFlags {
    /// As [`new`](Self::new).
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestFlags").field("store", &self.0.store).finish_non_exhaustive()
    }
}

impl Drop for TestFlags {
    fn drop(&mut self) {
        if let Some(complaint) = self.0.checks.complaint()
            && !std::thread::panicking()
        {
            panic!("{complaint}");
        }
    }
}
