//! Many clients, one flag, no lost edit.

use flipper_core::{ErrorKind, Expect, FeatureFlagClient, Flag, FlagName, Store, Timestamp, Version};
use flipper_testkit::ConsulServer;

use super::*;

const CLIENTS: usize = 32;
const EDITS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn all_edits_of_32_clients_are_there() {
    let server = ConsulServer::start(&[]);
    let client = async || {
        let store =
            ConsulStore::builder(&server.url()).timeout(Duration::from_secs(20)).connect().await.unwrap();
        FeatureFlagClient::builder(store).deadline(Duration::from_mins(4)).build()
    };
    client().await.create("X").await.unwrap();
    let mut editors = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let client = client().await;
        editors.spawn(async move {
            for _ in 0..EDITS {
                // A record that stays small, as each edit sends it to all who watch.
                let count = |flag: &mut Flag| {
                    let data: serde_json::Value = (&flag.client_data()).into();
                    flag.merge_client_data([("count", data["count"].as_i64().unwrap_or(0) + 1)])
                };
                client.update("X", count).await.unwrap();
            }
        });
    }
    while let Some(editor) = editors.join_next().await {
        editor.unwrap();
    }
    let data = client().await.get_client_data("X").await.unwrap();
    assert_eq!(data["count"], CLIENTS * EDITS);
}

#[tokio::test]
async fn an_edit_is_in_memory_when_it_returns() {
    let (store, _) = store().await;
    let client = FeatureFlagClient::new(store);
    let local = client.local().unwrap();
    for round in 0..100 {
        client.create("X").await.unwrap();
        client.enable("X").await.unwrap();
        assert!(local.is_enabled("X", &Context::EMPTY), "{round}");
        client.disable("X").await.unwrap();
        assert!(!local.is_enabled_or("X", &Context::EMPTY, true), "{round}");
        client.destroy("X").await.unwrap();
        assert!(local.is_enabled_or("X", &Context::EMPTY, true), "{round}: there is none");
    }
}

#[tokio::test]
async fn every_consistency_reads_what_was_written() {
    use flipper_consul::Consistency;
    for consistency in [Consistency::Default, Consistency::Consistent, Consistency::Stale] {
        let builder =
            || ConsulStore::builder(&server().url()).base_key(format!("consistency-{consistency:?}"));
        let client = FeatureFlagClient::new(builder().consistency(consistency).connect().await.unwrap());
        client.create("X").await.unwrap().enable().await.unwrap();
        assert!(client.local().unwrap().is_enabled("X", &Context::EMPTY), "{consistency:?}");
        let other = builder().consistency(consistency).connect().await.unwrap();
        until("seen", SOON, || is_on(&other, "X") == Some(true)).await;
    }
}

#[tokio::test]
async fn what_consul_does_not_take_is_refused_before_it_is_sent() {
    let (store, base) = store().await;
    let mut flag = Flag::new(FlagName::new("X").unwrap(), Timestamp::from_secs(0));
    flag.merge_client_data([("text", "x".repeat(380_000))]).unwrap();
    store.put(&flag, Expect::Absent).await.unwrap();
    flag.merge_client_data([("text", "x".repeat(400_000))]).unwrap();
    let error = store.put(&flag, Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.message().contains("524288"), "{error}");
    // Told to send it all the same, it is Consul that refuses.
    let builder = ConsulStore::builder(&server().url()).base_key(&base).largest_request(usize::MAX);
    let error = builder.connect().await.unwrap().put(&flag, Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[tokio::test]
async fn a_version_of_another_store_is_refused() {
    let (store, _) = store().await;
    let name = FlagName::new("X").unwrap();
    let flag = Flag::new(name, Timestamp::from_secs(0));
    for version in [Version::from_bytes(*b"etag"), Version::from_u64(0)] {
        let error = store.put(&flag, Expect::Matches(&version)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(store.delete(name, Expect::Matches(&version)).await.is_err());
    }
    assert!(store.get(name).await.unwrap().is_none());
}
