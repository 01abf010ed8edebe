//! Servers that are away, hang or come back, answers that are lost, calls that are dropped.

use std::time::{Duration, Instant};

use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Page, Store};
use flipper_redis::RedisStore;
use flipper_testkit::{Proxy, RedisServer, Weather, collect};

use super::{failure, flag, name, number, put};

const LIMIT: Duration = Duration::from_secs(10);

/// A server behind a proxy, and a store with short time limits.
async fn behind_a_proxy(server: &RedisServer) -> (Proxy, RedisStore) {
    let proxy = Proxy::start(server.address()).await.unwrap();
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address()));
    let limit = Duration::from_millis(300);
    (proxy, builder.timeout(limit).connect_timeout(limit).connect().await.unwrap())
}

#[tokio::test]
async fn a_server_that_hangs_holds_nobody_up() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).timeout(Duration::from_millis(200));
    let store = store.connect_timeout(Duration::from_millis(200)).connect().await.unwrap();
    put(&store, "X", 1).await;
    server.pause();
    let start = Instant::now();
    let limit = Duration::from_secs(2);
    assert_eq!(failure(limit, store.get(name("X"))).await.kind(), ErrorKind::Unavailable);
    // It is connected to, and never says a word.
    assert_eq!(failure(limit, store.get(name("X"))).await.kind(), ErrorKind::Unavailable);
    assert_eq!(failure(limit, store.put(&flag("X", 2), Expect::Any)).await.kind(), ErrorKind::Unavailable);
    assert!(matches!(&collect(store.list(Page::ALL)).await[..], [Err(error)] if error.is_retryable()));
    assert!(start.elapsed() < Duration::from_secs(5));
    server.resume();
    wait_for(&store).await;
    assert_eq!(number(&store, "X").await, Some(1));
}

/// Waits until the server can be asked again, for as long as attempts to connect may be apart.
async fn wait_for(store: &RedisStore) {
    let deadline = Instant::now() + LIMIT;
    while let Err(error) = store.get(name("X")).await {
        assert!(error.is_retryable() && Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_has_an_unknown_outcome() {
    let server = RedisServer::start(&[]);
    let (proxy, store) = behind_a_proxy(&server).await;
    for (weather, expected) in [(Weather::LoseAnswers, Some(2)), (Weather::LoseRequests, Some(1))] {
        let version = store.put(&flag("X", 0), Expect::Any).await.unwrap();
        // The server knows the script from here on, so that the write is one round trip.
        let version = store.put(&flag("X", 1), Expect::Matches(&version)).await.unwrap();
        proxy.set(weather);
        let error = failure(LIMIT, store.put(&flag("X", 2), Expect::Matches(&version))).await;
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::OutcomeUnknown, false), "{error:?}");
        proxy.set(Weather::Fair);
        wait_for(&store).await;
        assert_eq!(number(&store, "X").await, expected, "{weather:?}");
        // A write that could not even be sent has not happened.
        proxy.set(Weather::HangUp);
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let error = failure(LIMIT, store.put(&flag("X", 3), Expect::Any)).await;
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true), "{error:?}");
        proxy.set(Weather::Fair);
        wait_for(&store).await;
        assert_eq!(number(&store, "X").await, expected);
    }
}

#[tokio::test]
async fn the_client_finds_out_what_has_become_of_a_lost_write() {
    let server = RedisServer::start(&[]);
    let (proxy, store) = behind_a_proxy(&server).await;
    let client = FeatureFlagClient::new(store);
    client.create("X").await.unwrap();
    for weather in [Weather::LoseAnswers, Weather::LoseRequests] {
        let proxy_again = &proxy;
        proxy.set(weather);
        let fair = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            proxy_again.set(Weather::Fair);
        };
        // The read at its beginning is lost as well, and that one is no secret.
        let (edited, ()) = tokio::join!(client.enable("X"), fair);
        assert_eq!(edited.unwrap_err().kind(), ErrorKind::Unavailable);
        wait_for_client(&client).await;
    }
    // Here only the write is: it is found to have happened, or made again, and never twice.
    for round in 0..10 {
        let before = client.get_conditions_len("X").await;
        let cut = async {
            tokio::time::sleep(Duration::from_micros(200 * round)).await;
            proxy.cut();
        };
        let condition = flipper_core::Condition::builder().eq("n", round as i64).build().unwrap();
        let (edited, ()) = tokio::join!(client.add_condition("X", &condition), cut);
        wait_for_client(&client).await;
        let after = client.get_conditions_len("X").await;
        match edited {
            Ok(()) => assert_eq!(after, before + 1),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => assert!(after <= before + 1),
            Err(_) => assert_eq!(after, before),
        }
    }
}

