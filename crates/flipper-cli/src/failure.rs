//! How a command ends.

use std::fmt;
use std::io;

use flipper::{Error, ErrorKind};

/// A result whose error is [`Failure`].
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// The exit status of the program; that of a wrong usage, 2, is `clap`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done; the flag is on.
    Done = 0,
    /// An error, or nobody can tell.
    Error = 1,
    /// The flag is off; something differs.
    Differs = 3,
    /// There is no such flag.
    NotFound = 4,
    /// The flag exists already, or others keep changing it.
    Conflict = 5,
}

/// Why a command has not done what it was to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the library says.
    Flags(Error),
    /// Something else, with the exit status and what to tell.
    Told(Code, String),
    /// Nobody reads what is printed any more: no reason to complain. The exit status is what was known by then.
    Closed(Code),
}

impl Failure {
    /// An error of this program.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::Told(Code::Error, message.into())
    }

    /// What the system says of a file.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::error(format!("{}: {error}", path.display()))
    }

    /// The same, where the exit status is known whether or not anybody reads the rest.
    pub(crate) fn knowing(self, code: Code) -> Self {
        if matches!(self, Self::Closed(_)) { Self::Closed(code) } else { self }
    }

    /// The exit status.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Flags(error) => match error.kind() {
                ErrorKind::NotFound => Code::NotFound,
                ErrorKind::AlreadyExists | ErrorKind::Conflict => Code::Conflict,
                _ => Code::Error,
            },
            Self::Told(code, _) | Self::Closed(code) => *code,
        }
    }

    /// The kind, for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flags(error) => error.kind().as_str(),
            Self::Told(Code::NotFound, _) => "not_found",
            Self::Told(Code::Conflict, _) => "conflict",
            Self::Told(..) | Self::Closed(_) => "error",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flags(error) => error.fmt(f),
            Self::Told(_, message) => f.write_str(message),
            Self::Closed(_) => f.write_str("nobody reads the output"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Flags(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed(Code::Done),
            _ => Self::error(format!("the output cannot be written: {error}")),
        }
    }
}
