//! Whatever names a flag.

use super::Flags;

/// Names a flag: a text, or a flag that is [declared](Flags), which brings its default as well.
///
/// # Examples
///
/// ```
/// use flipper_core::AsFlag;
///
/// fn describe(flag: impl AsFlag) -> String {
///     format!("{}, {} by default", flag.flag_name(), if flag.flag_default() { "on" } else { "off" })
/// }
/// assert_eq!(describe("CHECKOUT"), "CHECKOUT, off by default");
/// ```
pub trait AsFlag {
    /// Returns the name.
    fn flag_name(&self) -> &str;

    /// Returns what counts if there is no such flag, or if nobody can tell; off, unless the flag is declared otherwise.
    fn flag_default(&self) -> bool {
        false
    }
}

impl AsFlag for &str {
    fn flag_name(&self) -> &str {
        self
    }
}

impl AsFlag for String {
    fn flag_name(&self) -> &str {
        self
    }
}

impl AsFlag for &String {
    fn flag_name(&self) -> &str {
        self
    }
}

impl<F: Flags> AsFlag for F {
    fn flag_name(&self) -> &str {
        self.name()
    }

    fn flag_default(&self) -> bool {
        self.default_value()
    }
}
