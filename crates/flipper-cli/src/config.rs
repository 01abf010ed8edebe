//! The configuration file, and where this program keeps what is its own.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use serde::Deserialize;

use crate::failure::{Failure, Result};

/// What the configuration file says.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The store, unless told: an address, or a name of `stores`.
    pub(crate) store: Option<String>,
    /// Who makes changes, unless told.
    pub(crate) actor: Option<String>,
    /// Stores by name.
    #[serde(default)]
    pub(crate) stores: BTreeMap<String, String>,
}

impl Config {
    /// Reads the file that was named, or the one at the usual place, which need not be there.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => match usual_place() {
                Some(path) => path,
                None => return Ok(Self::default()),
            },
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                Self::parse(&text).map_err(|wrong| Failure::error(format!("{}: {wrong}", path.display())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => Ok(Self::default()),
            Err(error) => Err(Failure::file(&path, &error)),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            // The message alone: the rest quotes the file, which may hold a password.
            let at = error.span().map_or(0, |span| span.start);
            format!("{}, at {}", error.message().replace('\n', ", "), flipper::json::place(text, at))
        })
    }

    /// The names of the stores, for messages.
    pub(crate) fn names(&self) -> String {
        let names: Vec<_> = self.stores.keys().map(|name| format!("`{name}`")).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

fn usual_place() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.config_dir().join("flipper").join("config.toml"))
}

/// The file of the embedded store.
pub(crate) fn embedded_store() -> Result<PathBuf> {
    let base = etcetera::choose_base_strategy().map_err(|_| {
        Failure::error(
            "there is no home directory for the embedded store: name a store by `--store` or FLIPPER_STORE",
        )
    })?;
    Ok(base.data_dir().join("flipper").join("flags.json"))
}

/// The user's name, as the system says it.
pub(crate) fn user() -> String {
    let known = ["USER", "LOGNAME", "USERNAME"].iter().filter_map(|name| std::env::var(name).ok());
    let known = known.into_iter().find(|name| !name.is_empty());
    // Where nothing is set, as in a container, or by cron.
    known.or_else(|| whoami::username().ok()).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_stores() {
        let config =
            Config::parse("store = \"prod\"\nactor = \"me\"\n[stores]\nprod = \"redis://host\"").unwrap();
        assert_eq!(config.store.as_deref(), Some("prod"));
        assert_eq!(config.names(), "`prod`");
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_without_what_is_there() {
        for text in ["stroe = 'redis://me:hunter2@host'", "\nstore = 'redis://me:hunter2@host", "store = 5"] {
            let wrong = Config::parse(text).unwrap_err();
            assert!(
                wrong.contains(" at line ") && !wrong.contains("hunter2") && !wrong.contains('\n'),
                "{wrong}"
            );
        }
    }
}
