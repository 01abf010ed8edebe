//! What passes over the wire: messages of the binary protocol, in frames or without.

mod call;
mod code;
mod inbox;
mod item;
pub(crate) mod message;
mod reply;
mod scan;
mod version;

pub(crate) use call::{Call, Expectation};
pub(crate) use code::Code;
pub(crate) use inbox::{Inbox, Unread};
pub(crate) use item::{Check, Conditions, Item, Meta};
pub(crate) use message::{Fault, FaultKind, Framing, Kind, Reader, Writer, fault, shown};
pub(crate) use reply::{Description, Exception, Reply, begin_list, end_list, read_reply, write_reply};
pub(crate) use version::WireVersion;
