//! Read, change, compare and set: every edit of every verb goes through here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::FeatureFlagClient;
use super::change::{Change, Current, Plan, Target};
use super::deadline::Deadline;
use super::locks::InHandlers;
use super::settle::Settling;
use crate::events::{Edit, Event, Outcome, Payload, Phase, panic_error};
use crate::store::{Expect, Version};
use crate::{Error, ErrorKind, Flag, FlagName, Result, Timestamp};

/// The first wait between attempts, which doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// An attempt that was announced, with the state that it started from.
pub(super) struct Attempt {
    edit: u64,
    number: u32,
    time: Timestamp,
    before: Option<Flag>,
    base: Option<Version>,
    was_unreadable: bool,
    plan: Plan,
}

/// How a write ended.
enum Written {
    /// With the version that the record has now; a deletion has none.
    Done(Option<Version>),
    /// It was made, and is less safe than was asked for.
    NotReplicated(Error),
    Conflict(Error),
    /// The answer was lost: it may have landed, or may still land.
    Lost(Error),
}

impl FeatureFlagClient {
    /// Edits a flag: reads it, lets `plan` work out what to store, announces it, writes it if the flag is still as it
    /// was read, and announces that it is done. After a conflict all of it is repeated, until the deadline.
    ///
    /// `plan` says `None` where nothing is to be done. Returns the version that was written, if one was.
    pub(super) async fn edit<P>(
        &self,
        operation: &'static str,
        name: &str,
        plan: P,
    ) -> Result<Option<Version>>
    where
        P: FnMut(&Current) -> Result<Option<Plan>> + Send,
    {
        let edited = match FlagName::new(name) {
            Ok(flag_name) => self.edit_named(flag_name, plan).await,
            Err(error) => Err(error),
        };
        edited.map_err(|error| error.or_operation(operation).or_flag(name))
    }

