//! Listings: keys page by page, and many objects at once, but for those that are as they were.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use flipper_core::{BoxStream, Error, Listed, Page, Result};
use futures_lite::stream;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;

use crate::api::{Entries, Entry, Etag, Object, is_large};
use crate::error::{Asked, Failure, no_s3};
use crate::record::{listed, read, version};
use crate::shared::Shared;
use crate::task::Task;

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

pub(crate) fn list(shared: Arc<Shared>, page: Page) -> BoxStream<'static, Result<Listed>> {
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

/// How many pages without keys are borne, one after the other.
const EMPTY_PAGES: usize = 1_000;

/// What has come of reading an object.
enum Got {
    There(Entry, Listed),
    /// It is there, and may not be read.
    Denied(Entry, Error),
    Gone,
}

/// One listing. What is under way goes on while nobody looks at it: its time is limited.
struct Lister {
    shared: Arc<Shared>,
    is_complete: bool,
    before: Arc<HashMap<String, State>>,
    now: HashMap<String, State>,
    skip: usize,
    left: usize,
    /// The page that is under way.
    page: Option<Task<Entries>>,
    from: From,
    /// Where pages began that have been asked for.
    tokens: HashSet<String>,
    /// How many pages without keys there were, one after the other.
    empty_pages: usize,
    /// What is not read yet.
    unread: VecDeque<Entry>,
    reads: FuturesOrdered<Read>,
    readable: usize,
    /// Why the first object could not be read that could not.
    denied: Option<Error>,
}

/// Waits for a page; for ever if none is under way.
async fn arrived(page: &mut Option<Task<Entries>>) -> Result<Entries> {
    match page {
        Some(page) => page.await,
        None => std::future::pending().await,
    }
}

/// An object that is read, or need not be.
enum Read {
    Known(Option<Got>),
    UnderWay(Task<Got>),
}

impl Future for Read {
    type Output = Result<Got>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Got>> {
        match self.get_mut() {
            Self::Known(got) => Poll::Ready(Ok(got.take().unwrap_or(Got::Gone))),
            Self::UnderWay(task) => Pin::new(task).poll(context),
        }
    }
}

/// Where the next page begins.
enum From {
    Start,
    Token(String),
    /// There is none.
    End,
}

impl Lister {
    fn new(shared: Arc<Shared>, page: Page) -> Self {
        Self {
            before: shared.seen.get(),
            shared,
            is_complete: page == Page::ALL,
            now: HashMap::new(),
            skip: page.offset,
            left: page.limit.unwrap_or(usize::MAX),
            page: None,
            from: From::Start,
            tokens: HashSet::new(),
            empty_pages: 0,
            unread: VecDeque::new(),
            reads: FuturesOrdered::new(),
            readable: 0,
            denied: None,
        }
    }

    /// Returns the next record; `None` at the end.
    async fn next(&mut self) -> Result<Option<Listed>> {
        while self.left > 0 {
            self.begin()?;
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
                    // What is too large was not read.
                    self.readable += usize::from(entry.size.is_none_or(|size| !is_large(size)));
                    if let Some(etag) = entry.etag.filter(|_| self.is_complete) {
                        self.now.insert(entry.key, State { etag, listed: listed.clone() });
                    }
                    listed
                }
                // Not remembered: the day that it may be read, it is as it was.
                Got::Denied(entry, error) => {
                    self.denied.get_or_insert_with(|| error.clone());
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
    fn begin(&mut self) -> Result<()> {
        while self.reads.len() < self.shared.concurrency.min(self.left)
            && let Some(entry) = self.unread.pop_front()
        {
            let read = self.read(entry)?;
            self.reads.push_back(read);
        }
        let is_wanted =
            self.unread.len() < self.shared.concurrency && self.unread.len() + self.reads.len() < self.left;
        if self.page.is_some() || !is_wanted {
            return Ok(());
        }
        let from = match std::mem::replace(&mut self.from, From::End) {
            From::Start => None,
            From::Token(token) => Some(token),
            From::End => return Ok(()),
        };
        let count = self.shared.page_size.min(self.skip.saturating_add(self.left)).max(1);
        let shared = Arc::clone(&self.shared);
        self.page = Some(Task::start(async move { shared.api.list(&shared.prefix, count, from).await })?);
        Ok(())
    }

    fn take(&mut self, entries: Entries) -> Result<()> {
        self.empty_pages = if entries.entries.is_empty() { self.empty_pages + 1 } else { 0 };
        if let Some(token) = entries.next {
            // One that goes round in circles, or on and on, is none.
            if !self.tokens.insert(token.clone()) || self.empty_pages > EMPTY_PAGES {
                return Err(no_s3(Asked::Read));
            }
            self.from = From::Token(token);
        }
        for entry in entries.entries {
            let Some(name) = entry.key.strip_prefix(&*self.shared.prefix) else {
                return Err(no_s3(Asked::Read));
            };
            // A folder of a console.
            if entry.size == Some(0) && (name.is_empty() || name.ends_with('/')) {
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

    fn read(&self, mut entry: Entry) -> Result<Read> {
        let known = self.before.get(&entry.key);
        if let Some(known) = known.filter(|known| entry.etag.as_ref() == Some(&known.etag)) {
            return Ok(Read::Known(Some(Got::There(entry, known.listed.clone()))));
        }
        let name = self.name(&entry).to_owned();
        if let Some(etag) = entry.etag.clone().filter(|_| entry.size.is_some_and(is_large)) {
            let listed = listed(&name, read(&name, Object { etag, body: None }));
            return Ok(Read::Known(Some(Got::There(entry, listed))));
        }
        let shared = Arc::clone(&self.shared);
        let task = Task::start(async move {
            match shared.api.get(&entry.key).await {
                Ok(Some(object)) => {
                    entry.etag = Some(object.etag.clone());
                    Ok(Got::There(entry, listed(&name, read(&name, object))))
                }
                Ok(None) => Ok(Got::Gone),
                Err(Failure::Unreadable(error)) => Ok(Got::Denied(entry, error.with_flag(name))),
                Err(failure) => Err(failure.into_error(Asked::Object)),
            }
        });
        Ok(Read::UnderWay(task?))
    }

    /// Ends a listing that has come to the last key.
    fn end(&mut self) -> Result<Option<Listed>> {
        if !self.is_complete {
            return Ok(None);
        }
        self.shared.seen.set(std::mem::take(&mut self.now));
        match self.denied.take() {
            // Not a few bad records: rights that were taken away, or keys.
            Some(error) if self.readable == 0 => Err(error),
            _ => Ok(None),
        }
    }
}
