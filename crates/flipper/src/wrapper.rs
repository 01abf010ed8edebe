//! What an address puts around a store: parameters that are not the store's own.

use std::time::Duration;

use flipper_core::{Error, ErrorKind, FeatureFlagClient, Result, Store};

/// What is around a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wrapper {
    Nothing,
    Mirror,
    Cache { size: usize, ttl: Option<Duration> },
}

impl Wrapper {
    /// Takes the parameters that are about it out of an address; returns the rest.
    pub(crate) fn take(address: &str) -> Result<(Self, String)> {
        let Some((store, parameters)) = address.split_once('?') else {
            return Ok((Self::Nothing, address.to_owned()));
        };
        let (mut is_mirrored, mut size, mut ttl, mut others) = (false, None, None, Vec::new());
        for parameter in parameters.split('&') {
            match parameter.split_once('=').unwrap_or((parameter, "")) {
                ("mirror", "") => is_mirrored = true,
                ("mirror", _) => return Err(wrong("`mirror` has no value")),
                ("cache", value) => size = Some(count(value)?),
                ("ttl", value) => ttl = Some(seconds(value)?),
                _ => others.push(parameter),
            }
        }
        let wrapper = match (is_mirrored, size, ttl) {
            (false, None, None) => Self::Nothing,
            (true, None, None) => Self::Mirror,
            (false, Some(size), ttl) => Self::Cache { size, ttl },
            (true, Some(_), _) => {
                return Err(wrong("a mirror has all flags in memory, and needs no `cache` before it"));
            }
            (_, None, Some(_)) => return Err(wrong("`ttl` is for a cache")),
        };
        wrapper.is_built_in()?;
        // As it was, if nothing of it is about this: what is wrong with it is the store's to say.
        if wrapper == Self::Nothing || !others.is_empty() {
            return Ok((wrapper, format!("{store}?{}", others.join("&"))));
        }
        Ok((wrapper, store.to_owned()))
    }

    fn is_built_in(self) -> Result<()> {
        let feature = match self {
            Self::Mirror if !cfg!(feature = "mirror") => "mirror",
            Self::Cache { .. } if !cfg!(feature = "cached") => "cached",
            _ => return Ok(()),
        };
        let message = format!("this address needs the feature `{feature}` of the crate flipper");
        Err(Error::new(ErrorKind::Unsupported, message).with_operation("open"))
    }

    /// Puts it around a store, and returns a client of that.
    #[cfg_attr(not(feature = "mirror"), allow(clippy::unused_async, reason = "a mirror is waited for"))]
    #[cfg_attr(not(feature = "memory"), allow(dead_code, reason = "there may be no store at all"))]
    pub(crate) async fn around(self, store: impl Store) -> Result<FeatureFlagClient> {
        match self {
            #[cfg(feature = "mirror")]
            Self::Mirror => Ok(FeatureFlagClient::new(flipper_mirror::MirrorStore::start(store).await?)),
            #[cfg(feature = "cached")]
            Self::Cache { size, ttl } => {
                let builder = flipper_cached::CachedStore::builder(store).size(size);
                let builder = match ttl {
                    Some(ttl) => builder.ttl(ttl),
                    None => builder,
                };
                Ok(FeatureFlagClient::new(builder.build()))
            }
            _ => Ok(FeatureFlagClient::new(store)),
        }
    }
}

fn count(value: &str) -> Result<usize> {
    let count = value.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| wrong("`cache` is how many flags it keeps, at least one"))
}

fn seconds(value: &str) -> Result<Duration> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|ttl| !ttl.is_zero()).ok_or_else(|| wrong("`ttl` is a time in seconds, more than none"))
}

fn wrong(what: &str) -> Error {
    let message = format!("{what}: write `?mirror`, `?cache=5000` or `?cache=5000&ttl=30`");
    Error::new(ErrorKind::InvalidInput, message).with_operation("open")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(address: &str) -> (Wrapper, String) {
        Wrapper::take(address).unwrap()
    }

    #[test]
    fn an_address_without_wrappers_stays_as_it_is() {
        for address in ["memory:", "redis://me:p@host/1?protocol=resp3&x=y", "x://host/a?", "x://host/?a=?&"]
        {
            assert_eq!(taken(address), (Wrapper::Nothing, address.to_owned()));
        }
    }

    #[cfg(all(feature = "mirror", feature = "cached"))]
    #[test]
    fn wrappers_are_taken_out_of_it() {
        assert_eq!(taken("memory:?mirror"), (Wrapper::Mirror, "memory:".to_owned()));
        assert_eq!(taken("x://h?a=b&mirror&c"), (Wrapper::Mirror, "x://h?a=b&c".to_owned()));
        let ttl = Some(Duration::from_millis(1_500));
        let cache = Wrapper::Cache { size: 5_000, ttl };
        assert_eq!(taken("x://h?ttl=1.5&a&cache=5000"), (cache, "x://h?a".to_owned()));
        assert_eq!(taken("x://h?cache=1").0, Wrapper::Cache { size: 1, ttl: None });
    }

    #[test]
    fn parameters_that_make_no_sense_say_what_to_write() {
        for parameters in [
            "mirror=hunter2",
            "mirror&cache=5",
            "cache",
            "cache=0",
            "cache=-1",
            "cache=hunter2",
            "ttl=30",
            "mirror&ttl=3",
            "cache=5&ttl=0",
            "cache=5&ttl=-1",
            "cache=5&ttl=inf",
            "cache=5&ttl=hunter2",
        ] {
            let error = Wrapper::take(&format!("redis://me:hunter2@host/?{parameters}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{parameters}");
            assert!(error.message().contains("?cache=5000&ttl=30"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[cfg(not(feature = "mirror"))]
    #[test]
    fn a_wrapper_that_is_not_built_in_says_what_to_enable() {
        let error = Wrapper::take("memory:?mirror").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("feature `mirror`"), "{error}");
    }
}
