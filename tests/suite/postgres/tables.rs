//! Tables that others have made, or change while they are used.

use std::time::{Duration, Instant};

use flipper_core::{Change, ErrorKind, Expect, Page, Store, Watching};
use flipper_mirror::MirrorStore;
use flipper_postgres::PostgresStore;
use flipper_postgres::tokio_postgres::Client;
use flipper_testkit::{PostgresServer, next};

use super::{builder, psql, server, store, table};
use crate::records::{flag, name, names, number, put, watch};

/// A record as it is written in a statement.
fn literal(of: &str, number: i64) -> String {
    format!("'{}'", flag(of, number).as_json())
}

async fn admin() -> Client {
    psql(&server().url()).await
}

/// Waits until a mirror, which asks nobody, has a flag with a number.
async fn arrives(mirror: &MirrorStore<PostgresStore>, of: &str, number: i64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let seen = || mirror.snapshot().unwrap().get(of).and_then(|found| found.value.created_date());
    while seen() != Some(number) {
        assert!(Instant::now() < deadline, "{of} is {:?} still", seen());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_null_is_bad_and_the_others_are_read() {
    let (table, admin) = (table(), admin().await);
    let create = format!(
        "CREATE TABLE {table} (name varchar(40) UNIQUE, item bytea);
         INSERT INTO {table} VALUES ('A', {}), ('B', NULL), ('C', {}), (NULL, {})",
        literal("A", 1),
        literal("C", 3),
        literal("D", 4),
    );
    admin.batch_execute(&create).await.unwrap();
    let store = builder(&server().url(), &table).create_table().connect().await.unwrap();
    assert_eq!(number(&store, "A").await, Some(1));
    assert_eq!(store.get(name("B")).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let (good, bad) = names(&store, Page::ALL).await;
    assert_eq!(good, ["A", "C"]);
    // A row without a name is nobody's.
    assert_eq!(bad, ["B"]);
    let mut changes = watch(&store).await;
    admin.batch_execute(&format!("UPDATE {table} SET item = NULL WHERE name = 'A'")).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Bad { name, .. }) if &*name == "A"));
    // It can be written, and deleted.
    put(&store, "B", 2).await;
    assert_eq!(number(&store, "B").await, Some(2));
    assert!(store.delete(name("A"), Expect::Any).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_hold_flags_is_refused() {
    let admin = admin().await;
    for (columns, hint) in [
        ("name varchar(40) PRIMARY KEY, item text NOT NULL", "bytea"),
        ("name char(40) PRIMARY KEY, item bytea NOT NULL", "varchar"),
        ("name name PRIMARY KEY, item bytea NOT NULL", "varchar"),
        ("name bigint PRIMARY KEY, item bytea NOT NULL", "varchar"),
        ("name varchar(40), item bytea NOT NULL", "PRIMARY KEY"),
        ("id bigint PRIMARY KEY, item bytea NOT NULL", "name"),
        ("name varchar(40) PRIMARY KEY, record bytea NOT NULL", "item"),
    ] {
        let table = table();
        admin.batch_execute(&format!("CREATE TABLE {table} ({columns})")).await.unwrap();
        let error = builder(&server().url(), &table).connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{columns}: {error}");
        assert!(error.message().contains(hint), "{columns}: {error}");
        // One that could not look before says it when it is asked.
        let lazy = builder(&server().url(), &table).connect_lazy().unwrap();
        let _ = lazy.get(name("X")).await;
        let _ = flipper_testkit::collect(lazy.list(Page::ALL)).await;
        let error = lazy.put(&flag("X", 1), Expect::Any).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{columns}: {error}");
    }
    for columns in
        ["name text PRIMARY KEY, item bytea NOT NULL", "name varchar PRIMARY KEY, more int, item bytea"]
    {
        let table = table();
        admin.batch_execute(&format!("CREATE TABLE {table} ({columns})")).await.unwrap();
        let store = builder(&server().url(), &table).connect().await.unwrap();
        put(&store, &"é".repeat(256), 1).await;
        assert_eq!(number(&store, &"é".repeat(256)).await, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_column_is_made_longer_is_used_as_it_is_by_now() {
    let (table, admin) = (table(), admin().await);
    admin
        .batch_execute(&format!("CREATE TABLE {table} (name varchar(40) PRIMARY KEY, item bytea NOT NULL)"))
        .await
        .unwrap();
    let store = builder(&server().url(), &table).connections(1).connect().await.unwrap();
    put(&store, "X", 1).await;
    assert_eq!(names(&store, Page::ALL).await.0, ["X"]);
    let long = "L".repeat(41);
    let error = store.put(&flag(&long, 2), Expect::Any).await.unwrap_err();
    assert!(error.message().contains("ALTER TABLE"), "{error}");
    admin.batch_execute(&format!("ALTER TABLE {table} ALTER COLUMN name TYPE varchar(512)")).await.unwrap();
    assert_eq!(names(&store, Page::ALL).await.0, ["X"]);
    put(&store, &long, 2).await;
    assert_eq!(names(&store, Page::ALL).await.0, [&long, "X"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_takes_the_place_of_another_is_followed() {
    let (store, table) = store().await;
    put(&store, "X", 1).await;
    let mirror = MirrorStore::start(store).await.unwrap();
    arrives(&mirror, "X", 1).await;
    let admin = admin().await;
    // As a restored backup is put in its place.
    let new = self::table();
    let other = builder(&server().url(), &new).create_table().connect().await.unwrap();
    put(&other, "X", 2).await;
    let swap = format!(
        "BEGIN; ALTER TABLE {table} RENAME TO old_{table}; ALTER TABLE {new} RENAME TO {table}; COMMIT"
    );
    admin.batch_execute(&swap).await.unwrap();
    arrives(&mirror, "X", 2).await;
    admin.batch_execute(&format!("UPDATE {table} SET item = {}", literal("X", 3))).await.unwrap();
    arrives(&mirror, "X", 3).await;
    assert_eq!(mirror.capabilities().watch, Watching::Pushed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_the_triggers_are_off_is_found() {
    let (store, table) = store().await;
    put(&store, "X", 1).await;
    let mirror = MirrorStore::start(store).await.unwrap();
    let admin = admin().await;
    // As `pg_restore --disable-triggers` does.
    let restored = format!(
        "ALTER TABLE {table} DISABLE TRIGGER ALL; UPDATE {table} SET item = {}; ALTER TABLE {table} ENABLE TRIGGER ALL",
        literal("X", 2)
    );
    admin.batch_execute(&restored).await.unwrap();
    arrives(&mirror, "X", 2).await;
    // For good: then it is polled.
    admin.batch_execute(&format!("DROP TRIGGER flipper_notify_row ON {table}")).await.unwrap();
    admin.batch_execute(&format!("UPDATE {table} SET item = {}", literal("X", 3))).await.unwrap();
    arrives(&mirror, "X", 3).await;
    admin.batch_execute(&format!("UPDATE {table} SET item = {}", literal("X", 4))).await.unwrap();
    arrives(&mirror, "X", 4).await;
    assert_eq!(mirror.capabilities().watch, Watching::Polled);
    // And told again, once there are triggers again.
    builder(&server().url(), &table).create_table().connect().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while mirror.capabilities().watch != Watching::Pushed {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_parts_is_followed() {
    let (table, admin) = (table(), admin().await);
    let create = format!(
        "CREATE TABLE {table} (name varchar(512) PRIMARY KEY, item bytea NOT NULL) PARTITION BY HASH (name);
         CREATE TABLE {table}_0 PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE {table}_1 PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
    );
    admin.batch_execute(&create).await.unwrap();
    let store = builder(&server().url(), &table).create_table().connect().await.unwrap();
    let mirror = MirrorStore::start(store).await.unwrap();
    for flag in ["A", "B", "C", "D"] {
        admin
            .batch_execute(&format!("INSERT INTO {table} VALUES ('{flag}', {})", literal(flag, 1)))
            .await
            .unwrap();
        arrives(&mirror, flag, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_subscription_brings_are_told() {
    let publisher = PostgresServer::start(&["wal_level=logical"]);
    let subscriber = PostgresServer::start(&["wal_level=logical"]);
    let there = builder(&publisher.url(), "feature_flags").create_table().connect().await.unwrap();
    put(&there, "X", 1).await;
    let here = builder(&subscriber.url(), "feature_flags").create_table().connect().await.unwrap();
    let mirror = MirrorStore::start(here).await.unwrap();
    psql(&publisher.url())
        .await
        .batch_execute("CREATE PUBLICATION flags FOR TABLE feature_flags")
        .await
        .unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION flags CONNECTION 'host=127.0.0.1 port={} user=flipper password=secret dbname=postgres' PUBLICATION flags",
        publisher.address().port()
    );
    psql(&subscriber.url()).await.batch_execute(&subscribe).await.unwrap();
    arrives(&mirror, "X", 1).await;
    put(&there, "X", 2).await;
    arrives(&mirror, "X", 2).await;
    assert_eq!(mirror.capabilities().watch, Watching::Pushed);
    psql(&publisher.url()).await.batch_execute("TRUNCATE feature_flags").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !mirror.snapshot().unwrap().is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_too_long_for_a_notice_is_written_by_whomever() {
    let (table, admin) = (table(), admin().await);
    admin
        .batch_execute(&format!("CREATE TABLE {table} (name text PRIMARY KEY, item bytea NOT NULL)"))
        .await
        .unwrap();
    let store = builder(&server().url(), &table).create_table().connect().await.unwrap();
    let mut changes = watch(&store).await;
    let insert = format!("INSERT INTO {table} VALUES (repeat('n', 9000), '')");
    admin.batch_execute(&insert).await.unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
    assert_eq!(names(&store, Page::ALL).await.1, ["n".repeat(9_000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_have_tables_in_the_same_schema() {
    let (schema, admin) = (table(), admin().await);
    let roles = format!(
        "CREATE SCHEMA {schema}; CREATE ROLE {schema}_a LOGIN PASSWORD 'secret'; CREATE ROLE {schema}_b LOGIN PASSWORD 'secret';
         GRANT USAGE, CREATE ON SCHEMA {schema} TO {schema}_a, {schema}_b"
    );
    admin.batch_execute(&roles).await.unwrap();
    let url = |role: &str| format!("postgres://{schema}_{role}:secret@{}/postgres", server().address());
    let open = |role: &str| {
        builder(&url(role), &format!("flags_of_{role}")).schema(&schema).create_table().connect()
    };
    put(&open("a").await.unwrap(), "X", 1).await;
    let second = open("b").await.unwrap();
    assert_eq!(second.capabilities().watch, Watching::Pushed);
    put(&second, "X", 2).await;
    // One who may no longer make anything needs not, where everything is there.
    admin.batch_execute(&format!("REVOKE CREATE ON SCHEMA {schema} FROM {schema}_b")).await.unwrap();
    assert_eq!(number(&open("b").await.unwrap(), "X").await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_other_encodings_are_listed_and_told() {
    let admin = admin().await;
    for (database, encoding) in [("latin", "LATIN1"), ("raw", "SQL_ASCII")] {
        let create = format!(
            "CREATE DATABASE {database} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        admin.execute(&create, &[]).await.unwrap();
    }
    let at = |database: &str| server().url().replace("/postgres", &format!("/{database}"));
    let latin = builder(&at("latin"), "feature_flags").create_table().connect().await.unwrap();
    let mut changes = watch(&latin).await;
    put(&latin, "é", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(found)) if found.value.name() == "é"));
    assert_eq!(names(&latin, Page::ALL).await.0, ["é"]);
    let error = latin.put(&flag("☃", 1), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");

    let raw = builder(&at("raw"), "feature_flags").create_table().connect().await.unwrap();
    let mut changes = watch(&raw).await;
    put(&raw, "é☃", 1).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Put(found)) if found.value.name() == "é☃"));
    assert_eq!(names(&raw, Page::ALL).await.0, ["é☃"]);
}