    async fn edit_named<P>(&self, name: FlagName<'_>, mut plan: P) -> Result<Option<Version>>
    where
        P: FnMut(&Current) -> Result<Option<Plan>> + Send,
    {
        if InHandlers::is_in(self.identity(), name.as_str()) {
            return Err(Error::invalid(
                "an event handler cannot edit the flag that its event is about: do it once the handler has returned",
            ));
        }
        let deadline = Deadline::after(self.inner.deadline);
        let Some(_guard) = deadline.limit(self.inner.locks.lock(name.as_str())).await else {
            let message = "another edit of this flag by this client has not ended in time";
            return Err(Error::new(ErrorKind::Conflict, message));
        };

        // Writes without an answer. Each may land even later than a read that does not show it yet.
        let mut lost: Vec<Arc<Attempt>> = Vec::new();
        // Tells how the edit has ended when it is dropped, while the flag is still locked.
        let mut settling = Settling::new(self, name);
        let outcome = self.attempt_until_done(name, &mut plan, &deadline, &mut lost, &mut settling).await;
        // Whatever has ended the attempts: one that was lost may have happened.
        outcome.map_err(|error| if lost.is_empty() { error } else { outcome_unknown(error) })
    }

    /// Attempts the edit until it is done or has failed. An error says nothing of the attempts that are `lost`.
    async fn attempt_until_done<P>(
        &self,
        name: FlagName<'_>,
        plan: &mut P,
        deadline: &Deadline,
        lost: &mut Vec<Arc<Attempt>>,
        settling: &mut Settling<'_>,
    ) -> Result<Option<Version>>
    where
        P: FnMut(&Current) -> Result<Option<Plan>> + Send,
    {
        let mut wait = FIRST_WAIT;
        let mut number = 1;
        loop {
            let retry = match self.read_current(name, deadline).await {
                Ok(current) => {
                    if let Some(landed) = lost.iter().find(|attempt| attempt.plan.target.is(&current)) {
                        self.announce_done(name, landed);
                        settling.has_ended(landed, Outcome::Done);
                        lost.clear();
                        return Ok(current.version().cloned());
                    }
                    if lost.iter().any(|attempt| attempt.base.as_ref() != current.version()) {
                        // Somebody else has written since. Whether on top of ours or in its place, nobody can tell.
                        let message = "the flag was changed by somebody else meanwhile";
                        return Err(Error::new(ErrorKind::Conflict, message));
                    }
                    let Some(plan) = plan(&current)? else {
                        // With a write that is lost, there is more to be said than that nothing is to be done.
                        let message = "the repeated edit would change nothing";
                        return if lost.is_empty() {
                            Ok(None)
                        } else {
                            Err(Error::new(ErrorKind::Conflict, message))
                        };
                    };
                    let attempt = self.announced(name, number, &current, plan, settling)?;
                    number += 1;
                    if deadline.has_passed() {
                        let message =
                            "the handlers of the event took longer than the edit may; nothing was written";
                        return Err(Error::new(ErrorKind::Unavailable, message));
                    }
                    settling.is_writing(true);
                    let written = self.write(name, &attempt.plan.target, current.expect(), deadline).await;
                    settling.is_writing(false);
                    match written? {
                        Written::Done(version) => {
                            self.announce_done(name, &attempt);
                            settling.has_ended(&attempt, Outcome::Done);
                            lost.clear();
                            return Ok(version);
                        }
                        Written::NotReplicated(error) => {
                            self.announce_done(name, &attempt);
                            settling.has_ended(&attempt, Outcome::NotReplicated);
                            lost.clear();
                            return Err(error);
                        }
                        Written::Conflict(error) => error,
                        Written::Lost(error) => {
                            settling.is_lost(&attempt);
                            lost.push(attempt);
                            error
                        }
                    }
                }
                // Reading finds out what has become of a lost write, so it is worth to be repeated.
                Err(error) if error.is_retryable() && !lost.is_empty() => error,
                Err(error) => return Err(error),
            };
            deadline.sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
            wait = (wait * 2).min(LONGEST_WAIT);
            if deadline.has_passed() {
                return Err(retry);
            }
        }
    }

    /// Makes an attempt of a plan, and announces it.
    fn announced(
        &self,
        name: FlagName<'_>,
        number: u32,
        current: &Current,
        plan: Plan,
        settling: &mut Settling<'_>,
    ) -> Result<Arc<Attempt>> {
        let attempt = Arc::new(Attempt {
            edit: settling.id(),
            number,
            time: self.inner.clock.exact_now(),
            before: current.readable().cloned(),
            base: current.version().cloned(),
            was_unreadable: matches!(current, Current::Corrupt(_)),
            plan,
        });
        self.announce(name, &attempt)?;
        // From here on somebody may have been told.
        settling.begins(&attempt);
        self.announce_edit(name, &attempt)?;
        Ok(attempt)
    }

    async fn read_current(&self, name: FlagName<'_>, deadline: &Deadline) -> Result<Current> {
        match deadline.limit(self.inner.store.get(name)).await {
            Some(Ok(Some(found))) => Ok(Current::Flag(found)),
            Some(Ok(None)) => Ok(Current::Absent),
            Some(Err(error)) if is_of_a_record(&error) => Ok(Current::Corrupt(error)),
            Some(Err(error)) => Err(error),
            None => Err(Error::new(ErrorKind::Unavailable, "the store has not answered a read in time")),
        }
    }

    async fn write(
        &self,
        name: FlagName<'_>,
        target: &Target,
        expect: Expect<'_>,
        deadline: &Deadline,
    ) -> Result<Written> {
        let store = &self.inner.store;
        let write = async {
            match target {
                Target::Put(flag) => store.put(flag, expect).await.map(|version| Some(Some(version))),
                Target::Delete => store.delete(name, expect).await.map(|was_there| was_there.then_some(None)),
            }
        };
        match deadline.limit(write).await {
            Some(Ok(Some(version))) => Ok(Written::Done(version)),
            // It was deleted by somebody else, between the read and the write.
            Some(Ok(None)) => {
                Ok(Written::Conflict(Error::new(ErrorKind::Conflict, "the flag was deleted meanwhile")))
            }
            Some(Err(error)) if error.kind() == ErrorKind::Conflict => Ok(Written::Conflict(error)),
            Some(Err(error)) if error.kind() == ErrorKind::OutcomeUnknown => Ok(Written::Lost(error)),
            Some(Err(error)) if error.kind() == ErrorKind::NotReplicated => Ok(Written::NotReplicated(error)),
            Some(Err(error)) => Err(error),
            None => {
                let message = "the store has not answered a write in time";
                Ok(Written::Lost(Error::new(ErrorKind::OutcomeUnknown, message)))
            }
        }
    }

    /// Announces what an attempt is about to do. A veto ends the edit.
    fn announce(&self, name: FlagName<'_>, attempt: &Attempt) -> Result<()> {
        self.emit(name, attempt, Phase::Before).map_err(|(event, veto)| {
            Error::new(ErrorKind::PermissionDenied, format!("vetoed by a handler of {event}: {veto}"))
                .with_source(veto)
        })
    }

    /// Announces the write of an attempt as a whole. A veto ends the edit.
    fn announce_edit(&self, name: FlagName<'_>, attempt: &Attempt) -> Result<()> {
        let (emitter, _in_handlers) = (self.events().0, InHandlers::enter(self.identity(), name.as_str()));
        let emit = || self.with_edit(name, attempt, |edit| emitter.emit_pre_edit(edit));
        catch_unwind(AssertUnwindSafe(emit)).unwrap_or_else(|panic| Err(panic_error(&*panic))).map_err(
            |veto| {
                Error::new(ErrorKind::PermissionDenied, format!("vetoed by a handler of the edit: {veto}"))
                    .with_source(veto)
            },
        )
    }

    /// Announces how an edit has ended. Nothing that handlers do changes it.
    pub(super) fn announce_end(&self, name: FlagName<'_>, attempt: &Attempt, outcome: Outcome) {
        let (emitter, _in_handlers) = (self.events().0, InHandlers::enter(self.identity(), name.as_str()));
        let emit = || self.with_edit(name, attempt, |edit| emitter.emit_post_edit(edit, outcome));
        if catch_unwind(AssertUnwindSafe(emit)).is_err() {
            log::error!(target: "flipper::events", "the emitter has panicked at the end of an edit of {name:?}");
        }
    }

    fn with_edit<T>(&self, name: FlagName<'_>, attempt: &Attempt, tell: impl FnOnce(&Edit<'_>) -> T) -> T {
        let changes: Vec<Payload<'_>> = attempt.plan.changes.iter().map(Change::payload).collect();
        tell(&Edit {
            id: attempt.edit,
            flag: name.as_str(),
            changes: &changes,
            attempt: attempt.number,
            actor: self.actor.as_deref(),
            time: attempt.time,
            before: attempt.before.as_ref(),
            was_unreadable: attempt.was_unreadable,
            after: attempt.plan.target.flag(),
        })
    }

