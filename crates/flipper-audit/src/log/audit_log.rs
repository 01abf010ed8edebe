//! The audit log: a subscriber that writes down every change.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event_listener::{Event as Signal, EventListener};
use flipper_core::events::{Edit, Handled, Outcome, Subscriber};
use flipper_core::{Error, ErrorKind, FeatureFlagClient, Flag, Result, Timestamp};

use super::builder::AuditLogBuilder;
use super::chain::Head;
use super::files::Files;
use super::flush::Flusher;
use super::known::{Known, News};
use super::line::LineKind;
use super::writer::Writer;
use crate::json;
use crate::record::{Record, Source};
use crate::redact::Redaction;

/// What is called with an error of the log.
pub(super) type Report = Arc<dyn Fn(&Error) + Send + Sync>;

/// Writes down every change of a client's flags, once, in order, in lines of JSON of which each carries the hash of the one before.
///
/// It is a subscriber: [`subscribe_to`](Self::subscribe_to) a client. Clones are the same log.
///
/// # What is promised
///
/// * Every write that a client makes or may have made is one line, whatever becomes of it: also those of which nobody can tell whether they have happened,
///   and those whose future was dropped. What has certainly not happened is no line.
/// * The lines of a flag are in the order of its writes, as long as one client makes them. The order of all lines is that in which writes were
///   acknowledged, and [`head`](Self::head) counts them.
/// * The line is written before the verb returns, in its thread, and, unless told otherwise, flushed to the disk.
/// * A write that this client did not make is recorded when an edit meets it, or when [`follow`](Self::follow) is told of it: as made by nobody
///   known. Several that come quickly may be recorded as one.
/// * If a line cannot be written, that is [reported](AuditLogBuilder::on_failure), and the next line that can be written says how many are missing. With
///   [`veto`](AuditLogBuilder::veto), each change is announced by a line of its own before it is made, and is not made if that cannot be written.
/// * Of a process that dies, the last change may be missing: it was made, and not yet written down. With [`veto`](AuditLogBuilder::veto) the line that
///   announced it is there.
///
/// Writing blocks the thread that makes the change, as handlers do. Checks are never delayed.
///
/// # Examples
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.jsonl");
/// use flipper_audit::{AuditLog, History};
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// AuditLog::open(&path)?.subscribe_to(&client);
/// client.as_actor("alice").create("CHECKOUT").await?.enable().await?;
///
/// let entries: Vec<_> = History::of(&path).flag("CHECKOUT").entries()?.collect::<Result<_, _>>()?;
/// let events: Vec<_> = entries.iter().filter_map(|entry| entry.record()).map(|record| &record.events[0]).collect();
/// assert_eq!(events, ["create", "enable"]);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct AuditLog {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) redaction: Redaction,
    /// Where it is, if it is in a file.
    pub(super) files: Option<Files>,
    pub(super) report: Report,
    pub(super) vetoes: bool,
    pub(super) flusher: Option<Flusher>,
    /// Told whenever an edit has ended.
    pub(super) ended: Signal,
}

/// A line that is not certainly in the log.
pub(super) struct Failed {
    error: Error,
    /// The line, if it is there all the same.
    line: Option<u64>,
}

/// What is written and what is known change together.
pub(super) struct State {
    pub(super) writer: Writer,
    pub(super) known: Known,
}

/// Says what has become of the lines of an [`AuditLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditStats {
    /// How many lines the log has, those of all files and of former processes together.
    pub lines: u64,
    /// How many lines could not be written since it was opened.
    pub lost: u64,
}

