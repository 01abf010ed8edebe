//! The rules for the names of flags.

use std::fmt;

use crate::{Error, Result};

/// Holds a flag's name that is known to be legal on every store.
///
/// A name is 1 to 512 bytes of UTF-8 without control characters (Unicode category `Cc`). Everything else is
/// legal and comes back as it went in, on every store: `..`, `a//b`, spaces, `%`, `?`, `#`, emoji. Names are
/// compared byte by byte: case counts, and nothing is normalised.
///
/// # Examples
///
/// ```
/// use flipper_core::{ErrorKind, FlagName};
///
/// let name = FlagName::new("checkout/new flow 🐎")?;
/// assert_eq!(name.as_str(), "checkout/new flow 🐎");
///
/// let error = FlagName::new("line\nbreak").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(error.message().contains("U+000A"));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlagName<'a>(&'a str);

impl<'a> FlagName<'a> {
    /// The longest legal name, in bytes of UTF-8.
    pub const MAX_LEN: usize = 512;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) when the name is empty, longer than
    /// [`MAX_LEN`](Self::MAX_LEN) bytes, or has a control character; the message says which and where.
    pub fn new(name: &'a str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::invalid("a flag's name cannot be empty"));
        }
        if name.len() > Self::MAX_LEN {
            return Err(Error::invalid(format!(
                "a flag's name can have at most {} bytes of UTF-8, this one has {}: it starts with {:?}",
                Self::MAX_LEN,
                name.len(),
                name.chars().take(40).collect::<String>()
            )));
        }
        if let Some((at, control)) = name.char_indices().find(|(_, c)| c.is_control()) {
            return Err(Error::invalid(format!(
                "a flag's name cannot have control characters, {name:?} has U+{:04X} at byte {at}",
                control as u32
            )));
        }
        Ok(Self(name))
    }

    /// Returns the name as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

impl<'a> TryFrom<&'a str> for FlagName<'a> {
    type Error = Error;

    fn try_from(name: &'a str) -> Result<Self> {
        Self::new(name)
    }
}

impl AsRef<str> for FlagName<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for FlagName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for FlagName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_names() {
        let longest = "é".repeat(256);
        for name in ["X", "..", "a//b", "/lead", " ", "%2F?#", "🐎", "\u{a0}", "\u{200b}", longest.as_str()]
        {
            assert_eq!(FlagName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn illegal_names_say_why() {
        for (name, why) in [
            ("", "empty"),
            ("a\0b", "U+0000 at byte 1"),
            ("\u{7f}", "U+007F at byte 0"),
            ("é\u{85}", "U+0085 at byte 2"),
            ("x".repeat(513).as_str(), "512 bytes of UTF-8, this one has 513"),
        ] {
            let error = FlagName::new(name).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert!(error.message().contains(why), "{error}");
        }
    }
}
