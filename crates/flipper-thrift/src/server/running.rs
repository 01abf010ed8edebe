//! A server that serves.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::serve::{Service, serve};

/// Serves, until it is told to shut down or dropped, which cuts all connections. Made by [`ThriftServer::start`](crate::ThriftServer::start).
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
/// let flags = FeatureFlagClient::new(MemoryStore::new());
/// let server = ThriftServer::new(flags).address("127.0.0.1:0").start().await?;
/// println!("at {}, {} connections", server.local_address(), server.connections());
/// assert_eq!(server.shutdown(Duration::from_secs(5)).await, 0);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RunningThriftServer {
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    connections: AtomicUsize,
    turned_away: AtomicUsize,
}

/// How long to wait when the system gives no more connections.
const EXHAUSTED: Duration = Duration::from_millis(100);

impl RunningThriftServer {
    pub(crate) fn start(
        listener: TcpListener,
        address: SocketAddr,
        service: Arc<Service>,
        most: usize,
    ) -> Self {
        let stopping = watch::Sender::new(false);
        let state = Arc::new(State::default());
        let listening = Listening { listener, service, most, state: Arc::clone(&state) };
        let task = tokio::spawn(listening.run(stopping.subscribe()));
        Self { address, stopping, state, task }
    }

    /// Returns where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections are served at present.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Returns how many connections were closed because there were too many.
    pub fn turned_away(&self) -> usize {
        self.state.turned_away.load(Ordering::Relaxed)
    }

    /// Takes no more connections and no more calls, lets those that are under way end, for so long at the most, and returns how many
    /// connections had to be cut.
    ///
    /// # Cancellation
    ///
    /// Dropping the future cuts all connections.
    pub async fn shutdown(mut self, limit: Duration) -> usize {
        self.stopping.send_replace(true);
        if timeout(limit, &mut self.task).await.is_ok() {
            return 0;
        }
        let cut = self.connections();
        self.task.abort();
        // Its connections end with it.
        let _ = (&mut self.task).await;
        cut
    }
}

impl Drop for RunningThriftServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task that takes connections. Those that it serves end with it.
struct Listening {
    listener: TcpListener,
    service: Arc<Service>,
    most: usize,
    state: Arc<State>,
}

impl Listening {
    async fn run(self, stopping: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let mut stopped = stopping.clone();
        let mut told: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        log::error!(target: "flipper::thrift", "a connection has ended by a panic: {error}");
                    }
                    continue;
                }
                _ = stopped.wait_for(|stopping| *stopping) => break,
            };
            let mut say = |what: fmt::Arguments<'_>| {
                // Whoever could fill the log would.
                if told.is_none_or(|told| told.elapsed() > Duration::from_secs(1)) {
                    told = Some(Instant::now());
                    log::warn!(target: "flipper::thrift", "{what}");
                }
            };
            match accepted {
                Ok((stream, peer)) if connections.len() < self.most => {
                    let connection = Counted::new(&self.state);
                    let (service, stopping) = (Arc::clone(&self.service), stopping.clone());
                    connections.spawn(async move {
                        let _connection = connection;
                        keep_alive(&stream);
                        serve(stream, &service.for_actor(&peer.to_string()), stopping).await;
                    });
                }
                Ok((_, peer)) => {
                    self.state.turned_away.fetch_add(1, Ordering::Relaxed);
                    say(format_args!("there are {} connections: {peer} is turned away", self.most));
                }
                Err(error) => {
                    // Files are used up, most likely: it would fail again at once.
                    say(format_args!("no connection can be taken at present: {error}"));
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }
}

/// One connection that is served.
struct Counted(Arc<State>);

impl Counted {
    fn new(state: &Arc<State>) -> Self {
        state.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(state))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Has the system find out when a peer is no longer there, and send answers at once. Where it cannot, it serves all the same.
fn keep_alive(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let probes =
        socket2::TcpKeepalive::new().with_time(Duration::from_mins(1)).with_interval(Duration::from_secs(15));
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&probes);
}
