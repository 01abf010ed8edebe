//! What a flag was at a time.

use flipper_core::{Context, Error, ErrorKind, Evaluator, Explanation, Flag, Result, Semantics, Timestamp};

use super::history::{Entry, History};
use super::line::LineKind;
use crate::record::{Record, Source};

/// What a flag was at a time, as far as a log tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StateAt {
    /// The flag, without what is redacted; `None` if there was none.
    pub flag: Option<Flag>,
    /// The line that says so.
    pub line: u64,
    /// When that was. It is after the time that was asked for if the log begins later, and tells what was before its first line.
    pub since: Timestamp,
    /// What the flag may have been as well, if nobody could tell whether a change had happened: the flag after it, `None` if it was deleted.
    pub or: Option<Option<Flag>>,
    time: Timestamp,
}

impl StateAt {
    /// Returns whether the log leaves no doubt.
    pub fn is_certain(&self) -> bool {
        self.or.is_none()
    }

    /// Explains what the flag said to a context at that time; `None` if there was no flag.
    pub fn explain(&self, context: &Context<'_>, semantics: Semantics) -> Option<Explanation> {
        let clock = || self.time;
        let evaluator = Evaluator::new().with_semantics(semantics).with_clock(&clock);
        self.flag.as_ref().map(|flag| evaluator.explain(flag, context, false))
    }
}

/// The line of a change that may have happened, and what the flag is then.
pub(super) type Doubt = (u64, Option<Flag>);

/// What lines tell, one after the other.
#[derive(Default)]
pub(super) struct Told {
    state: Option<(Option<Flag>, u64, Timestamp)>,
    doubt: Option<Doubt>,
    /// An edit that was announced, and whose end has not come yet.
    announced: Option<Doubt>,
    /// What was there before the first line after the time.
    later: Option<(Option<Flag>, u64, Timestamp)>,
    /// Whether there was a record before that line that could not be read.
    was_unreadable: bool,
}

impl Told {
    pub(super) fn see(&mut self, entry: &Entry) {
        let is_now = |flag| Some((flag, entry.number(), entry.time()));
        match (entry.kind(), entry.record()) {
            (LineKind::Change, Some(record)) => {
                // What a watch tells is recorded while no edit is under way: whoever announced one has died.
                if record.source != Source::Read {
                    self.announced = None;
                }
                if record.is_done() {
                    (self.state, self.doubt) = (is_now(record.flag_after()), None);
                } else if record.outcome == flipper_core::events::Outcome::Unknown {
                    self.state = self.state.take().or_else(|| is_now(record.flag_before()));
                    self.doubt = Some((entry.number(), record.flag_after()));
                }
            }
            (LineKind::Intent, Some(record)) => {
                self.state = self.state.take().or_else(|| is_now(record.flag_before()));
                self.announced = Some((entry.number(), record.flag_after()));
            }
            (LineKind::Found, Some(record)) => {
                (self.state, self.doubt, self.announced) = (is_now(record.flag_after()), None, None);
            }
            (LineKind::Resolved, _) => {
                let is_meant = |doubt: &mut Doubt| Some(doubt.0) == entry.resolves();
                let resolved = self.announced.take_if(is_meant).or_else(|| self.doubt.take_if(is_meant));
                if let Some((_, flag)) = resolved {
                    (self.state, self.doubt) = (is_now(flag), None);
                }
            }
            _ => {}
        }
    }

    /// What is certain, and what may have come of it, with the line that says so.
    pub(super) fn last(self) -> Option<(Option<Flag>, Option<Doubt>)> {
        let (flag, ..) = self.state?;
        Some((flag, self.announced.or(self.doubt)))
    }

    fn see_later(&mut self, entry: &Entry) {
        let tells = |_: &&Record| entry.kind() == LineKind::Change;
        if self.later.is_none()
            && !self.was_unreadable
            && let Some(record) = entry.record().filter(tells)
        {
            self.was_unreadable = record.was_unreadable;
            self.later =
                (!record.was_unreadable).then(|| (record.flag_before(), entry.number(), entry.time()));
        }
    }
}

impl History {
    /// Tells what a flag was at a time: what the last line about it says that is not later. If there is none, what the first later one says that it
    /// was before.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no log, or it says nothing about the flag; [`Corrupt`](ErrorKind::Corrupt) if a line is none, and
    /// [`Unavailable`](ErrorKind::Unavailable) if a file cannot be read.
    ///
    /// # Examples
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("audit.jsonl");
    /// use flipper_audit::{AuditLog, History};
    /// use flipper_core::{FeatureFlagClient, Semantics, Timestamp, ctx};
    /// use flipper_memory::MemoryStore;
    ///
    /// # futures_lite::future::block_on(async {
    /// let client = FeatureFlagClient::new(MemoryStore::new());
    /// AuditLog::open(&path)?.subscribe_to(&client);
    /// client.create("CHECKOUT").await?.enable().await?;
    ///
    /// let then = History::of(&path).state_at("CHECKOUT", Timestamp::now())?;
    /// let explanation = then.explain(&ctx! { user_id: 7 }, Semantics::Documented);
    /// assert!(explanation.is_some_and(|explanation| explanation.evaluation.value));
    /// # Ok::<(), flipper_core::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn state_at(&self, flag: &str, time: Timestamp) -> Result<StateAt> {
        let mut told = Told::default();
        let history = self.clone().flag(flag);
        for entry in history.entries()? {
            let entry = entry?;
            if entry.time() <= time {
                told.see(&entry);
            } else {
                told.see_later(&entry);
            }
        }
        let Told { state, doubt, announced, later, was_unreadable } = told;
        let (flag, line, since) = state.or(later).ok_or_else(|| {
            let message = if was_unreadable {
                "the audit log does not say what it was: its record could not be read when it was changed first"
            } else {
                "the audit log says nothing about it: it was never changed since the log was begun"
            };
            Error::new(ErrorKind::NotFound, message)
                .with_store("audit log")
                .with_operation("state_at")
                .with_flag(flag)
        })?;
        let or = announced.or(doubt).map(|(_, flag)| flag);
        Ok(StateAt { flag, line, since, or, time })
    }
}
