//! Writes whose condition the server looks at; and finding out whether it does.

use std::sync::atomic::{AtomicU8, Ordering};

use flipper_core::{CompareAndSet, ErrorKind, Result};

use crate::api::{Api, Etag, When};
use crate::error::{Asked, Failure, error};

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
            _ => Habit::Rejects,
        }
    }

    fn learn(&self, habit: Habit) {
        let before = self.0.swap(habit as u8, Ordering::Relaxed);
        if before != habit as u8 && matches!(habit, Habit::Ignores | Habit::Rejects) {
            log::warn!(
                target: "flipper::s3",
                "the server does not look at the conditions of writes: of two edits of one flag at the same time, one can be lost"
            );
        }
    }

    /// Takes note of what has come of a write under a condition that does not hold; returns whether it was written all the same.
    fn learn_from<T>(&self, answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match answer {
            Ok(written) => {
                self.learn(Habit::Ignores);
                Ok(Some(written))
            }
            Err(Failure::Refused | Failure::Missing) => {
                self.learn(Habit::Honours);
                Ok(None)
            }
            Err(Failure::Unsupported) => {
                self.learn(Habit::Rejects);
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// What the server makes of the conditions of a store's writes.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    create: Learnt,
    replace: Learnt,
    delete: Learnt,
}

impl Habits {
    /// What is known of puts and of deletions. What nobody has found out is as S3 has it.
    pub(crate) fn known(&self) -> (CompareAndSet, CompareAndSet) {
        let of = |learnt: &[&Learnt]| {
            let is_bad = |learnt: &&Learnt| matches!(learnt.habit(), Habit::Ignores | Habit::Rejects);
            if learnt.iter().any(is_bad) { CompareAndSet::BestEffort } else { CompareAndSet::Atomic }
        };
        (of(&[&self.create, &self.replace]), of(&[&self.delete]))
    }

    /// Writes an object that is not there.
    pub(crate) async fn create(&self, api: &Api, key: &str, body: &str) -> Result<Etag> {
        let learnt = &self.create;
        let is_trusted = learnt.habit() == Habit::Honours;
        if !is_trusted && api.get(key).await.map_err(of_read)?.is_some() {
            return Err(conflict());
        }
        if learnt.habit() == Habit::Rejects {
            return api.put(key, body, When::Always).await.map_err(of_write);
        }
        let etag = match api.put(key, body, When::Absent).await {
            Ok(etag) => etag,
            Err(Failure::Refused) => {
                learnt.learn(Habit::Honours);
                return Err(conflict());
            }
            Err(Failure::Unsupported) => {
                learnt.learn(Habit::Rejects);
                return api.put(key, body, When::Always).await.map_err(of_write);
            }
            Err(failure) => return Err(of_write(failure)),
        };
        if learnt.habit() == Habit::Unknown {
            self.repeat(api, key, body).await;
        }
        Ok(etag)
    }

    /// Creates once more what was created a moment ago, which has to fail. Whatever comes of it, the object has been created.
    async fn repeat(&self, api: &Api, key: &str, body: &str) {
        let etag = match api.put(key, body, When::Absent).await {
            Ok(etag) => etag,
            Err(Failure::Refused) => return self.create.learn(Habit::Honours),
            // Nobody knows: the next one tells.
            Err(_) => return,
        };
        let once_more = api.put(key, body, When::Absent).await;
        if let Ok(None) = self.create.learn_from(once_more) {
            // Somebody had deleted it in between. It is there again, by our doing.
            let _ = self.delete(api, key, &etag).await;
        }
    }

    /// Writes an object that is in a state.
    pub(crate) async fn replace(&self, api: &Api, key: &str, body: &str, before: &str) -> Result<Etag> {
        let learnt = &self.replace;
        if learnt.habit() != Habit::Honours {
            let found = api.get(key).await.map_err(of_read)?;
            if found.is_none_or(|found| found.etag != before) {
                return Err(conflict());
            }
            // What was to be written, under a condition that does not hold: if it is written, that is that.
            if learnt.habit() != Habit::Rejects
                && let Some(etag) =
                    learnt.learn_from(api.put(key, body, When::Never).await).map_err(of_write)?
            {
                return Ok(etag);
            }
            if learnt.habit() == Habit::Rejects {
                return api.put(key, body, When::Always).await.map_err(of_write);
            }
        }
        match api.put(key, body, When::Matches(before)).await {
            Ok(etag) => Ok(etag),
            Err(Failure::Refused | Failure::Missing) => Err(conflict()),
            Err(failure) => Err(of_write(failure)),
        }
    }

    /// Deletes an object that is in a state; returns whether there was one.
    pub(crate) async fn delete(&self, api: &Api, key: &str, before: &str) -> Result<bool> {
        // Asked for in any case: S3 does not tell whether there was one to be deleted.
        match api.get(key).await.map_err(of_read)? {
            None => return Ok(false),
            Some(found) if found.etag != before => return Err(conflict()),
            Some(_) => {}
        }
        let learnt = &self.delete;
        if learnt.habit() != Habit::Honours {
            if learnt.habit() != Habit::Rejects
                && learnt.learn_from(api.delete(key, When::Never).await).map_err(of_write)?.is_some()
            {
                return Ok(true);
            }
            if learnt.habit() == Habit::Rejects {
                return api.delete(key, When::Always).await.map(|()| true).map_err(of_write);
            }
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
        api.put(key, body, When::Always).await.map_err(of_write)?;
        self.create.learn_from(api.put(key, body, When::Absent).await).map_err(of_write)?;
        self.replace.learn_from(api.put(key, body, When::Never).await).map_err(of_write)?;
        self.delete.learn_from(api.delete(key, When::Never).await).map_err(of_write)?;
        Ok(())
    }
}

fn conflict() -> flipper_core::Error {
    error(ErrorKind::Conflict, "the flag has changed, or there is none, or there is one already")
}

/// The error of a request before a write, which has not happened then.
pub(crate) fn of_read(failure: Failure) -> flipper_core::Error {
    failure.into_error(Asked::Read)
}

pub(crate) fn of_write(failure: Failure) -> flipper_core::Error {
    failure.into_error(Asked::Write)
}
