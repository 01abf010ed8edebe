//! What the code says about a flag.

use super::Date;
use crate::Timestamp;

/// Says what the code knows about a flag. `#[derive(Flags)]` makes them.
///
/// # Examples
///
/// ```
/// use flipper_core::{Date, FlagDefinition, Timestamp};
///
/// const CHECKOUT: FlagDefinition = FlagDefinition::new("CHECKOUT")
///     .with_owner("payments")
///     .with_expiry(Date::new(2027, 1, 31));
/// assert_eq!(CHECKOUT.owner(), Some("payments"));
/// assert!(!CHECKOUT.default_value());
/// assert!(!CHECKOUT.is_expired(Timestamp::from_secs(1_801_439_999)));
/// assert!(CHECKOUT.is_expired(Timestamp::from_secs(1_801_440_000)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlagDefinition {
    name: &'static str,
    description: &'static str,
    owner: Option<&'static str>,
    expiry: Option<Date>,
    default: bool,
}

impl FlagDefinition {
    /// Defines a flag of a name: without a description, an owner or an expiry date, and off by default.
    ///
    /// The name is not checked here. The derive has done so, and every call of a store does.
    pub const fn new(name: &'static str) -> Self {
        Self { name, description: "", owner: None, expiry: None, default: false }
    }

    /// Says what the flag does.
    pub const fn with_description(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// Says whom to ask about the flag.
    pub const fn with_owner(mut self, owner: &'static str) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Says until when the flag is meant to be there, that day included; forever if it is `None`.
    pub const fn with_expiry(mut self, expiry: Option<Date>) -> Self {
        self.expiry = expiry;
        self
    }

    /// Says what counts where nobody can tell.
    pub const fn with_default(mut self, default: bool) -> Self {
        self.default = default;
        self
    }

    /// Returns the name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns what the flag does, or an empty text.
    pub const fn description(&self) -> &'static str {
        self.description
    }

    /// Returns whom to ask about the flag.
    pub const fn owner(&self) -> Option<&'static str> {
        self.owner
    }

    /// Returns until when the flag is meant to be there, that day included.
    pub const fn expiry(&self) -> Option<Date> {
        self.expiry
    }

    /// Returns what counts if there is no such flag, or if nobody can tell.
    pub const fn default_value(&self) -> bool {
        self.default
    }

    /// Returns whether the last day of the flag was over, in UTC, at a time.
    pub fn is_expired(&self, time: Timestamp) -> bool {
        self.expiry.is_some_and(|expiry| time >= expiry.end())
    }
}
