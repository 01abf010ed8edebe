//! The connections to a server.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flipper_core::{Error, ErrorKind};
use tokio::runtime::{self, Handle};
use tokio::sync::Semaphore;
use tokio::time::{error::Elapsed, timeout};

use super::address::Place;
use super::connection::Connection;
use crate::error::{Failure, error};
use crate::wire::{Call, Framing, Reply};

/// How long a connection is kept that is not used.
const LONGEST_IDLE: Duration = Duration::from_mins(1);

/// What calls may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect: Duration,
    pub(crate) call: Duration,
    pub(crate) message: usize,
    pub(crate) connections: usize,
}

/// Connections, each used by one call at a time.
pub(crate) struct Pool {
    pub(crate) place: Place,
    framing: Framing,
    limits: Limits,
    idle: Mutex<Vec<Idle>>,
    slots: Semaphore,
    is_closed: AtomicBool,
    /// How many connections there have been.
    opened: AtomicU64,
}

/// A connection that waits for its next call.
struct Idle {
    connection: Connection,
    since: Instant,
    /// Another one cannot drive it.
    runtime: runtime::Id,
}

impl Pool {
    pub(crate) fn new(place: Place, framing: Framing, limits: Limits) -> Self {
        let slots = Semaphore::new(limits.connections);
        Self {
            place,
            framing,
            limits,
            idle: Mutex::default(),
            slots,
            is_closed: AtomicBool::new(false),
            opened: AtomicU64::new(0),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections there have been so far: at the end of each there may be another server.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Makes a call. If this is dropped, its connection is closed.
    pub(crate) async fn call(&self, call: &Call) -> Result<Reply, Failure> {
        let Ok(runtime) = Handle::try_current() else {
            let message = "this store needs a Tokio runtime: use it from inside of one";
            return Err(Failure::NotSent(error(ErrorKind::Unsupported, message)));
        };
        let busy = |_: Elapsed| {
            let message = format!(
                "all {} connections to {} are in use: allow more, if the server takes them",
                self.limits.connections, self.place
            );
            Failure::NotSent(error(ErrorKind::Unavailable, message))
        };
        // Closing the semaphore is not done.
        let _slot = timeout(self.limits.call, self.slots.acquire()).await.map_err(busy)?;
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Failure::NotSent(error(ErrorKind::Unavailable, "the store has been closed")));
        }
        if let Some(connection) = self.kept(runtime.id()) {
            match self.call_on(connection, runtime.id(), call).await {
                // The server may have closed it just as we began: one that only reads is asked again.
                Err(Failure::NoAnswer { has_hung_up: true, .. }) if !call.is_write() => {}
                answered => return answered,
            }
        }
        let connection = self.connect().await.map_err(Failure::NotSent)?;
        self.call_on(connection, runtime.id(), call).await
    }

    async fn call_on(
        &self,
        mut connection: Connection,
        runtime: runtime::Id,
        call: &Call,
    ) -> Result<Reply, Failure> {
        let called = timeout(self.limits.call, connection.call(call, &self.place, self.limits.message)).await;
        let reply = called.unwrap_or_else(|_| {
            let message = format!("{} has not answered within {:?}", self.place, self.limits.call);
            Err(Failure::NoAnswer { error: error(ErrorKind::Unavailable, message), has_hung_up: false })
        })?;
        let mut idle = self.idle();
        if !self.is_closed.load(Ordering::Acquire) {
            idle.push(Idle { connection, since: Instant::now(), runtime });
        }
        Ok(reply)
    }

    /// The connection that was used last, if it can be used.
    fn kept(&self, runtime: runtime::Id) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
        while let Some(at) = idle.iter().rposition(|idle| idle.runtime == runtime) {
            let kept = idle.remove(at);
            if kept.connection.is_usable() {
                return Some(kept.connection);
            }
        }
        // Those of other runtimes take places that are not theirs.
        let over = (idle.len() + 1).saturating_sub(self.limits.connections);
        idle.drain(..over);
        None
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let opened =
            timeout(self.limits.connect, Connection::open(&self.place, self.framing, self.limits.connect))
                .await;
        match opened {
            Ok(Ok(connection)) => {
                self.opened.fetch_add(1, Ordering::Relaxed);
                Ok(connection)
            }
            Ok(Err(io)) => {
                let message = format!("there is no connection to {}: {}", self.place, io.kind());
                Err(error(ErrorKind::Unavailable, message).with_source(io))
            }
            Err(_) => {
                let message = format!("{} takes no connection within {:?}", self.place, self.limits.connect);
                Err(error(ErrorKind::Unavailable, message))
            }
        }
    }

    /// Closes the connections that are not in use; the others are when their calls end.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.idle().clear();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("place", &self.place)
            .field("framing", &self.framing)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
