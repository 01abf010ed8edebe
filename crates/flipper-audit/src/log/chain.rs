//! The chain of hashes: each line carries that of the line before.

use std::fmt;
use std::str::FromStr;

use flipper_core::{Error, ErrorKind};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Before everything that is hashed here, so that a hash of ours is none of anything else.
const DOMAIN: &[u8] = b"flipper-audit line 1\0";

/// The hash of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// That of no line, which the first line carries.
    pub(crate) const NONE: Self = Self([0; 32]);

    /// How many characters it is written in.
    pub(crate) const LEN: usize = 64;

    /// Reads what `Display` has written, and nothing else.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let (pairs, []) = text.as_chunks::<2>() else { return None };
        let mut bytes = [0; 32];
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How lines are hashed.
#[derive(Clone)]
pub(crate) enum Chain {
    /// Whoever changes a line can compute all hashes after it.
    Plain,
    /// Only who has the key can.
    Keyed(Box<[u8]>),
}

impl Chain {
    pub(crate) fn new(key: Option<Box<[u8]>>) -> Self {
        key.map_or(Self::Plain, Self::Keyed)
    }

    /// As the first line of a file names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Plain => "sha-256",
            Self::Keyed(_) => "hmac-sha-256",
        }
    }

    /// Hashes a line, up to where its own hash stands. The hash of the line before is in it.
    pub(crate) fn hash(&self, line: &[u8]) -> Hash {
        let keyed = match self {
            Self::Plain => None,
            // Keys of any length are taken.
            Self::Keyed(key) => Hmac::<Sha256>::new_from_slice(key).ok(),
        };
        Hash(match keyed {
            None => Sha256::new().chain_update(DOMAIN).chain_update(line).finalize().into(),
            Some(mac) => mac.chain_update(DOMAIN).chain_update(line).finalize().into_bytes().into(),
        })
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names a state of a log: how many lines it has, and the hash of the last one.
///
/// Whoever keeps it elsewhere can find out later whether lines were cut off the end, or everything was written anew: see
/// [`Verifier`](crate::Verifier). It is written as `COUNT:HASH`.
///
/// # Examples
///
/// ```
/// use flipper_audit::Head;
///
/// let text = format!("17:{}", "0a".repeat(32));
/// let head: Head = text.parse()?;
/// assert_eq!((head.lines(), head.to_string()), (17, text));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub(crate) lines: u64,
    pub(crate) hash: Hash,
}

impl Head {
    /// That of a log without lines.
    pub(crate) const START: Self = Self { lines: 0, hash: Hash::NONE };

    /// Returns how many lines the log has, those of all files together.
    pub fn lines(&self) -> u64 {
        self.lines
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lines, self.hash)
    }
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = |text: &str| {
            let (lines, hash) = text.split_once(':')?;
            Some(Self { lines: lines.parse().ok()?, hash: Hash::parse(hash.as_bytes())? })
        };
        parse(text.trim()).ok_or_else(|| {
            let message = "a head of an audit log is written as `COUNT:HASH`, with 64 hexadecimal digits";
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_what_other_programs_compute() {
        // printf 'flipper-audit line 1\0x' | sha256sum; ... | openssl dgst -sha256 -hmac key
        let plain = Chain::Plain.hash(b"x").to_string();
        let keyed = Chain::Keyed((*b"key").into()).hash(b"x").to_string();
        assert_eq!(plain, "b3dbc5ef670c353819e8aefa099795826a190cfcb3eac75797ae91e48d142d41");
        assert_eq!(keyed, "ae4bf0c2cf6b7c7b8e9f1435ea0df4c710b0b272efee7cbb0f8ae1c55afd14d0");
        assert_eq!(Hash::parse(plain.as_bytes()).map(|hash| hash.to_string()), Some(plain));
    }

    #[test]
    fn keys_are_not_shown() {
        assert!(!format!("{:?}", Chain::Keyed((*b"s3cret").into())).contains("115"));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in
            ["", "1", "1:", "x:00", &format!("1:{}", "0A".repeat(32)), &format!("-1:{}", "00".repeat(32))]
        {
            assert_eq!(text.parse::<Head>().unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
    }
}
