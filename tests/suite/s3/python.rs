//! Python's flipper-client on the same bucket, in both directions.

use std::sync::Arc;

use flipper_core::{
    Bucketer, Condition, Context, Expect, FeatureFlagClient, Flag, Page, Percentage, Store, Timestamp, ctx,
};
use flipper_s3::S3Store;
use serde_json::{Value as Json, json};

use super::{bucket, name, names, plant};
use crate::peer::Python;
use crate::vectors;

const RELEASES: [&str; 2] = ["1.2.3", "1.3.2"];

fn both(release: &str) -> (Python, FeatureFlagClient, Arc<S3Store>) {
    let (server, bucket) = bucket();
    let (access_key, secret_key) = server.keys();
    let place = format!("{bucket} {access_key} {secret_key}");
    let python = Python::start(release, "s3", server.address().port(), &place);
    let store = Arc::new(S3Store::new(server.client(), &bucket));
    (python, FeatureFlagClient::new(Arc::clone(&store)), store)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_python_writes_is_read() {
    for release in RELEASES {
        let (mut python, client, _) = both(release);
        let of = "drapeau é☃😀 / %2F?";
        python.ask(&json!(["create", of, false, {"ñ": [1, 2.5, null]}]));
        assert!(!client.is_enabled(of, &Context::EMPTY).await);
        python.ask(&json!(["enable", of]));
        assert!(client.is_enabled(of, &Context::EMPTY).await);
        python.ask(&json!(["add_condition", of, {"is_admin": true, "age__gte": 18}]));
        python.ask(&json!(["set_bucketer", of, "hash", 0.5, ["user_id"]]));
        for user_id in 0..40 {
            let keywords = json!({"is_admin": user_id % 3 == 0, "age": user_id, "user_id": user_id});
            let expected = python.ask(&json!(["is_enabled", of, keywords]));
            let context = ctx! { is_admin: user_id % 3 == 0, age: user_id, user_id: user_id };
            assert_eq!(expected, json!(client.is_enabled(of, &context).await), "{keywords}");
        }
        assert_eq!(Json::Object(client.get_client_data(of).await.unwrap()), json!({"ñ": [1, 2.5, null]}));
        let stored = async || client.store().get(name(of)).await.unwrap().unwrap();
        let before = stored().await;
        // An edit of ours and back leaves every byte of it, and so the state.
        client.disable(of).await.unwrap();
        client.enable(of).await.unwrap();
        assert_eq!(stored().await, before);
        python.ask(&json!(["destroy", of]));
        assert!(!client.exists(of).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_write_python_reads_and_edits() {
    for release in RELEASES {
        let (mut python, client, _) = both(release);
        let flag = client.create("Ünïcode/x").await.unwrap();
        flag.enable().await.unwrap();
        let condition = Condition::builder().eq("is_admin", true).gt("age", 17.5).build().unwrap();
        flag.add_condition(&condition).await.unwrap();
        let share = Percentage::new(0.3).unwrap();
        flag.set_bucketer(&Bucketer::consistent_hash(share, ["user_id"])).await.unwrap();
        flag.set_client_data(json!({"big": 1_u64 << 60, "ñ": "é"}).as_object().unwrap()).await.unwrap();
        for user_id in 0..40_i64 {
            let ours = client.is_enabled("Ünïcode/x", &ctx! { user_id: user_id, age: 10 }).await;
            let expected = python.ask(&json!(["is_enabled", "Ünïcode/x", {"user_id": user_id, "age": 10}]));
            assert_eq!(expected, json!(ours));
        }
        let stored = python.ask(&json!(["stored"]));
        assert_eq!(stored["Ünïcode/x"]["client_data"], json!({"big": 1_u64 << 60, "ñ": "é"}));
        let before = client.store().get(name("Ünïcode/x")).await.unwrap().unwrap().value;
        python.ask(&json!(["set_client_data", "Ünïcode/x", {}]));
        let after = client.store().get(name("Ünïcode/x")).await.unwrap().unwrap().value;
        assert_eq!(after.as_json(), before.rewritten_by_flipper_client(Timestamp::now()).unwrap());
    }
}

/// The object that finds out what the server can do is a flag to Python, and not one that breaks its listing.
#[tokio::test(flavor = "multi_thread")]
async fn python_lists_while_the_server_is_checked() {
    let (mut python, client, store) = both("1.3.2");
    client.create("X").await.unwrap();
    let listed = tokio::task::spawn_blocking(move || python.ask(&json!(["list_often", 30])));
    let mut checks = 0;
    while !listed.is_finished() {
        store.check_conditions().await.unwrap();
        checks += 1;
    }
    let met = listed.await.unwrap();
    // That of any deletion between its listing and its reading, and nothing of a record that it cannot read.
    let is_deletion = |met: &&Json| met.as_str().unwrap().contains("'NoneType' object");
    let others: Vec<_> = met.as_array().unwrap().iter().filter(|met| !is_deletion(met)).collect();
    assert!(checks > 10 && others.is_empty(), "{checks} checks: {others:?}");
}

#[tokio::test]
async fn recorded_objects_are_read_and_listed() {
    let (server, bucket) = bucket();
    let (s3, store) = (server.client(), S3Store::new(server.client(), &bucket));
    let records: Json = serde_json::from_str(&vectors::read("wire_s3.json")).unwrap();
    let records: Vec<(String, String)> =
        serde_json::from_value::<std::collections::BTreeMap<_, _>>(records["objects"].clone())
            .unwrap()
            .into_iter()
            .collect();
    assert_eq!(records.len(), 30);
    let mut expected = Vec::new();
    for (key, value) in &records {
        plant(&s3, &bucket, key, value).await;
        assert_eq!(store.get(name(key)).await.unwrap().unwrap().value.as_json(), value);
        // The same bytes, if we write them.
        store.put(&Flag::from_json(value.as_bytes()).unwrap(), Expect::Any).await.unwrap();
        let got = s3.get_object().bucket(&bucket).key(key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), value.as_bytes());
        expected.push(key.clone());
    }
    expected.sort_unstable();
    assert_eq!(names(&store, Page::ALL).await, (expected, vec![]));
}
