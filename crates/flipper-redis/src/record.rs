//! What is at a key, as the server answers a `GET`.

use std::fmt::Write;

use flipper_core::{Change, Error, ErrorKind, Flag, FlagName, Listed, Result, Version, Versioned};
use redis::Value;

use crate::error::{error, of_server};

#[derive(Clone)]
pub(crate) enum Record {
    Flag(Versioned<Flag>),
    Bad { name: Box<str>, version: Option<Version>, error: Error },
    Gone { name: Box<str> },
}

impl Record {
    /// Reads an answer. An error is none of this record, but of the server.
    pub(crate) fn read(name: &[u8], answer: Value) -> Result<Self> {
        let shown = || shown(name);
        let bytes = match answer {
            Value::Nil => return Ok(Self::Gone { name: shown() }),
            Value::ServerError(failure) => {
                let error = of_server(failure.code(), failure.details()).with_flag(shown());
                return match error.kind() {
                    ErrorKind::Corrupt => Ok(Self::Bad { name: shown(), version: None, error }),
                    _ => Err(error),
                };
            }
            answer => bytes(answer)?,
        };
        let read = match std::str::from_utf8(name).ok().map(FlagName::new) {
            Some(Ok(name)) => Flag::read(name, &bytes),
            Some(Err(illegal)) => Err(Error::new(ErrorKind::Corrupt, illegal.message().to_owned())),
            None => Err(Error::new(ErrorKind::Corrupt, "the name in the key is not UTF-8")),
        };
        Ok(match read {
            Ok(flag) => Self::Flag(Versioned { version: flag.version_of_bytes(), value: flag }),
            Err(error) => {
                let version = Version::from_bytes(bytes);
                let error = error.with_store("redis").with_flag(shown()).with_version(version.clone());
                Self::Bad { name: shown(), version: Some(version), error }
            }
        })
    }

    /// What `get` says.
    pub(crate) fn found(self) -> Result<Option<Versioned<Flag>>> {
        match self {
            Self::Flag(found) => Ok(Some(found)),
            Self::Bad { error, .. } => Err(error),
            Self::Gone { .. } => Ok(None),
        }
    }

    /// What a listing says; nothing of a key that has vanished.
    pub(crate) fn listed(self) -> Option<Listed> {
        match self {
            Self::Flag(found) => Some(Listed::Flag(found)),
            Self::Bad { name, version, error } => Some(Listed::Bad { name, version, error }),
            Self::Gone { .. } => None,
        }
    }

    /// What a watch says.
    pub(crate) fn change(self) -> Change {
        match self {
            Self::Flag(found) => Change::Put(found),
            Self::Bad { name, version, error } => Change::Bad { name, version, error },
            Self::Gone { name } => Change::Deleted { name, version: None },
        }
    }
}

/// A name as it is told, legal or not. Bytes that are no UTF-8 follow a control character, in hexadecimal, so that it is the name of
/// no flag, nor of another record.
pub(crate) fn shown(name: &[u8]) -> Box<str> {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        shown.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(shown, "\u{1a}{byte:02x}");
        }
    }
    shown.into()
}

/// The bytes of an answer.
pub(crate) fn bytes(answer: Value) -> Result<Vec<u8>> {
    match answer {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::ServerError(failure) => Err(of_server(failure.code(), failure.details())),
        _ => Err(unexpected()),
    }
}

pub(crate) fn unexpected() -> Error {
    error(ErrorKind::Internal, "the server has answered with a type that does not belong there")
}
