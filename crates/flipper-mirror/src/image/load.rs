//! Loads: what a complete listing does to the image.

use std::collections::HashSet;
use std::sync::Arc;

use flipper_core::{Change, Error, Flag, Freshness, Listed, ResyncCause, StaleCause, Timestamp, Versioned};

use super::{Found, Image, Name};

impl Image {
    /// Takes a state that was saved, until the store was loaded.
    pub(crate) fn restore(&mut self, records: Vec<Versioned<Flag>>, since: Timestamp) {
        self.snapshot.edit(|edit| {
            edit.replace_all(records);
            edit.set_freshness(Freshness::Stale { since, cause: StaleCause::LastKnownGood });
        });
    }

    /// Returns what is to be saved; `None` if that has been, or is not the store's state.
    pub(crate) fn take_unsaved(&mut self) -> Option<Vec<Arc<Versioned<Flag>>>> {
        let is_due = self.is_unsaved && self.snapshot.freshness() == Freshness::Live;
        is_due.then(|| {
            self.is_unsaved = false;
            self.snapshot.records()
        })
    }

    pub(crate) fn was_not_saved(&mut self) {
        self.is_unsaved = true;
    }

    pub(crate) fn begin_load(&mut self) {
        self.touched = Some(self.writing.keys().cloned().collect());
        self.is_load_old = false;
        // It finds what they are about, too.
        self.queued.clear();
    }

    /// Returns which flags a listing has no longer, as far as nothing has happened to them since it began: they may have
    /// been passed over. `None` if it has none at all where there have been several: then they stay.
    pub(crate) fn missing(&mut self, listed: &[Listed], now: Timestamp) -> Option<Vec<Name>> {
        let known = self.snapshot.records();
        let known: Vec<_> = known.iter().filter(|known| !self.is_touched(known.value.name())).collect();
        if listed.is_empty() && known.len() >= self.emptied_from {
            self.touched = None;
            if !self.is_emptied {
                self.is_emptied = true;
                let line = format!(
                    "the store has lost all of its {} flags at once: their last state stays in use until there is a flag \
                     again, or `accept_empty` is called",
                    known.len()
                );
                self.log(log::Level::Error, line);
            }
            self.set_stale(StaleCause::Emptied, now);
            if !self.is_unfollowed && self.down.take().is_some() {
                self.tell(&Change::Resync { cause: ResyncCause::Reconnected });
            }
            return None;
        }
        let marked = self.snapshot.marked();
        if known.is_empty() && marked.is_empty() {
            return Some(Vec::new());
        }
        let listed: HashSet<&str> = listed.iter().map(name_of).collect();
        let names = known.iter().map(|known| known.value.name());
        let names = names.chain(marked.iter().map(|name| &**name).filter(|name| !self.is_touched(name)));
        let mut missing: Vec<Name> = names.filter(|name| !listed.contains(name)).map(Name::from).collect();
        missing.sort_unstable();
        missing.dedup();
        Some(missing)
    }

    fn is_touched(&self, name: &str) -> bool {
        self.touched.as_ref().is_some_and(|touched| touched.contains(name))
    }

    /// Takes a complete listing, and what reading has said of those that are missing in it.
    pub(crate) fn end_load(
        &mut self,
        listed: Vec<Listed>,
        read: Vec<(Name, Result<Found, Error>)>,
        now: Timestamp,
    ) {
        let touched = self.touched.take().unwrap_or_default();
        let (mut put, mut bad, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for record in listed {
            if touched.contains(name_of(&record)) {
                continue;
            }
            match record {
                Listed::Flag(found) => put.push(found),
                Listed::Bad { name, version, error } => bad.push((name, version, error)),
                _ => {}
            }
        }
        for (name, answer) in read {
            match answer {
                _ if touched.contains(&name) => {}
                Ok(Some(found)) => put.push(found),
                Ok(None) => gone.push(name),
                Err(error) => bad.push((name, error.version().cloned(), error)),
            }
        }
        let mut changes = Vec::new();
        let stale = Freshness::Stale { since: now, cause: StaleCause::Corrupt };
        let before = self.snapshot.freshness();
        let was_stale = matches!(before, Freshness::Stale { .. });
        let is_current = !self.is_unfollowed && (!was_stale || !self.is_load_old);
        // What is being read may be older than this.
        self.outdate_reads();
        self.untold.retain(|_, untold| !untold.is_over(now));
        let is_empty = self.snapshot.is_empty() && self.snapshot.marked().is_empty();
        self.snapshot.edit(|edit| {
            if is_empty {
                // All at once, which is quicker; and to say each of them would take no less than to say that there are some.
                if !put.is_empty() {
                    changes.push(Change::Resync { cause: ResyncCause::Started });
                }
                edit.replace_all(std::mem::take(&mut put));
            }
            for found in put {
                let was_marked = edit.is_marked(found.value.name());
                if edit.put(found.clone()) || was_marked {
                    changes.push(Change::Put(found));
                }
            }
            for name in gone {
                edit.remove(&name);
                changes.push(Change::Deleted { name, version: None });
            }
            for (name, version, error) in bad {
                // Since when, if it is so already.
                if !edit.is_marked(&name) {
                    edit.mark(&name, stale);
                    changes.push(Change::Bad { name, version, error });
                }
            }
            if is_current {
                edit.set_freshness(Freshness::Live);
            } else if !matches!(
                before,
                Freshness::Stale { cause: StaleCause::Unavailable | StaleCause::PermissionDenied, .. }
            ) {
                // What it was before is over; but nobody tells what happens from here on.
                edit.set_freshness(Freshness::Stale { since: now, cause: StaleCause::Unavailable });
            }
        });
        self.is_emptied = false;
        self.since_emptied.clear();
        self.is_unsaved = true;
        if !is_current {
            for change in &changes {
                self.tell(change);
            }
            return;
        }
        // What comes now ends that the store was away; who watches loads everything, and needs no changes.
        if self.down.take().is_some() {
            self.tell(&Change::Resync { cause: ResyncCause::Reconnected });
        } else {
            for change in &changes {
                self.tell(change);
            }
        }
    }

    /// Has the next load take an empty store at its word.
    pub(crate) fn accept_empty(&mut self, now: Timestamp) {
        if self.is_emptied {
            self.is_emptied = false;
            self.is_unsaved = true;
            let is_followed = self.down.is_none() && !self.is_unfollowed;
            let freshness = if is_followed {
                Freshness::Live
            } else {
                Freshness::Stale { since: now, cause: StaleCause::Unavailable }
            };
            let since = std::mem::take(&mut self.since_emptied);
            let records = self.snapshot.records();
            let names = records.iter().map(|known| Name::from(known.value.name()));
            let gone: Vec<Name> = names.filter(|name| !since.contains(name)).collect();
            self.snapshot.edit(|edit| {
                for name in &gone {
                    edit.remove(name);
                }
                edit.set_freshness(freshness);
            });
            for name in gone {
                self.tell(&Change::Deleted { name, version: None });
            }
        }
    }
}

fn name_of(record: &Listed) -> &str {
    match record {
        Listed::Flag(found) => found.value.name(),
        Listed::Bad { name, .. } => name,
        _ => "",
    }
}
