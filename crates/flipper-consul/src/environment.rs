//! The variables that Consul's own programs take.
//!
//! See <https://developer.hashicorp.com/consul/commands#environment-variables>.

use flipper_core::{Error, ErrorKind, Result};

use crate::builder::ConsulStoreBuilder;
use crate::error::error;

/// Makes settings of variables.
pub(crate) fn builder(variable: impl Fn(&str) -> Option<String>) -> Result<ConsulStoreBuilder> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let is_true = |name: &str| match variable(name).as_deref() {
        None => Ok(None),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
        Some(_) => Err(invalid(name, "is neither `true` nor `false`")),
    };
    let mut address = variable("CONSUL_HTTP_ADDR").unwrap_or_else(|| "127.0.0.1:8500".to_owned());
    if is_true("CONSUL_HTTP_SSL")? == Some(true) {
        // Also if the address says otherwise: nothing that is to be encrypted goes without.
        let rest = address.strip_prefix("http://").unwrap_or(&address);
        if !rest.contains("://") {
            address = format!("https://{rest}");
        }
    }
    if is_true("CONSUL_HTTP_SSL_VERIFY")? == Some(false) {
        let message = "certificates are always verified: give the authority to trust in CONSUL_CACERT";
        return Err(invalid("CONSUL_HTTP_SSL_VERIFY", message));
    }
    let mut builder = ConsulStoreBuilder::new(&address);
    if let Some(token) = variable("CONSUL_HTTP_TOKEN") {
        builder = builder.token(token);
    } else if let Some(path) = variable("CONSUL_HTTP_TOKEN_FILE") {
        builder = builder.token(text(&path, "CONSUL_HTTP_TOKEN_FILE")?.trim());
    }
    if let Some(auth) = variable("CONSUL_HTTP_AUTH") {
        let (user, password) = auth.split_once(':').unwrap_or((&auth, ""));
        builder = builder.basic_auth(user, password);
    }
    if let Some(namespace) = variable("CONSUL_NAMESPACE") {
        builder = builder.namespace(namespace);
    }
    if let Some(partition) = variable("CONSUL_PARTITION") {
        builder = builder.partition(partition);
    }
    if let Some(path) = variable("CONSUL_CACERT") {
        builder = builder.root_certificates(text(&path, "CONSUL_CACERT")?);
    }
    match (variable("CONSUL_CLIENT_CERT"), variable("CONSUL_CLIENT_KEY")) {
        (Some(certificate), Some(key)) => {
            let certificate = text(&certificate, "CONSUL_CLIENT_CERT")?;
            builder = builder.identity(format!("{certificate}\n{}", text(&key, "CONSUL_CLIENT_KEY")?));
        }
        (None, None) => {}
        _ => {
            return Err(invalid("CONSUL_CLIENT_CERT", "goes with CONSUL_CLIENT_KEY: one of them is not set"));
        }
    }
    Ok(builder)
}

fn text(path: &str, variable: &str) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|failure| invalid(variable, "names a file that cannot be read").with_source(failure))
}

fn invalid(variable: &str, what: &str) -> Error {
    error(ErrorKind::InvalidInput, format!("{variable} {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<ConsulStoreBuilder> {
        builder(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_those_of_consul() {
        let shown = |variables: &[(&str, &str)]| format!("{:?}", of(variables).unwrap());
        assert!(shown(&[]).contains("http://127.0.0.1:8500"));
        let all = shown(&[
            ("CONSUL_HTTP_ADDR", "consul.internal:8501"),
            ("CONSUL_HTTP_TOKEN", "secret"),
            ("CONSUL_HTTP_AUTH", "me:secret"),
            ("CONSUL_NAMESPACE", "team"),
            ("CONSUL_PARTITION", "part"),
        ]);
        assert!(
            all.contains("consul.internal:8501") && all.contains("team") && all.contains("part"),
            "{all}"
        );
        assert!(!all.contains("secret"), "{all}");
    }

    #[test]
    fn what_is_to_be_encrypted_is() {
        for address in ["consul:8501", "http://consul:8501", "https://consul:8501"] {
            let shown =
                format!("{:?}", of(&[("CONSUL_HTTP_ADDR", address), ("CONSUL_HTTP_SSL", "1")]).unwrap());
            assert!(!shown.contains("http://"), "{shown}");
        }
        let socket =
            of(&[("CONSUL_HTTP_ADDR", "unix:///run/consul.sock"), ("CONSUL_HTTP_SSL", "1")]).unwrap();
        assert!(format!("{socket:?}").contains("/run/consul.sock"));
    }

    #[test]
    fn what_is_wrong_names_the_variable() {
        for (variables, name) in [
            (&[("CONSUL_HTTP_SSL", "perhaps")][..], "CONSUL_HTTP_SSL"),
            (&[("CONSUL_HTTP_SSL_VERIFY", "false")], "CONSUL_CACERT"),
            (&[("CONSUL_HTTP_TOKEN_FILE", "/nowhere")], "CONSUL_HTTP_TOKEN_FILE"),
            (&[("CONSUL_CLIENT_KEY", "/nowhere")], "CONSUL_CLIENT_CERT"),
            (&[("CONSUL_HTTP_ADDR", "http://x"), ("CONSUL_HTTP_SSL", "perhaps")], "CONSUL_HTTP_SSL"),
        ] {
            let error = of(variables).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.message().contains(name), "{error}");
        }
    }
}
