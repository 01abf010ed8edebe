//! What servers, their settings and what stands before them make of a session.

use std::process::Command;
use std::time::{Duration, Instant};

use flipper_core::{Change, ErrorKind, Expect, FeatureFlagClient, Page, Store, Watching};
use flipper_mirror::MirrorStore;
use flipper_postgres::tokio_postgres::Client;
use flipper_testkit::{PgBouncer, PostgresServer, next};

use super::{builder, psql, server, store, table};
use crate::records::{flag, names, number, put, watch};

#[tokio::test(flavor = "multi_thread")]
async fn edits_at_the_same_time_are_made_where_transactions_are_serializable() {
    let server = PostgresServer::start(&["default_transaction_isolation=serializable"]);
    let store = builder(&server.url(), "feature_flags").create_table().connect().await.unwrap();
    FeatureFlagClient::new(store).create("X").await.unwrap();
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..16 {
        let store = builder(&server.url(), "feature_flags").connections(1).connect().await.unwrap();
        editors.spawn(async move {
            let client = FeatureFlagClient::builder(store).deadline(Duration::from_mins(1)).build();
            for number in 0..20 {
                client.set_client_data("X", [(format!("{editor}-{number}"), true)]).await.unwrap();
                client.store().put(&flag("Y", number), Expect::Any).await.unwrap();
            }
        });
    }
    editors.join_all().await;
    let store = builder(&server.url(), "feature_flags").connect().await.unwrap();
    let client = FeatureFlagClient::new(store);
    assert_eq!(client.get_client_data("X").await.unwrap().len(), 320);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_keeps_nobody_waiting() {
    let (_, table) = store().await;
    let store = builder(&server().url(), &table).connections(1).connect().await.unwrap();
    put(&store, "X", 1).await;
    let psql = psql(&server().url()).await;
    psql.batch_execute(&format!("BEGIN; SELECT * FROM {table} FOR UPDATE")).await.unwrap();
    let changed = flag("X", 2);
    let dropped = tokio::time::timeout(Duration::from_millis(200), store.put(&changed, Expect::Any)).await;
    assert!(dropped.is_err());
    let began = Instant::now();
    assert_eq!(number(&store, "X").await, Some(1));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    psql.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_to_the_commit_fails_the_write() {
    let (store, table) = store().await;
    let psql = psql(&server().url()).await;
    let refuse = format!(
        "CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION refuse_{table}()"
    );
    psql.batch_execute(&refuse).await.unwrap();
    let pooled = builder(&server().url(), &table).behind_pooler().connect().await.unwrap();
    for store in [store, pooled] {
        let error = store.put(&flag("X", 1), Expect::Any).await.unwrap_err();
        assert!(error.message().contains("refused"), "{error}");
        assert_eq!(number(&store, "X").await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_becomes_a_primary_is_written_and_tells() {
    let mut primary = PostgresServer::start(&["max_wal_senders=4"]);
    let writer = builder(&primary.url(), "feature_flags").create_table().connect().await.unwrap();
    put(&writer, "X", 1).await;
    let standby = primary.standby();
    let store = builder(&standby.url(), "feature_flags").connect().await.unwrap();
    let mirror = MirrorStore::start(store).await.unwrap();
    assert_eq!(mirror.capabilities().watch, Watching::Polled);
    primary.kill();
    standby.promote();
    put(&mirror, "X", 2).await;
    assert_eq!(number(&mirror, "X").await, Some(2));
    let deadline = Instant::now() + Duration::from_secs(10);
    while mirror.capabilities().watch != Watching::Pushed {
        assert!(Instant::now() < deadline, "it is polled still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_server_end_calls_that_have_not_happened() {
    for setting in ["statement_timeout=300", "lock_timeout=300"] {
        let server = PostgresServer::start(&[setting]);
        let store = builder(&server.url(), "flags").create_table().connect().await.unwrap();
        put(&store, "X", 1).await;
        let psql = psql(&server.url()).await;
        psql.batch_execute("SET statement_timeout = 0; BEGIN; SELECT * FROM flags FOR UPDATE").await.unwrap();
        let error = store.put(&flag("X", 2), Expect::Any).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{setting}: {error}");
        psql.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(number(&store, "X").await, Some(1), "{setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_end_when_they_are_idle_are_replaced_and_the_one_that_listens_is_kept() {
    let server = PostgresServer::start(&["idle_session_timeout=4000"]);
    let store = builder(&server.url(), "flags").create_table().connect().await.unwrap();
    let mut changes = watch(&store).await;
    put(&store, "X", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(_))));
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'flipper'";
    let psql = psql(&server.url()).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while psql.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0) > 1 {
        assert!(Instant::now() < deadline, "they are there still");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    put(&store, "X", 2).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(_))), "it has listened all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_read_only_unless_told_says_so() {
    let server = PostgresServer::start(&[]);
    builder(&server.url(), "flags").create_table().connect().await.unwrap();
    let url = format!("{}?options=-c%20default_transaction_read_only%3Don", server.url());
    // What is there needs not to be made.
    let store = builder(&url, "flags").create_table().connect().await.unwrap();
    let mut changes = watch(&store).await;
    let error = store.put(&flag("X", 1), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("default_transaction_read_only"), "{error}");
    put(&builder(&server.url(), "flags").connect().await.unwrap(), "X", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_gives_each_transaction_another_connection() {
    let pooler = PgBouncer::start(server().address(), &["default_pool_size=3"]);
    let (url, table) = (server().url_at(pooler.address()), table());
    let store = builder(&url, &table).create_table().behind_pooler().connect().await.unwrap();
    assert_eq!(store.capabilities().watch, Watching::Polled);
    let mut changes = watch(&store).await;
    let client = FeatureFlagClient::new(store);
    client.create("X").await.unwrap();
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..8 {
        let client =
            FeatureFlagClient::builder(builder(&url, &table).behind_pooler().connect().await.unwrap());
        let client = client.deadline(Duration::from_mins(1)).build();
        editors.spawn(async move {
            for number in 0..20 {
                client.set_client_data("X", [(format!("{editor}-{number}"), true)]).await.unwrap();
            }
        });
    }
    editors.join_all().await;
    assert_eq!(client.get_client_data("X").await.unwrap().len(), 160);
    while !matches!(next(&mut changes).await, Some(Change::Put(_))) {}
    assert_eq!(names(client.store(), Page::ALL).await.0, ["X"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_nobody_has_told_of_is_noticed() {
    let pooler = PgBouncer::start(server().address(), &["default_pool_size=3"]);
    let (direct, table) = store().await;
    let url = server().url_at(pooler.address());
    let Ok(store) = builder(&url, &table).connect().await else { panic!("it connects") };
    let mirror = MirrorStore::start(store).await.unwrap();
    put(&direct, "X", 1).await;
    // Its notices do not come through, so it is polled.
    let deadline = Instant::now() + Duration::from_secs(20);
    while mirror.snapshot().unwrap().get("X").is_none() {
        assert!(Instant::now() < deadline, "nothing is told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_server_dies_behind_a_pooler_has_an_unknown_outcome() {
    let server = PostgresServer::start(&[]);
    let pooler = PgBouncer::start(server.address(), &[]);
    let url = server.url_at(pooler.address());
    let store = builder(&url, "flags").create_table().behind_pooler().connect().await.unwrap();
    put(&store, "X", 1).await;
    let (holder, looker) = (psql(&server.url()).await, psql(&server.url()).await);
    let changed = flag("X", 2);
    // Its backend is ended by an operator, of which the server tells; or it dies, of which the pooler does.
    for is_told in [true, false] {
        holder.batch_execute("BEGIN; SELECT * FROM flags FOR UPDATE").await.unwrap();
        let error = loop {
            // One that fails before it waits for the row has met the end of the connection before.
            let (written, is_ended) = tokio::join!(store.put(&changed, Expect::Any), end(&looker, is_told));
            if is_ended {
                break written.unwrap_err();
            }
        };
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{is_told}: {error}");
        if is_told {
            holder.batch_execute("ROLLBACK").await.unwrap();
        }
    }
}

/// Ends the backend that waits to write, if there is one soon.
async fn end(looker: &Client, is_told: bool) -> bool {
    let waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT%'";
    let deadline = Instant::now() + Duration::from_secs(3);
    while Instant::now() < deadline {
        if let Some(row) = looker.query(waits, &[]).await.unwrap().first() {
            let pid: i32 = row.get(0);
            if is_told {
                looker.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
            } else {
                let killed = Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
                assert!(killed.success());
            }
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
