//! The server before peers that are odd.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flipper_core::{ErrorKind, FeatureFlagClient};
use flipper_memory::MemoryStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ThriftServer;
use crate::wire::message::Header;
use crate::wire::{Call, Code, Expectation, Framing, Kind, Reader, Reply, Writer, read_reply};

fn server() -> (ThriftServer, FeatureFlagClient) {
    let flags = FeatureFlagClient::new(MemoryStore::new());
    (ThriftServer::new(flags.clone()).address("127.0.0.1:0"), flags)
}

fn message(call: &Call) -> Vec<u8> {
    let mut out = Writer::new(Vec::new(), Framing::Buffered);
    call.write(1, &mut out);
    out.finish()
}

/// Sends bytes, and reads what is answered to them.
async fn ask(stream: &mut TcpStream, sent: &[u8]) -> Reply {
    stream.write_all(sent).await.unwrap();
    let mut answer = vec![0; 1 << 16];
    let count = stream.read(&mut answer).await.unwrap();
    let mut reader = Reader::new(&answer[..count]);
    let header = reader.header().unwrap();
    read_reply(&header, &mut reader).unwrap()
}

fn kind(reply: &Reply) -> Option<ErrorKind> {
    match reply {
        Reply::Failed(exception) => exception.code.kind(),
        _ => None,
    }
}

#[tokio::test]
async fn a_limit_beyond_all_time_is_none() {
    let (server, _) = server();
    let server = server.arrival_timeout(Duration::MAX).write_timeout(Duration::MAX).start().await.unwrap();
    let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
    let call = message(&Call::Describe);
    stream.write_all(&call[..10]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(matches!(ask(&mut stream, &call[10..]).await, Reply::Description(_)));
}

#[tokio::test]
async fn a_change_whose_answer_is_too_long_was_made() {
    let (server, flags) = server();
    let server = server.max_reply(1_000).start().await.unwrap();
    let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
    let data = format!("{{\"a\": \"{}\"}}", "x".repeat(2_000)).into_bytes();
    let create = Call::Create { name: b"X".to_vec(), is_enabled: Some(true), client_data: Some(data) };
    let reply = ask(&mut stream, &message(&create)).await;
    assert_eq!(kind(&reply), Some(ErrorKind::OutcomeUnknown), "{reply:?}");
    assert!(flags.exists("X").await.unwrap());
}

#[tokio::test]
async fn less_than_was_asked_for_is_not_done() {
    let (server, flags) = server();
    let server = server.start().await.unwrap();
    let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
    flags.create("X").await.unwrap();
    // A switch without a position, and an expectation of a newer peer.
    let set = message(&Call::Set { name: b"X".to_vec(), is_enabled: None });
    assert_eq!(kind(&ask(&mut stream, &set).await), Some(ErrorKind::InvalidInput));
    let mut remove = message(&Call::Remove { name: b"X".to_vec(), expectation: Expectation::Nothing });
    // The field `absent`, a boolean, becomes field 9.
    let field = remove.len() - 5;
    assert_eq!(remove[field..field + 2], [0, 1]);
    remove[field + 1] = 9;
    let reply = ask(&mut stream, &remove).await;
    assert_eq!(kind(&reply), Some(ErrorKind::Unsupported), "{reply:?}");
    assert!(flags.exists("X").await.unwrap());
    assert_eq!(Code::of(ErrorKind::Unsupported).0, 9);
}

#[tokio::test]
async fn who_wants_no_answer_gets_none() {
    let (server, flags) = server();
    flags.create("X").await.unwrap();
    let server = server.start().await.unwrap();
    for kind in [Kind::OneWay, Kind::Reply, Kind::Exception] {
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        let mut out = Writer::new(Vec::new(), Framing::Buffered);
        out.header(&Header { kind, method: "Delete", number: 1 });
        out.fields(|out| out.bytes_field(1, b"X"));
        stream.write_all(&out.finish()).await.unwrap();
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap(), 0);
    }
    assert!(flags.exists("X").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_though_a_peer_goes_on_asking() {
    let (server, flags) = server();
    flags.create("X").await.unwrap();
    let server = server.start().await.unwrap();
    let (mut from_server, mut to_server) =
        TcpStream::connect(server.local_address()).await.unwrap().into_split();
    tokio::spawn(async move {
        let call = message(&Call::Get { name: b"X".to_vec(), with_record: false });
        while to_server.write_all(&call.repeat(100)).await.is_ok() {}
    });
    let answered = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&answered);
    tokio::spawn(async move {
        while let Ok(bytes @ 1..) = from_server.read(&mut [0; 4096]).await {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    });
    while answered.load(Ordering::Relaxed) < 100_000 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    assert_eq!(server.shutdown(Duration::from_secs(5)).await, 0);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
