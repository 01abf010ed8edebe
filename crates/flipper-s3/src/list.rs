//! Listings: keys page by page, and many objects at once, but for those that are as they were.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use flipper_core::{BoxStream, Error, ErrorKind, Listed, Page, Result};
use futures_lite::stream;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;

use crate::api::{Entries, Entry, Etag, LARGEST, Object};
use crate::error::{Asked, Failure, no_s3};
use crate::record::{listed, read, version};
use crate::shared::Shared;

/// What the objects were when they were listed last: one that has the same ETag need not be read again, whether it is a flag or not.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Arc<HashMap<String, State>>>);

#[derive(Clone, Debug)]
struct State {
    etag: Etag,
    listed: Listed,
}

impl Seen {
    fn get(&self) -> Arc<HashMap<String, State>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, states: HashMap<String, State>) {
        let before =
            std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), Arc::new(states));
        // Unlocked: it may be a lot.
        drop(before);
    }
}

pub(crate) fn list(shared: &Shared, page: Page) -> BoxStream<'_, Result<Listed>> {
    // An error is the last item.
    Box::pin(stream::unfold(Some(Lister::new(shared, page)), async |lister| {
        let mut lister = lister?;
        match lister.next().await {
            Ok(Some(record)) => Some((Ok(record), Some(lister))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

/// What has come of reading an object.
enum Got {
    There(Entry, Listed),
    /// It is there, and may not be read.
    Denied(Entry, Error),
    Gone,
}

/// One listing.
struct Lister<'s> {
    shared: &'s Shared,
    is_complete: bool,
    before: Arc<HashMap<String, State>>,
    now: HashMap<String, State>,
    skip: usize,
    left: usize,
    /// The page that is under way.
    page: Option<BoxFuture<'s, Result<Entries>>>,
    from: From,
    /// What is not read yet.
    unread: VecDeque<Entry>,
    reads: FuturesOrdered<BoxFuture<'s, Result<Got>>>,
    readable: usize,
    denied: Option<Error>,
}

/// Waits for a page; for ever if none is under way.
async fn arrived(page: &mut Option<BoxFuture<'_, Result<Entries>>>) -> Result<Entries> {
    match page {
        Some(page) => page.await,
        None => std::future::pending().await,
    }
}

/// Where the next page begins.
enum From {
    Start,
    Token(String),
    /// There is none.
    End,
}

impl<'s> Lister<'s> {
    fn new(shared: &'s Shared, page: Page) -> Self {
        Self {
            shared,
            is_complete: page == Page::ALL,
            before: shared.seen.get(),
            now: HashMap::new(),
            skip: page.offset,
            left: page.limit.unwrap_or(usize::MAX),
            page: None,
            from: From::Start,
            unread: VecDeque::new(),
            reads: FuturesOrdered::new(),
            readable: 0,
            denied: None,
        }
    }

    /// Returns the next record; `None` at the end.
    async fn next(&mut self) -> Result<Option<Listed>> {
        while self.left > 0 {
            self.begin();
            if self.reads.is_empty() && self.page.is_none() {
                return self.end();
            }
            let got = tokio::select! {
                biased;
                Some(got) = self.reads.next(), if !self.reads.is_empty() => got?,
                entries = arrived(&mut self.page) => {
                    self.page = None;
                    self.take(entries?)?;
                    continue;
                }
            };
            let listed = match got {
                Got::Gone => continue,
                Got::There(entry, listed) => {
                    self.readable += 1;
                    if let Some(etag) = entry.etag {
                        self.now.insert(entry.key, State { etag, listed: listed.clone() });
                    }
                    listed
                }
                // Not remembered: that it may be read one day changes nothing of it.
                Got::Denied(entry, error) => {
                    self.denied = Some(error.clone());
                    let version = entry.etag.as_deref().map(version);
                    Listed::Bad { name: self.name(&entry).into(), version, error }
                }
            };
            self.left -= 1;
            return Ok(Some(listed));
        }
        Ok(None)
    }

    /// Begins as many reads as may be under way at once, and the next page when that will be waited for.
    fn begin(&mut self) {
        while self.reads.len() < self.shared.concurrency.min(self.left)
            && let Some(entry) = self.unread.pop_front()
        {
            let read = self.read(entry);
            self.reads.push_back(read);
        }
        let is_wanted =
            self.unread.len() < self.shared.concurrency && self.unread.len() + self.reads.len() < self.left;
        if self.page.is_some() || !is_wanted {
            return;
        }
        let from = match std::mem::replace(&mut self.from, From::End) {
            From::Start => None,
            From::Token(token) => Some(token),
            From::End => return,
        };
        let count = self.shared.page_size.min(self.skip.saturating_add(self.left)).max(1);
        let shared = self.shared;
        self.page = Some(Box::pin(async move {
            let entries = shared.api.list(&shared.prefix, count, from.clone()).await?;
            if entries.next.is_some() && entries.next == from {
                return Err(no_s3(Asked::Read));
            }
            Ok(entries)
        }));
    }

    fn take(&mut self, entries: Entries) -> Result<()> {
        if let Some(token) = entries.next {
            self.from = From::Token(token);
        }
        for entry in entries.entries {
            let Some(name) = entry.key.strip_prefix(&*self.shared.prefix) else {
                return Err(no_s3(Asked::Read));
            };
            // A folder of a console.
            if entry.size == 0 && (name.is_empty() || name.ends_with('/')) {
                continue;
            }
            if self.skip > 0 {
                self.skip -= 1;
            } else {
                self.unread.push_back(entry);
            }
        }
        Ok(())
    }

    fn name<'e>(&self, entry: &'e Entry) -> &'e str {
        entry.key.strip_prefix(&*self.shared.prefix).unwrap_or(&entry.key)
    }

    fn read(&self, mut entry: Entry) -> BoxFuture<'s, Result<Got>> {
        let known = self.before.get(&entry.key);
        if let Some(known) = known.filter(|known| entry.etag.as_ref() == Some(&known.etag)) {
            return Box::pin(std::future::ready(Ok(Got::There(entry, known.listed.clone()))));
        }
        let (shared, name) = (self.shared, self.name(&entry).to_owned());
        Box::pin(async move {
            if let Some(etag) =
                entry.etag.clone().filter(|_| usize::try_from(entry.size).map_or(true, |size| size > LARGEST))
            {
                let object = Object { etag, body: None };
                return Ok(Got::There(entry, listed(&name, read(&name, object))));
            }
            match shared.api.get(&entry.key).await {
                Ok(Some(object)) => {
                    entry.etag = Some(object.etag.clone());
                    Ok(Got::There(entry, listed(&name, read(&name, object))))
                }
                Ok(None) => Ok(Got::Gone),
                Err(Failure::Unreadable(error)) => Ok(Got::Denied(entry, error.with_flag(name))),
                Err(failure) => Err(failure.into_error(Asked::Read)),
            }
        })
    }

    /// Ends a listing that has come to the last key.
    fn end(&mut self) -> Result<Option<Listed>> {
        if !self.is_complete {
            return Ok(None);
        }
        self.shared.seen.set(std::mem::take(&mut self.now));
        match self.denied.take() {
            // Not a few bad records, but rights that were taken away.
            Some(error) if self.readable == 0 && error.kind() == ErrorKind::PermissionDenied => Err(error),
            _ => Ok(None),
        }
    }
}
