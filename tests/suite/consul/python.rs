//! Python's flipper-client 1.3.2 on the same keys, in both directions.

use flipper_core::{Bucketer, Condition, FeatureFlagClient, Percentage, Store, ctx};
use serde_json::{Value as Json, json};

use super::*;
use crate::peer::Python;

#[tokio::test(flavor = "multi_thread")]
async fn what_python_writes_is_read() {
    let (store, base) = store().await;
    let mut python = Python::start("1.3.2", "consul", server().address().port(), &base);
    let name = "drapeau é☃😀 / %2F?";
    python.ask(&json!(["create", name, false, {"ñ": [1, 2.5, null]}]));
    until("created", SOON, || is_on(&store, name) == Some(false)).await;
    // It edits what its own watch has seen last.
    python.ask(&json!(["await_enabled", name, false]));
    python.ask(&json!(["enable", name]));
    until("enabled", SOON, || is_on(&store, name) == Some(true)).await;
    let client = FeatureFlagClient::new(store);
    assert_eq!(Json::Object(client.get_client_data(name).await.unwrap()), json!({"ñ": [1, 2.5, null]}));
    // An edit of ours and back leaves every byte of it.
    let read =
        async || client.store().get(flipper_core::FlagName::new(name).unwrap()).await.unwrap().unwrap();
    let stored = read().await.value.as_json().to_owned();
    client.disable(name).await.unwrap();
    client.enable(name).await.unwrap();
    assert_eq!(read().await.value.as_json(), stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_write_python_reads() {
    let (store, base) = store().await;
    let mut python = Python::start("1.3.2", "consul", server().address().port(), &base);
    let client = FeatureFlagClient::new(store);
    let flag = client.create("Ünïcode/x").await.unwrap();
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.3).unwrap(), ["user_id"])).await.unwrap();
    flag.set_client_data(json!({"big": 1_u64 << 60, "ñ": "é"}).as_object().unwrap()).await.unwrap();
    flag.add_condition(&Condition::builder().eq("is_admin", true).build().unwrap()).await.unwrap();
    flag.set_conditions(&[]).await.unwrap();
    flag.set_bucketer(&Bucketer::NoOp).await.unwrap();
    flag.enable().await.unwrap();
    python.ask(&json!(["await_enabled", "Ünïcode/x", true]));
    flag.set_bucketer(&Bucketer::consistent_hash(Percentage::new(0.3).unwrap(), ["user_id"])).await.unwrap();
    // That is seen once the first who is not in it is off.
    let mut is_out = 0;
    while client.is_enabled("Ünïcode/x", &ctx! { user_id: is_out }).await {
        is_out += 1;
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while python.ask(&json!(["is_enabled", "Ünïcode/x", {"user_id": is_out}])) != json!(false) {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for user_id in 0..40 {
        let expected = python.ask(&json!(["is_enabled", "Ünïcode/x", {"user_id": user_id}]));
        assert_eq!(
            expected,
            json!(client.is_enabled("Ünïcode/x", &ctx! { user_id: user_id }).await),
            "{user_id}"
        );
    }
}
