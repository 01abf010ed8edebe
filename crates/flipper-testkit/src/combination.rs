//! One combination of flags.

use std::fmt;
use std::sync::Arc;

use flipper_core::AsFlag;

/// Which flags are on and which are off: one of the [`Combinations`](crate::Combinations). It prints as
/// `"A on, B off"`.
///
/// # Examples
///
/// ```
/// use flipper_testkit::Combinations;
///
/// let second = Combinations::all(["A", "B"]).iter().nth(1).unwrap();
/// assert_eq!(second.to_string(), "A on, B off");
/// assert_eq!(second.get("B"), Some(false));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Combination {
    names: Arc<[String]>,
    values: Vec<bool>,
}

impl Combination {
    pub(crate) fn new(names: Arc<[String]>, values: Vec<bool>) -> Self {
        Self { names, values }
    }

    /// Returns the flags and whether they are on, in the order in which they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, bool)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().copied())
    }

    /// Returns whether a flag is on; `None` if it is none of these.
    #[allow(clippy::needless_pass_by_value, reason = "texts and declared flags are passed as they are")]
    pub fn get(&self, flag: impl AsFlag) -> Option<bool> {
        self.iter().find(|(name, _)| *name == flag.flag_name()).map(|(_, is_on)| is_on)
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, is_on)) in self.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{name} {}", if is_on { "on" } else { "off" })?;
        }
        Ok(())
    }
}
