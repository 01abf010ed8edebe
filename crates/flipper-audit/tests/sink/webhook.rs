//! A webhook before a real server.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flipper_audit::{SinkQueue, Webhook};
use flipper_core::{ErrorKind, FeatureFlagClient};
use flipper_memory::MemoryStore;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// What a server is to do with its next requests; then it takes them.
#[derive(Clone, Copy)]
enum Reply {
    Status(u16),
    RetryAfter(u64),
    Never,
    HangUp,
}

#[derive(Clone, Default)]
struct Server {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    bodies: Arc<Mutex<Vec<serde_json::Value>>>,
    headers: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(replies: &[Reply]) -> (Self, SocketAddr) {
        let server =
            Self { replies: Arc::new(Mutex::new(replies.iter().copied().collect())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let server = accepting.clone();
                tokio::spawn(async move {
                    let answer = service_fn(move |request| {
                        let server = server.clone();
                        async move { server.answer(request).await }
                    });
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), answer)
                        .await;
                });
            }
        });
        (server, address)
    }

    /// An error hangs up.
    async fn answer(&self, request: Request<Incoming>) -> std::io::Result<Response<Full<Bytes>>> {
        let header = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        self.headers.lock().unwrap().extend(header);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let reply = self.replies.lock().unwrap().pop_front();
        let status = match reply {
            None => 204,
            Some(Reply::Status(status)) => status,
            Some(Reply::RetryAfter(_)) => 429,
            Some(Reply::Never) => std::future::pending().await,
            Some(Reply::HangUp) => return Err(std::io::ErrorKind::ConnectionAborted.into()),
        };
        if status == 204 {
            self.bodies.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        }
        let mut response = Response::builder().status(status);
        if let Some(Reply::RetryAfter(seconds)) = reply {
            response = response.header("retry-after", seconds);
        }
        if status == 307 {
            response = response.header("location", "/elsewhere");
        }
        Ok(response.body(Full::new(Bytes::from_static(b"s3cret of the server"))).unwrap())
    }
}

fn hook(address: SocketAddr) -> flipper_audit::WebhookBuilder {
    Webhook::builder(format!("http://{address}/hook?token=s3cret"))
        .header("authorization", "Bearer s3cret")
        .timeout(Duration::from_millis(500))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_posted_in_order_with_what_it_was() {
    let (server, address) = Server::start(&[]).await;
    let client = FeatureFlagClient::new(MemoryStore::new());
    let queue = SinkQueue::builder().redact(["email"]).start(hook(address).build().unwrap()).unwrap();
    queue.subscribe_to(&client);
    let alice = client.as_actor("alice");
    alice.create_with("X", false, [("email", "a@b")]).await.unwrap();
    alice.enable("X").await.unwrap();
    let stats = queue.shutdown(Duration::from_secs(20)).await;
    assert_eq!((stats.sent, stats.failed, stats.dropped), (2, 0, 0));
    let bodies = server.bodies.lock().unwrap().clone();
    assert_eq!(bodies.len(), 2);
    assert_eq!((&bodies[0]["events"][0], &bodies[1]["events"][0]), (&"create".into(), &"enable".into()));
    assert_eq!((&bodies[1]["actor"], &bodies[1]["outcome"]), (&"alice".into(), &"done".into()));
    assert_eq!(bodies[1]["after"]["meta"]["client_data"]["email"], "[redacted]");
    assert_eq!(*server.headers.lock().unwrap(), ["Bearer s3cret"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_taken_later_is_posted_again() {
    use Reply::{HangUp, Never, RetryAfter, Status};
    let (server, address) =
        Server::start(&[Status(500), Status(503), HangUp, Never, RetryAfter(0), Status(408)]).await;
    let client = FeatureFlagClient::new(MemoryStore::new());
    let queue = SinkQueue::builder().start(hook(address).build().unwrap()).unwrap();
    queue.subscribe_to(&client);
    client.create("X").await.unwrap();
    client.create("Y").await.unwrap();
    let stats = queue.shutdown(Duration::from_mins(1)).await;
    assert_eq!((stats.sent, stats.failed, stats.dropped), (2, 0, 0));
    let flags: Vec<_> = server.bodies.lock().unwrap().iter().map(|body| body["flag"].clone()).collect();
    assert_eq!(flags, ["X", "Y"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_or_never_taken_is_given_up() {
    for (replies, requests) in
        [(vec![Reply::Status(400)], 2), (vec![Reply::Status(307)], 2), (vec![Reply::Status(500); 3], 4)]
    {
        let (server, address) = Server::start(&replies).await;
        let client = FeatureFlagClient::new(MemoryStore::new());
        let queue = SinkQueue::builder().start(hook(address).attempts(3).build().unwrap()).unwrap();
        queue.subscribe_to(&client);
        client.create("X").await.unwrap();
        client.create("Y").await.unwrap();
        let stats = queue.shutdown(Duration::from_secs(20)).await;
        assert_eq!((stats.sent, stats.failed, stats.dropped), (1, 1, 0));
        assert_eq!(server.headers.lock().unwrap().len(), requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_does_not_hold_up_the_end() {
    let client = FeatureFlagClient::new(MemoryStore::new());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let queue = SinkQueue::builder().start(hook(nobody).build().unwrap()).unwrap();
    queue.subscribe_to(&client);
    client.create("X").await.unwrap();
    let start = std::time::Instant::now();
    let stats = queue.shutdown(Duration::from_millis(300)).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!((stats.sent, stats.dropped), (0, 1));
}

#[test]
fn secrets_are_not_shown_and_nonsense_is_refused() {
    let builder = hook("127.0.0.1:1".parse().unwrap());
    let shown = format!("{builder:?} {:?}", hook("127.0.0.1:1".parse().unwrap()).build().unwrap());
    assert!(!shown.contains("s3cret") && shown.contains("127.0.0.1"), "{shown}");
    for builder in [
        Webhook::builder("s3cret"),
        Webhook::builder("ftp://host/"),
        Webhook::builder("http://host/").header("no name", "x"),
        Webhook::builder("http://host/").header("authorization", "s3cret\n"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_url_is_spoken_to_by_tls_without_further_ado() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    let client = FeatureFlagClient::new(MemoryStore::new());
    let hook = Webhook::builder(url).attempts(1).timeout(Duration::from_secs(10)).build().unwrap();
    let queue = SinkQueue::builder().start(hook).unwrap();
    queue.subscribe_to(&client);
    client.create("X").await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    // A handshake of TLS begins with 22.
    assert_eq!(tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap(), 22);
    drop(stream);
    let stats = queue.shutdown(Duration::from_secs(20)).await;
    assert_eq!((stats.sent, stats.failed), (0, 1));
}
