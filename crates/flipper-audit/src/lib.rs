//! Who changed which feature flag, when and how; and what checks and stores do.
//!
//! Each part is behind a feature, and stands by itself:
//!
//! | feature | |
//! |---|---|
//! | `log` (default) | [`AuditLog`] writes down every change, in lines of JSON of which each carries the hash of the one before; [`Verifier`] finds the first that is not as it was written; [`History`] tells what a flag was at a time |
//! | `tracing` | `TracingSubscriber` and `TracedStore`: events of edits, and spans around the calls of a store |
//! | `metrics` | `MeteredStore` and `MetricsPublisher`: latencies and errors of stores, how fresh mirrors are, and what an [`EvaluationMeter`](flipper_core::EvaluationMeter) counts, for any recorder of the facade `metrics` |
//! | `sink` | `SinkQueue`: whoever wants to be told of changes in the background, through a bounded queue |
//! | `webhook` | `Webhook`: a sink that posts to a URL, and tries again |
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("audit.jsonl");
//! # #[cfg(feature = "log")] {
//! use flipper_audit::{AuditLog, Verifier};
//! use flipper_core::FeatureFlagClient;
//! use flipper_memory::MemoryStore;
//!
//! # futures_lite::future::block_on(async {
//! let client = FeatureFlagClient::new(MemoryStore::new());
//! let log = AuditLog::builder().redact(["email"]).rotate_at(64 << 20).open(&path)?;
//! log.subscribe_to(&client);
//! client.as_actor("alice").create("CHECKOUT").await?.enable().await?;
//!
//! // Kept elsewhere, the head shows whether the log was cut off or written anew.
//! let head = log.head();
//! assert!(Verifier::new(&path).head(head).run()?.is_intact());
//! # Ok::<(), flipper_core::Error>(()) })?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The audit log
//!
//! A line, here over several:
//!
//! ```json
//! {"seq":3,"time":"2026-01-01T12:00:00.000000Z","kind":"change","flag":"CHECKOUT","events":["enable"],
//!  "actor":"alice","source":"client","attempt":1,"outcome":"done","before":{"feature_name": "CHECKOUT"},
//!  "after":{"feature_name": "CHECKOUT"},"difference":[{"path":"/is_enabled","from":false,"to":true}],
//!  "prev":"3c1a…","hash":"90f2…"}
//! ```
//!
//! The hash is the SHA-256, or with a key the HMAC, of `flipper-audit line 1`, a zero byte, and the line up to and without `","hash":"`. A record that is no JSON in
//! one line, as Python writes some (`NaN`), is a text that holds its bytes.
//!
//! | kind | |
//! |---|---|
//! | `begin` | the first line of a file: the log's identity, the number of the file, the name of the one before, and how lines are hashed |
//! | `change` | a flag was changed; with the outcome `unknown`, it may have been |
//! | `intent` | a flag is about to be changed: only with [`veto`](AuditLogBuilder::veto) |
//! | `found` | a flag that was there when the log began to [`follow`](AuditLog::follow) |
//! | `resolved` | a change whose outcome was unknown has happened: `of` is its line |
//! | `lost` | so many lines could not be written |
//! | `recovered` | the line before was half written, and was cut off |

#[cfg(any(feature = "log", feature = "sink"))]
mod difference;
#[cfg(any(feature = "log", feature = "sink"))]
mod json;
#[cfg(any(feature = "metrics", feature = "tracing"))]
mod listing;
#[cfg(feature = "log")]
mod log;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(any(feature = "log", feature = "sink"))]
mod record;
#[cfg(any(feature = "log", feature = "sink"))]
mod redact;
#[cfg(feature = "sink")]
mod sink;
#[cfg(any(feature = "log", feature = "sink"))]
mod time;
#[cfg(feature = "tracing")]
mod traced;

#[cfg(any(feature = "log", feature = "sink"))]
pub use self::difference::Difference;
#[cfg(feature = "log")]
pub use self::log::{
    AuditLog, AuditLogBuilder, AuditStats, Damage, DamageKind, Entries, Entry, Fsync, Head, History,
    LineKind, StateAt, Verification, Verifier,
};
#[cfg(feature = "metrics")]
pub use self::metrics::{MeteredStore, MetricsPublisher};
#[cfg(any(feature = "log", feature = "sink"))]
pub use self::record::{Record, Source};
#[cfg(feature = "sink")]
pub use self::sink::{QueueStats, Sink, SinkQueue, SinkQueueBuilder};
#[cfg(feature = "webhook")]
pub use self::sink::{Webhook, WebhookBuilder};
#[cfg(feature = "tracing")]
pub use self::traced::{TracedStore, TracingSubscriber};
