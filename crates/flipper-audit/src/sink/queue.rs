//! A bounded queue before a sink.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use flipper_core::events::{Edit, Handled, Outcome, Subscriber};
use flipper_core::{Error, ErrorKind, FeatureFlagClient, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Sink;
use crate::Record;
use crate::redact::Redaction;

/// Tells a [`Sink`] of every change of a client, in the background and in order.
///
/// It is a subscriber. A change is put into a queue, which takes no time, and a thread of its own, with a runtime of its own, takes it to the sink: so a sink that is slow,
/// blocks or fails holds up neither edits nor checks. If the queue is full the change is dropped, and [`stats`](Self::stats) counts it; what must not be missing belongs
/// into an [audit log](crate::AuditLog).
///
/// Edits that were certainly not made are not told.
///
/// [`shutdown`](Self::shutdown) tells the sink the rest. Without it, what is in the queue is lost when the last clone is dropped, and its client with it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use flipper_audit::{Record, Sink, SinkQueue};
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// # struct Print;
/// # #[async_trait::async_trait]
/// # impl Sink for Print {
/// #     async fn send(&mut self, record: &Record) -> flipper_core::Result<()> {
/// #         println!("{}", record.to_json());
/// #         Ok(())
/// #     }
/// # }
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let queue = SinkQueue::builder().capacity(1_000).start(Print)?;
/// queue.subscribe_to(&client);
/// client.create("CHECKOUT").await?;
/// let stats = queue.shutdown(Duration::from_secs(5)).await;
/// assert_eq!((stats.sent, stats.dropped), (1, 0));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SinkQueue(Arc<Shared>);

struct Shared {
    /// Until it is shut down.
    queue: Mutex<Option<mpsc::Sender<Record>>>,
    close: Mutex<Option<oneshot::Sender<Close>>>,
    counters: Arc<Counters>,
    redaction: Redaction,
}

/// Asks the thread to end.
struct Close {
    deadline: Instant,
    done: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    queued: AtomicU64,
}

/// Says what has become of the changes of a [`SinkQueue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// How many the sink has taken.
    pub sent: u64,
    /// How many it has not taken.
    pub failed: u64,
    /// How many it was not told of: there was no room in the queue, or no time when it was shut down.
    pub dropped: u64,
    /// How many wait.
    pub queued: u64,
}

/// Chooses how a [`SinkQueue`] works.
#[derive(Clone, Debug)]
#[must_use = "a queue is made by `start`"]
pub struct SinkQueueBuilder {
    capacity: usize,
    redaction: Redaction,
}

impl SinkQueueBuilder {
    /// Chooses how many changes may wait; 1,024 unless told, and one at the least.
    pub fn capacity(self, changes: usize) -> Self {
        Self { capacity: changes.clamp(1, 1 << 20), ..self }
    }

    /// Writes `[redacted]` in the place of these members of client data, at any depth.
    pub fn redact<K: Into<Box<str>>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        Self { redaction: Redaction::new(keys), ..self }
    }

    /// Starts the thread that takes changes to a sink.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if there can be no thread.
    pub fn start(self, sink: impl Sink) -> Result<SinkQueue> {
        let unavailable = |error: std::io::Error| {
            Error::new(ErrorKind::Unavailable, format!("a thread for the sink cannot be started: {error}"))
        };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
        let (queue, records) = mpsc::channel(self.capacity);
        let (close, closed) = oneshot::channel();
        let counters = Arc::new(Counters::default());
        let theirs = Arc::clone(&counters);
        let run = move || runtime.block_on(run(sink, records, closed, &theirs));
        std::thread::Builder::new().name("flipper-sink".to_owned()).spawn(run).map_err(unavailable)?;
        let shared = Shared {
            queue: Mutex::new(Some(queue)),
            close: Mutex::new(Some(close)),
            counters,
            redaction: self.redaction,
        };
        Ok(SinkQueue(Arc::new(shared)))
    }
}

impl Shared {
    fn sender(&self) -> MutexGuard<'_, Option<mpsc::Sender<Record>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SinkQueue {
    /// Starts a queue, to choose how many changes may wait and what is redacted.
    pub fn builder() -> SinkQueueBuilder {
        SinkQueueBuilder { capacity: 1_024, redaction: Redaction::default() }
    }

    /// Registers the queue with a client, and all of its clones. To do so twice does nothing more.
    pub fn subscribe_to(&self, client: &FeatureFlagClient) {
        client.events().register_subscriber(Arc::clone(&self.0) as Arc<dyn Subscriber>);
    }

