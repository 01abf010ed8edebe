//! What went wrong, in terms of what the caller can do about it.

use std::borrow::Cow;
use std::error::Error as _;

use flipper_core::{Error, ErrorKind};
use tokio_postgres::error::{DbError, Severity, SqlState};

/// What was asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To connect, or to read: without an answer, nothing has happened.
    Read,
    /// To write: without an answer, it may have happened.
    Write,
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(kind, message).with_store("postgres")
}

/// The error of a question without an answer in time.
pub(crate) fn late(limit: std::time::Duration, asked: Asked) -> Error {
    unanswered(format!("the server has not answered within {limit:?}"), asked)
}

fn unanswered(message: String, asked: Asked) -> Error {
    match asked {
        Asked::Read => error(ErrorKind::Unavailable, message),
        Asked::Write => error(ErrorKind::OutcomeUnknown, message),
    }
}

/// Translates an error of the driver.
pub(crate) fn of_driver(failure: &tokio_postgres::Error, asked: Asked) -> Error {
    if let Some(answer) = failure.as_db_error() {
        return of_server(answer, asked);
    }
    // The driver has no other way to tell these.
    if failure.to_string() == "error performing TLS handshake" {
        return unanswered(encryption(&cause(failure)), asked);
    }
    // What the driver says beyond that may repeat settings.
    let what = if failure.is_closed() { "the connection was closed" } else { "the connection has failed" };
    unanswered(what.to_owned(), asked)
}

/// What the driver says of why. It may repeat settings.
pub(crate) fn cause(failure: &tokio_postgres::Error) -> String {
    failure.source().map(ToString::to_string).unwrap_or_default()
}

/// Why a connection is not encrypted: certificates are no secret.
fn encryption(cause: &str) -> String {
    if cause == "server does not support TLS" {
        return "the server has no encryption, on which `sslmode=require` insists".to_owned();
    }
    // The other one is an authority with the name of one that is trusted.
    let is_unknown = cause.contains("UnknownIssuer") || cause.contains("BadSignature");
    let hint = if is_unknown { ": `certificate_authorities` names whom to trust" } else { "" };
    format!("the server's certificate or encryption is refused: {cause}{hint}")
}

/// Whether it makes sense to ask again what has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// Others were at the same rows, and nothing has happened.
    Conflict,
    /// What was prepared is no longer what it was, and nothing has happened.
    Prepare,
    /// The connection is of no use, and nothing was written.
    Elsewhere,
}

pub(crate) fn again(failure: &tokio_postgres::Error, asked: Asked) -> Again {
    let answer = failure.as_db_error().filter(|answer| !is_fatal(answer));
    match answer.map(|answer| (answer.code().code(), answer.routine())) {
        Some(("40001" | "40P01", _)) => Again::Conflict,
        Some(("26000", _) | ("0A000", Some("RevalidateCachedQuery"))) => Again::Prepare,
        _ if asked == Asked::Read && of_driver(failure, asked).kind() == ErrorKind::Unavailable => {
            Again::Elsewhere
        }
        _ => Again::Never,
    }
}

fn is_fatal(answer: &DbError) -> bool {
    matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
}

/// Translates an answer of the server. A statement of ours is a transaction by itself, so nothing of one that has failed has happened; but one that is
/// ended from outside may have been committed already, and so may one of which a pooler says that it has lost the server.
fn of_server(answer: &DbError, asked: Asked) -> Error {
    let code = answer.code();
    let is_ended = [&SqlState::ADMIN_SHUTDOWN, &SqlState::CRASH_SHUTDOWN, &SqlState::IDLE_SESSION_TIMEOUT];
    let is_lost = is_fatal(answer) || code.code().starts_with("08") || code.code() == "40003";
    if is_ended.contains(&code) || asked == Asked::Write && is_lost {
        return unanswered("the server has ended the connection".to_owned(), asked);
    }
    let (kind, hint) = match code.code() {
        "42501" => (ErrorKind::PermissionDenied, ""),
        "42P01" => (ErrorKind::InvalidInput, ": `create_table` makes it"),
        "42703" | "3F000" | "3D000" => (ErrorKind::InvalidInput, ": see the settings of the store"),
        "42P10" => (ErrorKind::InvalidInput, ": the column of names has to be the PRIMARY KEY"),
        "42804" | "42883" => (ErrorKind::InvalidInput, ": names are `varchar` or `text`, records `bytea`"),
        "25006" => (ErrorKind::Unavailable, ": is it a standby, or `default_transaction_read_only` on?"),
        "26000" | "42P05" => {
            (ErrorKind::Unavailable, ": before a pooler such as PgBouncer, use `behind_pooler`")
        }
        "22001" | "54000" | "22021" | "22P05" => (ErrorKind::InvalidInput, ""),
        code => match &code[..2.min(code.len())] {
            // A constraint of somebody else's.
            "23" => (ErrorKind::InvalidInput, ": the table refuses the record"),
            "28" => (ErrorKind::PermissionDenied, ""),
            // Connections, resources, the operator, conflicts with others: it may work later.
            "08" | "53" | "57" | "40" | "55" | "58" => (ErrorKind::Unavailable, ""),
            "0A" => (ErrorKind::Unsupported, ""),
            _ => (ErrorKind::Internal, ""),
        },
    };
    // The message, and no detail: that repeats what was written.
    error(kind, format!("{} ({}){hint}", answer.message(), code.code()))
}
