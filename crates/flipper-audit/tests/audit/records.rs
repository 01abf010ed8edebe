//! Records that are not as usual.

use std::sync::Arc;

use flipper_audit::{AuditLog, History, Verifier};
use flipper_core::{Expect, FeatureFlagClient, Flag, Store, Timestamp};
use flipper_memory::MemoryStore;

use super::{changes, entries, place, quick};

/// What somebody else has written: a record with more members of its own.
async fn put(store: &MemoryStore, more: &str) {
    let record = format!(
        r#"{{"feature_name": "X", "is_enabled": false, "meta": {{"created_date": 1, "client_data": {{}}}}{more}}}"#
    );
    store.put(&Flag::from_json(record.as_bytes()).unwrap(), Expect::Any).await.unwrap();
}

fn watched(log: &AuditLog) -> (Arc<MemoryStore>, FeatureFlagClient) {
    let store = Arc::new(MemoryStore::new());
    let client = FeatureFlagClient::new(store.clone());
    log.subscribe_to(&client);
    (store, client)
}

#[tokio::test]
async fn records_of_all_levels_that_a_record_may_have_come_back() {
    for levels in 180..200 {
        let (_directory, path) = place();
        let (store, client) = watched(&quick().open(&path).unwrap());
        client.create("X").await.unwrap();
        put(&store, &format!(r#", "more": {}{}"#, "[".repeat(levels), "]".repeat(levels))).await;
        client.enable("X").await.unwrap();
        assert_eq!(changes(&path).len(), 3, "{levels}");
        let then = History::of(&path).state_at("X", Timestamp::now()).unwrap().flag.unwrap();
        assert_eq!(then.as_json(), client.flag("X").await.unwrap().as_json());
        assert!(Verifier::new(&path).run().unwrap().is_intact());
    }
}

#[tokio::test]
async fn records_that_are_no_json_elsewhere_come_back_as_they_were() {
    let (_directory, path) = place();
    let (store, client) = watched(&quick().redact(["token"]).open(&path).unwrap());
    client.create("X").await.unwrap();
    let odd = r#", "n": [NaN, Infinity, -Infinity, 1e999], "\ud800": "\udfff", "line": "\u2028\r\n""#;
    put(&store, odd).await;
    client.enable("X").await.unwrap();
    let entries = entries(&path);
    let record = entries.last().unwrap().record().unwrap();
    let paths: Vec<_> = record.difference.iter().map(|difference| difference.path.as_str()).collect();
    assert_eq!(paths, ["/is_enabled"]);
    assert!(record.before.as_ref().unwrap().contains("[NaN, Infinity, -Infinity, Infinity]"), "{record:?}");
    assert!(Verifier::new(&path).run().unwrap().is_intact());
}
