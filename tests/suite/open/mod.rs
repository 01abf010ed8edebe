//! One address for every store: each against its real server.

mod capabilities;
mod outages;
mod parameters;
mod process;
mod s3;
mod tls;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use flipper::{Error, ErrorKind, FeatureFlagClient, MemoryStore, OpenOptions, ThriftServer, ctx};
use flipper_testkit::{ConsulServer, PostgresServer, RedisCluster, RedisSentinels, RedisServer};

/// The servers of those tests that do not disturb them.
fn redis() -> &'static RedisServer {
    static SERVER: OnceLock<RedisServer> = OnceLock::new();
    SERVER.get_or_init(|| RedisServer::start(&[]))
}

fn cluster() -> &'static RedisCluster {
    static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
    CLUSTER.get_or_init(|| RedisCluster::start(3, 0, &[]))
}

fn consul() -> &'static ConsulServer {
    static SERVER: OnceLock<ConsulServer> = OnceLock::new();
    SERVER.get_or_init(|| ConsulServer::start(&[]))
}

fn postgres() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| PostgresServer::start(&[]))
}

/// A name that no other test has.
fn unique(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{what}_{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

async fn open(address: &str) -> FeatureFlagClient {
    let shown = flipper::redacted(address);
    flipper::open(address).await.unwrap_or_else(|error| panic!("{shown}: {error}"))
}

async fn fails(address: &str) -> Error {
    match flipper::open(address).await {
        Ok(client) => panic!("{} opens {client:?}", flipper::redacted(address)),
        Err(error) => error,
    }
}

/// Makes a flag that is on.
async fn switch_on(client: &FeatureFlagClient, flag: &str) {
    client.create(flag).await.unwrap().enable().await.unwrap();
}

async fn is_on(client: &FeatureFlagClient, flag: &str) -> bool {
    client.is_enabled(flag, &ctx! {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_takes_a_mirror_and_a_cache_and_says_which_of_them_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let server = ThriftServer::new(FeatureFlagClient::new(MemoryStore::new())).address("127.0.0.1:0");
    let server = server.start().await.unwrap();
    let bucket = s3::bucket();
    let socket = redis().socket();
    let sentinels = RedisSentinels::start(0, 1, &[]);
    let consul_address = consul().url().replacen("http:", "consul:", 1);
    let stores = [
        (format!("file://{}/flags.json", directory.path().display()), false),
        (format!("{}?base_key={}", redis().url(), unique("both")), true),
        (format!("valkey://{}/3?base_key={}", redis().address(), unique("both")), true),
        (format!("{}?timeout=5&base_key={}", cluster().url(), unique("both")), true),
        (format!("{}/1?base_key={}", sentinels.url(), unique("both")), true),
        (format!("unix://{}?db=2&base_key={}", socket.display(), unique("both")), true),
        (format!("{consul_address}/{}", unique("both")), false),
        (format!("{}?sslmode=disable&create_table&table={}", postgres().url(), unique("both")), true),
        (format!("thrift://{}?transport=framed", server.local_address()), true),
    ];
    for (address, needs) in &stores {
        let plain = open(address).await;
        switch_on(&plain, "X").await;
        assert_eq!(plain.local().is_err(), *needs, "{address}");
        let with =
            |wrapper: &str| format!("{address}{}{wrapper}", if address.contains('?') { '&' } else { '?' });
        for wrapper in ["mirror", "mirror=true", "cache=10&ttl=60", "cache=10", "mirror=false", "cache=0"] {
            let client = open(&with(wrapper)).await;
            assert!(is_on(&client, "X").await, "{address} {wrapper}");
            let shown = format!("{:?}", client.store());
            let expected = match wrapper {
                "mirror" | "mirror=true" => "MirrorStore",
                "cache=10&ttl=60" | "cache=10" => "CachedStore",
                _ => "",
            };
            assert_eq!(
                shown.starts_with("MirrorStore"),
                *needs && expected == "MirrorStore",
                "{address} {wrapper}"
            );
            assert_eq!(
                shown.starts_with("CachedStore"),
                *needs && expected == "CachedStore",
                "{address} {wrapper}"
            );
            // A mirror is asked without waiting, and so is what has all flags in memory anyway.
            assert_eq!(client.local().is_ok(), !needs || expected == "MirrorStore", "{address} {wrapper}");
        }
        plain.close().await.unwrap();
    }
    // That of S3, whose environment is a process's.
    process::opens(&bucket.address("&mirror"), &bucket.keys(), "X is on, local");
    process::opens(&bucket.address("&cache=10&ttl=60"), &bucket.keys(), "X is on, asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_in_code_counts_where_the_address_says_nothing() {
    let (code, address) = (unique("code"), unique("address"));
    let options = OpenOptions::new().base_key(&code).mirror();
    let by_code = options.open(&redis().url()).await.unwrap();
    switch_on(&by_code, "X").await;
    assert!(by_code.local().is_ok(), "it is mirrored");
    assert!(is_on(&open(&format!("{}?base_key={code}", redis().url())).await, "X").await);

    let by_address =
        options.open(&format!("{}?mirror=false&base_key={address}", redis().url())).await.unwrap();
    assert!(!by_address.exists("X").await.unwrap());
    assert!(by_address.local().is_err(), "it is not mirrored");

    // The same options, and a store that has no base key.
    let in_memory = options.open("memory:").await.unwrap();
    switch_on(&in_memory, "X").await;

    let table = unique("code");
    let options = OpenOptions::new().table(&table).create_table().cache(5);
    switch_on(&options.open(&postgres().url()).await.unwrap(), "X").await;
    assert!(is_on(&open(&format!("{}?table={table}", postgres().url())).await, "X").await);
    let elsewhere = format!("{}?table={}&create_table=false", postgres().url(), unique("missing"));
    let error = options.open(&elsewhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_can_be_had_without_a_client() {
    use flipper::{Listed, Page};
    use flipper_testkit::{collect, next};

    let address = format!("{}?base_key={}", redis().url(), unique("store"));
    let store = OpenOptions::new().open_store(&format!("{address}&mirror")).await.unwrap();
    assert!(store.snapshot().is_some());
    let mut changes = store.watch().unwrap();
    assert!(matches!(next(&mut changes).await, Some(flipper::Change::Resync { .. })));

    let client = FeatureFlagClient::builder(store).semantics(flipper::Semantics::FlipperClient).build();
    client.create("X").await.unwrap();
    assert!(
        matches!(next(&mut changes).await, Some(flipper::Change::Put(found)) if found.value.name() == "X")
    );
    let store = OpenOptions::new().open_store(&address).await.unwrap();
    let listed = collect(store.list(Page::ALL)).await;
    assert!(matches!(&listed[..], [Ok(Listed::Flag(found))] if found.value.name() == "X"), "{listed:?}");
}
