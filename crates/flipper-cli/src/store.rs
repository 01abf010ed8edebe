//! Which store is meant, and opening it.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use flipper::FeatureFlagClient;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::cli::Global;
use crate::config::{self, Config};
use crate::failure::{Failure, Result};

/// What the command line, the environment and the configuration file say of stores.
pub(crate) struct Settings {
    global: Global,
    config: Config,
}

impl Settings {
    /// Reads the configuration file.
    pub(crate) fn load(global: Global) -> Result<Self> {
        let config = Config::load(global.config.as_deref())?;
        Ok(Self { global, config })
    }

    /// Who makes changes.
    pub(crate) fn actor(&self) -> String {
        let told = self.global.actor.clone().or_else(|| self.config.actor.clone());
        told.filter(|actor| !actor.is_empty()).unwrap_or_else(config::user)
    }

    /// Opens the store that all commands take.
    pub(crate) async fn open(&self) -> Result<FeatureFlagClient> {
        if let Some(store) = self.told() {
            return self.open_named(store).await;
        }
        let path = config::embedded_store()?;
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| Failure::file(directory, &error))?;
        }
        self.open_address(&address_of(&path)?).await
    }

    /// Opens the store of an address, of a name of the configuration file, or of a path.
    pub(crate) async fn open_named(&self, store: &str) -> Result<FeatureFlagClient> {
        self.open_address(&self.address(store)?).await
    }

    /// Opens a store, as [`open_named`](Self::open_named), to take all flags from it: a file that is not there is a slip in its name then,
    /// and not a store without flags.
    pub(crate) async fn open_source(&self, store: &str) -> Result<FeatureFlagClient> {
        let address = self.address(store)?;
        if let Some(path) = path_of(&address)
            && let Err(error) = std::fs::metadata(&path)
        {
            return Err(Failure::file(&path, &error));
        }
        self.open_address(&address).await
    }

    /// Opens the store that all commands take, to take all flags from it.
    pub(crate) async fn open_as_source(&self) -> Result<FeatureFlagClient> {
        match self.told() {
            Some(store) => self.open_source(store).await,
            None => self.open().await,
        }
    }

    /// How to show which store is meant, without its secrets.
    pub(crate) fn shown(&self, store: &str) -> String {
        self.address(store).map_or_else(|_| store.to_owned(), |address| flipper::redacted(&address))
    }

    /// The file of the store that all commands take, if it is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self.told() {
            Some(store) => path_of(&self.address(store).ok()?),
            None => config::embedded_store().ok(),
        }
    }

    /// The store that all commands take, if it was told.
    fn told(&self) -> Option<&str> {
        let told = self.global.store.as_deref().filter(|store| !store.is_empty());
        told.or(self.config.store.as_deref())
    }

    fn address(&self, store: &str) -> Result<String> {
        // A name stands for an address or a path, and not for another name.
        let store = self.config.stores.get(store).map_or(store, String::as_str);
        if store.contains(':') {
            return Ok(store.to_owned());
        }
        let path = Path::new(store);
        if store.contains('/') || path.extension().is_some_and(|extension| extension == "json") {
            return address_of(&std::path::absolute(path).map_err(|error| Failure::file(path, &error))?);
        }
        Err(Failure::error(format!(
            "`{store}` is no store: write an address such as `redis://host`, the path of a file, or a name of the \
             configuration file (there: {})",
            self.config.names()
        )))
    }

    async fn open_address(&self, address: &str) -> Result<FeatureFlagClient> {
        let address = match missing_password(address) {
            Some((before, behind)) => match self.password(address)? {
                Some(password) => {
                    format!("{before}:{}@{behind}", utf8_percent_encode(&password, NON_ALPHANUMERIC))
                }
                None => address.to_owned(),
            },
            None => address.to_owned(),
        };
        Ok(flipper::open(&address).await?.as_actor(self.actor()))
    }

    fn password(&self, address: &str) -> Result<Option<String>> {
        if self.global.ask_password {
            if !std::io::stdin().is_terminal() {
                return Err(Failure::error(
                    "`--ask-password` needs a terminal: set FLIPPER_PASSWORD instead",
                ));
            }
            let prompt = format!("Password of {}: ", crate::escape::shown(&flipper::redacted(address)));
            return rpassword::prompt_password(prompt)
                .map(Some)
                .map_err(|error| Failure::error(format!("the password could not be read: {error}")));
        }
        Ok(std::env::var("FLIPPER_PASSWORD").ok().filter(|password| !password.is_empty()))
    }
}

/// Splits an address where a password is missing: behind a user, as in `redis://me@host`, or behind a colon, as in `consul://:@host`.
fn missing_password(address: &str) -> Option<(&str, &str)> {
    let (start, authority) = authority(address)?;
    let (user, _) = authority.rsplit_once('@')?;
    let name = user.strip_suffix(':').unwrap_or(user);
    let is_missing = !user.is_empty() && !name.contains(':');
    is_missing.then(|| (&address[..start + name.len()], &address[start + user.len() + 1..]))
}

/// What stands between `//` and the path, and where.
fn authority(address: &str) -> Option<(usize, &str)> {
    let start = address.find("://")? + 3;
    let rest = &address[start..];
    Some((start, &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]))
}

/// What a path cannot have in an address of a file as it is.
const IN_PATHS: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// The address of a file.
pub(crate) fn address_of(path: &Path) -> Result<String> {
    let absolute: PathBuf = std::path::absolute(path).map_err(|error| Failure::file(path, &error))?;
    let Some(text) = absolute.to_str() else {
        return Err(Failure::error(format!("{}: a path is text in UTF-8", path.display())));
    };
    Ok(format!("file://{}", utf8_percent_encode(text, IN_PATHS)))
}

/// The path in an address of a file.
fn path_of(address: &str) -> Option<PathBuf> {
    let (scheme, rest) = address.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let path = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(PathBuf::from(percent_decode_str(path).decode_utf8().ok()?.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_goes_where_there_is_none() {
        for (address, place) in [
            ("redis://me@host/1", Some(("redis://me", "host/1"))),
            ("redis://me:@host", Some(("redis://me", "host"))),
            ("consul://:@host:8500", Some(("consul://", "host:8500"))),
            ("redis://me:secret@host", None),
            ("redis://:secret@host", None),
            ("redis://@host", None),
            ("redis://host", None),
            ("redis://host/a@b", None),
            ("file:///a@b", None),
        ] {
            assert_eq!(missing_password(address), place, "{address}");
        }
    }

    #[test]
    fn an_address_of_a_file_has_a_path() {
        for address in ["file:///a%20b/c.json", "file:/a%20b/c.json?ttl=5", "file://localhost/a%20b/c.json"] {
            assert_eq!(path_of(address), Some(PathBuf::from("/a b/c.json")), "{address}");
        }
        assert_eq!(path_of("redis://host/1"), None);
        let path = Path::new("/a b/%?#é.json");
        assert_eq!(path_of(&address_of(path).unwrap()).as_deref(), Some(path));
    }

    #[test]
    fn a_path_is_an_address_whatever_it_holds() {
        assert_eq!(address_of(Path::new("/a b/%?#é.json")).unwrap(), "file:///a%20b/%25%3F%23%C3%A9.json");
    }
}
