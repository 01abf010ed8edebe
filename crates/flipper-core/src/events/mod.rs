//! What happens to flags, and who is told.

mod edit;
mod emitter;
mod event;
mod registration;
mod subscriber;

pub use edit::{Edit, Outcome};
pub(crate) use emitter::panic_error;
pub use emitter::{Emitter, EventEmitter, Listener, ListenerId};
pub use event::{Event, EventType, Payload, Phase};
pub use registration::{Events, IntoHandled};
pub use subscriber::{BoxError, Handled, Subscriber};
