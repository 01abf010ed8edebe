//! Python's flipper-client on the same keys, in both directions and at the same time.

use std::time::Duration;

use flipper_core::{Bucketer, Condition, FeatureFlagClient, Flag, Percentage, Store, Timestamp, ctx};
use flipper_redis::RedisStore;
use flipper_testkit::RedisServer;
use serde_json::{Value as Json, json};

use super::editors::{CLIENTS, EDITS, edit, kept};
use super::{Cli, names};
use crate::peer::Python;
use crate::vectors;

const RELEASES: [&str; 2] = ["1.2.3", "1.3.2"];

fn python(release: &str, server: &RedisServer, base_key: &str) -> Python {
    Python::start(release, "redis", server.address().port(), base_key)
}

async fn client(server: &RedisServer, base_key: &str) -> FeatureFlagClient {
    let store = RedisStore::builder(&server.url()).base_key(base_key).connect().await.unwrap();
    FeatureFlagClient::builder(store).deadline(Duration::from_mins(2)).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_python_writes_is_read() {
    for release in RELEASES {
        let (server, base_key) = (super::server(), super::base_key());
        let mut python = python(release, server, &base_key);
        let client = client(server, &base_key).await;
        let name = "drapeau é☃😀 / %2F?";
        python.ask(&json!(["create", name, false, {"ñ": [1, 2.5, null]}]));
        assert!(!client.is_enabled(name, &flipper_core::Context::EMPTY).await);
        python.ask(&json!(["enable", name]));
        assert!(client.is_enabled(name, &flipper_core::Context::EMPTY).await);
        python.ask(&json!(["add_condition", name, {"is_admin": true, "age__gte": 18}]));
        python.ask(&json!(["set_bucketer", name, "hash", 0.5, ["user_id"]]));
        for user_id in 0..40 {
            // With the semantics of flipper-client, conditions are asked whenever there are keywords.
            let keywords = json!({"is_admin": user_id % 3 == 0, "age": user_id, "user_id": user_id});
            let expected = python.ask(&json!(["is_enabled", name, keywords]));
            let ours = client
                .is_enabled(name, &ctx! { is_admin: user_id % 3 == 0, age: user_id, user_id: user_id })
                .await;
            assert_eq!(expected, json!(ours), "{keywords}");
        }
        let data = client.get_client_data(name).await.unwrap();
        assert_eq!(Json::Object(data), json!({"ñ": [1, 2.5, null]}));
        let stored: String =
            Cli::new(&server.url()).await.tell(&["GET", &format!("{base_key}/{name}")]).await;
        let flag = client.store().get(super::name(name)).await.unwrap().unwrap().value;
        assert_eq!(flag.as_json(), stored);
        // An edit of ours and back leaves every byte of it.
        client.disable(name).await.unwrap();
        client.enable(name).await.unwrap();
        assert_eq!(client.store().get(super::name(name)).await.unwrap().unwrap().value.as_json(), stored);
        python.ask(&json!(["destroy", name]));
        assert!(!client.exists(name).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_write_python_reads_and_edits() {
    for release in RELEASES {
        let (server, base_key) = (super::server(), super::base_key());
        let mut python = python(release, server, &base_key);
        let client = client(server, &base_key).await;
        let flag = client.create("Ünïcode/x").await.unwrap();
        flag.enable().await.unwrap();
        flag.add_condition(&Condition::builder().eq("is_admin", true).gt("age", 17.5).build().unwrap())
            .await
            .unwrap();
        flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.3).unwrap(), ["user_id"]))
            .await
            .unwrap();
        flag.set_client_data(json!({"big": 1_u64 << 60, "ñ": "é"}).as_object().unwrap()).await.unwrap();
        for user_id in 0..40_i64 {
            let expected = python
                .ask(&json!(["is_enabled", "Ünïcode/x", {"user_id": user_id, "age": 20, "is_admin": true}]));
            assert_eq!(expected, json!(true));
        }
        for user_id in 0..40_i64 {
            let ours = client.is_enabled("Ünïcode/x", &ctx! { user_id: user_id, age: 10 }).await;
            let expected = python.ask(&json!(["is_enabled", "Ünïcode/x", {"user_id": user_id, "age": 10}]));
            assert_eq!(expected, json!(ours));
        }
        let stored = python.ask(&json!(["stored"]));
        let meta = &stored["Ünïcode/x"];
        assert_eq!(meta["client_data"], json!({"big": 1_u64 << 60, "ñ": "é"}));
        assert_eq!(meta["bucketer"]["key_whitelist"], json!(["user_id"]));
        // What Python stores after its own edit is what it would make of our bytes.
        let before = client.store().get(super::name("Ünïcode/x")).await.unwrap().unwrap().value;
        python.ask(&json!(["set_client_data", "Ünïcode/x", {}]));
        let after = client.store().get(super::name("Ünïcode/x")).await.unwrap().unwrap().value;
        assert_eq!(after.as_json(), before.rewritten_by_flipper_client(Timestamp::now()).unwrap());
    }
}

#[tokio::test]
async fn recorded_keys_are_read_and_listed() {
    let (store, base_key) = super::store().await;
    let mut cli = Cli::new(&super::server().url()).await;
    let records = vectors::wire::records("wire_redis.json");
    assert_eq!(records.len(), 30);
    let mut expected = Vec::new();
    for (key, value) in &records {
        let name = key.strip_prefix("features/").unwrap();
        cli.set(&format!("{base_key}/{name}"), value).await;
        assert_eq!(store.get(super::name(name)).await.unwrap().unwrap().value.as_json(), value);
        // The same bytes, if we write them.
        store.put(&Flag::from_json(value.as_bytes()).unwrap(), flipper_core::Expect::Any).await.unwrap();
        let stored: String = cli.tell(&["GET", &format!("{base_key}/{name}")]).await;
        assert_eq!(&stored, value);
        expected.push(name.to_owned());
    }
    expected.sort_unstable();
    assert_eq!(names(&store, flipper_core::Page::ALL).await, (expected, vec![]));
}

/// Python takes care not to replace what it has not read, and is used beside on flags of its own as it comes.
#[tokio::test(flavor = "multi_thread")]
async fn all_edits_of_32_clients_are_there_while_python_writes_in_between() {
    const EDITS_OF_PYTHON: usize = 100;
    let server = RedisServer::start(&[]);
    let client = client(&server, "features").await;
    client.create("X").await.unwrap();
    let mut careful = python("1.3.2", &server, "features");
    let mut careless = python("1.2.3", &server, "features");
    careful.tell(&json!(["edit_carefully", "X", EDITS_OF_PYTHON]));
    careless.tell(&json!(["toggle", 300]));
    edit(&server.url(), "X").await;
    let conflicts = tokio::task::spawn_blocking(move || {
        careless.answer();
        careful.answer()
    });
    println!("{} conflicts of Python's", conflicts.await.unwrap());
    assert_eq!(kept(&server.url(), "X").await, CLIENTS * EDITS);
    let data = client.get_client_data("X").await.unwrap();
    assert_eq!(data.len(), CLIENTS * EDITS + EDITS_OF_PYTHON, "Python's are there as well");
}
