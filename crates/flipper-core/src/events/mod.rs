//! What happens to flags, and who is told.

mod edit;
mod emitter;
mod event;
mod subscriber;

pub use edit::{Edit, Outcome};
pub(crate) use emitter::panic_error;
pub use emitter::{Emitter, EventEmitter, Events, IntoHandled, Listener, ListenerId};
pub use event::{Event, EventType, Payload, Phase};
pub use subscriber::{BoxError, Handled, Subscriber};
