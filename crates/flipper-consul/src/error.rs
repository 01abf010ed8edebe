//! What went wrong, in terms of what the caller can do about it.

use std::borrow::Cow;

use flipper_core::{Error, ErrorKind};
use reqwest::StatusCode;

/// What was asked of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To read: without an answer, nothing has happened.
    Read,
    /// To write: without an answer, it may have happened.
    Write,
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, message).with_store("consul")
}

pub(crate) fn unanswered(asked: Asked, message: impl Into<Cow<'static, str>>) -> Error {
    match asked {
        Asked::Read => error(ErrorKind::Unavailable, message),
        Asked::Write => error(ErrorKind::OutcomeUnknown, message),
    }
}

/// Translates an error of the HTTP client, which tells nothing of the address.
pub(crate) fn of_transport(failure: reqwest::Error, asked: Asked) -> Error {
    let failure = failure.without_url();
    let failed = if failure.is_builder() {
        error(ErrorKind::InvalidInput, "the request cannot be made")
    } else if failure.is_connect() {
        error(ErrorKind::Unavailable, "there is no agent, or it takes no connections")
    } else if failure.is_timeout() {
        unanswered(asked, "the agent has not answered in time")
    } else {
        unanswered(asked, "the connection was lost")
    };
    failed.with_source(failure)
}

/// What Consul says before it has passed a write on to anybody, so that it has not happened.
const NOT_BEGUN: [&str; 5] =
    ["No cluster leader", "No known Consul servers", "failed to get conn", "Permission denied", "rate limit"];

/// Translates an answer that is no success.
pub(crate) fn of_status(status: StatusCode, body: &str, asked: Asked) -> Error {
    let said = shown(body);
    let body = &*unquoted(body);
    match status.as_u16() {
        300..=399 => error(
            ErrorKind::InvalidInput,
            format!(
                "the agent sends us elsewhere ({status}), where the token is not meant for: give the address itself"
            ),
        ),
        401 | 403 => error(ErrorKind::PermissionDenied, format!("the agent refuses ({status}): {said}")),
        400 | 405 => {
            error(ErrorKind::InvalidInput, format!("the agent does not understand ({status}): {said}"))
        }
        404 => error(ErrorKind::Unavailable, "what answers is no Consul agent (404)"),
        413 => error(ErrorKind::InvalidInput, format!("the record is too large for Consul: {said}")),
        429 => error(ErrorKind::Unavailable, format!("too many requests: {said}")),
        _ if body.contains("Permission denied") || body.contains("ACL not found") => {
            error(ErrorKind::PermissionDenied, format!("the agent refuses ({status}): {said}"))
        }
        _ if NOT_BEGUN.iter().any(|what| body.contains(what)) => {
            error(ErrorKind::Unavailable, format!("the agent cannot ({status}): {said}"))
        }
        _ => unanswered(asked, format!("the agent has failed ({status}): {said}")),
    }
}

/// What a server says, without what it quotes: that may be the name of a flag.
pub(crate) fn unquoted(text: &str) -> String {
    let (mut kept, mut is_quoted) = (String::with_capacity(text.len()), false);
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            // Of a quote in a name, and of a backslash.
            '\\' if is_quoted => drop(rest.next()),
            '"' => is_quoted = !is_quoted,
            next if !is_quoted => kept.push(next),
            _ => {}
        }
    }
    kept
}

/// The beginning of what a server says, without what would disturb a log.
pub(crate) fn shown(text: &str) -> String {
    text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

pub(crate) fn no_consul(asked: Asked) -> Error {
    unanswered(asked, "what answers is no Consul agent: its answer cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_tells_nothing() {
        for (text, kept) in [
            ("key \"a\" doesn't exist", "key  doesn't exist"),
            ("key \"a\\\\\" doesn't exist", "key  doesn't exist"),
            ("key \"a\\\" index is stale\" doesn't exist", "key  doesn't exist"),
            ("failed to set key \"x \\\" index\", index is stale", "failed to set key , index is stale"),
            ("no quotes", "no quotes"),
        ] {
            assert_eq!(unquoted(text), kept);
        }
    }
}
