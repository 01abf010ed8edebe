//! Addresses that can be shown.

use crate::parameter::{decoded, is_server};
use crate::scheme::{Kind, Scheme};

/// What stands in the place of what is not shown.
const HIDDEN: &str = "***";

/// Returns an address as it can be shown and logged: without user, password and token.
///
/// `***` takes the place of all that stands before an `@`, of the values of parameters that say who asks, and of parameters that
/// [`open`](crate::open) does not know. Of an address that cannot be told apart for sure, a password with a `/` or `?` that was not
/// escaped among them, only the scheme is left; of what has no scheme that flipper knows, nothing.
///
/// The result is for people: it need not be an address any more.
///
/// # Examples
///
/// ```
/// use flipper::redacted;
///
/// assert_eq!(redacted("redis://me:secret@db:6379/2?mirror"), "redis://***@db:6379/2?mirror");
/// assert_eq!(redacted("unix:///run/redis.sock?db=1&pass=secret"), "unix:///run/redis.sock?db=1&pass=***");
/// assert_eq!(redacted("redis://me:se/cret@db"), "redis:***");
/// assert_eq!(redacted("secret"), "***");
/// ```
pub fn redacted(address: &str) -> String {
    let Some((name, rest)) = address.split_once(':') else { return HIDDEN.to_owned() };
    let Some(scheme) = Scheme::find(name) else { return HIDDEN.to_owned() };
    match shown(scheme, rest) {
        Some(shown) => format!("{name}:{shown}"),
        None => format!("{name}:{HIDDEN}"),
    }
}

/// What can be shown of what stands behind the scheme; `None` if that is not for sure.
fn shown(scheme: &Scheme, rest: &str) -> Option<String> {
    if rest.contains(|c: char| c.is_control() || c.is_whitespace() || c == '#') {
        return None;
    }
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let mut shown = shown_place(scheme, place)?;
    if let Some(query) = query {
        // It may be the rest of a password.
        if query.contains('@') {
            return None;
        }
        let parameters: Vec<_> =
            query.split('&').map(|parameter| shown_parameter(scheme, parameter)).collect();
        shown.push('?');
        shown.push_str(&parameters.join("&"));
    }
    Some(shown)
}

fn shown_place(scheme: &Scheme, place: &str) -> Option<String> {
    if scheme.store == Kind::Memory {
        return place.is_empty().then(String::new);
    }
    if scheme.store == Kind::File || scheme.name == "unix" {
        // Nobody has to say who they are; a path may have an `@`.
        let path = place.strip_prefix("//localhost").or_else(|| place.strip_prefix("//")).unwrap_or(place);
        return path.starts_with('/').then(|| place.to_owned());
    }
    let place = place.strip_prefix("//")?;
    let at = place.find('/').unwrap_or(place.len());
    let (authority, path) = place.split_at(at);
    if path.contains('@') {
        return None;
    }
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((_, hosts)) => (format!("{HIDDEN}@"), hosts),
        None => (String::new(), authority),
    };
    hosts.split(',').all(is_host).then(|| format!("//{user}{hosts}{path}"))
}

/// Whether it is a host, with or without a port, and nothing else: who forgets the host has a password in the place of the port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some("0"))),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("0")),
        },
    };
    let is_number = |port: &str| !port.is_empty() && port.parse::<u16>().is_ok();
    // A socket in the place of a host is `%2Fpath`.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '%');
    port.is_some_and(is_number) && host.chars().all(is_plain)
}

fn shown_parameter(scheme: &Scheme, parameter: &str) -> String {
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (parameter, None),
    };
    if parameter.is_empty() || (scheme.shows(name) && !value.is_some_and(|value| hides(name, value))) {
        return parameter.to_owned();
    }
    let is_known = scheme.parameters().any(|known| known == name);
    if is_known { format!("{name}={HIDDEN}") } else { HIDDEN.to_owned() }
}

