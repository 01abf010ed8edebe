//! Many clients, one flag, no lost edit.

use std::time::Duration;

use flipper_core::{FeatureFlagClient, Store};
use flipper_redis::RedisStore;
use flipper_testkit::RedisServer;
use serde_json::json;

pub(super) const CLIENTS: usize = 32;
pub(super) const EDITS: usize = 200;

/// Edits one flag from many clients, each with a store and a connection of its own, at the same time.
pub(super) async fn edit(address: &str, of: &'static str) {
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..CLIENTS {
        let store = RedisStore::connect(address).await.unwrap();
        let client = FeatureFlagClient::builder(store).deadline(Duration::from_mins(2)).build();
        editors.spawn(async move {
            for edit in 0..EDITS {
                let data = json!({format!("{editor}-{edit}"): true});
                client.set_client_data(of, data.as_object().unwrap()).await.unwrap();
            }
        });
    }
    while let Some(editor) = editors.join_next().await {
        editor.unwrap();
    }
}

/// How many edits of ours a flag has.
pub(super) async fn kept(address: &str, of: &str) -> usize {
    let client = FeatureFlagClient::new(RedisStore::connect(address).await.unwrap());
    let data = client.get_client_data(of).await.unwrap();
    (0..CLIENTS)
        .flat_map(|editor| (0..EDITS).map(move |edit| format!("{editor}-{edit}")))
        .filter(|key| data.contains_key(&**key))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_edits_of_32_clients_are_there() {
    let server = RedisServer::start(&[]);
    FeatureFlagClient::new(RedisStore::connect(&server.url()).await.unwrap()).create("X").await.unwrap();
    edit(&server.url(), "X").await;
    assert_eq!(kept(&server.url(), "X").await, CLIENTS * EDITS);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_edits_are_there_without_scripts_too() {
    let server = RedisServer::start(&["--user", "careful", "on", "nopass", "~*", "+@all", "-@scripting"]);
    let address = format!("redis://careful@{}", server.address());
    let store = RedisStore::connect(&address).await.unwrap();
    let client = FeatureFlagClient::builder(store).deadline(Duration::from_mins(2)).build();
    client.create("X").await.unwrap();
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..16 {
        // Half of them share one store, and so take turns on its second connection.
        let store = RedisStore::connect(&address).await.unwrap();
        let own = FeatureFlagClient::builder(store).deadline(Duration::from_mins(2)).build();
        let client = if editor % 2 == 0 { client.clone() } else { own };
        editors.spawn(async move {
            for edit in 0..50 {
                let data = json!({format!("{editor}-{edit}"): true});
                client.set_client_data("X", data.as_object().unwrap()).await.unwrap();
            }
        });
    }
    while let Some(editor) = editors.join_next().await {
        editor.unwrap();
    }
    assert_eq!(client.get_client_data("X").await.unwrap().len(), 16 * 50);
    client.close().await.unwrap();
    let _ = server;
}

#[tokio::test]
async fn a_restarted_server_has_forgotten_the_script_and_learns_it_again() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let client = FeatureFlagClient::new(store);
    client.create("X").await.unwrap().enable().await.unwrap();
    for _ in 0..3 {
        server.restart();
        client.disable("X").await.unwrap();
        client.enable("X").await.unwrap();
    }
    assert!(client.store().get(super::name("X")).await.unwrap().unwrap().value.is_switched_on());
}
