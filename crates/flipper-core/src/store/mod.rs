//! The contract between the client and the places where flags live: the vocabulary of it.

mod change;
mod contract;
mod diff;
mod iter;
mod page;
mod version;
mod watchers;

pub use change::{Change, Known, Listed, Peek, ResyncCause};
pub use contract::{BoxStream, Store};
pub use diff::Diff;
pub use iter::{Iter, iter};
pub use page::{Capabilities, CompareAndSet, Page, Watching};
pub use version::{Expect, Version, Versioned};
pub use watchers::{Wakers, Watchers};
