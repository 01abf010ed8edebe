//! Python's flipper-client 1.3.2 on the same table, in both directions.

use flipper_core::{Bucketer, Condition, Context, FeatureFlagClient, Percentage, Semantics, Store, ctx};
use flipper_postgres::PostgresStore;
use serde_json::{Value as Json, json};

use super::{builder, psql, server, store, table};
use crate::peer::Python;
use crate::records::name;

fn python(table: &str) -> Python {
    Python::start("1.3.2", "postgres", server().address().port(), table)
}

fn client(store: PostgresStore) -> FeatureFlagClient {
    FeatureFlagClient::builder(store).semantics(Semantics::FlipperClient).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_python_writes_is_read() {
    // In a table that flipper-client has made.
    let table = table();
    let mut python = python(&table);
    assert_eq!(python.ask(&json!(["exists", "X"])), false, "by now, the table is there");
    let client = client(builder(&server().url(), &table).connect().await.unwrap());
    let flag = "drapeau é☃😀 / %2F?";
    python.ask(&json!(["create", flag, false, {"ñ": [1, 2.5, null]}]));
    assert!(!client.is_enabled(flag, &Context::EMPTY).await);
    python.ask(&json!(["enable", flag]));
    python.ask(&json!(["add_condition", flag, {"is_admin": true, "age__gte": 18}]));
    python.ask(&json!(["set_bucketer", flag, "hash", 0.5, ["user_id"]]));
    for user_id in 0..40 {
        let keywords = json!({"is_admin": user_id % 3 == 0, "age": user_id, "user_id": user_id});
        let context = ctx! { is_admin: user_id % 3 == 0, age: user_id, user_id: user_id };
        let expected = python.ask(&json!(["is_enabled", flag, keywords]));
        assert_eq!(expected, json!(client.is_enabled(flag, &context).await), "{keywords}");
    }
    let read = async || client.store().get(name(flag)).await.unwrap().unwrap().value.as_json().to_owned();
    let stored = read().await;
    client.disable(flag).await.unwrap();
    client.enable(flag).await.unwrap();
    assert_eq!(read().await, stored, "an edit of ours and back leaves every byte of it");
    // Its column takes 40 characters, and that is told before anything is written.
    let error = client.create(&"é".repeat(41)).await.unwrap_err();
    assert_eq!(error.kind(), flipper_core::ErrorKind::InvalidInput);
    assert!(error.message().contains("41 characters") && error.message().contains("40"), "{error}");
    client.create(&"é".repeat(40)).await.unwrap();
    python.ask(&json!(["destroy", flag]));
    assert!(!client.exists(flag).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_write_python_reads() {
    let (store, table) = store().await;
    let mut python = python(&table);
    let client = client(store);
    let flag = client.create("Ünïcode/x").await.unwrap();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.3).unwrap(), ["user_id"])).await.unwrap();
    flag.set_client_data(json!({"big": 1_u64 << 60, "ñ": "é"}).as_object().unwrap()).await.unwrap();
    flag.add_condition(&Condition::builder().eq("is_admin", true).build().unwrap()).await.unwrap();
    flag.enable().await.unwrap();
    for user_id in 0..40 {
        let keywords = json!({"is_admin": user_id % 2 == 0, "user_id": user_id});
        let context = ctx! { is_admin: user_id % 2 == 0, user_id: user_id };
        let expected = python.ask(&json!(["is_enabled", "Ünïcode/x", keywords]));
        assert_eq!(expected, json!(client.is_enabled("Ünïcode/x", &context).await), "{keywords}");
    }
    let stored = python.ask(&json!(["stored"]));
    assert_eq!(
        stored["Ünïcode/x"],
        serde_json::to_value(client.get_meta("Ünïcode/x").await.unwrap()).unwrap()
    );
}

/// Rows that flipper-client has stored, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn recorded_rows_are_read_and_written_alike() {
    let recorded: Json = serde_json::from_str(&crate::vectors::read("wire_postgres.json")).unwrap();
    let (store, table) = store().await;
    let psql = psql(&server().url()).await;
    let rows = recorded["rows"].as_object().unwrap();
    assert!(rows.len() > 10);
    for (flag, row) in rows {
        let row = row.as_str().unwrap();
        let statement = format!("INSERT INTO {table} VALUES ($1, $2)");
        psql.execute(&statement, &[&flag, &row.as_bytes()]).await.unwrap();
        let found = store.get(name(flag)).await.unwrap().unwrap();
        assert_eq!(found.value.as_json(), row);
        store.put(&found.value, flipper_core::Expect::Matches(&found.version)).await.unwrap();
        let statement = format!("SELECT item FROM {table} WHERE name = $1");
        let stored: Vec<u8> = psql.query_one(&statement, &[&flag]).await.unwrap().get(0);
        assert_eq!(stored, row.as_bytes());
    }
}
