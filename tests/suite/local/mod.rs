//! Checks in memory: that they are right, that they cost what they promise, and that they leave nothing behind.

mod agreement;
mod behaviour;
mod cases;
mod checks;
mod memory;
mod model;
mod names;
mod reentry;
mod snapshots;
mod tasks;
mod threads;
mod told;

use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;

use flipper_core::{
    Context, FeatureFlagClient, Flag, FlagName, Freshness, LocalClient, Snapshot, Timestamp, Version,
    Versioned,
};
use flipper_tests::Held;

/// A client of a snapshot alone.
fn local_of(snapshot: &Snapshot) -> LocalClient {
    FeatureFlagClient::new(Held::new(snapshot)).local().unwrap()
}

fn live() -> Snapshot {
    Snapshot::new(Freshness::Live)
}

fn flag(name: &str, is_enabled: bool) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(is_enabled).unwrap();
    flag
}

fn record(flag: Flag, version: u64) -> Versioned<Flag> {
    Versioned { value: flag, version: Version::from_u64(version) }
}

/// Puts a flag, and says whether it is another than before.
fn put(snapshot: &Snapshot, name: &str, is_enabled: bool, version: u64) -> bool {
    snapshot.edit(|edit| edit.put(record(flag(name, is_enabled), version)))
}

fn is_on(local: &LocalClient, name: &str) -> bool {
    local.is_enabled(name, &Context::EMPTY)
}

/// Polls what must be ready at once.
fn poll_once<T>(future: impl Future<Output = T>) -> T {
    let mut task = std::task::Context::from_waker(Waker::noop());
    match pin!(future).as_mut().poll(&mut task) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("what is in memory is waited for"),
    }
}

/// Runs what must neither allocate nor free. A free that no allocation belongs to leaves less than nothing.
#[track_caller]
fn untouched(what: impl std::fmt::Debug, run: impl FnOnce()) {
    let counted = allocation_counter::measure(run);
    let touched = (counted.count_total, counted.count_current, counted.bytes_current);
    assert_eq!(touched, (0, 0, 0), "allocations, blocks and bytes left, of {what:?}");
}

/// How many bytes more there are afterwards, of this thread.
fn net_bytes(run: impl FnOnce()) -> i64 {
    allocation_counter::measure(run).bytes_current
}

/// Runs on a thread of its own what would wait for ever if it were wrong.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    let ended = is_done.recv_timeout(Duration::from_mins(2));
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "it waits for itself");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Two threads that take turns: each waits until the other says that it goes on.
struct Turns {
    mine: mpsc::Sender<()>,
    theirs: mpsc::Receiver<()>,
}

impl Turns {
    fn pair() -> (Self, Self) {
        let ((mine, heard), (yours, theirs)) = (mpsc::channel(), mpsc::channel());
        (Self { mine, theirs }, Self { mine: yours, theirs: heard })
    }

    /// Lets the other go on, and waits; returns whether the other is still there.
    fn pass(&self) -> bool {
        self.mine.send(()).is_ok() && self.wait()
    }

    fn wait(&self) -> bool {
        self.theirs.recv().is_ok()
    }

    fn go_on(&self) {
        let _ = self.mine.send(());
    }
}

const NONE: [usize; 0] = [];

/// Which of these records somebody still has.
fn kept(records: &[std::sync::Weak<Versioned<Flag>>]) -> Vec<usize> {
    (0..records.len()).filter(|at| records[*at].strong_count() > 0).collect()
}

/// Where a record of a snapshot is, without keeping it, and without having checked.
fn watch(snapshot: &Snapshot, name: &str) -> std::sync::Weak<Versioned<Flag>> {
    snapshot.edit(|edit| Arc::downgrade(edit.get(name).unwrap()))
}
