//! Addresses of servers.

use std::fmt;
use std::sync::Arc;

use flipper_core::{ErrorKind, Result};
use redis::{Client, ConnectionAddr};

use crate::error::error;
use crate::sentinel::Watched;
use crate::wire::CallersConnection;

const SCHEMES: [&str; 5] = ["redis", "rediss", "valkey", "valkeys", "unix"];
/// The port of a sentinel that is named without one.
const SENTINEL_PORT: &str = "26379";

/// Where flags are.
#[derive(Clone)]
pub(crate) enum Place {
    One(Box<Client>),
    /// At the end of a connection that the caller has made.
    Connection(Arc<dyn CallersConnection>),
    /// Where the sentinels say.
    Sentinel(Box<Watched>),
    /// At these and others that they know of.
    #[cfg(feature = "cluster")]
    Cluster(Vec<Client>),
}

/// Reads an address, of one server or several. What is wrong with it is told without repeating it: it may hold a password.
pub(crate) fn place(address: &str) -> Result<Place> {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    match scheme {
        "redis-cluster" => cluster("redis", rest),
        "rediss-cluster" => cluster("rediss", rest),
        "redis-sentinel" => sentinel("redis", rest),
        "rediss-sentinel" => sentinel("rediss", rest),
        _ => client(address).map(|client| Place::One(Box::new(client))),
    }
}

#[cfg(not(feature = "cluster"))]
fn cluster(_: &str, _: &str) -> Result<Place> {
    Err(error(
        ErrorKind::Unsupported,
        "`redis-cluster://` needs the feature `cluster` of the crate flipper, or flipper-redis",
    ))
}

#[cfg(feature = "cluster")]
fn cluster(scheme: &str, rest: &str) -> Result<Place> {
    let parts = Parts::of(rest);
    let clients =
        parts.hosts().map(|host| client(&format!("{scheme}://{}{host}{}", parts.user, parts.behind)));
    let wrong = |wrong: flipper_core::Error| match wrong.kind() {
        ErrorKind::InvalidInput => error(
            ErrorKind::InvalidInput,
            "the address of a Redis Cluster cannot be read: write `redis-cluster://user:password@host:port,host:port`, of one or \
             more of its servers, where user and password can be left out, and `@ : / ? # %` in them are written as \
             `%40 %3A %2F %3F %23 %25`",
        ),
        _ => wrong,
    };
    clients.collect::<Result<_>>().map(Place::Cluster).map_err(wrong)
}

fn sentinel(scheme: &str, rest: &str) -> Result<Place> {
    let invalid = || {
        error(
            ErrorKind::InvalidInput,
            "the address cannot be read: write `redis-sentinel://user:password@host:port,host:port/primary/database`, of one or \
             more sentinels and the name that they have for the server, with `?sentinel_user=me&sentinel_pass=secret` for \
             themselves; what is not needed can be left out, and `@ : / ? # %` in a user or password are written as \
             `%40 %3A %2F %3F %23 %25`",
        )
    };
    let parts = Parts::of(rest);
    let (path, query) = parts.behind.split_once('?').unwrap_or((parts.behind, ""));
    let path = path.strip_prefix('/').ok_or_else(invalid)?;
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    if service.is_empty() {
        return Err(invalid());
    }
    let (mut user, mut password) = ("", "");
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sentinel_user", value)) => user = value,
            Some(("sentinel_pass", value)) => password = value,
            _ => return Err(invalid()),
        }
    }
    let of_sentinel = match (user, password) {
        ("", "") => String::new(),
        (user, password) => format!("{}:{}@", escaped(user), escaped(password)),
    };
    let read = |address: String| {
        client(&address)
            .map_err(|wrong| if wrong.kind() == ErrorKind::InvalidInput { invalid() } else { wrong })
    };
    let mut sentinels = Vec::new();
    for host in parts.hosts() {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = if has_port { String::new() } else { format!(":{SENTINEL_PORT}") };
        sentinels.push(read(format!("{scheme}://{of_sentinel}{host}{port}"))?);
    }
    let server =
        read(format!("{scheme}://{}{}/{database}", parts.user, parts.hosts().next().unwrap_or_default()))?;
    let server = server.get_connection_info().clone();
    Ok(Place::Sentinel(Box::new(Watched { sentinels, service: service.into(), server })))
}

