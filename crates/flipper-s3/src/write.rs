//! Writes whose condition the server looks at; and finding out whether it does.

use std::sync::atomic::{AtomicU8, Ordering};

use flipper_core::{CompareAndSet, Error, Result};

use crate::api::{Api, Etag, When};
use crate::error::{Asked, Failure};

/// How often a server has to say that it knows no such condition: once may have been about something else.
const ATTEMPTS: usize = 2;

/// What a server makes of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Habit {
    Unknown,
    /// It looks at it.
    Honours,
    /// It writes, whatever the condition.
    Ignores,
    /// It writes nothing that has one.
    Rejects,
    /// It does not say.
    Untold,
}

/// What is known of the server's habit with one kind of condition.
#[derive(Debug, Default)]
struct Learnt(AtomicU8);

impl Learnt {
    fn habit(&self) -> Habit {
        match self.0.load(Ordering::Relaxed) {
            0 => Habit::Unknown,
            1 => Habit::Honours,
            2 => Habit::Ignores,
            3 => Habit::Rejects,
            _ => Habit::Untold,
        }
    }

    fn honours(&self) -> bool {
        self.habit() == Habit::Honours
    }

    fn is_bad(&self) -> bool {
        matches!(self.habit(), Habit::Ignores | Habit::Rejects)
    }

    fn learn(&self, habit: Habit) {
        let before = self.0.swap(habit as u8, Ordering::Relaxed);
        if before != habit as u8 && self.is_bad() {
            log::warn!(
                target: "flipper::s3",
                "the server does not look at the conditions of writes: of two edits of one flag at the same time, one can be lost"
            );
        }
    }
}

/// What the server makes of the conditions of a store's writes.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    /// `If-None-Match` of puts.
    create: Learnt,
    /// `If-Match` of puts, where there is an object.
    replace: Learnt,
    /// `If-Match` of puts, where there is none: some servers write then.
    restore: Learnt,
    /// `If-Match` of deletions.
    delete: Learnt,
}

impl Habits {
    /// What is known of puts and of deletions. What nobody has found out is as S3 has it.
    pub(crate) fn known(&self) -> (CompareAndSet, CompareAndSet) {
        let of = |is_bad| if is_bad { CompareAndSet::BestEffort } else { CompareAndSet::Atomic };
        let puts = [&self.create, &self.replace, &self.restore];
        (of(puts.into_iter().any(Learnt::is_bad)), of(self.delete.is_bad()))
    }

    /// Writes an object that is not there.
    pub(crate) async fn create(&self, api: &Api, key: &str, body: &str) -> Result<Etag> {
        if !self.create.honours() {
            if api.get(key).await.map_err(of_read)?.is_some() {
                return Err(conflict());
            }
            // Under both conditions: if this is written, `If-Match` is ignored, and `If-None-Match` has had its effect, if it has any.
            if matches!(self.restore.habit(), Habit::Unknown | Habit::Ignores) {
                match api.put(key, body, When::AbsentAndNever).await {
                    Ok(etag) => {
                        self.restore.learn(Habit::Ignores);
                        return Ok(etag);
                    }
                    Err(Failure::Refused | Failure::Missing) => self.restore.learn(Habit::Honours),
                    // S3 takes no two conditions.
                    Err(Failure::Unsupported | Failure::Unreadable(_)) => self.restore.learn(Habit::Untold),
                    Err(failure) => return Err(of_write(failure)),
                }
            }
        }
        for _ in 0..ATTEMPTS {
            match api.put(key, body, When::Absent).await {
                // Which says nothing of what would have come if there had been something; but it was not rejected.
                Ok(etag) => {
                    if self.create.habit() == Habit::Rejects {
                        self.create.learn(Habit::Unknown);
                    }
                    return Ok(etag);
                }
                Err(Failure::Refused) => {
                    self.create.learn(Habit::Honours);
                    return Err(conflict());
                }
                Err(Failure::Unsupported) => {}
                Err(failure) => return Err(of_write(failure)),
            }
        }
        if api.get(key).await.map_err(of_read)?.is_some() {
            return Err(conflict());
        }
        let etag = api.put(key, body, When::Always).await.map_err(of_write)?;
        self.create.learn(Habit::Rejects);
        Ok(etag)
    }

    /// Writes an object that is in a state.
    pub(crate) async fn replace(&self, api: &Api, key: &str, body: &str, before: &str) -> Result<Etag> {
        if !self.replace.honours() || self.restore.is_bad() {
            let found = api.get(key).await.map_err(of_read)?;
            if found.is_none_or(|found| found.etag != before) {
                return Err(conflict());
            }
        }
        if !self.replace.honours()
            && let Some(etag) = self.tried(api, key, body).await?
        {
            return Ok(etag);
        }
        match api.put(key, body, When::Matches(before)).await {
            Ok(etag) => Ok(etag),
            Err(Failure::Refused | Failure::Missing) => Err(conflict()),
            Err(failure) => Err(of_write(failure)),
        }
    }

