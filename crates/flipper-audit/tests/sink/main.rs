//! Sinks that are slow, fail, block, or are at the other end of a network.
#![cfg(feature = "webhook")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod webhook;

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use flipper_audit::{Record, Sink, SinkQueue};
use flipper_core::{Context, Error, ErrorKind, FeatureFlagClient, Result};
use flipper_memory::MemoryStore;

/// Takes records when it is let.
struct Gate {
    open: mpsc::Receiver<bool>,
    taken: Arc<Mutex<Vec<String>>>,
}

#[async_trait::async_trait]
impl Sink for Gate {
    async fn send(&mut self, record: &Record) -> Result<()> {
        // It blocks its thread, as a sink may.
        match self.open.recv() {
            Ok(true) => {
                self.taken.lock().unwrap().push(format!("{} {}", record.events.join("+"), record.flag));
                Ok(())
            }
            Ok(false) => Err(Error::new(ErrorKind::Unavailable, "told to fail")),
            Err(_) => std::future::pending().await,
        }
    }
}

fn gate() -> (mpsc::Sender<bool>, Arc<Mutex<Vec<String>>>, Gate) {
    let (let_in, open) = mpsc::channel();
    let taken = Arc::default();
    (let_in, Arc::clone(&taken), Gate { open, taken })
}

#[tokio::test]
async fn changes_are_told_in_order() {
    let (let_in, taken, gate) = gate();
    let client = FeatureFlagClient::new(MemoryStore::new());
    let queue = SinkQueue::builder().start(gate).unwrap();
    queue.subscribe_to(&client);
    for name in ["A", "B", "C"] {
        client.create(name).await.unwrap();
        let_in.send(true).unwrap();
    }
    client.create("A").await.unwrap_err();
    let stats = queue.shutdown(Duration::from_secs(10)).await;
    assert_eq!((stats.sent, stats.failed, stats.dropped, stats.queued), (3, 0, 0, 0));
    assert_eq!(*taken.lock().unwrap(), ["create A", "create B", "create C"]);
}

#[tokio::test]
async fn a_sink_that_blocks_delays_neither_edits_nor_checks_and_what_has_no_room_is_counted() {
    let (let_in, _, gate) = gate();
    let client = FeatureFlagClient::new(MemoryStore::new());
    let queue = SinkQueue::builder().capacity(10).start(gate).unwrap();
    queue.subscribe_to(&client);
    let local = client.local().unwrap();
    let start = Instant::now();
    for number in 0..200 {
        let name = format!("F{number}");
        client.create(&name).await.unwrap().enable().await.unwrap();
        assert!(local.is_enabled(&name, &Context::EMPTY));
        assert!(client.is_enabled(&name, &Context::EMPTY).await);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "nobody lets it go on: {:?}", start.elapsed());
    let stats = queue.stats();
    // One is with the sink, unless it has not come there yet, and ten are in the queue.
    assert!((389..=390).contains(&stats.dropped) && stats.sent == 0 && stats.queued == 10, "{stats:?}");
    for _ in 0..11 {
        let_in.send(true).unwrap();
    }
    let stats = queue.shutdown(Duration::from_secs(10)).await;
    assert_eq!(stats.sent + stats.dropped, 400);
    assert!(stats.sent >= 10, "{stats:?}");
}

#[tokio::test]
async fn a_sink_that_fails_is_told_the_next_change() {
    let (let_in, taken, gate) = gate();
    let client = FeatureFlagClient::new(MemoryStore::new());
    let queue = SinkQueue::builder().start(gate).unwrap();
    queue.subscribe_to(&client);
    for (name, is_taken) in [("A", false), ("B", true)] {
        client.create(name).await.unwrap();
        let_in.send(is_taken).unwrap();
    }
    let stats = queue.shutdown(Duration::from_secs(10)).await;
    assert_eq!((stats.sent, stats.failed, stats.dropped), (1, 1, 0));
    assert_eq!(*taken.lock().unwrap(), ["create B"]);
}

#[tokio::test]
async fn shutting_down_ends_in_time_whatever_the_sink_does() {
    // It blocks its thread, or waits for ever.
    for blocks in [true, false] {
        let (let_in, _, gate) = gate();
        let client = FeatureFlagClient::new(MemoryStore::new());
        let queue = SinkQueue::builder().start(gate).unwrap();
        queue.subscribe_to(&client);
        let kept = blocks.then_some(let_in);
        for name in ["A", "B"] {
            client.create(name).await.unwrap();
        }
        let start = Instant::now();
        let stats = queue.shutdown(Duration::from_millis(100)).await;
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(stats.sent, 0);
        if !blocks {
            assert_eq!(stats.dropped, 2, "{stats:?}");
        }
        // What comes later is dropped, and a second time is none.
        client.create("C").await.unwrap();
        queue.shutdown(Duration::from_millis(1)).await;
        drop(kept);
    }
}

#[test]
fn a_queue_needs_no_runtime_of_its_users() {
    let (let_in, taken, gate) = gate();
    futures_lite::future::block_on(async {
        let client = FeatureFlagClient::new(MemoryStore::new());
        let queue = SinkQueue::builder().redact(["token"]).start(gate).unwrap();
        queue.subscribe_to(&client);
        let_in.send(true).unwrap();
        client.create("A").await.unwrap();
        assert_eq!(queue.shutdown(Duration::from_secs(10)).await.sent, 1);
    });
    assert_eq!(taken.lock().unwrap().len(), 1);
}

/// Panics at each first record of a flag that is called so.
struct Panics(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl Sink for Panics {
    async fn send(&mut self, record: &Record) -> Result<()> {
        tokio::task::yield_now().await;
        assert!(!record.flag.starts_with("PANIC"), "told to panic");
        self.0.lock().unwrap().push(record.flag.clone());
        Ok(())
    }
}

#[tokio::test]
async fn a_sink_that_panics_is_told_the_next_change() {
    let taken = Arc::default();
    let client = FeatureFlagClient::new(MemoryStore::new());
    let queue = SinkQueue::builder().start(Panics(Arc::clone(&taken))).unwrap();
    queue.subscribe_to(&client);
    for name in ["A", "PANIC1", "B", "PANIC2", "C"] {
        client.create(name).await.unwrap();
    }
    let stats = queue.shutdown(Duration::from_secs(10)).await;
    assert_eq!((stats.sent, stats.failed, stats.dropped, stats.queued), (3, 2, 0, 0));
    assert_eq!(*taken.lock().unwrap(), ["A", "B", "C"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn shutting_down_leaves_no_thread() {
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(|task| {
            let name = std::fs::read_to_string(task.ok()?.path().join("comm")).ok()?;
            name.starts_with("flipper-sink-ti").then_some(())
        });
        tasks.count()
    };
    let queue = SinkQueue::builder().start(Panics(Arc::default())).unwrap();
    queue.shutdown(Duration::from_hours(1)).await;
    // Others shut down as well, for seconds at the most.
    let gone = async {
        while threads() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
}
