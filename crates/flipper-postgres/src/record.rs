//! What is in a row.

use flipper_core::{Error, ErrorKind, Flag, FlagName, Listed, Result, Version, Versioned};

/// Reads a record as the flag of a name, which may be no legal one.
pub(crate) fn read(name: &str, record: &[u8]) -> Result<Versioned<Flag>> {
    let read = match FlagName::new(name) {
        Ok(name) => Flag::read(name, record),
        Err(illegal) => Err(Error::new(ErrorKind::Corrupt, illegal.message().to_owned())),
    };
    match read {
        Ok(value) => Ok(Versioned { version: value.version_of_bytes(), value }),
        Err(error) => {
            Err(error.with_store("postgres").with_flag(name).with_version(Version::from_bytes(record)))
        }
    }
}

/// What a listing tells of it.
pub(crate) fn listed(name: &str, record: &[u8]) -> Listed {
    match read(name, record) {
        Ok(found) => Listed::Flag(found),
        Err(error) => Listed::Bad { name: name.into(), version: error.version().cloned(), error },
    }
}