trait Conditions {
    async fn get_conditions_len(&self, of: &str) -> usize;
}

impl Conditions for FeatureFlagClient {
    async fn get_conditions_len(&self, of: &str) -> usize {
        self.store().get(name(of)).await.unwrap().unwrap().value.conditions().len()
    }
}

async fn wait_for_client(client: &FeatureFlagClient) {
    let deadline = Instant::now() + LIMIT;
    while let Err(error) = client.exists("X").await {
        assert!(error.is_retryable() && Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn reads_survive_a_restart_and_a_cut() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    put(&store, "X", 1).await;
    for _ in 0..3 {
        server.restart();
        assert_eq!(number(&store, "X").await, Some(1), "the connection is made again without a word");
        server.restart();
        // Noticed by then, so it is known that nothing was sent.
        tokio::time::sleep(Duration::from_millis(50)).await;
        put(&store, "X", 1).await;
    }
}

#[tokio::test]
async fn while_a_server_is_away_attempts_are_few_and_failures_quick() {
    let server = RedisServer::start(&[]);
    let (proxy, store) = behind_a_proxy(&server).await;
    proxy.set(Weather::HangUp);
    proxy.cut();
    let accepted = proxy.accepted();
    let start = Instant::now();
    let (mut calls, mut slowest) = (0, Duration::ZERO);
    while start.elapsed() < Duration::from_secs(3) {
        let began = Instant::now();
        let error = store.get(name("X")).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        (calls, slowest) = (calls + 1, slowest.max(began.elapsed()));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let attempts = proxy.accepted() - accepted;
    assert!(calls > 500, "{calls} calls");
    // Each of them is two, as the server may be one that hangs up on a protocol that it does not know.
    assert!((4..40).contains(&attempts), "{attempts} attempts");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    proxy.set(Weather::Fair);
    wait_for(&store).await;
}

#[tokio::test]
async fn callers_that_give_up_leave_the_connection_whole() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    for number in 0..50 {
        put(&store, &format!("F{number}"), number).await;
    }
    for round in 0..2_000 {
        let at = round % 50;
        let of = format!("F{at}");
        let limit = Duration::from_micros(fastrand::u64(..200));
        match round % 3 {
            0 => drop(tokio::time::timeout(limit, store.get(name(&of))).await),
            1 => drop(tokio::time::timeout(limit, store.put(&flag(&of, at), Expect::Any)).await),
            _ => {
                let expected = flag(&of, at).version_of_bytes();
                drop(
                    tokio::time::timeout(limit, store.put(&flag(&of, at), Expect::Matches(&expected))).await,
                );
            }
        }
        assert_eq!(number(&store, &of).await, Some(at), "an answer came to another question");
    }
}

#[tokio::test]
async fn whoever_connects_and_gives_up_lets_the_next_one() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store = RedisStore::builder(&format!("redis://{}", proxy.address())).connect_lazy().unwrap();
    proxy.set(Weather::Delay(Duration::from_millis(50)));
    let waiting = tokio::join!(
        tokio::time::timeout(Duration::from_millis(10), store.get(name("X"))),
        store.get(name("X")),
        store.get(name("Y")),
    );
    assert!(waiting.0.is_err());
    assert!(waiting.1.unwrap().is_none() && waiting.2.unwrap().is_none());
}

#[tokio::test]
async fn a_transaction_that_is_dropped_half_way_disturbs_no_other() {
    let server = RedisServer::start(&["--user", "careful", "on", "nopass", "~*", "+@all", "-@scripting"]);
    let store = RedisStore::connect(&format!("redis://careful@{}", server.address())).await.unwrap();
    let mut version = store.put(&flag("X", 0), Expect::Any).await.unwrap();
    for number in 1..300 {
        let limit = Duration::from_micros(fastrand::u64(..400));
        let other = flag("Y", number);
        let _ = tokio::time::timeout(limit, store.put(&other, Expect::Matches(&version))).await;
        version = store.put(&flag("X", number), Expect::Matches(&version)).await.unwrap();
    }
    assert_eq!(number(&store, "X").await, Some(299));
}

#[tokio::test]
async fn something_else_than_redis_is_an_error() {
    use tokio::io::AsyncWriteExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = failure(LIMIT, RedisStore::connect(&format!("redis://:hunter2@{address}"))).await;
    assert!(matches!(error.kind(), ErrorKind::Unavailable), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
