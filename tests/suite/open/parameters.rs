//! The parameters of each store.

use std::time::{Duration, Instant};

use flipper::{ErrorKind, FeatureFlagClient, MemoryStore, ThriftServer, Watching};
use flipper_testkit::RedisServer;

use super::{consul, fails, is_on, open, postgres, redis, switch_on, unique};
use crate::consul::rights;

#[tokio::test(flavor = "multi_thread")]
async fn redis_takes_a_base_key_and_how_it_is_told_of_changes() {
    let base_key = unique("a é");
    let address =
        format!("{}?base_key={}", redis().url(), base_key.replace(' ', "%20").replace('é', "%C3%A9"));
    switch_on(&open(&address).await, "X").await;
    let store = flipper::RedisStore::builder(&redis().url()).base_key(&base_key).connect().await.unwrap();
    assert!(is_on(&FeatureFlagClient::new(store), "X").await);

    assert_eq!(open(&address).await.capabilities().watch, Watching::Pushed);
    assert_eq!(
        open(&format!("{address}&poll_only&poll_interval=0.02")).await.capabilities().watch,
        Watching::Polled
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_waits_for_as_many_replicas_as_the_address_says() {
    let address = format!("{}?base_key={}", redis().url(), unique("replicas"));
    let client = open(&format!("{address}&replicas=2&replica_timeout=0.05")).await;
    let error = client.create("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReplicated);
    assert_eq!(error.message(), "it is written, and 0 of 2 replicas have it after 50ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_within_the_timeout_of_the_address() {
    let server = RedisServer::start(&[]);
    let client = open(&format!("{}?timeout=0.2&connect_timeout=0.2", server.url())).await;
    server.pause();
    let start = Instant::now();
    let error = client.exists("X").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        start.elapsed() < Duration::from_millis(1_900),
        "as without the parameter: {:?}",
        start.elapsed()
    );
    let start = Instant::now();
    let error = fails(&format!("{}?connect_timeout=0.2", server.url())).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(
        start.elapsed() < Duration::from_millis(1_900),
        "as without the parameter: {:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn consul_takes_a_path_a_parameter_and_a_token() {
    let address = consul().url().replacen("http:", "consul:", 1);
    let base_key = unique("consul");
    switch_on(&open(&format!("{address}/{base_key}/a%20b")).await, "X").await;
    let by_parameter = format!("{address}?base_key={base_key}%2Fa%20b&consistency=consistent&datacenter=dc1");
    assert!(is_on(&open(&by_parameter).await, "X").await);
    let error = fails(&format!("{address}/a?base_key=b")).await;
    assert!(error.message().contains("the base key is there twice"), "{error}");
    let error = fails(&format!("{address}?datacenter=nowhere&start_timeout=0.3&timeout=1")).await;
    assert!(error.message().contains("nothing was loaded within 300ms"), "{error}");
    let error = fails(&format!("{address}?consistency=hunter2")).await;
    assert!(error.message().contains("`consistency` is `default`, `consistent`, `stale`"), "{error}");

    let (server, root) = rights::guarded("deny").await;
    let secret = rights::token(&root, rights::WRITE, None).await.0;
    // As nobody would have to write it.
    let escaped = secret.replace('-', "%2D");
    let guarded = |token: &str| format!("consul://{token}{}?start_timeout=1", server.address());
    switch_on(&open(&guarded(&format!(":{secret}@"))).await, "X").await;
    let client = open(&guarded(&format!(":{escaped}@"))).await;
    assert!(is_on(&client, "X").await);
    assert!(!format!("{client:?}").contains(&secret), "{client:?}");
    assert_eq!(fails(&guarded("")).await.kind(), ErrorKind::PermissionDenied);
    let error = fails(&guarded(&format!("{secret}@"))).await;
    assert!(error.message().contains("before the `@` stands a colon and the token"), "{error}");
    assert!(!format!("{error} {error:?}").contains(&secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_makes_the_table_that_the_address_names() {
    let address = format!("{}?application_name=shop", postgres().url());
    let table = unique("Table ");
    let of = |parameters: &str| format!("{address}&table={}{parameters}", table.replace(' ', "%20"));
    let missing = fails(&of("")).await;
    assert!(missing.message().contains("there is no such table"), "{missing}");
    let client = open(&of("&create_table&schema=public&connections=2&timeout=2.5&connect_timeout=2.5")).await;
    switch_on(&client, "X").await;
    assert_eq!(client.capabilities().watch, Watching::Pushed);
    let pooled = open(&of("&behind_pooler&poll_interval=0.05")).await;
    assert!(is_on(&pooled, "X").await);
    assert_eq!(pooled.capabilities().watch, Watching::Polled);
    let error = fails(&of("&sslmode=hunter2")).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thrift_takes_a_prefix_and_a_transport() {
    let client = FeatureFlagClient::new(MemoryStore::new());
    let server = ThriftServer::new(client.clone()).address("127.0.0.1:0").start().await.unwrap();
    let address =
        format!("thrift://{}?prefix=shop%2F&transport=framed&connections=1", server.local_address());
    switch_on(&open(&address).await, "X").await;
    assert!(is_on(&client, "shop/X").await);
    let error = fails(&format!("thrift://{}?transport=hunter2", server.local_address())).await;
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_required() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("file://{}/my%20flags%3F.json", directory.path().display());
    assert_eq!(fails(&format!("{address}?require_file")).await.kind(), ErrorKind::NotFound);
    let client = open(&format!("{address}?timeout=1&poll_only&poll_interval=0.02")).await;
    assert_eq!(client.capabilities().watch, Watching::Polled);
    switch_on(&client, "X").await;
    assert!(directory.path().join("my flags?.json").is_file());
    assert!(is_on(&open(&format!("{address}?require_file=true")).await, "X").await);
}
