//! Changes by whomever: told by the triggers, found by polling, and on a standby.

use std::time::{Duration, Instant};

use flipper_core::{Change, ErrorKind, Expect, FeatureFlagClient, Store, Watching};
use flipper_mirror::MirrorStore;
use flipper_testkit::{PostgresServer, next};

use super::{builder, psql, server, store, table};
use crate::records::{flag, name, number, put, watch};

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_writes_is_told() {
    let (store, table) = store().await;
    assert_eq!(store.capabilities().watch, Watching::Pushed);
    let mut changes = watch(&store).await;
    let psql = psql(&server().url()).await;
    let record = flag("X", 7).as_json().to_owned();
    let insert = format!("INSERT INTO {table} VALUES ('X', $1)");
    psql.execute(&insert, &[&record.as_bytes()]).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Put(found)) if found.value.as_json() == record));
    psql.execute(&format!("UPDATE {table} SET item = 'no flag'"), &[]).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Bad { name, .. }) if &*name == "X"));
    // Another name is the end of one flag, and the beginning of another.
    psql.execute(&format!("UPDATE {table} SET name = 'Y', item = $1"), &[&record.as_bytes()]).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Deleted { name, .. }) if &*name == "X"));
    assert!(matches!(next(&mut changes).await, Some(Change::Put(found)) if found.value.name() == "Y"));
    psql.execute(&format!("DELETE FROM {table}"), &[]).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Deleted { name, .. }) if &*name == "Y"));
    psql.execute(&format!("TRUNCATE {table}"), &[]).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
    // What is rolled back never was.
    psql.batch_execute(&format!("BEGIN; INSERT INTO {table} VALUES ('Z', ''); ROLLBACK")).await.unwrap();
    put(&store, "LAST", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(found)) if found.value.name() == "LAST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_triggers_is_polled_until_it_has_some() {
    let table = table();
    let psql = psql(&server().url()).await;
    let create = format!("CREATE TABLE {table} (name varchar(40) PRIMARY KEY, item bytea NOT NULL)");
    psql.batch_execute(&create).await.unwrap();
    let store = builder(&server().url(), &table).connect().await.unwrap();
    assert_eq!(store.capabilities().watch, Watching::Polled);
    let mut changes = watch(&store).await;
    let record = flag("X", 7).as_json().to_owned();
    psql.execute(&format!("INSERT INTO {table} VALUES ('X', $1)"), &[&record.as_bytes()]).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Put(found)) if found.value.name() == "X"));
    let with_triggers = builder(&server().url(), &table).create_table().connect().await.unwrap();
    assert_eq!(with_triggers.capabilities().watch, Watching::Pushed);
    assert_eq!(number(&with_triggers, "X").await, Some(7), "the table is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_read_and_polled() {
    let primary = PostgresServer::start(&["max_wal_senders=4"]);
    let writer = builder(&primary.url(), "feature_flags").create_table().connect().await.unwrap();
    put(&writer, "X", 1).await;
    let standby = primary.standby();
    let store = builder(&standby.url(), "feature_flags").connect().await.unwrap();
    assert_eq!(store.capabilities().watch, Watching::Polled);
    assert_eq!(number(&store, "X").await, Some(1));
    let local = MirrorStore::start(store).await.unwrap();
    put(&writer, "X", 2).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let seen = || local.snapshot().unwrap().get("X").unwrap().value.created_date();
    while seen() != Some(2) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It is read-only: nothing has happened.
    let error = local.put(&flag("X", 3), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("standby"), "{error}");
    assert_eq!(number(&writer, "X").await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_changes_at_once_are_not_missed() {
    let (store, table) = store().await;
    let client = FeatureFlagClient::new(MirrorStore::start(store).await.unwrap());
    let psql = psql(&server().url()).await;
    let record = flag("X", 7).as_json().to_owned();
    let many = format!("INSERT INTO {table} SELECT 'F' || n, $1 FROM generate_series(1, 10000) n");
    psql.execute(&many, &[&record.as_bytes()]).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while client.store().snapshot().unwrap().len() < 10_000 {
        assert!(Instant::now() < deadline, "{}", client.store().snapshot().unwrap().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(client.store().get(name("F10000")).await.unwrap().is_some());
}
