//! A wire that fails as it is told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a [`Proxy`] does with what passes through it.
///
/// # Examples
///
/// ```
/// use std::net::TcpListener;
/// use flipper_testkit::{Proxy, Weather};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = Proxy::start(server.local_addr()?).await?;
/// // Questions come through, and answers are lost.
/// proxy.set(Weather::LoseAnswers);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Weather {
    /// Passes everything.
    #[default]
    Fair,
    /// Passes everything, each piece so much later.
    Delay(Duration),
    /// Passes nothing, and keeps it for later.
    Stall,
    /// Passes what is asked, and drops the answers: on connections of which some were dropped, for good.
    LoseAnswers,
    /// Passes the answers, and drops what is asked: on connections of which some was dropped, for good.
    LoseRequests,
    /// Takes new connections and hangs up. Those that there are go on.
    HangUp,
}

/// Stands between a client and a server that speak TCP, and disturbs them. Dropping it ends all connections.
///
/// # Examples
///
/// ```
/// use flipper_testkit::{Proxy, Weather};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::{TcpListener, TcpStream};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// let server = TcpListener::bind("127.0.0.1:0").await?;
/// let proxy = Proxy::start(server.local_addr()?).await?;
/// let mut client = TcpStream::connect(proxy.address()).await?;
/// let (mut accepted, _) = server.accept().await?;
/// client.write_all(b"!").await?;
/// assert_eq!(accepted.read_u8().await?, b'!');
///
/// proxy.cut();
/// assert_eq!(client.read(&mut [0]).await?, 0, "the connection has ended");
/// proxy.set(Weather::Stall);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    cuts: watch::Sender<u64>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of this machine for connections to a server.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (weather, cuts) = (watch::Sender::new(Weather::Fair), watch::Sender::new(0));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (weather_now, cut, count) = (weather.subscribe(), cuts.clone(), Arc::clone(&accepted));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                if *weather_now.borrow() != Weather::HangUp {
                    tokio::spawn(connect(client, server, weather_now.clone(), cut.subscribe()));
                }
            }
        });
        Ok(Self { address, weather, cuts, accepted, task })
    }

    /// Returns where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is done from now on, also on connections that there are.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Ends all connections. New ones are taken.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Returns how many connections have been taken so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn connect(
    client: TcpStream,
    server: SocketAddr,
    weather: watch::Receiver<Weather>,
    mut cut: watch::Receiver<u64>,
) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        // Whichever ends first ends both: half a connection is of no use to anybody here.
        () = pass(from_client, to_server, weather.clone(), Weather::LoseRequests, cut.clone()) => {}
        () = pass(from_server, to_client, weather, Weather::LoseAnswers, cut.clone()) => {}
        _ = cut.changed() => {}
    }
}

/// Passes what comes in one direction, until it ends.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
    lost: Weather,
    cut: watch::Receiver<u64>,
) {
    let mut buffer = vec![0; 64 << 10];
    let mut has_lost = false;
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let now = *weather.borrow();
        if let Weather::Delay(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if weather.wait_for(|weather| *weather != Weather::Stall).await.is_err() {
            return;
        }
        // Once something is lost, nothing gets through any more: a wire does not leave out what is in the middle.
        has_lost |= *weather.borrow() == lost;
        // Not a byte after the cut, also if this has been at it for a while.
        if cut.has_changed().unwrap_or(true) {
            return;
        }
        if !has_lost && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
