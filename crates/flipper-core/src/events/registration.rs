//! Where listeners and subscribers register.

use std::fmt;
use std::sync::Arc;

use super::{BoxError, Emitter, Event, EventType, Handled, ListenerId, Subscriber};

/// What a listener may return: nothing, or a result whose error is a veto before a write.
///
/// # Examples
///
/// ```
/// use flipper_core::events::{Handled, IntoHandled};
///
/// fn nothing() {}
/// fn veto() -> Handled {
///     Err("not on Fridays".into())
/// }
///
/// assert!(nothing().into_handled().is_ok());
/// assert!(veto().into_handled().is_err());
/// ```
pub trait IntoHandled {
    /// Makes it a result.
    ///
    /// # Errors
    ///
    /// What it has for an error.
    fn into_handled(self) -> Handled;
}

impl IntoHandled for () {
    fn into_handled(self) -> Handled {
        Ok(())
    }
}

impl<E: Into<BoxError>> IntoHandled for Result<(), E> {
    fn into_handled(self) -> Handled {
        self.map_err(Into::into)
    }
}

/// Registers listeners and subscribers of a client: see [`FeatureFlagClient::events`](crate::FeatureFlagClient::events).
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::ErrorKind;
/// use flipper_core::events::EventType;
///
/// # futures_lite::future::block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// // An error before a write is a veto.
/// client.events().on(EventType::PreDestroy, |_| Err::<(), _>("flags stay here"));
/// client.create("X").await?;
/// assert_eq!(client.destroy("X").await.unwrap_err().kind(), ErrorKind::PermissionDenied);
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Events(pub(crate) Arc<dyn Emitter>);

impl Events {
    /// Calls a function on every event of a type, in the order of registration. Returns a name to remove it by.
    pub fn on<F, R>(&self, event: EventType, listener: F) -> ListenerId
    where
        F: Fn(&Event<'_>) -> R + Send + Sync + 'static,
        R: IntoHandled,
    {
        self.0.add_listener(event, Arc::new(move |event| listener(event).into_handled()), false)
    }

    /// Calls a function on the next event of a type, and never again.
    pub fn once<F, R>(&self, event: EventType, listener: F) -> ListenerId
    where
        F: Fn(&Event<'_>) -> R + Send + Sync + 'static,
        R: IntoHandled,
    {
        self.0.add_listener(event, Arc::new(move |event| listener(event).into_handled()), true)
    }

    /// Removes a listener; returns whether it was there.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.0.remove_listener(id)
    }

    /// Adds a subscriber to all events; returns whether it is new. One that is there already counts once.
    pub fn register_subscriber(&self, subscriber: Arc<dyn Subscriber>) -> bool {
        self.0.register_subscriber(subscriber)
    }

    /// Removes a subscriber; returns whether it was there.
    pub fn remove_subscriber(&self, subscriber: &Arc<dyn Subscriber>) -> bool {
        self.0.remove_subscriber(subscriber)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}
