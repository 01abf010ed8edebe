//! One connection, call by call.

use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use flipper_core::{Error, ErrorKind, FeatureFlagClient};
use futures_lite::future::poll_once;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::answer::answer;
use super::memory::{Memory, OWN, Share};
use crate::wire::{Exception, Fault, FaultKind, Framing, Inbox, Kind, Reply, Unread, Writer, write_reply};

/// What a server serves, and how far.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) client: FeatureFlagClient,
    pub(crate) limits: Limits,
    pub(crate) is_read_only: bool,
    pub(crate) memory: Memory,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) request: usize,
    pub(crate) reply: usize,
    pub(crate) arrival: Duration,
    pub(crate) write: Duration,
    pub(crate) idle: Option<Duration>,
}

impl Service {
    pub(crate) fn for_actor(&self, actor: &str) -> Self {
        Self { client: self.client.as_actor(actor), ..self.clone() }
    }
}

/// How long what a peer still sends is read and thrown away, so that it gets to read why.
const LINGER: Duration = Duration::from_secs(2);

/// Serves a connection until it ends, its peer is too slow or makes no sense, or the server stops.
pub(crate) async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    service: &Service,
    mut stopping: watch::Receiver<bool>,
) {
    let mut inbox = Inbox::new(None);
    let mut share = service.memory.share();
    let mut buffer = Vec::new();
    loop {
        let at = match receive(&mut inbox, &mut stream, service, &mut share, &mut stopping).await {
            Ok(Some(at)) => at,
            Ok(None) => return,
            Err(fault) => {
                let refusal = refusal(&inbox, &fault);
                drop((inbox, share));
                refuse(stream, &refusal, service.limits.write).await;
                return;
            }
        };
        let framing = inbox.framing().unwrap_or(Framing::Buffered);
        let out = Writer::new(buffer, framing);
        let (message, is_over) = answer(service, inbox.message(at), out, &mut share).await;
        inbox.next();
        // What has arrived behind it waits, for as long as its peer takes to read.
        let is_covered = share.cover(message.capacity() + inbox.capacity()).is_ok();
        if !write(&mut stream, &message, service.limits.write).await || is_over || !is_covered {
            return;
        }
        if *stopping.borrow() {
            return;
        }
        buffer = message;
        if buffer.capacity() > OWN / 2 {
            buffer = Vec::new();
        }
        if share.cover(inbox.capacity()).is_err() {
            return;
        }
    }
}

/// Waits for the next call. `None` if there will be none.
async fn receive(
    inbox: &mut Inbox,
    stream: &mut (impl AsyncRead + Unpin),
    service: &Service,
    share: &mut Share,
    stopping: &mut watch::Receiver<bool>,
) -> Result<Option<Range<usize>>, Fault> {
    let limits = &service.limits;
    let mut deadline = None;
    loop {
        if let Some(at) = inbox.find(limits.request)? {
            return Ok(Some(at));
        }
        let read = if inbox.has_begun() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + limits.arrival);
            timeout_at(deadline, inbox.read(stream)).await.ok()
        } else {
            tokio::select! {
                biased;
                // Also if whoever could say so is gone.
                _ = stopping.wait_for(|stopping| *stopping) => None,
                read = inbox.read(stream) => Some(read),
                () = idle(limits.idle) => None,
            }
        };
        match read {
            Some(Ok(())) => share.cover(inbox.capacity())?,
            Some(Err(Unread::Fault(fault))) => return Err(fault),
            Some(Err(Unread::Ended | Unread::Lost(_))) | None => return Ok(None),
        }
    }
}

/// Sends a message; says whether it is gone in time.
async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8], limit: Duration) -> bool {
    let mut written = pin!(stream.write_all(message));
    // Almost always there is room for it: no timer then.
    match poll_once(written.as_mut()).await {
        Some(written) => written.is_ok(),
        None => matches!(timeout(limit, written).await, Ok(Ok(()))),
    }
}

async fn idle(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// What is answered to a message that is not read to its end: by an exception of the service, if it is known which call it is.
fn refusal(inbox: &Inbox, fault: &Fault) -> Vec<u8> {
    let header = inbox.header().filter(|header| header.kind == Kind::Call);
    let (kind, what) = match fault.kind {
        FaultKind::Malformed => (None, "this is no message of Thrift's binary protocol"),
        FaultKind::TooLarge => (Some(ErrorKind::InvalidInput), "the message is too large"),
        FaultKind::Busy => (Some(ErrorKind::Unavailable), "the message has to wait: try again later"),
    };
    let message = format!("{what}: {fault}");
    let mut out = Writer::new(Vec::new(), inbox.framing().unwrap_or(Framing::Buffered));
    match (&header, kind) {
        (Some(header), Some(kind)) => {
            let exception = Exception::from(&Error::new(kind, message));
            write_reply(header.method, header.number, &Reply::Failed(exception), &mut out);
        }
        (Some(header), None) => {
            write_reply(header.method, header.number, &Reply::Broken(message), &mut out);
        }
        (None, _) => write_reply("", 0, &Reply::Broken(message), &mut out),
    }
    out.finish()
}

/// Says what is wrong, and hangs up. Where the next message begins, nobody knows.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, refusal: &[u8], limit: Duration) {
    if write(&mut stream, refusal, limit).await {
        let _ = stream.shutdown().await;
        // Closed with something unread, a connection takes the answer with it.
        let thrown_away = async {
            let mut buffer = [0; 4 << 10];
            while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
        };
        let _ = timeout(LINGER, thrown_away).await;
    }
}
