//! Versions on the wire.

use flipper_core::Version;

/// A version as it is sent: what only the server has to understand.
///
/// Nothing at all stands for the record itself, of stores whose versions are their records: so a record need not be sent twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WireVersion(pub(crate) Vec<u8>);

const NUMBER: u8 = b'n';
const BYTES: u8 = b'b';

impl WireVersion {
    /// Of a record that is sent with it.
    pub(crate) fn of(version: &Version, record: &[u8]) -> Self {
        if version.as_bytes() == Some(record) { Self(Vec::new()) } else { Self::alone(version) }
    }

    pub(crate) fn alone(version: &Version) -> Self {
        match (version.as_u64(), version.as_bytes()) {
            (Some(number), _) => Self([&[NUMBER][..], &number.to_be_bytes()].concat()),
            (None, bytes) => Self([&[BYTES], bytes.unwrap_or_default()].concat()),
        }
    }

    /// With what was left out, as it was sent with this record.
    pub(crate) fn completed(self, record: &[u8]) -> Self {
        if self.0.is_empty() { Self([&[BYTES], record].concat()) } else { self }
    }

    /// The version; `None` if this is none of a server's like this one.
    pub(crate) fn decode(&self) -> Option<Version> {
        match self.0.split_first()? {
            (&NUMBER, number) => Some(Version::from_u64(u64::from_be_bytes(number.try_into().ok()?))),
            (&BYTES, bytes) => Some(Version::from_bytes(bytes)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_back_as_they_went() {
        for version in [
            Version::from_u64(0),
            Version::from_u64(u64::MAX),
            Version::from_bytes(*b""),
            Version::from_bytes(*b"record"),
        ] {
            let sent = WireVersion::of(&version, b"record");
            assert_eq!(sent.completed(b"record").decode(), Some(version.clone()));
            assert_eq!(WireVersion::alone(&version).decode(), Some(version));
        }
        for hostile in [&b""[..], b"n", b"n123", b"n123456789", b"x12345678"] {
            assert_eq!(WireVersion(hostile.to_vec()).decode(), None);
        }
    }
}