/// What may stand in a query, and not before a host.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '@' | ':' | '/' | '?' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The parts of an address of several hosts.
struct Parts<'a> {
    /// The user and the password with the `@` behind them, or nothing.
    user: &'a str,
    hosts: &'a str,
    /// The path and the query.
    behind: &'a str,
}

impl fmt::Debug for Place {
    /// Prints no credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = |client: &Client| client.get_connection_info().addr().to_string();
        match self {
            Self::One(one) => {
                write!(f, "{}/{}", client(one), one.get_connection_info().redis_settings().db())
            }
            Self::Connection(_) => f.write_str("a connection of the caller"),
            Self::Sentinel(watched) => {
                write!(
                    f,
                    "{} of sentinels {:?}",
                    watched.service,
                    watched.sentinels.iter().map(client).collect::<Vec<_>>()
                )
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(seeds) => {
                write!(f, "cluster of {:?}", seeds.iter().map(client).collect::<Vec<_>>())
            }
        }
    }
}

impl<'a> Parts<'a> {
    fn of(rest: &'a str) -> Self {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Self { user, hosts, behind }
    }

    fn hosts(&self) -> impl Iterator<Item = &'a str> {
        self.hosts.split(',')
    }
}

/// Reads an address. What is wrong with it is told without repeating it: it may hold a password.
pub(crate) fn client(address: &str) -> Result<Client> {
    let invalid = |message: &'static str| Err(error(ErrorKind::InvalidInput, message));
    let scheme = address.split(':').next().unwrap_or_default();
    if !SCHEMES.contains(&scheme) {
        return invalid(
            "the address of a Redis server begins with `redis://`, `rediss://` (TLS), `unix://`, `redis-cluster://` or `redis-sentinel://`",
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
    fn addresses_of_sentinels_are_read() {
        let address =
            "redis-sentinel://me:p%40ss@a,b:7000,[::1]/main/3?sentinel_user=you&sentinel_pass=s/x%3A";
        let Ok(Place::Sentinel(watched)) = place(address) else { panic!("{address}") };
        assert_eq!(&*watched.service, "main");
        let settings = watched.server.redis_settings();
        assert_eq!((settings.username(), settings.password(), settings.db()), (Some("me"), Some("p@ss"), 3));
        let addresses: Vec<_> =
            watched.sentinels.iter().map(|client| client.get_connection_info().addr().to_string()).collect();
        assert_eq!(addresses, ["a:26379", "b:7000", "::1:26379"]);
        let settings = watched.sentinels[2].get_connection_info().redis_settings().clone();
        assert_eq!((settings.username(), settings.password()), (Some("you"), Some("s/x:")));
    }

    #[cfg(feature = "cluster")]
    #[test]
    fn addresses_of_clusters_are_read() {
        let Ok(Place::Cluster(clients)) = place("redis-cluster://me:p%40ss@a,b:7000,[::1]:7001") else {
            panic!()
        };
        let addresses: Vec<_> =
            clients.iter().map(|client| client.get_connection_info().addr().to_string()).collect();
        assert_eq!(addresses, ["a:6379", "b:7000", "::1:7001"]);
        for client in clients {
            assert_eq!(client.get_connection_info().redis_settings().password(), Some("p@ss"));
        }
    }

    #[cfg(not(feature = "cluster"))]
    #[test]
    fn a_cluster_needs_its_feature() {
        let Err(error) = place("redis-cluster://me:hunter2@a") else { panic!() };
        assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("`cluster`"), "{error}");
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
        for address in [
            "redis-sentinel://hunter2",
            "redis-sentinel://me:hunter2@host",
            "redis-sentinel://me:hunter2@host/",
            "redis-sentinel://me:hunter2@host/name/x",
            "redis-sentinel://me:hunter2@host:x/name",
            "redis-sentinel://host/name?pass=hunter2",
            "redis-sentinel://host,,host/name?sentinel_pass=hunter2",
            #[cfg(feature = "cluster")]
            "redis-cluster://me:hunter2@",
            #[cfg(feature = "cluster")]
            "redis-cluster://me:hunter2@a,",
            #[cfg(feature = "cluster")]
            "redis-cluster://me:hunter2@a:x,b",
            #[cfg(feature = "cluster")]
            "redis-cluster://a?hunter2",
        ] {
            let Err(error) = place(address) else { panic!("{address}") };
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
