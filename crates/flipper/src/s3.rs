//! Addresses of S3, with the region and the credentials that AWS's own programs find.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use flipper_core::{Error, Page, Result, Store};
use flipper_s3::aws_sdk_s3::{Client, config};
use flipper_s3::{S3Store, S3StoreBuilder as Builder};
use futures_lite::StreamExt;

use crate::address::{Address, invalid};
use crate::parameter::decoded;
use crate::runtime::runtime;
use crate::settings::Settings;
use crate::stores::{when, with};

/// Opens the bucket at an address.
pub(crate) async fn open(address: &Address<'_>) -> Result<S3Store> {
    let settings = &address.settings;
    let (bucket, path) = of_place(address.rest)?;
    let prefix = prefix(address, path)?;
    runtime()?;
    let builder = S3Store::builder(client(settings).await?, bucket).prefix(prefix);
    let builder = with(builder, settings.timeout, Builder::timeout);
    let builder = with(builder, settings.poll_interval, Builder::poll_interval);
    let store = builder.build()?;
    if !settings.starts_without_server() {
        // As other stores, which connect: what is wrong with it is found out at the start.
        look(&store).await?;
    }
    Ok(store)
}

async fn look(store: &S3Store) -> Result<()> {
    let mut listing = store.list(Page { limit: Some(1), offset: 0 });
    match listing.next().await {
        Some(Err(error)) => Err(Error::with_operation(error, "open")),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// The bucket, and what the path says.
fn of_place(rest: &str) -> Result<(String, String)> {
    let wrong = |what: &str| Err(invalid(format!("{what}: write `s3://bucket/base/key`")));
    let Some(rest) = rest.strip_prefix("//").filter(|rest| !rest.contains('#')) else {
        return wrong("`s3:` needs a bucket, and `#` is written `%23`");
    };
    let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains(['@', ':']) {
        return Err(invalid(
            "an address of S3 has no credentials and no port: give AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or \
             `profile=…`, or what else AWS's own programs take; and the server, if it is not AWS's, as `endpoint=…`",
        ));
    }
    match (decoded(bucket), decoded(path)) {
        (Some(bucket), Some(path)) if !bucket.is_empty() => Ok((bucket, path)),
        (Some(_), Some(_)) => wrong("the address has no bucket"),
        _ => wrong("a `%` that stands for itself is `%25`"),
    }
}

/// What the keys of flags begin with.
fn prefix(address: &Address<'_>, path: String) -> Result<String> {
    let settings = &address.settings;
    let path = Some(path).filter(|path| !path.is_empty());
    let said = [path.is_some(), address.has("base_key"), address.has("prefix")];
    if said.into_iter().filter(|is_said| *is_said).count() > 1 {
        return Err(invalid("where the flags are is there twice: it is the path, `base_key` or `prefix`"));
    }
    if let Some(prefix) = &settings.prefix {
        return Ok(prefix.clone());
    }
    let base_key = path.or_else(|| settings.base_key.clone());
    Ok(base_key.map_or_else(String::new, |key| format!("{}/", key.trim_end_matches('/'))))
}

/// A client with the default chain of AWS, and what the address says in its place.
async fn client(settings: &Settings) -> Result<Client> {
    let config = loader(settings).load().await;
    let config = with_region(config)?;
    let service = config::Builder::from(&config);
    let service = when(service, settings.path_style, |service| service.force_path_style(true));
    Ok(Client::from_conf(service.build()))
}

fn loader(settings: &Settings) -> ConfigLoader {
    // The TLS that the other stores have: the SDK's default would bring a second one, in C.
    let tls = Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls).build_https();
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
    let loader = with(loader, settings.profile.as_deref(), ConfigLoader::profile_name);
    let loader = with(loader, settings.connect_timeout, |loader, timeout| {
        loader.timeout_config(TimeoutConfig::builder().connect_timeout(timeout).build())
    });
    match (settings.region.clone(), &settings.endpoint) {
        (Some(region), endpoint) => {
            with(loader, endpoint.as_deref(), ConfigLoader::endpoint_url).region(Region::new(region))
        }
        (None, Some(endpoint)) => loader.endpoint_url(endpoint).region(own_region(settings)),
        (None, None) => loader,
    }
}

/// The region of a server that is not AWS's: what was told, without asking the machine whether it is one of AWS's.
fn own_region(settings: &Settings) -> RegionProviderChain {
    let profile = ProfileFileRegionProvider::builder();
    let profile =
        with(profile, settings.profile.as_deref(), aws_config::profile::region::Builder::profile_name);
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build())
        .or_else(Region::from_static(ANY_REGION))
}

/// What servers other than AWS's take for any region.
const ANY_REGION: &str = "us-east-1";

fn with_region(config: SdkConfig) -> Result<SdkConfig> {
    if config.region().is_some() {
        return Ok(config);
    }
    if config.endpoint_url().is_some() {
        return Ok(config.into_builder().region(Region::from_static(ANY_REGION)).build());
    }
    Err(invalid(
        "the region of the bucket is not known: write `region=…`, or give AWS_REGION, or a region in the profile",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix_of(address: &str, settings: &Settings) -> Result<String> {
        let address = Address::read(address, settings)?;
        let (_, path) = of_place(address.rest)?;
        prefix(&address, path)
    }

    #[test]
    fn flags_are_below_the_path_or_behind_the_prefix() {
        let by_code = Settings { base_key: Some("code".to_owned()), ..Settings::default() };
        for (address, plain, with_code) in [
            ("s3://bucket", "", "code/"),
            ("s3://bucket/", "", "code/"),
            ("s3://bucket/a", "a/", "a/"),
            ("s3://bucket/a/b%20c/", "a/b c/", "a/b c/"),
            ("s3://bucket?base_key=a/b", "a/b/", "a/b/"),
            ("s3://bucket?prefix=a-", "a-", "a-"),
            ("s3://bucket?prefix=", "", ""),
        ] {
            assert_eq!(prefix_of(address, &Settings::default()).unwrap(), plain, "{address}");
            assert_eq!(prefix_of(address, &by_code).unwrap(), with_code, "{address}");
        }
        for address in
            ["s3://bucket/a?base_key=b", "s3://bucket/a?prefix=b", "s3://bucket?prefix=b&base_key=c"]
        {
            assert!(prefix_of(address, &by_code).unwrap_err().message().contains("twice"));
        }
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_not_repeated() {
        for address in [
            "s3://AKIA:hunter2@bucket",
            "s3://hunter2@bucket/x",
            "s3://AKIA:hun/ter2@bucket",
            "s3://hunter2:9000/b",
        ] {
            let error = of_place(address.strip_prefix("s3:").unwrap()).unwrap_err();
            assert!(error.message().contains("AWS_ACCESS_KEY_ID"), "{error}");
            assert!(!format!("{error} {error:?}").contains("ter2"), "{error}");
        }
    }
}
