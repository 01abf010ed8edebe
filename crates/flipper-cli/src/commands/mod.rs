//! The commands, one file for each, or for each family.

pub(crate) mod audit;
pub(crate) mod bucket;
pub(crate) mod check;
pub(crate) mod condition;
pub(crate) mod copy;
pub(crate) mod data;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod generate;
pub(crate) mod import;
pub(crate) mod list;
mod plot;
mod probes;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod simulate;
pub(crate) mod verify;
pub(crate) mod watch;

use flipper::{FeatureFlagClient, Flag, FlagName, Listed};
use wildmatch::WildMatch;

use crate::failure::Result;

/// Reads a flag as it is in the source of truth.
async fn read(client: &FeatureFlagClient, name: &str) -> Result<Flag> {
    FlagName::new(name)?;
    Ok(client.flag(name).await?)
}

/// Chooses flags by their names.
struct Pattern(Option<WildMatch>);

impl Pattern {
    fn new(pattern: Option<&str>) -> Self {
        Self(pattern.map(WildMatch::new))
    }

    fn matches(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|pattern| pattern.matches(name))
    }

    fn matches_listed(&self, listed: &Listed) -> bool {
        match listed {
            Listed::Flag(found) => self.matches(found.value.name()),
            Listed::Bad { name, .. } => self.matches(name),
            _ => true,
        }
    }
}
