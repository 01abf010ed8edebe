//! What stands around a store: a mirror, a cache, or nothing.

use std::sync::Arc;

use flipper_core::{FeatureFlagClient, Result, Store};

use crate::settings::Settings;

/// Puts it around a store, and returns a client of that.
#[cfg_attr(not(feature = "mirror"), allow(clippy::unused_async, reason = "a mirror is waited for"))]
pub(crate) async fn around(store: Arc<dyn Store>, settings: &Settings) -> Result<FeatureFlagClient> {
    // What has all of its flags in memory needs neither.
    if store.snapshot().is_some() {
        return Ok(FeatureFlagClient::new(store));
    }
    #[cfg(feature = "mirror")]
    if settings.is_mirrored() {
        return Ok(FeatureFlagClient::new(mirror(store, settings).await?));
    }
    #[cfg(feature = "cached")]
    if settings.is_cached() {
        return Ok(FeatureFlagClient::new(cache(store, settings)?));
    }
    let _ = settings;
    Ok(FeatureFlagClient::new(store))
}

#[cfg(feature = "mirror")]
async fn mirror(
    store: Arc<dyn Store>,
    settings: &Settings,
) -> Result<flipper_mirror::MirrorStore<Arc<dyn Store>>> {
    let mut builder = flipper_mirror::MirrorStore::builder(store);
    if let Some(path) = &settings.last_known_good {
        builder = builder.last_known_good(path);
    }
    if let Some(timeout) = settings.start_timeout {
        builder = builder.start_timeout(timeout);
    }
    crate::runtime::runtime()?;
    builder.start().await
}

#[cfg(feature = "cached")]
fn cache(store: Arc<dyn Store>, settings: &Settings) -> Result<flipper_cached::CachedStore<Arc<dyn Store>>> {
    let mut builder = flipper_cached::CachedStore::builder(store);
    if let Some(size) = settings.cache {
        builder = builder.size(size);
    }
    if let Some(ttl) = settings.ttl {
        builder = builder.ttl(ttl);
    }
    crate::runtime::runtime()?;
    Ok(builder.build())
}
