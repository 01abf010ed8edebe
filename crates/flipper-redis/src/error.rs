//! What went wrong, in terms of what the caller can do about it.

use std::borrow::Cow;
use std::fmt;

use flipper_core::{Error, ErrorKind};
use redis::{RedisError, ServerErrorKind};

use crate::redirect::Redirect;

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To connect, or to read: without an answer, nothing has happened.
    Read,
    /// To write: without an answer, it may have happened.
    Write,
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, message).with_store("redis")
}

/// What the driver gives for a command without an answer in time.
pub(crate) fn late() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// A task of ours has ended before its time.
pub(crate) fn shut_down() -> Error {
    error(ErrorKind::Unavailable, "the runtime has been shut down")
}

/// Translates an error of the driver.
pub(crate) fn of_driver(failure: &RedisError, asked: Asked) -> Error {
    if let Some(code) = failure.code() {
        // Of a transaction that was not carried out, the command that was refused tells why.
        if let Some((_, first)) =
            failure.clone().into_server_errors().and_then(|errors| errors.first().cloned())
        {
            return of_server(first.code(), first.details());
        }
        return of_server(code, failure.detail());
    }
    match failure.kind() {
        redis::ErrorKind::AuthenticationFailed => return of_server("WRONGPASS", None),
        redis::ErrorKind::RESP3NotSupported => return of_server("NOPROTO", None),
        redis::ErrorKind::InvalidClientConfig => {
            return error(ErrorKind::InvalidInput, "the driver does not take these settings");
        }
        _ => {}
    }
    let what = if failure.is_timeout() {
        "the server has not answered in time"
    } else if failure.is_connection_refusal() {
        "there is no server, or it takes no connections"
    } else if failure.is_connection_dropped() {
        "the connection was lost"
    } else if failure.kind() == redis::ErrorKind::Io || failure.kind() == redis::ErrorKind::Client {
        "the connection has failed"
    } else {
        "the server's answer is no Redis protocol"
    };
    let failed = match asked {
        Asked::Read => error(ErrorKind::Unavailable, what),
        Asked::Write => error(ErrorKind::OutcomeUnknown, what),
    };
    // An answer that is no Redis protocol may have anything in it.
    if failure.kind() == redis::ErrorKind::Parse { failed } else { failed.with_source(failure.clone()) }
}

/// What an error is, in one word. Before release 7, servers put what went wrong inside of a script behind where it did:
/// `@user_script: 6: -READONLY You can't write…`.
pub(crate) fn code<'c>(code: &'c str, detail: Option<&'c str>) -> Cow<'c, str> {
    let detail = detail.unwrap_or_default();
    if detail.contains("The user executing the script") || code == "The" {
        return "NOPERM".into();
    }
    if code == "EXECABORT"
        && let Some((_, cause)) = detail.split_once("because of: ")
    {
        return cause.split(' ').next().unwrap_or_default().into();
    }
    if !code.contains("user_script") && !detail.contains("@user_script") {
        return code.into();
    }
    match detail.rsplit_once(": -").and_then(|(_, answer)| answer.split(' ').next()) {
        Some(inner) => inner.into(),
        None => code.into(),
    }
}

/// Translates an error that the server has answered: whatever was asked, it has not happened.
pub(crate) fn of_server(stated: &str, detail: Option<&str>) -> Error {
    of_server_without(stated, detail, None)
}

/// As [`of_server`], where a secret is not to be repeated, whoever has said it.
pub(crate) fn of_server_without(stated: &str, detail: Option<&str>, secret: Option<&str>) -> Error {
    use ErrorKind::{Corrupt, Internal, InvalidInput, PermissionDenied, Unavailable, Unsupported};
    let words = shown(detail.unwrap_or_default());
    let code = code(stated, detail);
    let (kind, message) = match &*code {
        "READONLY" => (Unavailable, "this server is a replica, which takes no writes; was there a failover?"),
        "LOADING" => (Unavailable, "the server is still loading its data"),
        "OOM" => (Unavailable, "the server's memory is full (`maxmemory`), and nothing was written"),
        "MISCONF" => (Unavailable, "the server takes no writes, as it cannot save them to its disk"),
        "NOREPLICAS" => {
            (Unavailable, "the server takes no writes without more replicas (`min-replicas-to-write`)")
        }
        "MASTERDOWN" => (Unavailable, "this server is a replica that has lost its primary"),
        "CLUSTERDOWN" => (Unavailable, "the Redis Cluster cannot serve this key at present"),
        "TRYAGAIN" => (Unavailable, "the Redis Cluster is moving this key"),
        "BUSY" | "UNKILLABLE" => (Unavailable, "the server is busy with a script"),
        "NOAUTH" => (PermissionDenied, "the server wants a password: `redis://user:password@host`"),
        "WRONGPASS" => (PermissionDenied, "the server refuses this user or password"),
        "NOPERM" => (PermissionDenied, "this user may not do that (ACL)"),
        "WRONGTYPE" => (Corrupt, "the key holds something else than a string"),
        "MOVED" | "ASK" | "CROSSSLOT" => {
            let message =
                "this server is one of a Redis Cluster: write `redis-cluster://` in place of `redis://`";
            (Unsupported, message)
        }
        "NOPROTO" => (Unsupported, "the server does not speak this version of the protocol"),
        "ERR" if words.starts_with("max number of clients") => {
            (Unavailable, "the server has too many clients")
        }
        "ERR" if words.contains("in cluster mode") => (InvalidInput, "a Redis Cluster has no database but 0"),
        "ERR" if words.contains("DB index") => (InvalidInput, "the server has no database of this number"),
        "ERR" if words.contains("without any password") => {
            (PermissionDenied, "the server has no password for this user: leave it out of the address")
        }
        "ERR" if words.to_lowercase().starts_with("unknown command") => {
            (Unsupported, "the server lacks a command")
        }
        "ERR" if words.contains("invalid bulk length") || words.contains("exceeds maximum") => {
            (InvalidInput, "the flag is larger than the server takes")
        }
        _ => (Internal, "the server has answered with an error"),
    };
    if let Some(redirect) = Redirect::read(&code, detail.unwrap_or_default()) {
        return error(kind, message).with_source(redirect);
    }
    let hidden = |text: &str| match secret.filter(|secret| !secret.is_empty()) {
        // Before anything is cut off: a part of a secret would not be found.
        Some(secret) => text.replace(secret, "…"),
        None => text.to_owned(),
    };
    let said = shown(&hidden(&format!("{stated} {}", detail.unwrap_or_default())));
    error(kind, message).with_source(Answer(said))
}

