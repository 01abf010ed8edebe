//! Servers that are restarted, paused, and that end connections.

use std::time::{Duration, Instant};

use flipper_core::{Change, ErrorKind, Expect, Page, Store};
use flipper_testkit::{PostgresServer, Proxy, Weather, collect, next};

use super::{builder, hasty, psql, server, store};
use crate::records::{flag, name, number, put, watch};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back() {
    let mut server = PostgresServer::start(&[]);
    let store = hasty(&server.url(), "feature_flags").create_table().connect().await.unwrap();
    let mut changes = watch(&store).await;
    put(&store, "X", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(_))));
    server.kill();
    let began = Instant::now();
    assert_eq!(store.get(name("X")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(store.put(&flag("X", 2), Expect::Any).await.is_err());
    assert!(collect(store.list(Page::ALL)).await.pop().unwrap().is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(matches!(next(&mut changes).await, Some(Change::Down { .. })));
    server.restart();
    loop {
        match next(&mut changes).await {
            Some(Change::Resync { .. }) => break,
            Some(Change::Down { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(number(&store, "X").await, Some(1));
    put(&store, "X", 3).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_noticed() {
    let server = PostgresServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let url = server.url_at(proxy.address());
    let store = hasty(&url, "feature_flags").create_table().connect().await.unwrap();
    let mut changes = watch(&store).await;
    put(&store, "X", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(_))));
    for weather in [Weather::Stall, Weather::LoseAnswers, Weather::LoseRequests] {
        proxy.set(weather);
        let began = Instant::now();
        assert_eq!(store.get(name("X")).await.unwrap_err().kind(), ErrorKind::Unavailable, "{weather:?}");
        let error = store.put(&flag("X", 2), Expect::Any).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::OutcomeUnknown | ErrorKind::Unavailable), "{error}");
        assert!(began.elapsed() < Duration::from_secs(6), "{weather:?}: {:?}", began.elapsed());
        assert!(matches!(next(&mut changes).await, Some(Change::Down { .. })), "{weather:?}");
        proxy.set(Weather::Fair);
        proxy.cut();
        while !matches!(next(&mut changes).await, Some(Change::Resync { .. })) {}
        assert!(store.get(name("X")).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ends_are_replaced() {
    // On a server of its own, as others would lose theirs as well.
    let server = PostgresServer::start(&[]);
    let store = builder(&server.url(), "flags").create_table().connect().await.unwrap();
    let mut changes = watch(&store).await;
    put(&store, "X", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(_))));
    let psql = psql(&server.url()).await;
    for number in 2..6 {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flipper'";
        psql.query(end, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        // A connection that was ended between calls is found out before it is used.
        put(&store, "X", number).await;
        assert_eq!(crate::records::number(&store, "X").await, Some(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_backend_is_ended_is_unknown_or_not_done() {
    let (store, table) = store().await;
    put(&store, "X", 1).await;
    let psql = psql(&server().url()).await;
    // Somebody holds the row, so that the write waits; and its backend is ended.
    psql.batch_execute(&format!("BEGIN; SELECT * FROM {table} FOR UPDATE")).await.unwrap();
    let changed = flag("X", 2);
    let (written, ()) = tokio::join!(store.put(&changed, Expect::Any), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%\"{table}\"%'"
        );
        psql.query(&end, &[]).await.unwrap();
    });
    assert_eq!(written.unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    psql.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(number(&store, "X").await, Some(1));
    // One that waits for too long has an unknown outcome, too.
    psql.batch_execute(&format!("BEGIN; SELECT * FROM {table} FOR UPDATE")).await.unwrap();
    let hasty = hasty(&server().url(), &table).connect().await.unwrap();
    let error = hasty.put(&flag("X", 3), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    psql.batch_execute("ROLLBACK").await.unwrap();
}