    /// Returns what has become of the changes so far.
    pub fn stats(&self) -> QueueStats {
        let Counters { sent, failed, dropped, queued } = &*self.0.counters;
        let [sent, failed, dropped, queued] =
            [sent, failed, dropped, queued].map(|counter| counter.load(Ordering::Relaxed));
        QueueStats { sent, failed, dropped, queued }
    }

    /// Tells the sink what is in the queue, for so long at the most, and ends the thread. What is left then counts as dropped, as does what is changed
    /// later. A sink that blocks its thread is not waited for any longer either. Who asks a second time is not waited with: the first call ends it.
    pub async fn shutdown(&self, limit: Duration) -> QueueStats {
        let close = self.0.close.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What is sent later finds no queue.
        drop(self.0.sender().take());
        if let Some(close) = close {
            let (done, is_done) = oneshot::channel();
            // Longer than anybody waits.
            let limit = limit.min(Duration::from_hours(24 * 365));
            if close.send(Close { deadline: Instant::now() + limit, done }).is_ok() {
                // The thread may be blocked; and whoever waits here may have no timer.
                let (late, is_late) = oneshot::channel::<()>();
                let (over, is_over) = std::sync::mpsc::channel::<()>();
                let timer = move || {
                    // It ends with whoever waits, as the limit may be long.
                    let _ = is_over.recv_timeout(limit + Duration::from_millis(100));
                    drop(late);
                };
                let _ = std::thread::Builder::new().name("flipper-sink-timer".to_owned()).spawn(timer);
                tokio::select! {
                    _ = is_done => {}
                    _ = is_late => {}
                }
                drop(over);
            }
        }
        self.stats()
    }
}

impl Subscriber for SinkQueue {
    fn on_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) -> Handled {
        self.0.on_post_edit(edit, outcome)
    }
}

/// What is registered: one for all clones, so that a client that is told of a queue twice knows it.
impl Subscriber for Shared {
    fn on_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) -> Handled {
        if outcome != Outcome::NotDone {
            let record = Record::of_edit(edit, outcome, &self.redaction);
            let counters = &self.counters;
            // First, as the thread may have it before this goes on.
            counters.queued.fetch_add(1, Ordering::Relaxed);
            if self.sender().as_ref().is_none_or(|queue| queue.try_send(record).is_err()) {
                counters.queued.fetch_sub(1, Ordering::Relaxed);
                counters.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

/// Takes a record to the sink. One that panics has not taken it, and is told the next one.
async fn without_panic(sink: &mut impl Sink, record: &Record) -> Result<()> {
    let mut sending = pin!(async { sink.send(record).await });
    std::future::poll_fn(|task| {
        catch_unwind(AssertUnwindSafe(|| sending.as_mut().poll(task)))
            .unwrap_or_else(|_| Poll::Ready(Err(Error::new(ErrorKind::Internal, "the sink has panicked"))))
    })
    .await
}

/// Takes records to the sink until the queue is closed and empty, there is no time left, or nobody has the queue any longer.
async fn run(
    mut sink: impl Sink,
    mut records: mpsc::Receiver<Record>,
    closed: oneshot::Receiver<Close>,
    counters: &Counters,
) {
    let mut done = None;
    let is_sending = Cell::new(false);
    let out_of_time = async {
        if let Ok(close) = closed.await {
            done = Some(close.done);
            tokio::time::sleep_until(close.deadline).await;
        }
    };
    let all_told = async {
        while let Some(record) = records.recv().await {
            counters.queued.fetch_sub(1, Ordering::Relaxed);
            is_sending.set(true);
            match without_panic(&mut sink, &record).await {
                Ok(()) => counters.sent.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    log::error!(target: "flipper::audit", "a change of {:?} could not be told: {error}", record.flag);
                    counters.failed.fetch_add(1, Ordering::Relaxed)
                }
            };
            is_sending.set(false);
        }
    };
    tokio::select! {
        () = all_told => {}
        () = out_of_time => {}
    }
    records.close();
    let mut dropped = u64::from(is_sending.get());
    while records.try_recv().is_ok() {
        counters.queued.fetch_sub(1, Ordering::Relaxed);
        dropped += 1;
    }
    counters.dropped.fetch_add(dropped, Ordering::Relaxed);
    // Whoever waits reads the counters next.
    drop(done);
}

impl fmt::Debug for SinkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkQueue").field("stats", &self.stats()).finish()
    }
}