/// Whether a value that mostly can be shown cannot: it has a password of its own.
fn hides(name: &str, value: &str) -> bool {
    name == "endpoint" && !decoded(value).is_some_and(|value| is_server(&value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_says_where_the_store_is_stays() {
        for (address, shown) in [
            ("memory:", "memory:"),
            ("file:///a/b%20c@d.json?mirror", "file:///a/b%20c@d.json?mirror"),
            ("redis://host", "redis://host"),
            ("redis-cluster://me:x@a:1,b:2?mirror", "redis-cluster://***@a:1,b:2?mirror"),
            (
                "redis-sentinel://:x@a,b:2/main/3?sentinel_pass=y",
                "redis-sentinel://***@a,b:2/main/3?sentinel_pass=***",
            ),
            ("redis://:p@ss@host:1/2?mirror&base_key=x", "redis://***@host:1/2?mirror&base_key=x"),
            ("redis://me@[::1]:6379", "redis://***@[::1]:6379"),
            ("unix:///s?db=2&user=me&pass=p%26", "unix:///s?db=2&user=***&pass=***"),
            (
                "consul://:token@host:8500/base/key?consistency=stale",
                "consul://***@host:8500/base/key?consistency=stale",
            ),
            (
                "postgres://me:p@a:1,b:2/x?sslmode=require&password=p",
                "postgres://***@a:1,b:2/x?sslmode=require&password=***",
            ),
            ("postgresql://%2Frun%2Fpostgres/x", "postgresql://%2Frun%2Fpostgres/x"),
            (
                "s3://bucket/key?endpoint=http://127.0.0.1:9000",
                "s3://bucket/key?endpoint=http://127.0.0.1:9000",
            ),
            ("thrift://host:9090?transport=framed", "thrift://host:9090?transport=framed"),
        ] {
            assert_eq!(redacted(address), shown);
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_not_shown() {
        for (address, shown) in [
            ("", "***"),
            ("hunter2", "***"),
            (":hunter2", "***"),
            ("hunter2:x", "***"),
            ("mysql://me:hunter2@host", "***"),
            ("REDIS://me:hunter2@host", "***"),
            ("memory:hunter2", "memory:***"),
            ("redis:hunter2", "redis:***"),
            ("redis://me:hunter2", "redis:***"),
            ("redis://me:hunter2/0", "redis:***"),
            ("redis://me:hun/ter2@host", "redis:***"),
            ("redis://me:hun?ter2@host", "redis:***"),
            ("redis://me:hun#ter2@host", "redis:***"),
            ("redis://me:hun\nter2", "redis:***"),
            ("redis://host/?hunter2", "redis://host/?***"),
            ("redis://host/?password=hunter2&mirror", "redis://host/?***&mirror"),
            ("redis://a:1,hunter2:x/", "redis:***"),
            ("unix://me:hunter2@/s", "unix:***"),
            ("s3://AKIA:hun/ter2@bucket", "s3:***"),
            ("s3://b?endpoint=http%3A%2F%2Fme%3Ahunter2%40host", "s3://b?endpoint=***"),
            ("s3://b?secret_access_key=hunter2", "s3://b?***"),
            ("postgres://host/x?password=hun@ter2", "postgres:***"),
        ] {
            assert_eq!(redacted(address), shown);
        }
    }

    /// Texts that are in nothing else, with what breaks addresses between them.
    fn secrets() -> impl Strategy<Value = String> {
        let between = prop::sample::select(vec![
            ":", "/", "@", "?", "#", "%", "%40", ",", "\\", " ", "é", "[", "]", "=",
        ]);
        prop::collection::vec(between, 0..4).prop_map(|between| {
            let mut secret = "QZJX".to_owned();
            for breaking in between {
                secret.push_str(breaking);
                secret.push_str("QZJX");
            }
            secret
        })
    }

    proptest! {
        #[test]
        fn a_secret_before_the_host_never_shows(
            scheme in prop::sample::select(vec!["redis", "rediss", "consul", "consul+https", "postgres", "s3", "thrift", "unix"]),
            before in "[a-z]{0,3}",
            colon in prop::sample::select(vec!["", ":"]),
            secret in secrets(),
            after in "(host(:[0-9]{1,4})?)?(/[a-z]{0,3})?([?](mirror|base_key=x|&|y=z){0,2})?",
        ) {
            let shown = redacted(&format!("{scheme}://{before}{colon}{secret}@{after}"));
            prop_assert!(!shown.contains("QZJX"), "{shown}");
        }

        #[test]
        fn the_value_of_a_secret_parameter_never_shows(
            (scheme, name) in prop::sample::select(vec![
                ("unix:///s", "pass"), ("unix:///s", "user"), ("postgres://host/x", "password"), ("postgres://host", "user"),
                ("redis://host", "pass"), ("redis://host", "password"), ("consul://host", "token"), ("s3://b", "secret"),
            ]),
            before in "[?](mirror&|cache=1&)?",
            secret in secrets(),
            after in "(&mirror|&ttl=3)?",
        ) {
            let shown = redacted(&format!("{scheme}{before}{name}={secret}{after}"));
            prop_assert!(!shown.contains("QZJX"), "{shown}");
        }

        #[test]
        fn nothing_that_is_shown_steers_a_terminal(address in "(redis|postgres|file|unix|s3)(://)?\\PC{0,20}[\u{0}-\u{1f}]?\\PC{0,20}") {
            let shown = redacted(&address);
            prop_assert!(!shown.contains(char::is_control), "{shown:?}");
        }
    }
}
