//! Who is told of changes in the background.

mod queue;
#[cfg(feature = "webhook")]
mod webhook;

pub use queue::{QueueStats, SinkQueue, SinkQueueBuilder};
#[cfg(feature = "webhook")]
pub use webhook::{Webhook, WebhookBuilder};

use async_trait::async_trait;
use flipper_core::Result;

use crate::Record;

/// Takes records of changes, one after the other: put a [`SinkQueue`] before it.
///
/// # Examples
///
/// ```
/// use flipper_audit::{Record, Sink};
///
/// struct Print;
///
/// #[async_trait::async_trait]
/// impl Sink for Print {
///     async fn send(&mut self, record: &Record) -> flipper_core::Result<()> {
///         println!("{}", record.to_json());
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait Sink: Send + 'static {
    /// Takes a record. It may take its time, and block its thread: nobody waits for it. It may be dropped before its end when the queue is shut down.
    ///
    /// # Errors
    ///
    /// The record is not taken, and counts as failed.
    async fn send(&mut self, record: &Record) -> Result<()>;
}
