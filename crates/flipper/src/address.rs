//! One address for every store.

use flipper_core::{Error, ErrorKind, FeatureFlagClient, Result};

use crate::wrapper::Wrapper;

/// What is known of a scheme.
struct Scheme {
    name: &'static str,
    feature: &'static str,
    is_built_in: bool,
}

const SCHEMES: &[Scheme] = &[
    Scheme { name: "memory", feature: "memory", is_built_in: cfg!(feature = "memory") },
    Scheme { name: "file", feature: "file", is_built_in: cfg!(feature = "file") },
    Scheme { name: "redis", feature: "redis", is_built_in: cfg!(feature = "redis") },
    Scheme { name: "rediss", feature: "redis", is_built_in: cfg!(feature = "redis") },
    Scheme { name: "unix", feature: "redis", is_built_in: cfg!(feature = "redis") },
    Scheme { name: "consul", feature: "consul", is_built_in: cfg!(feature = "consul") },
    Scheme { name: "consul+https", feature: "consul", is_built_in: cfg!(feature = "consul") },
    Scheme { name: "postgres", feature: "postgres", is_built_in: cfg!(feature = "postgres") },
    Scheme { name: "postgresql", feature: "postgres", is_built_in: cfg!(feature = "postgres") },
    Scheme { name: "thrift", feature: "thrift", is_built_in: cfg!(feature = "thrift") },
];

/// Opens the store at an address, and returns a client of it.
///
/// * `memory:` is an empty store in memory, another one at each call.
/// * `file:///path` is a JSON file, with `%20` and the like for what an address cannot hold. Reading it for the first
///   time blocks for a moment. The first write makes the file.
/// * `redis://user:password@host:port/database` is Redis, which has to be there; `rediss://…` is the same with encryption
///   (feature `tls-rustls`), and `unix:///path?db=0&user=me&pass=secret` by a socket.
/// * `consul://:token@host:8500/base/key` is Consul, where token and base key (`features`) can be left out, and `consul+https://…` the
///   same with encryption. It waits until all flags are in memory.
/// * `postgres://user:password@host:port/database` is PostgreSQL, where the table `feature_flags` has to be.
/// * `thrift://host:9090` is a server of the `FeatureFlagStore` service, and `thrift://host:9090?transport=framed` one with frames.
///
/// A parameter puts something around the store: `?mirror` a `MirrorStore`, with all flags in memory (feature `mirror`); `?cache=5000` a
/// `CachedStore` of so many flags, and `?cache=5000&ttl=30` one that keeps them for so many seconds (feature `cached`). The others are the store's.
///
/// # Errors
///
/// [`InvalidInput`](ErrorKind::InvalidInput) for an address that has no scheme or an unknown one, or parameters that the
/// store does not know; [`Unsupported`](ErrorKind::Unsupported) for a store whose feature is off; and what opening the store
/// itself gives. The message says what to write or to enable. What is wrong with an address repeats nothing of it but its
/// scheme: the rest may hold a password.
///
/// # Examples
///
/// ```
/// # fn main() -> flipper::Result<()> { futures_lite::future::block_on(async {
/// let client = flipper::open("memory:").await?;
/// client.create("X").await?;
/// assert!(client.exists("X").await?);
///
/// let error = flipper::open("memroy:").await.unwrap_err();
/// assert!(error.message().contains("`memroy:` is no scheme that flipper knows: there is `memory:`"));
/// # Ok(()) }) }
/// ```
pub async fn open(address: &str) -> Result<FeatureFlagClient> {
    let Some((name, _)) = address.split_once(':') else {
        return Err(invalid(format!("an address begins with the scheme of a store: there is {}", known())));
    };
    let Some(scheme) = SCHEMES.iter().find(|scheme| scheme.name == name) else {
        let shown: String = name.chars().take(40).filter(|c| !c.is_control()).collect();
        return Err(invalid(format!("`{shown}:` is no scheme that flipper knows: there is {}", known())));
    };
    if !scheme.is_built_in {
        let message = format!("`{name}:` needs the feature `{}` of the crate flipper", scheme.feature);
        return Err(Error::new(ErrorKind::Unsupported, message).with_operation("open"));
    }
    let (wrapper, address) = Wrapper::take(address)?;
    let rest = &address[name.len() + 1..];
    match name {
        #[cfg(feature = "memory")]
        "memory" if rest.is_empty() => wrapper.around(flipper_memory::MemoryStore::new()).await,
        #[cfg(feature = "memory")]
        "memory" => Err(invalid("`memory:` has nothing behind the colon".to_owned())),
        #[cfg(feature = "file")]
        "file" => wrapper.around(flipper_file::FileStore::open(path_of(rest)?)?).await,
        #[cfg(feature = "redis")]
        "redis" | "rediss" | "unix" => {
            wrapper.around(flipper_redis::RedisStore::connect(&address).await?).await
        }
        #[cfg(feature = "consul")]
        "consul" | "consul+https" => {
            let transport = if name == "consul" { "http" } else { "https" };
            wrapper.around(consul(transport, rest)?.connect().await?).await
        }
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            wrapper.around(flipper_postgres::PostgresStore::connect(&address).await?).await
        }
        #[cfg(feature = "thrift")]
        "thrift" => wrapper.around(flipper_thrift::ThriftStore::connect(&address).await?).await,
        _ => {
            let _ = (rest, wrapper);
            Err(Error::new(ErrorKind::Internal, "a scheme without a store").with_operation("open"))
        }
    }
}

