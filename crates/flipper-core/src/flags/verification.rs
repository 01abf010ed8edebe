//! What a comparison of code and store has found.

use std::fmt;

use super::FlagDefinition;

/// What [`Verify`](super::Verify) has found. It prints as one line per finding.
///
/// # Examples
///
/// ```
/// use flipper_core::Verification;
///
/// let found = Verification::default();
/// assert!(found.is_empty());
/// assert_eq!(found.to_string(), "the flags of the code are those of the store\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Flags that the code knows and the store lacks: their defaults answer.
    pub missing: Vec<&'static FlagDefinition>,
    /// Flags that the store has and the code does not know, in order: nobody asks for them any more, or not yet.
    pub unknown: Vec<String>,
    /// Flags of the code whose last day is over.
    pub expired: Vec<&'static FlagDefinition>,
    /// Flags whose records cannot be read, in order: their defaults answer.
    pub unreadable: Vec<String>,
    /// Flags that the code declares more than once, each time perhaps with another default; the first of each.
    pub declared_twice: Vec<&'static FlagDefinition>,
}

impl Verification {
    /// Returns whether nothing was found.
    pub fn is_empty(&self) -> bool {
        let Self { missing, unknown, expired, unreadable, declared_twice } = self;
        missing.is_empty()
            && unknown.is_empty()
            && expired.is_empty()
            && unreadable.is_empty()
            && declared_twice.is_empty()
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "the flags of the code are those of the store");
        }
        for flag in &self.missing {
            let default = if flag.default_value() { "on" } else { "off" };
            writeln!(
                f,
                "missing: {:?} is not in the store, and {default} by default{}",
                flag.name(),
                owner(flag)
            )?;
        }
        for name in &self.unreadable {
            writeln!(f, "unreadable: the record of {name:?} cannot be read")?;
        }
        for flag in &self.expired {
            let Some(expiry) = flag.expiry() else { continue };
            writeln!(f, "expired: {:?} was to be gone after {expiry}{}", flag.name(), owner(flag))?;
        }
        for flag in &self.declared_twice {
            writeln!(f, "declared twice: {:?} is declared in several places of the code", flag.name())?;
        }
        for name in &self.unknown {
            writeln!(f, "unknown: {name:?} is in the store, and not in the code")?;
        }
        Ok(())
    }
}

/// Whom to ask.
fn owner(flag: &FlagDefinition) -> String {
    flag.owner().map(|owner| format!(" (owner: {owner})")).unwrap_or_default()
}
