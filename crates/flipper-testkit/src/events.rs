//! A recorder of events.

use std::sync::{Arc, Mutex, PoisonError};

use flipper_core::FeatureFlagClient;
use flipper_core::events::{Event, EventType};

/// An event, as it is remembered.
///
/// # Examples
///
/// ```
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::EventRecorder;
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let recorder = EventRecorder::of(&client);
/// client.as_actor("ada").create("X").await?;
/// let events = recorder.take();
/// assert_eq!((events[1].flag.as_str(), events[1].actor.as_deref()), ("X", Some("ada")));
/// assert!(events[1].before.is_none() && events[1].after.is_some());
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedEvent {
    /// Which of the sixteen it was.
    pub event_type: EventType,
    /// The flag's name.
    pub flag: String,
    /// Which attempt it was.
    pub attempt: u32,
    /// Who did it.
    pub actor: Option<String>,
    /// The record before, as it was stored.
    pub before: Option<String>,
    /// The record after, as it was to be stored.
    pub after: Option<String>,
}

/// Remembers the events of a client, in order.
///
/// ```
/// use flipper_core::FeatureFlagClient;
/// use flipper_core::events::EventType::{PostCreate, PreCreate};
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::EventRecorder;
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let recorder = EventRecorder::of(&client);
/// client.create("X").await.unwrap();
/// recorder.expect(&[(PreCreate, "X"), (PostCreate, "X")]);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventRecorder(Arc<Mutex<Vec<RecordedEvent>>>);

impl EventRecorder {
    /// Registers a recorder for all events of a client.
    pub fn of(client: &FeatureFlagClient) -> Self {
        let recorder = Self::default();
        for event_type in EventType::ALL.iter().copied() {
            let recorder = recorder.clone();
            client.events().on(event_type, move |event| recorder.record(event));
        }
        recorder
    }

    fn record(&self, event: &Event<'_>) {
        let record = RecordedEvent {
            event_type: event.event_type(),
            flag: event.flag.to_owned(),
            attempt: event.attempt,
            actor: event.actor.map(ToOwned::to_owned),
            before: event.before.map(|flag| flag.as_json().to_owned()),
            after: event.after.map(|flag| flag.as_json().to_owned()),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Returns the events so far, and forgets them.
    pub fn take(&self) -> Vec<RecordedEvent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asserts that the events since the last look were exactly these, in this order, and forgets them.
    ///
    /// # Panics
    ///
    /// If they were others.
    #[track_caller]
    pub fn expect(&self, expected: &[(EventType, &str)]) {
        let events = self.take();
        let seen: Vec<_> = events.iter().map(|event| (event.event_type, event.flag.as_str())).collect();
        assert_eq!(seen, expected, "other events than expected");
    }
}
