//! Servers that are away when an address is opened.

use std::path::Path;
use std::time::{Duration, Instant};

use flipper::{ErrorKind, FeatureFlagClient, Freshness, MemoryStore, StaleCause, ThriftServer, ctx};
use flipper_testkit::{ConsulServer, PostgresServer, RedisServer};

use super::{fails, open, process, s3, switch_on};

/// The address, with a last known good state in a directory.
fn with(address: &str, directory: &Path, parameters: &str) -> String {
    let mark = if address.contains('?') { '&' } else { '?' };
    format!("{address}{mark}{parameters}last_known_good={}/flags.good&start_timeout=0.5", directory.display())
}

/// Opens an address while its server is there, and again when it is not.
async fn survives(address: &str, is_mirrored: bool, kill: impl AsyncFnOnce()) {
    let directory = tempfile::tempdir().unwrap();
    let mirrored = with(address, directory.path(), if is_mirrored { "mirror&" } else { "" });
    let client = open(&mirrored).await;
    switch_on(&client, "X").await;
    client.close().await.unwrap();
    drop(client);
    kill().await;

    let start = Instant::now();
    let client = open(&mirrored).await;
    assert!(start.elapsed() < Duration::from_secs(8), "{address}: {:?}", start.elapsed());
    let answer = client.local().unwrap().evaluate("X", &ctx! {}, false);
    assert!(answer.value, "{address}");
    let Freshness::Stale { cause, .. } = answer.freshness else { panic!("{address}: {answer:?}") };
    assert_eq!(cause, StaleCause::LastKnownGood, "{address}");

    // Without that state, nobody begins without flags.
    assert_eq!(fails(address).await.kind(), ErrorKind::Unavailable, "{address}");
    let elsewhere = tempfile::tempdir().unwrap();
    let nothing = with(address, elsewhere.path(), if is_mirrored { "mirror&" } else { "" });
    assert_eq!(fails(&nothing).await.kind(), ErrorKind::Unavailable, "{address}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_known_good_state_answers_until_the_server_is_there() {
    let mut server = RedisServer::start(&[]);
    survives(&server.url(), true, async || server.kill()).await;

    let mut server = PostgresServer::start(&[]);
    let address = format!("{}?connect_timeout=1", server.url());
    open(&format!("{address}&create_table")).await.close().await.unwrap();
    survives(&address, true, async || server.kill()).await;
    let both = format!("{address}&create_table&mirror&last_known_good=/nowhere");
    let error = fails(&both).await;
    assert!(error.message().contains("`create_table` needs the server at the start"), "{error}");

    let server = ThriftServer::new(FeatureFlagClient::new(MemoryStore::new())).address("127.0.0.1:0");
    let server = server.start().await.unwrap();
    let address = format!("thrift://{}", server.local_address());
    survives(&address, true, async || {
        server.shutdown(Duration::ZERO).await;
    })
    .await;

    let mut server = ConsulServer::start(&[]);
    let address = server.url().replacen("http:", "consul:", 1);
    survives(&address, false, async || server.kill()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_has_a_last_known_good_state_too() {
    let bucket = s3::bucket();
    let directory = tempfile::tempdir().unwrap();
    let keys = bucket.keys();
    let address = with(&bucket.address("&timeout=1"), directory.path(), "mirror&");
    process::opens(&address, &keys, "X is on, local");
    // As a mirror's file has it when it is closed.
    assert!(directory.path().join("flags.good").is_file());
    drop(bucket);
    process::opens(&format!("{address}&connect_timeout=1"), &keys, "X is on, local");
}
