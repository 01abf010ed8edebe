//! The store keeps the contract, with notifications and without.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use flipper_core::json::Value;
use flipper_core::{
    BoxStream, Capabilities, Change, Expect, Flag, FlagName, Listed, Page, Peek, Result, Snapshot, Store,
    Version, Versioned,
};
use flipper_file::FileStore;
use flipper_testkit::{Subject, store_conformance};
use tempfile::TempDir;

/// A store in a directory that goes with it.
#[derive(Debug)]
struct InDirectory {
    store: FileStore,
    directory: Arc<TempDir>,
}

impl InDirectory {
    fn open(directory: Arc<TempDir>) -> Self {
        let store = FileStore::open(directory.path().join("flags.json")).unwrap();
        Self { store, directory }
    }

    fn path(&self) -> PathBuf {
        self.store.path().to_owned()
    }
}

#[async_trait]
impl Store for InDirectory {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        self.store.get(name).await
    }
    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        self.store.put(flag, expect).await
    }
    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        self.store.delete(name, expect).await
    }
    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        self.store.list(page)
    }
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        self.store.watch()
    }
    fn snapshot(&self) -> Option<&Snapshot> {
        self.store.snapshot()
    }
    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.store.peek(name, see);
    }
    async fn close(&self) -> Result<()> {
        self.store.close().await
    }
}

/// Puts bytes under a name, as somebody who edits the file does. What is no JSON cannot stand there but as a string.
fn plant(path: PathBuf, name: &str, bytes: &[u8]) {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|_| "{}".to_owned());
    let planted = String::from_utf8_lossy(bytes);
    let value =
        if Value::parse(&planted).is_ok() { planted.into_owned() } else { Value::from(&*planted).to_json() };
    let mut members = vec![format!("{}: {value}", Value::from(name).to_json())];
    for (known, span) in flipper_core::json::members(&text).unwrap() {
        if known.as_str() != Some(name) {
            members.push(format!("{}: {}", Value::String(known).to_json(), &text[span]));
        }
    }
    std::fs::write(path, format!("{{{}}}", members.join(","))).unwrap();
}

fn subject() -> Subject<InDirectory> {
    Subject::new(|| async { InDirectory::open(Arc::new(tempfile::tempdir().unwrap())) })
        .with_sibling(|store| async move { Arc::new(InDirectory::open(Arc::clone(&store.directory))) })
        .with_plant(|store, name, bytes| async move { plant(store.path(), &name, &bytes) })
        .with_outage(take_away)
}

/// As if the disk had been taken away.
async fn take_away(store: Arc<InDirectory>) {
    let gone = store.directory.path().with_extension("gone");
    std::fs::rename(store.directory.path(), &gone).unwrap();
    std::fs::remove_dir_all(gone).unwrap();
}

store_conformance!(file, subject());

fn polling() -> Subject<InDirectory> {
    let open = |directory: Arc<TempDir>| {
        let builder = FileStore::builder(directory.path().join("flags.json")).poll_only();
        InDirectory { store: builder.poll_interval(Duration::from_millis(20)).open().unwrap(), directory }
    };
    Subject::new(move || async move { open(Arc::new(tempfile::tempdir().unwrap())) })
        .with_sibling(move |store| async move { Arc::new(open(Arc::clone(&store.directory))) })
        .with_plant(|store, name, bytes| async move { plant(store.path(), &name, &bytes) })
        .with_outage(take_away)
}

store_conformance!(polled, polling());