/// The path of a file's address, [RFC 8089](https://www.rfc-editor.org/rfc/rfc8089).
#[cfg(feature = "file")]
fn path_of(rest: &str) -> Result<std::path::PathBuf> {
    let wrong = |what: &str| Err(invalid(format!("{what}: write `file:///absolute/path`")));
    if rest.contains(['?', '#']) {
        return wrong("`file:` has no parameters, and `?` and `#` in a path are `%3F` and `%23`");
    }
    let path = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
    if !path.starts_with('/') || path.ends_with('/') {
        return wrong("`file:` needs the absolute path of a file");
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut parts = path.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return wrong("a `%` is followed by two digits, and stands for itself as `%25`");
        };
        bytes.push(byte);
        bytes.extend(part.bytes().skip(2));
    }
    match String::from_utf8(bytes) {
        Ok(path) if !path.contains('\0') => Ok(path.into()),
        _ => wrong("a path is text in UTF-8"),
    }
}

/// The settings of an address of Consul.
#[cfg(feature = "consul")]
fn consul(transport: &str, rest: &str) -> Result<flipper_consul::ConsulStoreBuilder> {
    let wrong = |what: &str| Err(invalid(format!("{what}: write `consul://:token@host:8500/base/key`")));
    let Some(rest) = rest.strip_prefix("//").filter(|rest| !rest.contains(['?', '#'])) else {
        return wrong("`consul:` needs a host, and has no parameters");
    };
    let (authority, base_key) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    // A token takes the place of a password, without a user; with one, they are for a proxy before the agent.
    let token = user.strip_prefix(':');
    let address = match token {
        Some(_) => format!("{transport}://{host}"),
        None => format!("{transport}://{authority}"),
    };
    let mut builder = flipper_consul::ConsulStore::builder(&address);
    if let Some(token) = token {
        builder = builder.token(token);
    }
    if !base_key.is_empty() {
        builder = builder.base_key(base_key);
    }
    Ok(builder)
}

fn known() -> String {
    let names: Vec<_> = SCHEMES.iter().map(|scheme| format!("`{}:`", scheme.name)).collect();
    names.join(", ")
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with_operation("open")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(address: &str) -> Error {
        futures_lite::future::block_on(open(address)).unwrap_err()
    }

    #[test]
    fn wrong_addresses_say_what_to_write_and_keep_secrets() {
        for address in [
            "",
            "x",
            "s3://user:hunter2@host",
            #[cfg(feature = "redis")]
            "redis://user:hunter2@host/x",
            #[cfg(feature = "consul")]
            "consul://:hunter2@",
            #[cfg(feature = "consul")]
            "consul://:hunter2@host:x",
            #[cfg(feature = "consul")]
            "consul://host/?hunter2",
            #[cfg(feature = "postgres")]
            "postgres://me:hunter2@host:port/x",
            #[cfg(feature = "thrift")]
            "thrift://me:hunter2@host",
            "memory:hunter2",
            ":hunter2",
            "file:hunter2",
            "file:",
            "file:///",
            "file:///hunter2/",
            "file://host/hunter2",
            "file:///hunter2%2",
            "file:///hunter2%zz",
            "file:///%ff",
            "file:///hunter2%00",
            "file:///x?hunter2",
            "file:///x#hunter2",
        ] {
            let error = error(address);
            let is_off = address.starts_with("file:") && !cfg!(feature = "file")
                || address.starts_with("memory:") && !cfg!(feature = "memory");
            assert_eq!(error.kind(), if is_off { ErrorKind::Unsupported } else { ErrorKind::InvalidInput });
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[cfg(feature = "file")]
    #[test]
    fn the_path_of_a_file_may_hold_anything() {
        for (address, path) in [
            ("///a/b.json", "/a/b.json"),
            ("/a/b.json", "/a/b.json"),
            ("//localhost/a", "/a"),
            ("///a%20b%25%c3%A9/é", "/a b%é/é"),
        ] {
            assert_eq!(path_of(address).unwrap().to_str(), Some(path));
        }
    }
}
