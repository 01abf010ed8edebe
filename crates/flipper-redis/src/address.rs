//! Addresses of servers.

use flipper_core::{ErrorKind, Result};
use redis::{Client, ConnectionAddr};

use crate::error::error;

const SCHEMES: [&str; 5] = ["redis", "rediss", "valkey", "valkeys", "unix"];

/// Reads an address. What is wrong with it is told without repeating it: it may hold a password.
pub(crate) fn client(address: &str) -> Result<Client> {
    let invalid = |message: &'static str| Err(error(ErrorKind::InvalidInput, message));
    let scheme = address.split(':').next().unwrap_or_default();
    if !SCHEMES.contains(&scheme) {
        return invalid(
            "the address of a Redis server begins with `redis://`, `rediss://` (TLS) or `unix://`",
        );
    }
    let is_encrypted = matches!(scheme, "rediss" | "valkeys");
    if is_encrypted {
        tls()?;
    }
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    if path.contains('#') || query.contains('#') {
        return invalid(
            "a `#` in a user or password is written `%23`; certificates are always verified, `#insecure` is unknown",
        );
    }
    let known: &[&str] = if scheme == "unix" { &["db", "user", "pass"] } else { &[] };
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        if !known.contains(&parameter.split('=').next().unwrap_or_default()) {
            return invalid(
                "the address has a parameter that is unknown: only `unix://` has some, `db`, `user` and `pass`",
            );
        }
    }
    Client::open(address).or_else(|_| {
        invalid(
            "the address cannot be read: write `redis://user:password@host:port/database`, or \
             `unix:///path?db=0&user=me&pass=secret`, where user, password and database can be left out, and `@ : / ? # %` \
             in a user or password are written as `%40 %3A %2F %3F %23 %25`",
        )
    })
}

/// Looks at what the caller has told the driver.
pub(crate) fn checked(client: Client) -> Result<Client> {
    if matches!(client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. }) {
        tls()?;
    }
    Ok(client)
}

#[cfg(not(feature = "tls-rustls"))]
fn tls() -> Result<()> {
    Err(error(
        ErrorKind::Unsupported,
        "`rediss://` needs the feature `tls-rustls` of the crate flipper, or flipper-redis",
    ))
}

/// Chooses who does the cryptography, unless the application has chosen.
#[cfg(feature = "tls-rustls")]
#[expect(clippy::unnecessary_wraps, reason = "it fails without the feature")]
fn tls() -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |address| client(address).unwrap().get_connection_info().clone();
        let full = read("redis://me:p%40ss@host:7000/3");
        assert_eq!(full.addr().to_string(), "host:7000");
        let settings = full.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("me"), Some("p@ss"), 3));
        assert_eq!(read("redis://[::1]").addr().to_string(), "::1:6379");
        let socket = read("unix:///tmp/r.sock?db=2&user=me&pass=p");
        assert_eq!(socket.addr().to_string(), "/tmp/r.sock");
        assert_eq!(socket.redis_settings().db(), 2);
    }

    #[test]
    fn wrong_addresses_say_what_to_write_and_keep_secrets() {
        for address in [
            "",
            "hunter2",
            "http://hunter2@host",
            "redis:hunter2",
            "redis://:hunter2@/0",
            "redis://:hunter2@host/x",
            "redis://:hunter2@host:99999",
            "redis://:hun#ter2@host",
            "redis://host/0?password=hunter2",
            "redis://host/0?timeout=5&hunter2",
            "unix:///s?db=hunter2",
        ] {
            let error = client(address).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let encrypted = client("rediss://host");
        match encrypted {
            Ok(_) if cfg!(feature = "tls-rustls") => {}
            Ok(_) => panic!("there is no encryption"),
            Err(error) => assert!(error.message().contains("tls-rustls")),
        }
    }
}
