//! How a log is made.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use event_listener::Event as Signal;
use flipper_core::{Error, ErrorKind, Result};

use super::audit_log::{AuditLog, Report, Shared, State, unavailable};
use super::chain::Chain;
use super::files::Files;
use super::flush::{Flusher, Fsync};
use super::known::Known;
use super::writer::{NotOpened, Writer};
use crate::redact::Redaction;

/// Chooses how an [`AuditLog`] works.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.jsonl");
/// use std::time::Duration;
/// use flipper_audit::{AuditLog, Fsync};
///
/// let log = AuditLog::builder()
///     .fsync(Fsync::Every(Duration::from_secs(1)))
///     .rotate_at(64 << 20)
///     .redact(["email", "token"])
///     .key("a secret of at least 32 random bytes")
///     .veto(true)
///     .open(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a log is made by `open` or `to_writer`"]
pub struct AuditLogBuilder {
    fsync: Fsync,
    longest: Option<u64>,
    redaction: Redaction,
    key: Option<Box<[u8]>>,
    vetoes: bool,
    report: Report,
}

impl Default for AuditLogBuilder {
    fn default() -> Self {
        let report = |error: &Error| log::error!(target: "flipper::audit", "a change may be missing in the audit log: {error}");
        Self {
            fsync: Fsync::Always,
            longest: None,
            redaction: Redaction::default(),
            key: None,
            vetoes: false,
            report: Arc::new(report),
        }
    }
}

impl AuditLogBuilder {
    /// Chooses when lines are flushed to the disk: [always](Fsync::Always) unless told.
    pub fn fsync(self, fsync: Fsync) -> Self {
        Self { fsync, ..self }
    }

    /// Moves a file away before it gets longer than so many bytes: `audit.jsonl` becomes `audit.jsonl.000001`, and so on. The next one names it in
    /// its first line. Unless told, a file grows without limit.
    ///
    /// A line that is longer by itself has a file of its own. Old files are never deleted: to do so is yours, and
    /// [`Verifier::start`](crate::Verifier::start) then tells where the rest begins.
    pub fn rotate_at(self, bytes: u64) -> Self {
        Self { longest: Some(bytes), ..self }
    }

    /// Writes `[redacted]` in the place of these members of client data, at any depth. Nothing else of the record is hidden.
    pub fn redact<K: Into<Box<str>>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        Self { redaction: Redaction::new(keys), ..self }
    }

    /// Hashes with a key (HMAC), so that only who has it can change a line and compute all hashes after it. It should be random and have 32 bytes, and has
    /// to be the same each time that the log is opened.
    pub fn key(self, key: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into().into()), ..self }
    }

    /// Writes a line before each change as well, and vetoes the change if that cannot be written. Off unless told.
    ///
    /// The line has the kind `intent`, and says all that the line after the change says. If the change is not made after all, a line with the
    /// outcome `not_done` says so; if the process dies in between, the intent is the last that there is of it.
    pub fn veto(self, vetoes: bool) -> Self {
        Self { vetoes, ..self }
    }

    /// Calls a function with each failure to write. Unless told, it is logged at `error`, target `flipper::audit`.
    ///
    /// It is called while other lines wait: it must not edit flags, nor ask the log for anything.
    pub fn on_failure(self, report: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        let report = move |error: &Error| {
            if catch_unwind(AssertUnwindSafe(|| report(error))).is_err() {
                log::error!(target: "flipper::audit", "what was to be told of a failure of the audit log has panicked: {error}");
            }
        };
        Self { report: Arc::new(report), ..self }
    }

    /// Opens the log in a file, or begins one, which only the process's user may read. While it is open nobody else can open it.
    ///
    /// If the last line is half written, as after a crash, it is cut off, and that is recorded by a line. The last file is read for that; the others are
    /// not, for which there is [`Verifier`](crate::Verifier).
    ///
    /// # Errors
    ///
    /// * [`Unavailable`](ErrorKind::Unavailable) if somebody else has it open, or the disk fails;
    /// * [`Corrupt`](ErrorKind::Corrupt) if the last file is not as it was written, naming the line: move all files of the log away to begin another one;
    /// * [`InvalidInput`](ErrorKind::InvalidInput) if the key is there and should not be, or the other way round, or the path is none of a file;
    /// * [`NotFound`](ErrorKind::NotFound) and [`PermissionDenied`](ErrorKind::PermissionDenied) of the directory.
    pub fn open(self, path: impl AsRef<Path>) -> Result<AuditLog> {
        self.check()?;
        let path = path.as_ref();
        let of_io = |error: &io::Error| {
            unavailable("open", error).map_message(|message| format!("{}: {message}", path.display()))
        };
        let files = Files::new(path).map_err(|error| of_io(&error))?;
        let chain = Chain::new(self.key.clone());
        let writer = Writer::open(&files, chain, self.longest, self.fsync == Fsync::Always);
        let writer = writer.map_err(|error| match error {
            NotOpened::Io(error) => of_io(&error),
            NotOpened::Locked => {
                let message = format!("{} is open already: a log has one writer", path.display());
                error_of_open(ErrorKind::Unavailable, message)
            }
            NotOpened::Damaged(damage) => {
                let message = format!("{damage}; move all files of the log away to begin another one");
                error_of_open(ErrorKind::Corrupt, message)
            }
            NotOpened::WrongKey(message) => {
                error_of_open(ErrorKind::InvalidInput, format!("{}: {message}", path.display()))
            }
        })?;
        let flusher = match self.fsync {
            Fsync::Every(interval) => {
                Some(Flusher::start(interval, Arc::clone(&self.report)).map_err(|error| of_io(&error))?)
            }
            _ => None,
        };
        Ok(self.build(writer, Some(files), flusher))
    }

    /// Begins a log that goes to a writer. There is nothing to be opened again, and nothing moved away; `flush` is called where a file would be flushed
    /// for each line.
    ///
    /// If the writer takes a part of a line and then fails, the rest is written before the next line.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the first line cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use flipper_audit::AuditLog;
    ///
    /// let log = AuditLog::builder().to_writer(std::io::stderr())?;
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn to_writer(self, writer: impl io::Write + Send + 'static) -> Result<AuditLog> {
        self.check()?;
        let chain = Chain::new(self.key.clone());
        let writer = Writer::new(Box::new(writer), chain, self.fsync == Fsync::Always)
            .map_err(|error| unavailable("open", &error))?;
        Ok(self.build(writer, None, None))
    }

    fn check(&self) -> Result<()> {
        if self.key.as_ref().is_some_and(|key| key.is_empty()) {
            return Err(error_of_open(
                ErrorKind::InvalidInput,
                "an empty key protects nothing: leave it out, or give 32 random bytes".to_owned(),
            ));
        }
        Ok(())
    }

    fn build(self, writer: Writer, files: Option<Files>, flusher: Option<Flusher>) -> AuditLog {
        let Self { redaction, vetoes, report, .. } = self;
        let state = Mutex::new(State { writer, known: Known::default() });
        let shared = Shared { state, redaction, files, report, vetoes, flusher, ended: Signal::new() };
        AuditLog { shared: Arc::new(shared) }
    }
}

fn error_of_open(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, message).with_store("audit log").with_operation("open")
}

impl fmt::Debug for AuditLogBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLogBuilder")
            .field("fsync", &self.fsync)
            .field("rotate_at", &self.longest)
            .field("redact", &self.redaction)
            .field("has_key", &self.key.is_some())
            .field("veto", &self.vetoes)
            .finish_non_exhaustive()
    }
}
