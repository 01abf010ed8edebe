//! The stores themselves, each made of its part of an address and of what was chosen.

use std::sync::Arc;

use flipper_core::{Error, ErrorKind, Result, Store};

use crate::address::Address;
#[cfg(any(feature = "file", feature = "memory", feature = "postgres"))]
use crate::address::invalid;
use crate::scheme::Kind;
use crate::settings::Settings;

/// Opens the store at an address.
#[cfg_attr(
    not(any(
        feature = "redis",
        feature = "consul",
        feature = "postgres",
        feature = "thrift",
        feature = "aws-config"
    )),
    allow(clippy::unused_async, reason = "servers are waited for")
)]
pub(crate) async fn open(address: &Address<'_>) -> Result<Arc<dyn Store>> {
    match address.scheme.store {
        #[cfg(feature = "memory")]
        Kind::Memory if address.rest.is_empty() => Ok(Arc::new(flipper_memory::MemoryStore::new())),
        #[cfg(feature = "memory")]
        Kind::Memory => Err(invalid("`memory:` has nothing behind the colon")),
        #[cfg(feature = "file")]
        Kind::File => Ok(Arc::new(file(address)?)),
        #[cfg(feature = "redis")]
        Kind::Redis => Ok(Arc::new(redis(address).await?)),
        #[cfg(feature = "consul")]
        Kind::Consul => Ok(Arc::new(crate::consul::open(address).await?)),
        #[cfg(feature = "postgres")]
        Kind::Postgres => Ok(Arc::new(postgres(address).await?)),
        #[cfg(feature = "aws-config")]
        Kind::S3 => Ok(Arc::new(crate::s3::open(address).await?)),
        #[cfg(feature = "thrift")]
        Kind::Thrift => Ok(Arc::new(thrift(address).await?)),
        #[allow(unreachable_patterns, reason = "unless all of them are there")]
        Kind::Memory | Kind::File | Kind::Redis | Kind::Consul | Kind::Postgres | Kind::S3 | Kind::Thrift => {
            Err(Error::new(ErrorKind::Internal, "a scheme without a store").with_operation("open"))
        }
    }
}

/// Chooses a setting of a builder, if it was chosen.
pub(crate) fn with<B, V>(builder: B, value: Option<V>, set: impl FnOnce(B, V) -> B) -> B {
    match value {
        Some(value) => set(builder, value),
        None => builder,
    }
}

/// As [`with`], for what is switched on.
pub(crate) fn when<B>(builder: B, switch: Option<bool>, set: impl FnOnce(B) -> B) -> B {
    if Settings::is_on(switch) { set(builder) } else { builder }
}

#[cfg(feature = "file")]
fn file(address: &Address<'_>) -> Result<flipper_file::FileStore> {
    use flipper_file::FileStoreBuilder as Builder;
    let settings = &address.settings;
    let builder = flipper_file::FileStore::builder(path(address.rest)?);
    let builder = with(builder, settings.timeout, Builder::timeout);
    let builder = with(builder, settings.poll_interval, Builder::poll_interval);
    let builder = when(builder, settings.poll_only, Builder::poll_only);
    when(builder, settings.require_file, Builder::require_file).open()
}

/// The path of a file's address, [RFC 8089](https://www.rfc-editor.org/rfc/rfc8089).
#[cfg(feature = "file")]
fn path(rest: &str) -> Result<std::path::PathBuf> {
    let wrong = |what: &str| Err(invalid(format!("{what}: write `file:///absolute/path`")));
    if rest.contains('#') {
        return wrong("`?` and `#` in a path are `%3F` and `%23`");
    }
    let path = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
    if !path.starts_with('/') || path.ends_with('/') {
        return wrong("`file:` needs the absolute path of a file");
    }
    match crate::parameter::decoded(path) {
        Some(path) if !path.contains('\0') => Ok(path.into()),
        _ => wrong("a path is text in UTF-8, and a `%` that stands for itself is `%25`"),
    }
}

#[cfg(feature = "redis")]
async fn redis(address: &Address<'_>) -> Result<flipper_redis::RedisStore> {
    use flipper_redis::RedisStoreBuilder as Builder;
    let settings = &address.settings;
    let builder = flipper_redis::RedisStore::builder(&address.for_store());
    let builder = with(builder, settings.base_key.as_deref(), Builder::base_key);
    let builder = with(builder, settings.timeout, Builder::timeout);
    let builder = with(builder, settings.connect_timeout, Builder::connect_timeout);
    let builder = with(builder, settings.poll_interval, Builder::poll_interval);
    let builder = when(builder, settings.poll_only, Builder::poll_only);
    let builder = with(builder, settings.replicas, |builder, count| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        builder.wait_for_replicas(count, settings.replica_timeout.unwrap_or(REPLICA_TIMEOUT))
    });
    if settings.starts_without_server() { builder.connect_lazy() } else { builder.connect().await }
}

/// How long replicas have to confirm a write, unless told.
#[cfg(feature = "redis")]
const REPLICA_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

#[cfg(feature = "postgres")]
async fn postgres(address: &Address<'_>) -> Result<flipper_postgres::PostgresStore> {
    use flipper_postgres::PostgresStoreBuilder as Builder;
    let settings = &address.settings;
    let builder = flipper_postgres::PostgresStore::builder(&address.for_store());
    let builder = with(builder, settings.table.as_deref(), Builder::table);
    let builder = with(builder, settings.schema.as_deref(), Builder::schema);
    let builder = when(builder, settings.create_table, Builder::create_table);
    let builder = with(builder, settings.timeout, Builder::timeout);
    let builder = with(builder, settings.connect_timeout, Builder::connect_timeout);
    let builder = with(builder, settings.poll_interval, Builder::poll_interval);
    let builder = with(builder, settings.connections, Builder::connections);
    let builder = when(builder, settings.behind_pooler, Builder::behind_pooler);
    if !settings.starts_without_server() {
        return builder.connect().await;
    }
    if Settings::is_on(settings.create_table) {
        return Err(invalid(
            "`create_table` needs the server at the start, and `last_known_good` is for starts without it: create the table before, and \
             leave out `create_table`",
        ));
    }
    builder.connect_lazy()
}

#[cfg(feature = "thrift")]
async fn thrift(address: &Address<'_>) -> Result<flipper_thrift::ThriftStore> {
    use flipper_thrift::ThriftStoreBuilder as Builder;
    let settings = &address.settings;
    let builder = flipper_thrift::ThriftStore::builder(&address.for_store());
    let builder = with(builder, settings.prefix.as_deref(), Builder::prefix);
    let builder = with(builder, settings.timeout, Builder::timeout);
    let builder = with(builder, settings.connect_timeout, Builder::connect_timeout);
    let builder = with(builder, settings.poll_interval, Builder::poll_interval);
    let builder = with(builder, settings.connections, Builder::connections);
    if settings.starts_without_server() { builder.connect_lazy() } else { builder.connect().await }
}

#[cfg(all(test, feature = "file"))]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_file_may_hold_anything() {
        for (address, expected) in [
            ("///a/b.json", "/a/b.json"),
            ("/a/b.json", "/a/b.json"),
            ("//localhost/a", "/a"),
            ("///a%20b%25%c3%A9/é", "/a b%é/é"),
        ] {
            assert_eq!(path(address).unwrap().to_str(), Some(expected));
        }
    }
}
