//! The store keeps the contract, with notifications and without.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flipper_core::json::Value;
use flipper_file::FileStore;
use flipper_testkit::{Subject, With, store_conformance};
use tempfile::TempDir;

/// A store in a directory that goes with it.
type InDirectory = With<FileStore, Arc<TempDir>>;

fn open(directory: Arc<TempDir>) -> InDirectory {
    With::new(FileStore::open(directory.path().join("flags.json")).unwrap(), directory)
}

/// Puts bytes under a name, as somebody who edits the file does. What is no JSON cannot stand there but as a string.
fn plant(path: &Path, name: &str, bytes: &[u8]) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|_| "{}".to_owned());
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
    Subject::new(|| async { open(Arc::new(tempfile::tempdir().unwrap())) })
        .with_sibling(|store| async move { Arc::new(open(Arc::clone(store.companion()))) })
        .with_plant(|store, name, bytes| async move { plant(store.get_ref().path(), &name, &bytes) })
        .with_outage(take_away)
}

/// As if the disk had been taken away.
async fn take_away(store: Arc<InDirectory>) {
    let gone = store.companion().path().with_extension("gone");
    std::fs::rename(store.companion().path(), &gone).unwrap();
    std::fs::remove_dir_all(gone).unwrap();
}

store_conformance!(file, subject());

fn polling() -> Subject<InDirectory> {
    let open = |directory: Arc<TempDir>| -> InDirectory {
        let builder = FileStore::builder(directory.path().join("flags.json")).poll_only();
        With::new(builder.poll_interval(Duration::from_millis(20)).open().unwrap(), directory)
    };
    Subject::new(move || async move { open(Arc::new(tempfile::tempdir().unwrap())) })
        .with_sibling(move |store| async move { Arc::new(open(Arc::clone(store.companion()))) })
        .with_plant(|store, name, bytes| async move { plant(store.get_ref().path(), &name, &bytes) })
        .with_outage(take_away)
}

store_conformance!(polled, polling());
