//! Users who may do little, servers and proxies that are odd, callers who give up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flipper_core::{Change, ErrorKind, Expect, Page, Store, Watching};
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Weather, next};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Cli, flag, name, number, watch};

/// How many connections a server has taken.
async fn connections(server: &RedisServer) -> u64 {
    let info: String = Cli::new(&server.url()).await.tell(&["INFO", "stats"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().trim().parse().unwrap()
}

/// What is answered to a command; `None` hangs up.
pub(crate) type Answer = fn(&str) -> Option<&'static str>;

/// Answers each command as it is told.
pub(crate) async fn odd_server(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut asked).await {
                    let asked = String::from_utf8_lossy(&asked[..count]).into_owned();
                    for command in asked.split('*').skip(1) {
                        let Some(answer) = answer(command) else { return };
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                }
            });
        }
    });
    address
}

/// Edits are refused, and leave no trace.
async fn is_denied_edits(store: &RedisStore) {
    let version = store.put(&flag("X", 1), Expect::Any).await.unwrap();
    for _ in 0..3 {
        let error = store.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
        assert_eq!(number(store, "X").await, Some(1));
    }
}

#[tokio::test]
async fn nothing_is_written_outside_of_a_transaction() {
    let users = ["--user", "u", "on", "nopass", "~*", "+@all", "-@scripting", "-multi"];
    let server = RedisServer::start(&users);
    let store = RedisStore::connect(&format!("redis://u@{}", server.address())).await.unwrap();
    is_denied_edits(&store).await;
}

#[tokio::test]
async fn a_transaction_that_is_denied_at_its_end_says_so() {
    let users = ["--user", "u", "on", "nopass", "~*", "+@all", "-@scripting", "-exec"];
    let server = RedisServer::start(&users);
    let store = RedisStore::connect(&format!("redis://u@{}", server.address())).await.unwrap();
    is_denied_edits(&store).await;
}

/// Others use it too, and what they send between `MULTI` and `EXEC` would become a part of it.
#[tokio::test]
async fn the_connection_of_a_caller_has_no_transactions() {
    let server = RedisServer::start(&["--user", "u", "on", "nopass", "~*", "+@all", "-@scripting"]);
    let client = redis::Client::open(format!("redis://u:x@{}", server.address())).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let store = RedisStore::builder_from_connection(connection).connect().await.unwrap();
    is_denied_edits(&store).await;
}

#[tokio::test]
async fn a_demoted_server_is_left_and_not_stormed() {
    let server = RedisServer::start(&["--user", "u", "on", "nopass", "~*", "+@all", "-@scripting"]);
    let scripts = RedisStore::connect(&server.url()).await.unwrap();
    let transactions = RedisStore::connect(&format!("redis://u@{}", server.address())).await.unwrap();
    let version = scripts.put(&flag("X", 1), Expect::Any).await.unwrap();
    let version = transactions.put(&flag("X", 1), Expect::Matches(&version)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let _: () = Cli::new(&server.url()).await.tell(&["REPLICAOF", "127.0.0.1", "1"]).await;
    for store in [&scripts, &transactions] {
        let before = connections(&server).await;
        for _ in 0..100 {
            let error = store.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        }
        let made = connections(&server).await - before - 1;
        assert!((1..=3).contains(&made), "{made} connections");
    }
}

#[tokio::test]
async fn callers_without_patience_connect_in_the_end() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store = RedisStore::builder(&format!("redis://{}", proxy.address())).connect_lazy().unwrap();
    proxy.set(Weather::Delay(Duration::from_millis(20)));
    let mut answered = 0;
    for _ in 0..20 {
        answered += u32::from(timeout(Duration::from_millis(80), store.get(name("X"))).await.is_ok());
    }
    assert!(answered > 10, "{answered} of 20 calls");
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_call_that_nobody_looks_at_holds_up_no_other() {
    let server = RedisServer::start(&[]);
    let store = RedisStore::builder(&server.url()).connect_lazy().unwrap();
    let mut listing = store.list(Page::ALL);
    let mut begun = std::pin::pin!(next(&mut listing));
    assert!(futures_lite::future::poll_once(&mut begun).await.is_none());
    store.get(name("X")).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_closed_while_it_connects_leaves_no_connection() {
    let server = RedisServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let builder = RedisStore::builder(&format!("redis://{}", proxy.address()));
    let store = Arc::new(builder.connect_lazy().unwrap());
    proxy.set(Weather::Delay(Duration::from_millis(50)));
    let getting = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.get(name("X")).await })
    };
    tokio::time::sleep(Duration::from_millis(70)).await;
    store.close().await.unwrap();
    assert!(getting.await.unwrap().is_err());
    let mut cli = Cli::new(&server.url()).await;
    for _ in 0..100 {
        let clients: String = cli.tell(&["CLIENT", "LIST"]).await;
        if clients.lines().count() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the connection is still there");
}

#[tokio::test]
async fn one_that_hangs_up_now_and_then_is_not_asked_all_the_time() {
    let server = RedisServer::start(&[]);
    let (to, accepted) = (server.address(), Arc::new(AtomicUsize::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::clone(&accepted));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            // The first connection is reset, as by a server that is being restarted; the others do not last.
            if count.fetch_add(1, Ordering::Relaxed) > 0 {
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(to).await.unwrap();
                    let both = copy_bidirectional(&mut client, &mut server);
                    let _ = timeout(Duration::from_millis(20), both).await;
                });
            }
        }
    });
    let store = RedisStore::connect(&format!("redis://{address}")).await.unwrap();
    assert_eq!(store.capabilities().watch, Watching::Pushed, "one hang-up says nothing of what it can do");
    let mut changes = store.watch().unwrap();
    let mut resyncs = 0;
    let _ = timeout(Duration::from_secs(2), async {
        while let Some(change) = next(&mut changes).await {
            resyncs += u32::from(matches!(change, Change::Resync { .. }));
        }
    })
    .await;
    let accepted = accepted.load(Ordering::Relaxed);
    assert!(accepted < 20 && resyncs < 15, "{accepted} connections, {resyncs} resyncs");
}

