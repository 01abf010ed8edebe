//! Addresses, taken to pieces.

use flipper_core::{Error, ErrorKind, Result};

use crate::parameter::Parameter;
use crate::scheme::{Scheme, listed};
use crate::settings::Settings;

/// An address, as far as all have the same form.
///
/// It is shown by tests alone, which have no secrets.
#[cfg_attr(test, derive(Debug))]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "some stores take nothing of it"))]
pub(crate) struct Address<'a> {
    pub(crate) scheme: &'static Scheme,
    /// What is between the scheme's colon and the parameters.
    pub(crate) rest: &'a str,
    /// The parameters that the store reads itself, as they were written.
    passed: Vec<&'a str>,
    /// What was chosen by code, and by the parameters in its place.
    pub(crate) settings: Settings,
    /// The parameters that are there.
    given: Vec<&'static str>,
}

impl<'a> Address<'a> {
    /// Reads an address; its parameters take the place of what was chosen before.
    ///
    /// Errors repeat nothing of it but its scheme, and the names of parameters that are known: the rest may hold a password.
    pub(crate) fn read(text: &'a str, settings: &Settings) -> Result<Self> {
        let Some((name, rest)) = text.split_once(':') else {
            let known = Scheme::all();
            return Err(invalid(format!("an address begins with the scheme of a store: there is {known}")));
        };
        let Some(scheme) = Scheme::find(name) else {
            let shown: String = name.chars().take(40).filter(|c| !c.is_control()).collect();
            let known = Scheme::all();
            return Err(invalid(format!("`{shown}:` is no scheme that flipper knows: there is {known}")));
        };
        if !scheme.is_built_in {
            return Err(needs(&format!("`{name}:`"), scheme.feature));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut address =
            Self { scheme, rest, passed: Vec::new(), settings: settings.clone(), given: Vec::new() };
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            address.take(parameter)?;
        }
        address.settle()?;
        Ok(address)
    }

    fn take(&mut self, parameter: &'a str) -> Result<()> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (parameter, None),
        };
        let Some(name) = self.scheme.parameters().find(|known| *known == name) else {
            let what = match Parameter::find(name) {
                Some(known) => format!("`{}:` has no parameter `{}`", self.scheme.name, known.name),
                // It may be a part of a password.
                None => format!("`{}:` does not know a parameter of this address", self.scheme.name),
            };
            let known = listed(self.scheme.parameters());
            return Err(invalid(format!(
                "{what}: there is {known}; a `?` or `&` in a password or a value is written `%3F` or `%26`"
            )));
        };
        if self.has(name) {
            return Err(invalid(format!("the parameter `{name}` is there twice")));
        }
        self.given.push(name);
        if parameter.contains('#') {
            return Err(invalid(format!("a `#` in the value of `{name}` is written `%23`")));
        }
        let Some(known) = Parameter::find(name) else {
            self.passed.push(parameter);
            return Ok(());
        };
        let read = known.read(value, &mut self.settings);
        read.ok_or_else(|| invalid(format!("`{name}` {}", known.expected())))
    }

    /// Finds out what is to be around the store, where the address and the code differ.
    fn settle(&mut self) -> Result<()> {
        let settings = &mut self.settings;
        let says = |name: &str| self.given.contains(&name);
        if settings.is_mirrored() && settings.is_cached() {
            match (says("mirror"), says("cache")) {
                (true, false) => settings.cache = None,
                (false, true) => settings.mirror = None,
                _ => return Err(invalid("a mirror has all flags in memory, and needs no `cache` before it")),
            }
        }
        if says("ttl") && !settings.is_cached() {
            return Err(invalid("`ttl` is for a cache: write `?cache=5000&ttl=30`"));
        }
        if says("replica_timeout") && settings.replicas.is_none() {
            return Err(invalid(
                "`replica_timeout` is for `replicas`: write `?replicas=1&replica_timeout=0.5`",
            ));
        }
        if !self.scheme.store.is_local() && !settings.is_mirrored() {
            for name in ["last_known_good", "start_timeout"] {
                if says(name) {
                    return Err(invalid(format!("`{name}` is for a mirror: write `?mirror&{name}=…`")));
                }
            }
        }
        if settings.is_mirrored() && !cfg!(feature = "mirror") {
            return Err(needs("`mirror`", "mirror"));
        }
        if settings.is_cached() && !cfg!(feature = "cached") {
            return Err(needs("`cache`", "cached"));
        }
        Ok(())
    }

    /// Whether the address has a parameter.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// What the store's own builder takes.
    #[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "some stores take nothing of it"))]
    pub(crate) fn for_store(&self) -> String {
        let Self { scheme, rest, passed, .. } = self;
        let mark = if passed.is_empty() { "" } else { "?" };
        format!("{}:{rest}{mark}{}", scheme.name, passed.join("&"))
    }
}

/// The error of an address that is wrong.
pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message.into()).with_operation("open")
}

/// The error of an address that is right, in another build.
fn needs(what: &str, feature: &str) -> Error {
    let message = format!("{what} needs the feature `{feature}` of the crate flipper");
    Error::new(ErrorKind::Unsupported, message).with_operation("open")
}

#[cfg(test)]
mod tests;
