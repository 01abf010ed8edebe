//! Settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, FeatureFlagClient, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::memory::Memory;
use super::running::RunningThriftServer;
use super::serve::{Limits, Service, serve};

/// Serves the flags of a client, and so of any store, to those who speak Thrift: to flipper-client's `ThriftRPCFeatureFlagStore`, to
/// [`ThriftStore`](crate::ThriftStore), and to clients that are generated from `thrift/feature_flag_store.thrift`.
///
/// What they change goes through the client: it is announced by events, whose actor is the peer's address, a handler can veto it, and
/// edits of the same flag do not undo one another. Both transports are served at one port: the first bytes of a connection tell which one
/// it has. **Thrift knows no passwords and no encryption**: see the [crate](crate#security).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use flipper_core::FeatureFlagClient;
/// use flipper_memory::MemoryStore;
/// use flipper_thrift::ThriftServer;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
/// let client = FeatureFlagClient::new(MemoryStore::new());
/// // `127.0.0.1:9090` unless told.
/// let server = ThriftServer::new(client).address("127.0.0.1:0").start().await?;
/// println!("serving at {}", server.local_address());
/// // Until somebody says stop.
/// server.shutdown(Duration::from_secs(5)).await;
/// # Ok(()) }
/// ```
#[must_use = "it serves only when it is started"]
#[derive(Clone)]
pub struct ThriftServer {
    service: Service,
    address: String,
    connections: usize,
}

/// What is longer than a year is a year: a timer has to be able to hold it.
const LONGEST: Duration = Duration::from_hours(365 * 24);

impl ThriftServer {
    /// Starts to choose settings of a server before a client.
    pub fn new(client: FeatureFlagClient) -> Self {
        let limits = Limits {
            request: 4 << 20,
            reply: 64 << 20,
            arrival: Duration::from_secs(10),
            write: Duration::from_secs(10),
            idle: None,
        };
        let memory = Memory::new(256 << 20);
        let service = Service { client, limits, is_read_only: false, memory };
        Self { service, address: "127.0.0.1:9090".to_owned(), connections: 1_000 }
    }

    /// Chooses where to listen: `127.0.0.1:9090` unless told, which only this machine reaches. With the port 0, the system chooses one.
    pub fn address(self, address: impl Into<String>) -> Self {
        Self { address: address.into(), ..self }
    }

    /// Lets nobody change anything.
    pub fn read_only(mut self) -> Self {
        self.service.is_read_only = true;
        self
    }

    /// Limits how many connections are served at the same time, 1,000 unless told. Further ones are closed at once.
    pub fn connections(self, count: usize) -> Self {
        Self { connections: count, ..self }
    }

    /// Limits how long a call may be, in bytes: 4 MiB unless told. A record that is written under a condition can take twice its length, as in some
    /// stores a record is its own version. For larger ones, allow more [memory](Self::memory), too.
    pub fn max_request(mut self, bytes: usize) -> Self {
        self.service.limits.request = bytes.min(i32::MAX as usize);
        self
    }

    /// Limits how long an answer may be, in bytes: 64 MiB unless told. A listing that is longer fails, and says so: its caller has
    /// to ask for a part of it.
    pub fn max_reply(mut self, bytes: usize) -> Self {
        self.service.limits.reply = bytes.min(i32::MAX as usize);
        self
    }

    /// Limits the memory for messages beyond the 128 KiB that each connection has for itself, in bytes: 256 MiB unless told. A call that would
    /// need more fails, and says so; others go on. For a call counts 32 times its length, as reading it may take so much.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.service.memory = Memory::new(bytes);
        self
    }

    /// Limits how long a call may take to arrive, from its first byte to its last: 10 s unless told. Then the connection is closed.
    pub fn arrival_timeout(mut self, limit: Duration) -> Self {
        self.service.limits.arrival = limit.min(LONGEST);
        self
    }

    /// Limits how long a peer may take to read an answer: 10 s unless told. Then the connection is closed.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.service.limits.write = limit.min(LONGEST);
        self
    }

    /// Closes connections on which nothing was asked for so long. Never unless told, since flipper-client does not connect again; those whose
    /// peer is no longer there are found by the system's own probes (TCP keep-alive).
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.service.limits.idle = Some(limit.min(LONGEST));
        self
    }

    /// Listens, and serves in the background until it is told to shut down, or dropped.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](ErrorKind::Unavailable) if the address cannot be listened on: it is in use, or none of this machine;
    /// [`Unsupported`](ErrorKind::Unsupported) outside of a Tokio runtime.
    pub async fn start(self) -> Result<RunningThriftServer> {
        if tokio::runtime::Handle::try_current().is_err() {
            let message = "a Thrift server needs a Tokio runtime: start it from inside of one";
            return Err(error(ErrorKind::Unsupported, message.to_owned()));
        }
        let listen = |io: std::io::Error| {
            let message = format!("cannot listen on {}: {}", self.address, io.kind());
            error(ErrorKind::Unavailable, message).with_source(io)
        };
        let listener = TcpListener::bind(&self.address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(RunningThriftServer::start(listener, address, Arc::new(self.service), self.connections))
    }

    /// Serves one connection of the caller's, until it ends: for those who accept connections themselves, to decrypt them or to look who is
    /// there. Events say that changes are `actor`'s.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the connection. Whether a write that is under way happens is left open.
    ///
    /// # Examples
    ///
    /// ```
    /// use flipper_core::FeatureFlagClient;
    /// use flipper_memory::MemoryStore;
    /// use flipper_thrift::ThriftServer;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> flipper_core::Result<()> {
    /// let server = ThriftServer::new(FeatureFlagClient::new(MemoryStore::new()));
    /// let (mut peer, stream) = tokio::io::duplex(1 << 10);
    /// peer.shutdown().await.expect("it is in memory");
    /// server.serve_stream(stream, "a certificate's owner").await;
    /// # Ok(()) }
    /// ```
    pub async fn serve_stream(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send, actor: &str) {
        let (_never, stopping) = watch::channel(false);
        serve(stream, &self.service.for_actor(actor), stopping).await;
    }
}

fn error(kind: ErrorKind, message: String) -> Error {
    Error::new(kind, message).with_operation("serve")
}

impl fmt::Debug for ThriftServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThriftServer")
            .field("address", &self.address)
            .field("connections", &self.connections)
            .field("is_read_only", &self.service.is_read_only)
            .field("limits", &self.service.limits)
            .finish_non_exhaustive()
    }
}
