//! The emitter: keeps listeners and subscribers, and calls them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::subscriber::dispatch;
use super::{BoxError, Edit, Event, EventType, Handled, Outcome, Phase, Subscriber};

/// A function that is called with an event.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use flipper_core::events::{Emitter, EventEmitter, EventType, Listener};
///
/// let listener: Listener = Arc::new(|event| {
///     println!("{} was created", event.flag);
///     Ok(())
/// });
/// EventEmitter::new().add_listener(EventType::PostCreate, listener, false);
/// ```
pub type Listener = Arc<dyn Fn(&Event<'_>) -> Handled + Send + Sync>;

/// Names a listener, to remove it.
///
/// # Examples
///
/// ```
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// use flipper_core::events::EventType;
///
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// let id = client.events().on(EventType::PostEnable, |event| println!("{} is on", event.flag));
/// assert!(client.events().remove_listener(id));
/// assert!(!client.events().remove_listener(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

/// Tells whoever wants to know what happens to flags. [`EventEmitter`] is the usual one; a client can be given another.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use flipper_core::events::{Emitter, Event, EventEmitter, EventType, Handled, Listener, ListenerId, Subscriber};
///
/// /// Writes a line for each event, and leaves the rest to the usual one.
/// struct Loud(EventEmitter);
///
/// impl Emitter for Loud {
///     fn emit(&self, event: &Event<'_>) -> Handled {
///         println!("{}: {}", event.flag, event.event_type());
///         self.0.emit(event)
///     }
///
///     fn add_listener(&self, event: EventType, listener: Listener, only_once: bool) -> ListenerId {
///         self.0.add_listener(event, listener, only_once)
///     }
///
///     fn remove_listener(&self, id: ListenerId) -> bool {
///         self.0.remove_listener(id)
///     }
///
///     fn register_subscriber(&self, subscriber: Arc<dyn Subscriber>) -> bool {
///         self.0.register_subscriber(subscriber)
///     }
///
///     fn remove_subscriber(&self, subscriber: &Arc<dyn Subscriber>) -> bool {
///         self.0.remove_subscriber(subscriber)
///     }
/// }
///
/// # use flipper_core::FeatureFlagClient;
/// # use flipper_memory::MemoryStore;
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// client.set_emitter(Arc::new(Loud(EventEmitter::new())));
/// ```
pub trait Emitter: Send + Sync {
    /// Calls the handlers of an event.
    ///
    /// # Errors
    ///
    /// Before a write, the error of the handler that vetoes. After it, errors have no effect but to be logged.
    fn emit(&self, event: &Event<'_>) -> Handled;

    /// Tells subscribers of a write that is about to be made: [`Subscriber::on_pre_edit`]. Does nothing unless it is written.
    ///
    /// # Errors
    ///
    /// The error of the subscriber that vetoes.
    fn emit_pre_edit(&self, edit: &Edit<'_>) -> Handled {
        let _ = edit;
        Ok(())
    }

    /// Tells subscribers how an edit has ended: [`Subscriber::on_post_edit`]. Does nothing unless it is written.
    fn emit_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) {
        let _ = (edit, outcome);
    }

    /// Adds a listener for one event.
    fn add_listener(&self, event: EventType, listener: Listener, only_once: bool) -> ListenerId;

    /// Removes a listener; returns whether it was there.
    fn remove_listener(&self, id: ListenerId) -> bool;

    /// Adds a subscriber to all events; returns whether it is new. One that is there already counts once.
    fn register_subscriber(&self, subscriber: Arc<dyn Subscriber>) -> bool;

    /// Removes a subscriber; returns whether it was there.
    fn remove_subscriber(&self, subscriber: &Arc<dyn Subscriber>) -> bool;
}

/// Calls handlers in the order in which they were registered, in the caller's thread.
///
/// Before a write, the first handler that fails or panics ends the round: it has vetoed. After a write, every handler is
/// called whatever the others do; failures and panics are logged at `error`, target `flipper::events`.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use flipper_core::events::{Emitter, EventEmitter, Subscriber};
///
/// /// Hears nothing.
/// struct Deaf;
///
/// impl Subscriber for Deaf {}
///
/// let emitter = EventEmitter::new();
/// let subscriber: Arc<dyn Subscriber> = Arc::new(Deaf);
/// assert!(emitter.register_subscriber(subscriber.clone()));
/// assert!(!emitter.register_subscriber(subscriber), "it is there already");
/// ```
#[derive(Default)]
pub struct EventEmitter {
    handlers: RwLock<Arc<[Arc<Handler>]>>,
}

struct Handler {
    id: ListenerId,
    kind: Kind,
}

enum Kind {
    Listener { event: EventType, call: Listener, once: Option<AtomicBool> },
    Subscriber(Arc<dyn Subscriber>),
}

impl EventEmitter {
    /// Makes an emitter that nobody listens to.
    pub fn new() -> Self {
        Self::default()
    }

    fn handlers(&self) -> Arc<[Arc<Handler>]> {
        self.handlers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Vec<Arc<Handler>>) -> T) -> T {
        let mut handlers = self.handlers.write().unwrap_or_else(PoisonError::into_inner);
        // The old list keeps what is removed alive until the lock is gone: its `Drop` may come back here.
        let old = Arc::clone(&handlers);
        let mut list = old.to_vec();
        let result = edit(&mut list);
        *handlers = list.into();
        drop(handlers);
        drop(old);
        result
    }

    /// Names are never used twice in a process, so that one of another emitter removes nothing here.
    fn next_id() -> ListenerId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ListenerId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Handler {
    /// Calls a subscriber; a panic is an error.
    fn tell(&self, tell: impl FnOnce(&dyn Subscriber) -> Handled) -> Handled {
        let Kind::Subscriber(subscriber) = &self.kind else { return Ok(()) };
        catch_unwind(AssertUnwindSafe(|| tell(&**subscriber)))
            .unwrap_or_else(|panic| Err(panic_error(&*panic)))
    }

    /// Calls the handler if the event is its own.
    fn call(&self, event: &Event<'_>) -> Option<Handled> {
        let call = || match &self.kind {
            Kind::Listener { event: wanted, call, once } => {
                let is_wanted = *wanted == event.event_type()
                    && once.as_ref().is_none_or(|is_done| !is_done.swap(true, Ordering::AcqRel));
                is_wanted.then(|| call(event))
            }
            Kind::Subscriber(subscriber) => Some(dispatch(&**subscriber, event)),
        };
        catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Some(Err(panic_error(&*panic))))
    }

    fn is_spent(&self) -> bool {
        matches!(&self.kind, Kind::Listener { once: Some(is_done), .. } if is_done.load(Ordering::Acquire))
    }
}

