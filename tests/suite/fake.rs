//! A store whose every part can be told what to do: what is told, what is slow, what fails.
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::store::{Watchers, iter};
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Store,
    Timestamp, Version, Versioned, Watching,
};
use flipper_memory::MemoryStore;
use futures_lite::StreamExt;

#[derive(Clone, Debug)]
pub(crate) struct Fake(pub(crate) Arc<Knobs>);

#[derive(Debug)]
pub(crate) struct Knobs {
    pub(crate) inner: MemoryStore,
    /// `None`: it cannot be watched.
    pub(crate) watchers: Option<Mutex<Watchers>>,
    /// After the value was read.
    pub(crate) get_delay_ms: AtomicU64,
    /// After the listing was made.
    pub(crate) list_delay_ms: AtomicU64,
    pub(crate) fail_gets: AtomicU32,
    pub(crate) gets: AtomicU64,
    pub(crate) lists: AtomicU64,
    /// A record that cannot be read.
    pub(crate) bad: Mutex<Option<String>>,
}

impl Fake {
    pub(crate) fn new(is_watched: bool) -> Self {
        Self(Arc::new(Knobs {
            inner: MemoryStore::new(),
            watchers: is_watched.then(Mutex::default),
            get_delay_ms: AtomicU64::new(0),
            list_delay_ms: AtomicU64::new(0),
            fail_gets: AtomicU32::new(0),
            gets: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            bad: Mutex::new(None),
        }))
    }
    pub(crate) fn tell(&self, change: &Change) {
        let wakers = self.0.watchers.as_ref().unwrap().lock().unwrap().tell(change);
        wakers.wake();
    }
    /// As somebody else does; not told.
    pub(crate) async fn plant(&self, name: &str, is_on: bool) -> Versioned<Flag> {
        let value = flag(name, is_on);
        let version = self.0.inner.put(&value, Expect::Any).await.unwrap();
        Versioned { value, version }
    }
}

pub(crate) fn flag(name: &str, is_on: bool) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(0));
    flag.set_enabled(is_on).unwrap();
    flag
}

pub(crate) fn err(kind: ErrorKind) -> Error {
    Error::new(kind, "told to fail").with_store("fake")
}

async fn wait(ms: &AtomicU64) {
    let ms = ms.load(Ordering::SeqCst);
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

#[async_trait]
impl Store for Fake {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.0.gets.fetch_add(1, Ordering::SeqCst);
        if self.0.fail_gets.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(err(ErrorKind::Unavailable));
        }
        let found = self.0.inner.get(name).await;
        wait(&self.0.get_delay_ms).await;
        found
    }
    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.0.inner.put(flag, expect).await
    }
    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.0.inner.delete(name, expect).await
    }
    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        Box::pin(
            futures_lite::stream::once_future(async move {
                self.0.lists.fetch_add(1, Ordering::SeqCst);
                let mut listed: Vec<_> = self.0.inner.list(page).collect().await;
                if let Some(name) = &*self.0.bad.lock().unwrap() {
                    let error = err(ErrorKind::Corrupt);
                    listed.push(Ok(Listed::Bad { name: name.as_str().into(), version: None, error }));
                }
                wait(&self.0.list_delay_ms).await;
                listed
            })
            .map(iter)
            .flatten(),
        )
    }
    fn capabilities(&self) -> Capabilities {
        let watch = if self.0.watchers.is_some() { Watching::Pushed } else { Watching::Absent };
        Capabilities::CONDITIONAL_WRITES.with_watch(watch)
    }
    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        Some(self.0.watchers.as_ref()?.lock().unwrap().subscribe())
    }
}

/// Runs a test that may block for ever on a thread of its own.
pub(crate) fn bounded(limit: Duration, test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match is_done.recv_timeout(limit) {
        Ok(()) => thread.join().unwrap(),
        Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
        Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
    }
}