    /// Sends what is to be written under a condition that does not hold: if it is written, that is that, as well as such a server can do it.
    async fn tried(&self, api: &Api, key: &str, body: &str) -> Result<Option<Etag>> {
        for _ in 0..ATTEMPTS {
            match api.put(key, body, When::Never).await {
                Ok(etag) => {
                    self.replace.learn(Habit::Ignores);
                    return Ok(Some(etag));
                }
                Err(Failure::Refused | Failure::Missing) => {
                    self.replace.learn(Habit::Honours);
                    return Ok(None);
                }
                Err(Failure::Unsupported) => {}
                Err(failure) => return Err(of_write(failure)),
            }
        }
        let etag = api.put(key, body, When::Always).await.map_err(of_write)?;
        self.replace.learn(Habit::Rejects);
        Ok(Some(etag))
    }

    /// As [`tried`](Self::tried), of a deletion: whether there was something, if it is deleted.
    async fn tried_to_delete(&self, api: &Api, key: &str) -> Result<Option<bool>> {
        for _ in 0..ATTEMPTS {
            match api.delete(key, When::Never).await {
                Ok(()) => {
                    // Or somebody has deleted it, which S3 does not tell: then the next deletion tells.
                    if !self.delete.honours() {
                        self.delete.learn(Habit::Ignores);
                    }
                    return Ok(Some(true));
                }
                Err(Failure::Refused) => {
                    self.delete.learn(Habit::Honours);
                    return Ok(None);
                }
                // Somebody has deleted it: some servers say so, whatever they make of conditions.
                Err(Failure::Missing) => return Ok(Some(false)),
                Err(Failure::Unsupported) => {}
                Err(failure) => return Err(of_write(failure)),
            }
        }
        api.delete(key, When::Always).await.map_err(of_write)?;
        self.delete.learn(Habit::Rejects);
        Ok(Some(true))
    }

    /// Deletes an object that is in a state; returns whether there was one.
    pub(crate) async fn delete(&self, api: &Api, key: &str, before: &str) -> Result<bool> {
        let is_trusted = self.delete.honours();
        // Asked for in any case: S3 does not tell whether there was one to be deleted.
        match api.get(key).await {
            Ok(None) => return Ok(false),
            Ok(Some(found)) if found.etag != before => return Err(conflict()),
            // What cannot be read can be deleted, if the server looks whether it is the right one.
            Err(Failure::Unreadable(_)) if is_trusted => {}
            Ok(Some(_)) => {}
            Err(failure) => return Err(of_read(failure)),
        }
        if !is_trusted && let Some(was_there) = self.tried_to_delete(api, key).await? {
            return Ok(was_there);
        }
        match api.delete(key, When::Matches(before)).await {
            Ok(()) => Ok(true),
            Err(Failure::Missing) => Ok(false),
            Err(Failure::Refused) => Err(conflict()),
            Err(failure) => Err(of_write(failure)),
        }
    }

    /// Finds out by an object that is nobody's, and is deleted again.
    pub(crate) async fn check(&self, api: &Api, key: &str, body: &str) -> Result<()> {
        let checked = self.check_with(api, key, body).await;
        // Whatever has come of it.
        let deleted = api.delete(key, When::Always).await.map_err(of_write);
        checked.and(deleted)
    }

    async fn check_with(&self, api: &Api, key: &str, body: &str) -> Result<()> {
        let restore = api.put(key, body, When::Never).await.map(drop);
        self.restore.learn(habit(restore)?);
        api.put(key, body, When::Always).await.map_err(of_write)?;
        let create = api.put(key, body, When::Absent).await.map(drop);
        self.create.learn(habit(create)?);
        let replace = api.put(key, body, When::Never).await.map(drop);
        self.replace.learn(habit(replace)?);
        self.delete.learn(habit(api.delete(key, When::Never).await)?);
        Ok(())
    }
}

/// What a write tells under a condition that does not hold, of an object that is nobody else's.
fn habit(answer: Result<(), Failure>) -> Result<Habit> {
    match answer {
        Ok(()) => Ok(Habit::Ignores),
        Err(Failure::Refused | Failure::Missing) => Ok(Habit::Honours),
        Err(Failure::Unsupported) => Ok(Habit::Rejects),
        Err(failure) => Err(of_write(failure)),
    }
}

fn conflict() -> Error {
    of_write(Failure::Refused)
}

/// The error of a request before a write, which has not happened then.
pub(crate) fn of_read(failure: Failure) -> Error {
    failure.into_error(Asked::Object)
}

pub(crate) fn of_write(failure: Failure) -> Error {
    failure.into_error(Asked::Write)
}