/// Makes an error of what a handler panicked with.
pub(crate) fn panic_error(panic: &(dyn std::any::Any + Send)) -> BoxError {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("of no text");
    format!("the handler panicked: {message}").into()
}

impl Emitter for EventEmitter {
    fn emit(&self, event: &Event<'_>) -> Handled {
        // The list is a copy: handlers may add and remove handlers, which takes effect from the next event on.
        let handlers = self.handlers();
        let mut outcome = Ok(());
        for handler in &*handlers {
            match (handler.call(event), event.phase) {
                (Some(Err(veto)), Phase::Before) => {
                    outcome = Err(veto);
                    break;
                }
                (Some(Err(error)), Phase::After) => {
                    // The text is the handler's, and may panic as well.
                    let log = || {
                        let (event_type, flag) = (event.event_type(), event.flag);
                        log::error!(target: "flipper::events", "a handler of {event_type} of {flag:?} has failed: {error}");
                    };
                    let _ = catch_unwind(AssertUnwindSafe(log));
                }
                (Some(Ok(())) | None, _) => {}
            }
        }
        if handlers.iter().any(|handler| handler.is_spent()) {
            self.edit(|handlers| handlers.retain(|handler| !handler.is_spent()));
        }
        outcome
    }

    fn emit_pre_edit(&self, edit: &Edit<'_>) -> Handled {
        self.handlers().iter().try_for_each(|handler| handler.tell(|subscriber| subscriber.on_pre_edit(edit)))
    }

    fn emit_post_edit(&self, edit: &Edit<'_>, outcome: Outcome) {
        for handler in &*self.handlers() {
            if let Err(error) = handler.tell(|subscriber| subscriber.on_post_edit(edit, outcome)) {
                // The text is the handler's, and may panic as well.
                let log = || {
                    log::error!(target: "flipper::events", "a handler of the end of an edit of {:?} has failed: {error}", edit.flag);
                };
                let _ = catch_unwind(AssertUnwindSafe(log));
            }
        }
    }

    fn add_listener(&self, event: EventType, listener: Listener, only_once: bool) -> ListenerId {
        let id = Self::next_id();
        let once = only_once.then(AtomicBool::default);
        let kind = Kind::Listener { event, call: listener, once };
        self.edit(|handlers| handlers.push(Arc::new(Handler { id, kind })));
        id
    }

    fn remove_listener(&self, id: ListenerId) -> bool {
        self.edit(|handlers| {
            let before = handlers.len();
            handlers.retain(|handler| handler.id != id || matches!(handler.kind, Kind::Subscriber(_)));
            handlers.len() < before
        })
    }

    fn register_subscriber(&self, subscriber: Arc<dyn Subscriber>) -> bool {
        let id = Self::next_id();
        self.edit(|handlers| {
            let is_new = !handlers.iter().any(|handler| handler.is(&subscriber));
            if is_new {
                handlers.push(Arc::new(Handler { id, kind: Kind::Subscriber(subscriber) }));
            }
            is_new
        })
    }

    fn remove_subscriber(&self, subscriber: &Arc<dyn Subscriber>) -> bool {
        self.edit(|handlers| {
            let before = handlers.len();
            handlers.retain(|handler| !handler.is(subscriber));
            handlers.len() < before
        })
    }
}

impl Handler {
    fn is(&self, subscriber: &Arc<dyn Subscriber>) -> bool {
        matches!(&self.kind, Kind::Subscriber(known) if Arc::ptr_eq(known, subscriber))
    }
}

impl fmt::Debug for EventEmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventEmitter").field("handlers", &self.handlers().len()).finish()
    }
}
