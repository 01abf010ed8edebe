//! Processes that write the same primary and the same replica, and are killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use flipper::FileStore;
use flipper_redis::RedisStore;
use flipper_replicated::ReplicatedStore;
use flipper_testkit::RedisServer;

use super::records;

/// A process that writes until it is killed.
struct Writer {
    process: Child,
    /// What it prints, which goes nowhere else.
    _lines: BufReader<ChildStdout>,
}

impl Writer {
    /// Starts one, and waits until it is at work.
    fn start(redis: &str, file: &std::path::Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_replicated-writer"))
            .arg(redis)
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "100", "it has begun to write");
        Self { process, _lines: lines }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_processes_have_left_is_repaired() {
    let server = RedisServer::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("flags.json");
    let mut differed = 0;
    for round in 0..6 {
        // Two at a time, killed one after the other at some moment.
        let writers = [Writer::start(&server.url(), &file), Writer::start(&server.url(), &file)];
        for writer in writers {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..150))).await;
            drop(writer);
        }
        let primary = RedisStore::connect(&server.url()).await.unwrap();
        let copy = FileStore::open(&file).unwrap();
        let store = ReplicatedStore::builder(primary).replica("file", copy).start().unwrap();
        let differences = store.resync("file").await.unwrap();
        println!("round {round}: {} differed", differences.len());
        differed += differences.len();
        assert_eq!(store.verify("file").await.unwrap(), []);
        let expected = records(store.get_ref()).await;
        assert!(expected.len() > 5);
        assert_eq!(records(store.replica("file").unwrap()).await, expected);
    }
    println!("{differed} in all");
}
