//! Spans around the calls of a store, and events of what happens to flags, for `tracing`.

use async_trait::async_trait;
use flipper_core::events::{Edit, Handled, Outcome, Phase, Subscriber};
use flipper_core::{
    BoxStream, Capabilities, Change, Expect, Flag, FlagName, Known, Listed, Page, Peek, Result, Snapshot,
    Store, Version, Versioned,
};
use tracing::{Instrument, Level, Span};

use crate::listing::Watched;

/// Tells `tracing` of every edit and how it has ended: an event of the target `flipper::edits`.
///
/// An edit that is done is an `info`, one that is done and not replicated or of which nobody can tell a `warn`, and one that was not made a `debug`.
/// The fields are `flag`, `events`, `actor`, `attempt` and `outcome`. Values of flags are not among them: those are the [audit log](crate::AuditLog)'s.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use flipper_audit::TracingSubscriber;
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// client.events().register_subscriber(Arc::new(TracingSubscriber));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSubscriber;

impl Subscriber for TracingSubscriber {
    fn on_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) -> Handled {
        macro_rules! tell {
            ($level:expr, $message:literal) => {
                tracing::event!(
                    target: "flipper::edits",
                    $level,
                    flag = edit.flag,
                    events = %Events(edit),
                    actor = edit.actor,
                    attempt = edit.attempt,
                    outcome = outcome.as_str(),
                    $message
                )
            };
        }
        match outcome {
            Outcome::Done => tell!(Level::INFO, "a flag was changed"),
            Outcome::NotDone => tell!(Level::DEBUG, "a flag was not changed"),
            Outcome::NotReplicated => {
                tell!(Level::WARN, "a flag was changed, and the change is not replicated");
            }
            _ => tell!(Level::WARN, "a flag may have been changed: nobody can tell"),
        }
        Ok(())
    }
}

/// Prints `enable+set_bucketer`.
struct Events<'e>(&'e Edit<'e>);

impl std::fmt::Display for Events<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, change) in self.0.changes.iter().enumerate() {
            let name = change.event_type(Phase::After).as_str();
            let plus = if at > 0 { "+" } else { "" };
            write!(f, "{plus}{}", name.strip_prefix("post_").unwrap_or(name))?;
        }
        Ok(())
    }
}

/// Puts a span around each call of a store, at the level `debug`, of the target `flipper::store`, named `store`.
///
/// Its fields are `store`, the name that is given here, `operation`, and `flag`. An error is an event within the span, with its `kind`: a `warn`, and a
/// `debug` for a conflict, which the client repeats. The span of a listing lasts until its end. Checks in memory have none.
///
/// # Examples
///
/// ```
/// use flipper_audit::TracedStore;
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
///
/// let client = FeatureFlagClient::new(TracedStore::new("memory", MemoryStore::new()));
/// ```
#[derive(Debug)]
pub struct TracedStore<S> {
    name: &'static str,
    inner: S,
}

impl<S: Store> TracedStore<S> {
    /// Wraps a store, and names it.
    pub fn new(name: &'static str, inner: S) -> Self {
        Self { name, inner }
    }

    /// Returns the store within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    fn span(&self, operation: &'static str, flag: Option<&str>) -> Span {
        tracing::debug_span!(target: "flipper::store", "store", store = self.name, operation, flag)
    }
}

/// Tells of an error, within the span of its call.
fn told<T>(result: Result<T>) -> Result<T> {
    if let Err(error) = &result {
        let kind = error.kind();
        // Some of the errors that a backend gives quote what it was sent, and all of it is in the error's text already.
        if kind == flipper_core::ErrorKind::Conflict {
            tracing::debug!(target: "flipper::store", %kind, %error, "the call has failed");
        } else {
            tracing::warn!(target: "flipper::store", %kind, %error, "the call has failed");
        }
    }
    result
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store> Store for TracedStore<S> {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let span = self.span("get", Some(name.as_str()));
        async { told(self.inner.get(name).await) }.instrument(span).await
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let span = self.span("look_up", Some(name.as_str()));
        async { told(self.inner.look_up(name).await) }.instrument(span).await
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let span = self.span("put", Some(flag.name()));
        async { told(self.inner.put(flag, expect).await) }.instrument(span).await
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        let span = self.span("delete", Some(name.as_str()));
        async { told(self.inner.delete(name, expect).await) }.instrument(span).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let span = self.span("list", None);
        let records = span.in_scope(|| self.inner.list(page));
        Box::pin(Watched::new(records, Listing(span)))
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        let span = self.span("watch", None);
        span.in_scope(|| self.inner.watch())
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        self.inner.snapshot()
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        self.inner.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        let span = self.span("close", None);
        async { told(self.inner.close().await) }.instrument(span).await
    }
}

/// The span of a listing.
struct Listing(Span);

impl crate::listing::Watcher for Listing {
    fn poll<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        self.0.in_scope(poll)
    }

    fn error(&mut self, error: &flipper_core::Error) {
        let _ = self.0.in_scope(|| told(Err::<(), _>(error.clone())));
    }
}
