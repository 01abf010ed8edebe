//! Many clients, one flag, no lost edit.

use std::time::Duration;

use flipper_core::FeatureFlagClient;
use flipper_s3::S3Store;
use serde_json::json;

use super::{BUCKET, server};

const CLIENTS: usize = 32;
const EDITS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn all_edits_of_32_clients_are_there() {
    let server = server();
    let client = || {
        // Each with a store of its own, which has to find out by itself what the server can do.
        let store = S3Store::new(server.client(), BUCKET);
        FeatureFlagClient::builder(store).deadline(Duration::from_mins(2)).build()
    };
    client().create("X").await.unwrap();
    let mut editors = tokio::task::JoinSet::new();
    for editor in 0..CLIENTS {
        let client = client();
        editors.spawn(async move {
            for edit in 0..EDITS {
                let data = json!({format!("{editor}-{edit}"): true});
                client.set_client_data("X", data.as_object().unwrap()).await.unwrap();
            }
        });
    }
    editors.join_all().await;
    assert_eq!(client().get_client_data("X").await.unwrap().len(), CLIENTS * EDITS);
}
