//! What is at a key.

use flipper_core::{Error, ErrorKind, Flag, FlagName, Listed, Result, Version, Versioned};

use crate::api::{LARGEST, Object, is_plain};
use crate::error::error;

/// Reads an object as the flag of a name, which may be no legal one.
pub(crate) fn read(name: &str, object: Object) -> Result<Versioned<Flag>> {
    let version = version(&object.etag);
    let read = match (FlagName::new(name), object.body) {
        (Ok(name), Some(body)) => Flag::read(name, &body),
        (Err(illegal), _) => Err(Error::new(ErrorKind::Corrupt, illegal.message().to_owned())),
        (Ok(_), None) => Err(too_large()),
    };
    match read {
        Ok(value) => Ok(Versioned { value, version }),
        Err(error) => Err(error.with_store("s3").with_flag(name).with_version(version)),
    }
}

/// What a listing tells of it.
pub(crate) fn listed(name: &str, read: Result<Versioned<Flag>>) -> Listed {
    match read {
        Ok(found) => Listed::Flag(found),
        Err(error) => Listed::Bad { name: name.into(), version: error.version().cloned(), error },
    }
}

pub(crate) fn too_large() -> Error {
    let message = format!("the object is larger than {} MiB, which no flag is", LARGEST >> 20);
    error(ErrorKind::Corrupt, message)
}

pub(crate) fn version(etag: &str) -> Version {
    Version::from_bytes(etag.as_bytes())
}

/// The ETag that a version was made from.
pub(crate) fn etag(version: &Version) -> Result<&str> {
    let etag = version.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    etag.filter(|etag| is_plain(etag))
        .ok_or_else(|| error(ErrorKind::InvalidInput, "the version is none of this store's"))
}
