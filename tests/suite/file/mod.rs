//! One file, and everything that can happen to it.

mod by_hand;
mod damage;
mod hostile;
mod links;
mod processes;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flipper_core::json::Value;
use flipper_core::{Flag, FlagName, Store, Timestamp};
use flipper_file::FileStore;
use tempfile::TempDir;

/// A directory with a path in it.
fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("flags.json");
    (directory, path)
}

fn flag(name: &str, is_on: bool) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(is_on).unwrap();
    flag
}

/// A file of these flags, as somebody would write it.
fn text(flags: &[Flag]) -> String {
    let members =
        flags.iter().map(|flag| format!("{}: {}", Value::from(flag.name()).to_json(), flag.as_json()));
    format!("{{\n{}\n}}\n", members.collect::<Vec<_>>().join(",\n"))
}

/// A process that counts in a file; see `bin/file_editor.rs`.
fn editor(path: &Path, flag: &str, counter: &str, edits: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_file-editor"));
    command.arg(path).args([flag, counter, edits]).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// How far a counter in a file has come.
async fn counted(path: &Path, of: &str, counter: &str) -> u64 {
    let store = FileStore::open(path).unwrap();
    let found = store.get(FlagName::new(of).unwrap()).await.unwrap().expect("the flag");
    let data = serde_json::Value::from(&found.value.client_data());
    data[counter].as_u64().unwrap_or(0)
}

/// Waits until something holds, and returns after how long.
async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} does not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    start.elapsed()
}
