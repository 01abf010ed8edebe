//! What is at a key.

use std::borrow::Cow;
use std::hash::BuildHasher;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flipper_core::{Change, Error, ErrorKind, Flag, FlagName, Listed, Result, Version, Versioned};
use foldhash::fast::FixedState;
use serde::Deserialize;

use crate::error::error;

/// A key, as the agent tells it. The value is in base64, and `None` where it is empty.
#[derive(Deserialize)]
pub(crate) struct Entry<'a> {
    #[serde(rename = "Key", borrow)]
    pub(crate) key: Cow<'a, str>,
    #[serde(rename = "Value", borrow, default)]
    pub(crate) value: Option<Cow<'a, str>>,
    #[serde(rename = "ModifyIndex")]
    pub(crate) index: u64,
}

/// What tells states of a key apart. Not the index alone: it comes again if all data is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    index: u64,
    hash: u64,
}

impl Entry<'_> {
    /// Whether it is a folder of Consul's user interface.
    pub(crate) fn is_folder(&self) -> bool {
        self.key.ends_with('/') && self.value.as_ref().is_none_or(|value| value.is_empty())
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let value = self.value.as_deref().unwrap_or_default();
        Stamp { index: self.index, hash: FixedState::default().hash_one(value.as_bytes()) }
    }

    fn flag(&self, name: &str) -> Result<Flag> {
        let bytes = STANDARD.decode(self.value.as_deref().unwrap_or_default());
        let bytes = bytes
            .map_err(|_| error(ErrorKind::Corrupt, "the agent's answer has a value that is no base64"))?;
        match FlagName::new(name) {
            Ok(name) => Flag::read(name, &bytes),
            Err(illegal) => Err(Error::new(ErrorKind::Corrupt, illegal.message().to_owned())),
        }
    }

    /// Reads the record.
    pub(crate) fn read(&self, name: &str) -> Result<Versioned<Flag>> {
        let version = Version::from_u64(self.index);
        match self.flag(name) {
            Ok(value) => Ok(Versioned { value, version }),
            Err(error) => Err(error.with_store("consul").with_flag(name).with_version(version)),
        }
    }

    /// As a listing tells it.
    pub(crate) fn listed(&self, name: &str) -> Listed {
        match self.read(name) {
            Ok(found) => Listed::Flag(found),
            Err(error) => Listed::Bad { name: name.into(), version: error.version().cloned(), error },
        }
    }

    /// As a watch tells it.
    pub(crate) fn change(&self, name: &str) -> Change {
        self.listed(name).into()
    }
}

/// The keys of an answer.
pub(crate) fn entries(body: &[u8]) -> serde_json::Result<Vec<Entry<'_>>> {
    serde_json::from_slice(body)
}

pub(crate) fn encode(flag: &Flag) -> String {
    STANDARD.encode(flag.as_json())
}