/// Says whether the server cannot, or may not, carry out scripts, whatever is in them.
pub(crate) fn denies_scripts(failure: &RedisError) -> bool {
    if failure.code().is_some_and(Redirect::is_one) {
        return false;
    }
    let is_denied = failure.kind() == ServerErrorKind::NoPerm.into()
        && failure.detail().is_some_and(|detail| detail.contains("'eval"));
    is_denied || of_driver(failure, Asked::Read).kind() == ErrorKind::Unsupported
}

/// What the server has said, without what it repeats of the command: that may be a password, or a flag.
fn shown(detail: &str) -> String {
    let end = ["with args beginning with", "script:"].iter().filter_map(|cut| detail.find(cut)).min();
    let kept = &detail[..end.unwrap_or(detail.len())];
    kept.trim_end_matches([',', '.', ' ']).chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The source of an error that the server has answered.
#[derive(Debug)]
struct Answer(String);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Answer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_its_kind() {
        for (code, kind, is_retryable) in [
            ("READONLY", ErrorKind::Unavailable, true),
            ("LOADING", ErrorKind::Unavailable, true),
            ("OOM", ErrorKind::Unavailable, true),
            ("MISCONF", ErrorKind::Unavailable, true),
            ("NOREPLICAS", ErrorKind::Unavailable, true),
            ("MASTERDOWN", ErrorKind::Unavailable, true),
            ("CLUSTERDOWN", ErrorKind::Unavailable, true),
            ("TRYAGAIN", ErrorKind::Unavailable, true),
            ("BUSY", ErrorKind::Unavailable, true),
            ("NOAUTH", ErrorKind::PermissionDenied, false),
            ("WRONGPASS", ErrorKind::PermissionDenied, false),
            ("NOPERM", ErrorKind::PermissionDenied, false),
            ("WRONGTYPE", ErrorKind::Corrupt, false),
            ("MOVED", ErrorKind::Unsupported, false),
            ("ERR", ErrorKind::Internal, false),
        ] {
            let error = of_server(code, Some("as the server puts it"));
            assert_eq!((error.kind(), error.is_retryable()), (kind, is_retryable), "{code}");
            assert!(format!("{error:?}").contains(&format!("{code} as the server puts it")));
        }
    }

    #[test]
    fn what_the_server_repeats_of_a_command_is_left_out() {
        let detail = "unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `me`, `hunter2`, ";
        let error = of_server("ERR", Some(detail));
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(format!("{error:?}").contains("ERR unknown command `HELLO`"), "{error:?}");
        let hostile = format!("\u{1b}[31m{}", "é".repeat(10_000));
        assert!(!format!("{:?}", of_server("ERR", Some(&hostile))).contains("u{1b}"));
    }

    /// As releases 6.2 and 7.0 have answered.
    #[test]
    fn errors_inside_of_scripts_are_those_of_their_commands() {
        for (code, detail, kind) in [
            (
                "@user_script:",
                "6: -READONLY You can't write against a read only replica. ",
                ErrorKind::Unavailable,
            ),
            (
                "@user_script:",
                "6: -OOM command not allowed when used memory > 'maxmemory'.",
                ErrorKind::Unavailable,
            ),
            ("READONLY", "You can't write. script: 5a, on @user_script:6.", ErrorKind::Unavailable),
            (
                "ERR",
                "The user executing the script can't run this command or subcommand script: 5a",
                ErrorKind::PermissionDenied,
            ),
            (
                "The",
                "user executing the script can't run this command or subcommand",
                ErrorKind::PermissionDenied,
            ),
        ] {
            assert_eq!(of_server(code, Some(detail)).kind(), kind, "{code} {detail}");
        }
    }

    #[test]
    fn a_write_without_an_answer_may_have_happened() {
        assert_eq!(of_driver(&late(), Asked::Read).kind(), ErrorKind::Unavailable);
        assert_eq!(of_driver(&late(), Asked::Write).kind(), ErrorKind::OutcomeUnknown);
    }
}