impl AuditLog {
    /// Opens a log in a file, with the defaults of [`builder`](Self::builder). Makes it if there is none.
    ///
    /// # Errors
    ///
    /// As [`AuditLogBuilder::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(path)
    }

    /// Starts a log, to choose when it is flushed, how long files get, what is redacted, and what happens if it cannot be written.
    pub fn builder() -> AuditLogBuilder {
        AuditLogBuilder::default()
    }

    /// Registers the log with a client, and all of its clones. To do so twice does nothing more.
    ///
    /// One log takes the changes of any number of clients of one store: flags are told apart by their names. The order of a flag's lines is that of its writes if one client, with its clones, makes them.
    pub fn subscribe_to(&self, client: &FeatureFlagClient) {
        client.events().register_subscriber(Arc::clone(&self.shared) as Arc<dyn Subscriber>);
    }

    /// Returns the head: how many lines there are, and the hash of the last one. Kept elsewhere, it shows whether something was cut off.
    pub fn head(&self) -> Head {
        self.shared.lock().writer.head()
    }

    /// Returns what has become of the lines.
    pub fn stats(&self) -> AuditStats {
        let state = self.shared.lock();
        AuditStats { lines: state.writer.head().lines, lost: state.writer.lost() }
    }

    /// Flushes to the disk what was written, whatever the [policy](crate::Fsync).
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable): it may not be there.
    pub fn flush(&self) -> Result<()> {
        self.shared.lock().writer.sync().map_err(|error| unavailable("flush", &error))
    }

    pub(super) fn ended(&self) -> EventListener {
        self.shared.ended.listen()
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves no half of a line: the writer knows what was written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something could not be written.
    fn failed(&self, operation: &'static str, error: &io::Error) -> Error {
        let error = unavailable(operation, error);
        (self.report)(&error);
        error
    }

    fn append(
        &self,
        state: &mut State,
        kind: LineKind,
        time: Timestamp,
        members: &dyn Fn(&mut String),
    ) -> Result<u64, Failed> {
        let line = state.writer.append(kind, time, members);
        if let (Some(flusher), Some(file)) = (&self.flusher, state.writer.file()) {
            flusher.is_due(&file.file);
        }
        line.map_err(|not_written| Failed {
            error: self.failed("append", &not_written.error),
            line: not_written.line,
        })
    }

    /// Takes note of what a flag is, and records it if somebody else has made it so.
    pub(super) fn see(
        &self,
        state: &mut State,
        name: &str,
        seen: Option<&Flag>,
        source: Source,
        time: Timestamp,
    ) {
        let shown = |flag: &Flag| self.redaction.shown(flag);
        // What cannot be written was reported.
        let _ = match state.known.see(name, seen, &self.redaction) {
            News::Same => return,
            News::First => match seen {
                Some(flag) if source == Source::Watch => self.append(state, LineKind::Found, time, &|out| {
                    json::member(out, "flag", |out| json::text(out, name));
                    json::member(out, "after", |out| json::embed(out, &shown(flag)));
                }),
                _ => return,
            },
            News::Resolved(line) => self.append(state, LineKind::Resolved, time, &|out| {
                json::member(out, "flag", |out| json::text(out, name));
                json::member(out, "of", |out| out.push_str(&line.to_string()));
                json::member(out, "outcome", |out| json::text(out, Outcome::Done.as_str()));
            }),
            News::Changed(before) => {
                let record =
                    Record::of_others(name, time, source, before.as_ref().map(shown), seen.map(shown));
                self.append(state, LineKind::Change, time, &|out| record.write_members(out))
            }
        };
    }
}

impl Subscriber for AuditLog {
    fn on_pre_edit(&self, edit: &Edit<'_>) -> Handled {
        self.shared.on_pre_edit(edit)
    }

    fn on_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) -> Handled {
        self.shared.on_post_edit(edit, outcome)
    }
}

/// What is registered: one for all clones, so that a client that is told of a log twice knows it.
impl Subscriber for Shared {
    fn on_pre_edit(&self, edit: &Edit<'_>) -> Handled {
        let mut state = self.lock();
        state.known.begins(edit.flag, edit.id);
        if !self.vetoes {
            return Ok(());
        }
        let record = Record::of_edit(edit, Outcome::Unknown, &self.redaction);
        let written = self.append(&mut state, LineKind::Intent, edit.time, &|out| record.write_members(out));
        // A line that is there has an end, also if it cannot be relied on.
        if written.as_ref().map_or_else(|failed| failed.line.is_some(), |_| true) {
            state.known.is_announced(edit.flag, edit.id);
        }
        written
            .map(drop)
            .map_err(|failed| format!("the audit log cannot be written: {}", failed.error.message()).into())
    }

    fn on_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) -> Handled {
        let mut state = self.lock();
        // What a write that was not made has started from may be long past.
        if outcome != Outcome::NotDone && !edit.was_unreadable {
            self.see(&mut state, edit.flag, edit.before, Source::Read, edit.time);
        }
        // What was announced by a line is told to be over.
        let was_announced = state.known.was_announced(edit.flag, edit.id);
        if outcome != Outcome::NotDone || was_announced {
            let record = Record::of_edit(edit, outcome, &self.redaction);
            let line = self.append(&mut state, LineKind::Change, edit.time, &|out| record.write_members(out));
            match outcome {
                Outcome::Done | Outcome::NotReplicated => state.known.set(edit.flag, edit.after),
                Outcome::Unknown => {
                    let line = line.map_or_else(|failed| failed.line, Some).unwrap_or(0);
                    state.known.doubt(edit.flag, line, edit.after);
                }
                _ => {}
            }
        }
        state.known.ends(edit.flag, edit.id);
        drop(state);
        self.ended.notify(usize::MAX);
        Ok(())
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").field("files", &self.shared.files).finish_non_exhaustive()
    }
}

/// An error of the disk, or of the writer.
pub(super) fn unavailable(operation: &'static str, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        io::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, error.to_string()).with_store("audit log").with_operation(operation)
}
