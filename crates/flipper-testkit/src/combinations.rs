//! A test under each combination of flags.

use std::collections::HashSet;
use std::sync::Arc;

use flipper_core::AsFlag;

use crate::pairs::{all, pairwise};
use crate::{Combination, TestFlags};

/// Runs a test under each combination of flags: [all](Self::all) of them, or as few as have every [pair](Self::pairwise).
///
/// Each run has [`TestFlags`] of its own. If one panics, its combination is printed to the standard error, and no further
/// ones are run.
///
/// # Examples
///
/// ```
/// use flipper_core::{Context, LocalClient};
/// use flipper_testkit::Combinations;
///
/// fn price(flags: &LocalClient, price: u32) -> u32 {
///     let is_on = |name| flags.is_enabled(name, &Context::EMPTY);
///     let price = if is_on("SALE") { price / 2 } else { price };
///     if is_on("FREE_SHIPPING") { price } else { price + 5 }
/// }
///
/// Combinations::all(["SALE", "FREE_SHIPPING"]).run(|flags| {
///     assert!((50..=105).contains(&price(flags.local(), 100)));
/// });
/// ```
///
/// Declared flags are combined by their type, and futures are awaited:
///
/// ```
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flipper_core::{Flags, ctx};
/// use flipper_testkit::Combinations;
///
/// #[derive(flipper_macros::Flags, Clone, Copy)]
/// #[flags(crate = flipper_core)]
/// enum Feature {
///     #[flag(name = "SALE")]
///     Sale,
///     #[flag(name = "FREE_SHIPPING")]
///     FreeShipping,
/// }
///
/// Combinations::pairwise(Feature::ALL.iter().copied())
///     .strict()
///     .run_async(async |flags| {
///         assert!(Feature::Sale.is_enabled(flags.client(), &ctx! {}).await || flags.checks().len() == 1);
///     })
///     .await;
/// # });
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `run` or `run_async`"]
pub struct Combinations {
    names: Arc<[String]>,
    rows: Vec<Vec<bool>>,
    is_strict: bool,
}

impl Combinations {
    /// The most flags of which [all](Self::all) combinations are run: 16, which are 65,536.
    pub const MAX_FOR_ALL: usize = 16;

    /// All combinations of some flags: 2 for one flag, twice as many for each further one. Of the first, all are off, and of
    /// the last, all are on.
    ///
    /// ```
    /// use flipper_testkit::Combinations;
    ///
    /// let combinations: Vec<String> = Combinations::all(["A", "B"]).iter().map(|one| one.to_string()).collect();
    /// assert_eq!(combinations, ["A off, B off", "A on, B off", "A off, B on", "A on, B on"]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_FOR_ALL`](Self::MAX_FOR_ALL) flags, or one is there twice.
    pub fn all(flags: impl IntoIterator<Item: AsFlag>) -> Self {
        let names = names(flags);
        let (count, max) = (names.len(), Self::MAX_FOR_ALL);
        assert!(
            count <= max,
            "all combinations of {count} flags are too many: at most {max}, or use `pairwise`"
        );
        Self { rows: all(count), names, is_strict: false }
    }

    /// As few combinations of some flags as have every pair: for any two of the flags, both are on in one of them, both are
    /// off, and each is on without the other. Most mistakes that only some combinations show need no more than two flags.
    ///
    /// These are 7 for ten flags, 9 for thirty-five, and 11 for a hundred and twenty-six. All are off in the first, and all
    /// are on in one.
    ///
    /// ```
    /// use flipper_testkit::Combinations;
    ///
    /// let flags: Vec<String> = (0..35).map(|number| format!("FLAG_{number}")).collect();
    /// assert_eq!(Combinations::pairwise(&flags).iter().len(), 9);
    /// ```
    ///
    /// # Panics
    ///
    /// If a flag is there twice.
    pub fn pairwise(flags: impl IntoIterator<Item: AsFlag>) -> Self {
        let names = names(flags);
        Self { rows: pairwise(names.len()), names, is_strict: false }
    }

    /// Makes the runs fail if they check any flag that is none of these: see [`TestFlags::strict`].
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Returns the combinations, in the order in which they are run.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Combination> {
        self.rows.iter().map(|row| Combination::new(Arc::clone(&self.names), row.clone()))
    }

    /// Runs a test under each combination.
    ///
    /// # Panics
    ///
    /// If the test does.
    pub fn run(&self, test: impl Fn(TestFlags)) {
        for combination in self.iter() {
            let flags = self.flags(&combination);
            let _told = TellOnPanic(&combination);
            test(flags);
        }
    }

    /// Runs and awaits a test under each combination, one after the other.
    ///
    /// # Panics
    ///
    /// If the test does.
    pub async fn run_async(&self, test: impl AsyncFn(TestFlags)) {
        for combination in self.iter() {
            let flags = self.flags(&combination);
            let _told = TellOnPanic(&combination);
            test(flags).await;
        }
    }

    fn flags(&self, combination: &Combination) -> TestFlags {
        let flags = if self.is_strict { TestFlags::strict() } else { TestFlags::new() };
        combination.iter().for_each(|(name, is_on)| flags.set(name, is_on));
        flags
    }
}

fn names(flags: impl IntoIterator<Item: AsFlag>) -> Arc<[String]> {
    let names: Arc<[String]> = flags.into_iter().map(|flag| flag.flag_name().to_owned()).collect();
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        panic!("the flag {twice:?} is there twice");
    }
    names
}

/// Tells which combination it was.
struct TellOnPanic<'c>(&'c Combination);

impl Drop for TellOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the test failed with {}", self.0);
        }
    }
}
