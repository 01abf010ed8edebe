//! Addresses of agents.

use std::path::PathBuf;

use flipper_core::{ErrorKind, Result};
use reqwest::Url;

use crate::error::error;

/// Where an agent is.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) base: Url,
    pub(crate) socket: Option<PathBuf>,
    /// User and password.
    pub(crate) auth: Option<(String, String)>,
}

impl Address {
    /// Reads an address. What is wrong with it is told without repeating it: it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return invalid("a socket is `unix:///path`");
            }
            return Ok(Self { base: url("http://localhost")?, socket: Some(path.into()), auth: None });
        }
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut base = url(&text)?;
        match base.scheme() {
            "http" => {}
            "https" if cfg!(feature = "tls-rustls") => {}
            "https" => {
                let message =
                    "`https://` needs the feature `tls-rustls` of the crate flipper, or flipper-consul";
                return Err(error(ErrorKind::Unsupported, message));
            }
            _ => return invalid(EXPECTED),
        }
        if base.query().is_some() || base.fragment().is_some() {
            return invalid(
                "the address of an agent has no parameters: a `?` or `#` in a password is `%3F` or `%23`",
            );
        }
        let decoded = |text: &str| {
            let bytes = text.as_bytes();
            let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
            while at < bytes.len() {
                let hex = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
                let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
                let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                out.push(byte.unwrap_or(bytes[at]));
                at += if byte.is_some() { 3 } else { 1 };
            }
            String::from_utf8_lossy(&out).into_owned()
        };
        let auth = (!base.username().is_empty() || base.password().is_some())
            .then(|| (decoded(base.username()), decoded(base.password().unwrap_or_default())));
        // It can be: it has a host.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        Ok(Self { base, socket: None, auth })
    }

    /// What can be shown to anybody.
    pub(crate) fn shown(&self) -> String {
        match &self.socket {
            Some(path) => path.display().to_string(),
            None => self.base.as_str().trim_end_matches('/').to_owned(),
        }
    }
}

const EXPECTED: &str =
    "the address of an agent is `http://host:8500`, `https://host:8501`, `unix:///path` or `host:8500`";

fn invalid<T>(message: &'static str) -> Result<T> {
    Err(error(ErrorKind::InvalidInput, message))
}

fn url(text: &str) -> Result<Url> {
    let parsed = Url::parse(text).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    parsed.map_or_else(|| invalid(EXPECTED), Ok)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn addresses_are_what_consul_takes() {
        for (text, base) in [
            ("127.0.0.1:8500", "http://127.0.0.1:8500/"),
            ("http://consul:8500", "http://consul:8500/"),
            ("http://proxy/consul/", "http://proxy/consul/"),
            ("[::1]:8500", "http://[::1]:8500/"),
        ] {
            assert_eq!(Address::parse(text).unwrap().base.as_str(), base);
        }
        let socket = Address::parse("unix:///run/consul.sock").unwrap();
        assert_eq!(
            (socket.shown().as_str(), socket.base.as_str()),
            ("/run/consul.sock", "http://localhost/")
        );
        let address = Address::parse("http://me:p%40ss@consul:8500").unwrap();
        assert_eq!(address.auth, Some(("me".to_owned(), "p@ss".to_owned())));
        assert_eq!(address.shown(), "http://consul:8500");
    }

    #[test]
    fn what_is_wrong_is_told_without_repeating_it() {
        for text in
            ["", "ftp://me:secret@x", "http://", "unix://secret", "http://x?token=secret", "http://x/#secret"]
        {
            let error = Address::parse(text).map(|_| ()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
