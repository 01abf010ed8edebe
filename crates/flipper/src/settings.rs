//! What can be chosen of stores and of what stands around them, by an address or by code.

use std::path::PathBuf;
use std::time::Duration;

/// What was chosen. Whatever was not is left to the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) base_key: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) schema: Option<String>,
    pub(crate) create_table: Option<bool>,
    pub(crate) require_file: Option<bool>,

    pub(crate) timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) poll_interval: Option<Duration>,
    pub(crate) poll_only: Option<bool>,
    pub(crate) connections: Option<usize>,
    pub(crate) behind_pooler: Option<bool>,
    pub(crate) replicas: Option<usize>,
    pub(crate) replica_timeout: Option<Duration>,

    pub(crate) datacenter: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) partition: Option<String>,
    pub(crate) consistency: Option<String>,

    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) path_style: Option<bool>,
    pub(crate) profile: Option<String>,

    pub(crate) mirror: Option<bool>,
    pub(crate) last_known_good: Option<PathBuf>,
    pub(crate) start_timeout: Option<Duration>,
    /// How many flags a cache keeps, none for no cache.
    pub(crate) cache: Option<usize>,
    pub(crate) ttl: Option<Duration>,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
pub(crate) const LONGEST: Duration = Duration::from_hours(365 * 24);

impl Settings {
    pub(crate) fn is_on(switch: Option<bool>) -> bool {
        switch.unwrap_or(false)
    }

    pub(crate) fn is_mirrored(&self) -> bool {
        Self::is_on(self.mirror)
    }

    pub(crate) fn is_cached(&self) -> bool {
        self.cache.is_some_and(|size| size > 0)
    }

    /// Whether the flags are to be there although the server is not.
    pub(crate) fn starts_without_server(&self) -> bool {
        self.is_mirrored() && self.last_known_good.is_some()
    }
}
