//! What others change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use flipper_core::{Change, Error, ErrorKind, Flag, FlagName, Listed, Page, Result, Store, Timestamp};
use futures_lite::StreamExt;

use super::audit_log::AuditLog;
use super::history::History;
use super::state::Told;
use crate::record::Source;

impl AuditLog {
    /// Records what others change in a store, until its watch ends, which it does when the store is closed: run it as a task.
    ///
    /// Flags that are there at the beginning, and that the log knows nothing of, are recorded as found. What has changed since the log was written last
    /// is recorded as changed by somebody else, when it is seen. What the log's own clients change is recorded once, by them.
    ///
    /// A change is read from the store before it is recorded, as what a watch tells may be late; so several that come quickly may be recorded
    /// as one. Of each flag that was seen, the last state is kept in memory.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the store cannot be watched; those of reading the log.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(store: std::sync::Arc<dyn flipper_core::Store>, log: flipper_audit::AuditLog) {
    /// tokio::spawn(async move { log.follow(store).await });
    /// # }
    /// ```
    pub async fn follow(&self, store: Arc<dyn Store>) -> Result<()> {
        let Some(mut changes) = store.watch() else {
            let message = "the store cannot be watched: what others change is recorded when an edit meets it";
            return Err(Error::new(ErrorKind::Unsupported, message).with_operation("follow"));
        };
        self.recall()?;
        while let Some(change) = changes.next().await {
            match change {
                Change::Resync { .. } => self.compare_all(&*store).await,
                Change::Put(found) => self.look(&*store, found.value.name(), Some(Some(&found.value))).await,
                Change::Deleted { name, .. } => self.look(&*store, &name, Some(None)).await,
                Change::Touched { name } => self.look(&*store, &name, None).await,
                // What cannot be read is no state of a flag; and after an outage there is a resync.
                _ => {}
            }
        }
        Ok(())
    }

    /// Learns from the log what the flags were.
    fn recall(&self) -> Result<()> {
        let Some(files) = &self.shared.files else { return Ok(()) };
        let mut told: HashMap<String, Told> = HashMap::new();
        for entry in History::of(&files.active).entries()? {
            let entry = entry?;
            if let Some(flag) = entry.flag() {
                told.entry(flag.to_owned()).or_default().see(&entry);
            }
        }
        let mut state = self.shared.lock();
        for (flag, told) in told {
            if let Some((last, doubt)) = told.last() {
                state.known.set_from_log(&flag, last, doubt);
            }
        }
        Ok(())
    }

    /// Compares all flags with what is known of them.
    async fn compare_all(&self, store: &dyn Store) {
        let mut listed = HashSet::new();
        let mut records = store.list(Page::default());
        while let Some(record) = records.next().await {
            match record {
                Ok(Listed::Flag(found)) => {
                    self.look(store, found.value.name(), Some(Some(&found.value))).await;
                    listed.insert(Box::from(found.value.name()));
                }
                Ok(Listed::Bad { name, .. }) => {
                    listed.insert(name);
                }
                Ok(_) => {}
                Err(error) => {
                    // Nothing can be said of what is not in it.
                    log::warn!(target: "flipper::audit", "the flags cannot be listed, and what others have changed meanwhile may not be recorded: {error}");
                    return;
                }
            }
        }
        let missing: Vec<_> =
            self.shared.lock().known.present().into_iter().filter(|name| !listed.contains(name)).collect();
        for name in missing {
            self.look(store, &name, Some(None)).await;
        }
        self.shared.lock().known.is_complete();
    }

    /// Reads a flag and records it if somebody else has changed it. `told` is what the store has told of it.
    async fn look(&self, store: &dyn Store, name: &str, told: Option<Option<&Flag>>) {
        let Ok(flag_name) = FlagName::new(name) else { return };
        loop {
            let ended = self.ended();
            let quiet = {
                let state = self.shared.lock();
                if told.is_some_and(|told| state.known.is(name, told, &self.shared.redaction)) {
                    return;
                }
                state.known.quiet_since(name)
            };
            // While an edit of ours is under way, what is seen may be its doing.
            let Some(quiet) = quiet else {
                ended.await;
                continue;
            };
            let found = match store.get(flag_name).await {
                Ok(found) => found.map(|found| found.value),
                Err(error) => {
                    if error.kind() != ErrorKind::Corrupt {
                        log::warn!(target: "flipper::audit", "{name:?} cannot be read, and what others have changed may be recorded late: {error}");
                    }
                    return;
                }
            };
            let mut state = self.shared.lock();
            if state.known.quiet_since(name) == Some(quiet) {
                self.shared.see(&mut state, name, found.as_ref(), Source::Watch, Timestamp::now());
                return;
            }
        }
    }
}
