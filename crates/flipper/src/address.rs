//! One address for every store.

use flipper_core::{Error, ErrorKind, FeatureFlagClient, Result};

/// What is known of a scheme.
struct Scheme {
    name: &'static str,
    feature: &'static str,
    is_built_in: bool,
}

const SCHEMES: &[Scheme] =
    &[Scheme { name: "memory", feature: "memory", is_built_in: cfg!(feature = "memory") }];

/// Opens the store at an address, and returns a client of it.
///
/// `memory:` is an empty store in memory, another one at each call.
///
/// # Errors
///
/// [`InvalidInput`](ErrorKind::InvalidInput) for an address that has no scheme or an unknown one, or parameters that the
/// store does not know; [`Unsupported`](ErrorKind::Unsupported) for a store whose feature is off. The message says what
/// to write or to enable, and repeats nothing of the address but its scheme: the rest may hold a password.
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
    let Some((name, rest)) = address.split_once(':') else {
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
    match name {
        #[cfg(feature = "memory")]
        "memory" if rest.is_empty() => Ok(FeatureFlagClient::new(flipper_memory::MemoryStore::new())),
        _ => {
            let _ = rest;
            Err(invalid(format!("`{name}:` has nothing behind the colon")))
        }
    }
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
        for address in ["", "x", "s3://user:hunter2@host", "memory:hunter2", ":hunter2"] {
            let error = error(address);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
