//! Errors of the store.

use flipper_core::{Error, ErrorKind};

use crate::wire::{Exception, Reply, shown};

pub(crate) fn error(kind: ErrorKind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(kind, message).with_store("thrift")
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server was not asked.
    NotSent(Error),
    /// It was, or may have been. What only reads can be asked once more if the server has hung up on us instead of answering.
    NoAnswer { error: Error, has_hung_up: bool },
}

impl Failure {
    /// The error of a call that may change something, or that does not.
    pub(crate) fn into_error(self, is_write: bool) -> Error {
        match self {
            Self::NoAnswer { error, .. } if is_write => outcome_unknown(&error),
            Self::NotSent(error) | Self::NoAnswer { error, .. } => error,
        }
    }
}

pub(crate) fn outcome_unknown(cause: &Error) -> Error {
    let message = format!("it cannot be told whether the write has happened: {}", cause.message());
    error(ErrorKind::OutcomeUnknown, message)
}

/// What an exception of the service says.
pub(crate) fn of_exception(exception: &Exception) -> Error {
    let message = shown(&exception.message);
    let Some(kind) = exception.code.kind() else {
        let code = exception.code.0;
        return error(
            ErrorKind::Internal,
            format!("the server has answered with its error {code}: {message}"),
        );
    };
    let told = error(kind, message);
    match &exception.version {
        Some(version) => told.with_version(flipper_core::Version::from_bytes(&*version.0)),
        None => told,
    }
}

/// What an answer says that is not the one that was expected.
pub(crate) fn of_reply(reply: Reply, is_write: bool) -> Error {
    match reply {
        Reply::Failed(exception) => of_exception(&exception),
        Reply::UnknownMethod => error(ErrorKind::Unsupported, "the server has no such method"),
        // It does not say how far it has come.
        Reply::Broken(message) => {
            let broken = error(ErrorKind::Unavailable, format!("the server has failed: {message}"));
            if is_write { outcome_unknown(&broken) } else { broken }
        }
        _ => error(ErrorKind::Internal, "the server has answered something else than what it was asked"),
    }
}