#[tokio::test]
async fn proxies_that_know_less_are_spoken_to_as_they_like_it() {
    let servers: [Answer; 4] = [
        |asked| Some(if asked.contains("HELLO") { "-unsupported command 'hello'\r\n" } else { "+OK\r\n" }),
        |asked| Some(if asked.contains("HELLO") { "-ERR Unknown command 'HELLO'\r\n" } else { "+OK\r\n" }),
        |asked| (!asked.contains("HELLO")).then_some("+OK\r\n"),
        |asked| match asked {
            asked if asked.contains("HELLO") => Some("%1\r\n+proto\r\n:3\r\n"),
            asked if asked.contains("TRACKING") => None,
            _ => Some("+OK\r\n"),
        },
    ];
    for server in servers {
        let address = odd_server(server).await;
        let store = RedisStore::connect(&format!("redis://:hunter2@{address}")).await.unwrap();
        assert_eq!(store.capabilities().watch, Watching::Polled);
    }
}

#[tokio::test]
async fn what_is_said_to_a_password_keeps_its_kind_and_not_the_password() {
    let servers: [(Answer, ErrorKind); 5] = [
        (|_| Some("-ERR max number of clients reached\r\n"), ErrorKind::Unavailable),
        (|_| Some("-LOADING Redis is loading\r\n"), ErrorKind::Unavailable),
        (
            |_| Some("-ERR AUTH called without any password configured for the default user\r\n"),
            ErrorKind::PermissionDenied,
        ),
        (|_| Some("-ERR not with hunter2\r\n"), ErrorKind::Internal),
        // Cut off in the middle of it.
        (
            |_| {
                Some(concat!(
                    "-ERR ",
                    "................................................................................",
                    "................................................................................",
                    "...............................",
                    "hunter2\r\n"
                ))
            },
            ErrorKind::Internal,
        ),
    ];
    for (server, kind) in servers {
        let address = odd_server(server).await;
        for password in ["hunter2", "a"] {
            let builder = || RedisStore::builder(&format!("redis://:{password}@{address}"));
            for builder in [builder(), builder().poll_only()] {
                let error = builder.connect().await.unwrap_err();
                assert_eq!(error.kind(), kind, "{error:?}");
                if password == "hunter2" {
                    assert!(!format!("{error} {error:?}").contains("hunt"), "{error:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn steps_of_connecting_that_are_denied_say_so() {
    let server =
        RedisServer::start(&["--user", "u", "on", "nopass", "~*", "+get", "--requirepass", "secret"]);
    let select = RedisStore::connect(&format!("redis://u@{}/3", server.address())).await.unwrap_err();
    assert_eq!(select.kind(), ErrorKind::PermissionDenied, "{select:?}");
    for database in ["", "/3"] {
        let plain = RedisStore::builder(&format!("redis://{}{database}", server.address())).poll_only();
        let error = plain.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
    }
}

#[tokio::test]
async fn limits_without_end_are_taken() {
    let server = RedisServer::start(&["--user", "u", "on", "nopass", "~*", "+@all", "-@scripting"]);
    let store = RedisStore::builder(&format!("redis://u@{}", server.address()))
        .timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .poll_interval(Duration::MAX)
        .poll_only();
    let store = store.connect().await.unwrap();
    let version = store.put(&flag("X", 1), Expect::Any).await.unwrap();
    store.put(&flag("X", 2), Expect::Matches(&version)).await.unwrap();
    let mut changes = watch(&store).await;
    assert!(timeout(Duration::from_millis(300), next(&mut changes)).await.is_err());
}

/// The server confirms at once what another connection has written, or one that is gone.
#[tokio::test]
async fn replicas_confirm_what_was_written_and_not_what_came_before() {
    let server = RedisServer::start(&["--user", "u", "on", "nopass", "~*", "+@all", "-@scripting"]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let builder =
        RedisStore::builder(&format!("redis://u@{}", proxy.address())).timeout(Duration::from_secs(1));
    let of = format!("127.0.0.1 {}", server.address().port());
    let replica = RedisServer::start(&["--replicaof", &of]);
    let store = builder.wait_for_replicas(1, Duration::from_millis(100)).connect_lazy().unwrap();
    let x = loop {
        match store.put(&flag("X", 1), Expect::Any).await {
            Ok(version) => break version,
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotReplicated),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let y = store.put(&flag("Y", 1), Expect::Any).await.unwrap();
    let x = store.put(&flag("X", 2), Expect::Matches(&x)).await.unwrap();
    replica.pause();
    proxy.set(Weather::Stall);
    let (y2, x3) = (flag("Y", 2), flag("X", 3));
    let (late, behind, ()) = tokio::join!(
        store.put(&y2, Expect::Matches(&y)),
        async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            store.put(&x3, Expect::Matches(&x)).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(1_050)).await;
            proxy.set(Weather::Fair);
        },
    );
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(behind.unwrap_err().kind(), ErrorKind::NotReplicated);
    replica.resume();
}
