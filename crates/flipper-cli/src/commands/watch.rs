//! `watch`.

use std::collections::HashMap;
use std::time::Duration;

use flipper::{Change, Error, ErrorKind, FeatureFlagClient, Flag, FlagName, Listed, Page};
use futures_util::StreamExt as _;

use super::Pattern;
use crate::changes::changes;
use crate::cli::WatchArgs;
use crate::escape::shown;
use crate::failure::{Code, Failure, Result};
use crate::output::{Role, note};
use crate::run::Run;
use crate::shape::{object, optional};
use crate::signals::{ended, unread};
use crate::time::Moment;
use crate::words::state;

/// How long to wait before everything is read again, if that has failed.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) async fn watch(run: &mut Run, args: &WatchArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let Some(mut following) = client.store().watch() else {
        let message = "this store cannot tell changes";
        return Err(Error::new(ErrorKind::Unsupported, message).with_operation("watch").into());
    };
    let mut watching = Watching {
        client: &client,
        pattern: Pattern::new(args.pattern.as_deref()),
        known: HashMap::new(),
        has_loaded: false,
        is_down: false,
        left: args.count.unwrap_or(usize::MAX),
    };
    let mut end = std::pin::pin!(async {
        tokio::select! {
            () = ended() => {}
            () = unread() => {}
        }
    });
    while watching.left > 0 {
        let change = tokio::select! {
            change = following.next() => change,
            () = &mut end => return Ok(Code::Done),
        };
        let Some(change) = change else { return Err(Failure::error("the store has ended the watch")) };
        tokio::select! {
            heard = watching.hear(run, change) => heard?,
            () = &mut end => return Ok(Code::Done),
        }
        // Whoever watches wants to see it now.
        run.out.flush()?;
    }
    Ok(Code::Done)
}

struct Watching<'c> {
    client: &'c FeatureFlagClient,
    pattern: Pattern,
    /// What was told last; `None` for a record that cannot be read.
    known: HashMap<Box<str>, Option<Flag>>,
    has_loaded: bool,
    is_down: bool,
    /// How many changes there are still to be told.
    left: usize,
}

impl Watching<'_> {
    async fn hear(&mut self, run: &mut Run, change: Change) -> Result<()> {
        match change {
            Change::Resync { .. } => self.load(run).await,
            Change::Put(found) => self.tell(run, found.value.name().into(), Some(Ok(found.value.clone()))),
            Change::Touched { name } => {
                let found = match FlagName::new(&name) {
                    Ok(legal) => self.client.store().get(legal).await,
                    Err(error) => Err(error),
                };
                match found {
                    Ok(found) => self.tell(run, name, found.map(|found| Ok(found.value))),
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        self.tell(run, name, Some(Err(error)))
                    }
                    Err(error) => {
                        note(format_args!("{name} has changed, and could not be read: {error}"));
                        Ok(())
                    }
                }
            }
            Change::Deleted { name, .. } => self.tell(run, name, None),
            Change::Bad { name, error, .. } => self.tell(run, name, Some(Err(error))),
            Change::Down { error } => {
                self.is_down = true;
                note(format_args!("changes cannot be followed at present: {error}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads everything, and tells what has changed since; the first time, nothing has.
    async fn load(&mut self, run: &mut Run) -> Result<()> {
        let listed = loop {
            match self.list().await {
                Ok(listed) => break listed,
                Err(error) => {
                    note(format_args!("the flags could not be read: {error}"));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        if self.has_loaded {
            let gone: Vec<_> =
                self.known.keys().filter(|name| !listed.contains_key(*name)).cloned().collect();
            for name in gone {
                self.tell(run, name, None)?;
            }
            for (name, flag) in listed {
                self.tell(run, name, Some(flag))?;
            }
            if std::mem::take(&mut self.is_down) {
                note("changes are followed again");
            }
        } else {
            note(format_args!("watching {} flags", listed.len()));
            self.known = listed.into_iter().map(|(name, flag)| (name, flag.ok())).collect();
            self.has_loaded = true;
        }
        Ok(())
    }

    async fn list(&self) -> flipper::Result<HashMap<Box<str>, flipper::Result<Flag>>> {
        let mut listed = HashMap::new();
        let mut listing = self.client.store().list(Page::ALL);
        while let Some(item) = listing.next().await {
            match item? {
                Listed::Flag(found) => listed.insert(found.value.name().into(), Ok(found.value)),
                Listed::Bad { name, error, .. } => listed.insert(name, Err(error)),
                _ => None,
            };
        }
        Ok(listed.into_iter().filter(|(name, _)| self.pattern.matches(name)).collect())
    }

    /// Tells how a flag has changed: `None` if it was deleted, an error if it cannot be read.
    fn tell(&mut self, run: &mut Run, name: Box<str>, now: Option<flipper::Result<Flag>>) -> Result<()> {
        if !self.pattern.matches(&name) || self.left == 0 {
            return Ok(());
        }
        let moment = Moment::system();
        let before = self.known.get(&name).cloned();
        let (what, told) = match (&before, &now) {
            (None, None) | (Some(None), Some(Err(_))) => return Ok(()),
            (_, None) => ("deleted", vec!["deleted".to_owned()]),
            (_, Some(Err(error))) => {
                ("unreadable", vec![format!("cannot be read any more: {}", error.message())])
            }
            (None, Some(Ok(flag))) => ("created", changes(None, Some(flag), &moment)),
            (Some(None), Some(Ok(flag))) => {
                ("changed", vec![format!("can be read again, {}", state(flag, &moment))])
            }
            (Some(Some(before)), Some(Ok(flag))) => ("changed", changes(Some(before), Some(flag), &moment)),
        };
        if told.is_empty() {
            return Ok(());
        }
        self.left -= 1;
        let (before, after) = (before.flatten(), now.as_ref().and_then(|now| now.as_ref().ok()).cloned());
        if run.out.is_json() {
            let json = object([
                ("flag", (&*name).into()),
                ("change", what.into()),
                ("time", moment.now.as_secs().into()),
                ("changes", told.into()),
                ("before", optional(before.as_ref(), &moment)),
                ("after", optional(after.as_ref(), &moment)),
            ]);
            run.out.json(&json)?;
        } else {
            let clock = moment.clock();
            let line = format!(
                "{}  {}: {}",
                run.out.paint(Role::Off, &clock),
                run.out.paint(Role::Name, &name),
                shown(&told.join("; "))
            );
            run.out.raw_line(&line)?;
        }
        match now {
            None => self.known.remove(&name),
            Some(now) => self.known.insert(name, now.ok()),
        };
        Ok(())
    }
}
