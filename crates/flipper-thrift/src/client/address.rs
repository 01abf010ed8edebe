//! Addresses of servers.

use std::fmt;

use flipper_core::{ErrorKind, Result};

use crate::error::error;
use crate::wire::Framing;

/// The port of Thrift's tutorial, and of flipper-client's documentation.
const PORT: u16 = 9090;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `host`, `host:port` or `[::1]:port`, with `thrift://` before it or not, and `?transport=framed` behind it or not.
/// What is wrong with it is told without repeating it: it may hold a password for something else.
pub(crate) fn read(address: &str) -> Result<(Place, Option<Framing>)> {
    let wrong = |what: &str| {
        let message = format!("{what}: write `host:9090`, or `thrift://host:9090?transport=framed`");
        Err(error(ErrorKind::InvalidInput, message))
    };
    let rest = match address.split_once("://") {
        None => address,
        Some(("thrift", rest)) => rest,
        Some(_) => return wrong("the address of a Thrift server begins with `thrift://`"),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('@') {
        return wrong("Thrift knows no users and passwords");
    }
    if rest.contains(['/', '#']) || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return wrong("the address of a Thrift server is a host and a port");
    }
    let framing = match query {
        "" => None,
        "transport=framed" => Some(Framing::Framed),
        "transport=buffered" => Some(Framing::Buffered),
        _ => {
            return wrong(
                "the address has a parameter that is unknown: there is `transport`, `buffered` or `framed`",
            );
        }
    };
    let (host, port) = match rest.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return wrong("the address has a `[` without a `]`"),
        Some(Some((host, port))) => match port.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if port.is_empty() => (host, None),
            None => return wrong("behind `]` comes `:` and the port"),
        },
        None => match rest.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return wrong("the numbers of an address of IPv6 stand in brackets");
            }
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if host.is_empty() {
        return wrong("the address has no host");
    }
    match port.map_or(Ok(PORT), str::parse) {
        Ok(port) => Ok((Place { host: host.to_owned(), port }, framing)),
        Err(_) => wrong("the port is no number up to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (address, place, framing) in [
            ("flags.internal", "flags.internal:9090", None),
            ("127.0.0.1:1234", "127.0.0.1:1234", None),
            ("thrift://flags", "flags:9090", None),
            ("thrift://flags:7/?transport=framed", "flags:7", Some(Framing::Framed)),
            ("[::1]:7?transport=buffered", "[::1]:7", Some(Framing::Buffered)),
            ("thrift://[fe80::1]", "[fe80::1]:9090", None),
        ] {
            let (read, told) = read(address).unwrap();
            assert_eq!((read.to_string().as_str(), told), (place, framing), "{address}");
        }
    }

    #[test]
    fn wrong_addresses_say_what_to_write_and_keep_secrets() {
        for address in [
            "",
            ":9090",
            "::1",
            "[::1",
            "[hunter2]9090",
            "host:hunter2",
            "host:99999",
            "http://hunter2",
            "thrift://me:hunter2@host",
            "host/hunter2",
            "host hunter2",
            "host?hunter2",
            "host?transport=hunter2",
            "host#hunter2",
        ] {
            let error = read(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
            assert!(error.message().contains("write `host:9090`"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
