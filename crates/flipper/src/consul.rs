//! Addresses of Consul.

use flipper_consul::{Consistency, ConsulStore, ConsulStoreBuilder as Builder};
use flipper_core::Result;

use crate::address::{Address, invalid};
use crate::parameter::decoded;
use crate::runtime::runtime;
use crate::stores::with;

/// Opens the store at an address.
pub(crate) async fn open(address: &Address<'_>) -> Result<ConsulStore> {
    let builder = builder(address)?;
    runtime()?;
    builder.connect().await
}

fn builder(address: &Address<'_>) -> Result<Builder> {
    let transport = if address.scheme.name == "consul" { "http" } else { "https" };
    let settings = &address.settings;
    let (builder, path) = of_place(transport, address.rest)?;
    let base_key = match path {
        Some(_) if address.has("base_key") => {
            return Err(invalid("the base key is there twice, as path and as `base_key`"));
        }
        Some(path) => Some(path),
        None => settings.base_key.clone(),
    };
    let builder = with(builder, base_key, Builder::base_key);
    let builder = with(builder, settings.timeout, Builder::timeout);
    let builder = with(builder, settings.connect_timeout, Builder::connect_timeout);
    let builder = with(builder, settings.start_timeout, Builder::start_timeout);
    let builder = with(builder, settings.datacenter.as_deref(), Builder::datacenter);
    let builder = with(builder, settings.namespace.as_deref(), Builder::namespace);
    let builder = with(builder, settings.partition.as_deref(), Builder::partition);
    let consistency = settings.consistency.as_deref().map(|name| match name {
        "consistent" => Consistency::Consistent,
        "stale" => Consistency::Stale,
        _ => Consistency::Default,
    });
    let builder = with(builder, consistency, Builder::consistency);
    Ok(with(builder, settings.last_known_good.as_deref(), Builder::last_known_good))
}

/// The agent, and the base key if the path has one.
fn of_place(transport: &str, rest: &str) -> Result<(Builder, Option<String>)> {
    let wrong = |what: &str| Err(invalid(format!("{what}: write `consul://:token@host:8500/base/key`")));
    let Some(rest) = rest.strip_prefix("//").filter(|rest| !rest.contains('#')) else {
        return wrong("`consul:` needs a host, and `#` is written `%23`");
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    // A token takes the place of a password, without a user; with one, they are for a proxy before the agent.
    let token = user.and_then(|user| user.strip_prefix(':'));
    if user.is_some_and(|user| !user.contains(':')) {
        return wrong("before the `@` stands a colon and the token, or `user:password` for a proxy");
    }
    let builder = match token {
        Some(_) => ConsulStore::builder(&format!("{transport}://{host}")),
        None => ConsulStore::builder(&format!("{transport}://{authority}")),
    };
    let (Some(token), Some(path)) = (decoded(token.unwrap_or_default()), decoded(path)) else {
        return wrong("a `%` that stands for itself is `%25`");
    };
    Ok((builder.token(token), Some(path).filter(|path| !path.is_empty())))
}
