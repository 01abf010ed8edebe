//! Where a server of a cluster says that a key is.

use std::error::Error as StdError;
use std::fmt;

#[cfg(feature = "cluster")]
use flipper_core::Error;

/// An answer `MOVED 3999 host:6381`, or `ASK`. It is the source of the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// Whether only this command goes there, while the keys of the slot are moved.
    pub(crate) is_ask: bool,
    pub(crate) slot: u16,
    /// Empty for the one of the server that says so.
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl Redirect {
    /// Whether an answer of this code is one.
    pub(crate) fn is_one(code: &str) -> bool {
        matches!(code, "MOVED" | "ASK")
    }

    pub(crate) fn read(code: &str, detail: &str) -> Option<Self> {
        let is_ask = match code {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (slot, address) = detail.split_once(' ')?;
        let (host, port) = address.rsplit_once(':')?;
        // Nobody's host has spaces, or is that long.
        let is_host = host.len() <= 255 && !host.contains(|c: char| c.is_whitespace() || c.is_control());
        let redirect =
            Self { is_ask, slot: slot.parse().ok()?, host: host.into(), port: port.trim_end().parse().ok()? };
        is_host.then_some(redirect)
    }

    /// What an error says of where to go instead.
    #[cfg(feature = "cluster")]
    pub(crate) fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = if self.is_ask { "ASK" } else { "MOVED" };
        write!(f, "{code} {} {}:{}", self.slot, self.host, self.port)
    }
}

impl StdError for Redirect {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_read() {
        for (code, detail, host) in [
            ("MOVED", "3999 127.0.0.1:6381", "127.0.0.1"),
            ("ASK", "0 ::1:6381", "::1"),
            ("MOVED", "16383 :6381", ""),
        ] {
            let read = Redirect::read(code, detail).unwrap();
            assert_eq!((&*read.host, read.port), (host, 6381));
            assert_eq!(read.to_string(), format!("{code} {detail}"));
        }
        for detail in
            ["", "x", "1", "1 ", "1 host", "1 host:", "1 host:99999", "-1 h:1", "1 a b:1", "1 \u{1b}:1"]
        {
            assert_eq!(Redirect::read("MOVED", detail), None, "{detail}");
        }
        assert_eq!(Redirect::read("ERR", "1 host:1"), None);
    }
}