    /// Announces what an attempt has done. Nothing that handlers do changes it.
    fn announce_done(&self, name: FlagName<'_>, attempt: &Attempt) {
        if let Err((event, error)) = self.emit(name, attempt, Phase::After) {
            log::error!(target: "flipper::events", "the emitter has failed with {event} of {name:?}: {error}");
        }
    }

    fn emit(
        &self,
        name: FlagName<'_>,
        attempt: &Attempt,
        phase: Phase,
    ) -> Result<(), (crate::events::EventType, crate::events::BoxError)> {
        let emitter = self.events().0;
        let _in_handlers = InHandlers::enter(self.identity(), name.as_str());
        let mut outcome = Ok(());
        for change in &attempt.plan.changes {
            let event = Event {
                flag: name.as_str(),
                payload: change.payload(),
                phase,
                attempt: attempt.number,
                actor: self.actor.as_deref(),
                time: attempt.time,
                before: attempt.before.as_ref(),
                after: attempt.plan.target.flag(),
            };
            let handled = catch_unwind(AssertUnwindSafe(|| emitter.emit(&event)))
                .unwrap_or_else(|panic| Err(panic_error(&*panic)));
            if let Err(error) = handled {
                outcome = Err((event.event_type(), error));
                if phase == Phase::Before {
                    break;
                }
            }
        }
        outcome
    }
}

/// Says that a write may have landed, and why that could not be found out.
fn outcome_unknown(cause: Error) -> Error {
    let message = "the answer to the write was lost, and it cannot be told whether it has happened: read the flag \
                   before writing again";
    Error::new(ErrorKind::OutcomeUnknown, message).with_source(cause)
}

/// Whether an error tells of the record that was asked for. A store that is corrupt as a whole names neither a flag nor a
/// version, and nobody knows whether it has the flag.
pub(super) fn is_of_a_record(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt && (error.flag().is_some() || error.version().is_some())
}
