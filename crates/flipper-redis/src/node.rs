//! One server: what reads and writes there.

use std::sync::Arc;

use crate::dial::{Dialer, Source};
use crate::link::Link;
use crate::write::{Replicas, Writer};

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) dialer: Arc<Dialer>,
    /// The connection of all calls that need none of their own.
    pub(crate) link: Link,
    pub(crate) writer: Writer,
}

impl Node {
    pub(crate) fn new(dialer: Dialer, replicas: Option<Replicas>) -> Self {
        let dialer = Arc::new(dialer);
        let link = Link::new(Arc::clone(&dialer));
        Self { link, writer: Writer::new(&dialer, replicas), dialer }
    }

    /// Closes the connections, once their calls have ended. The dialer is closed before.
    pub(crate) fn close(&self) {
        self.link.close();
        self.writer.close();
        if let Source::Sentinel(sentinel) = &self.dialer.source {
            sentinel.close();
        }
    }
}
