//! What stores can do, as the guide tells it, and as they say themselves.

use std::fmt::Write;
use std::path::Path;

use flipper::{
    Capabilities, CompareAndSet, Expect, FeatureFlagClient, Listed, MemoryStore, Page, PostgresStore,
    RedisStore, ReplicatedStore, S3Store, Store, ThriftServer, Watching,
};
use flipper_testkit::collect;

use super::{cluster, consul, open, postgres, redis, s3, unique};
use crate::records::flag;
use crate::thrift::PythonServer;

const BEGIN: &str = "<!-- capabilities -->\n";
const END: &str = "<!-- /capabilities -->\n";

fn compare_and_set(how: CompareAndSet) -> &'static str {
    match how {
        CompareAndSet::Atomic => "atomic",
        CompareAndSet::BestEffort => "best effort",
        other => panic!("{other:?}"),
    }
}

fn watching(how: Watching) -> &'static str {
    match how {
        Watching::Pushed => "told",
        Watching::Polled => "polled",
        Watching::Absent => "not seen",
        other => panic!("{other:?}"),
    }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

/// Whether flags are listed in the order of their names: of so many, no order comes about by chance.
async fn lists_in_order(store: &dyn Store) -> bool {
    // Neither the order of the names nor its reverse.
    let names: Vec<_> = (0..48).map(|number| format!("ORDER-{:02}", number * 29 % 48)).collect();
    for name in &names {
        store.put(&flag(name, 1), Expect::Any).await.unwrap();
    }
    let listed: Vec<_> = collect(store.list(Page::ALL))
        .await
        .into_iter()
        .map(|listed| match listed.unwrap() {
            Listed::Flag(found) => found.value.name().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(listed.len(), names.len());
    listed.is_sorted()
}

async fn row(what: &str, store: &dyn Store) -> String {
    let is_ordered = lists_in_order(store).await;
    // After the writes, by which some find out what the server can do.
    let Capabilities { conditional_put, conditional_delete, watch, local_reads, whole_records, .. } =
        store.capabilities();
    assert_eq!(conditional_put, conditional_delete, "{what}: the table has one column for both");
    format!(
        "| {what} | {} | {} | {} | {} | {} |\n",
        compare_and_set(conditional_put),
        watching(watch),
        yes(local_reads),
        yes(whole_records),
        yes(is_ordered),
    )
}

async fn table() -> String {
    let mut table = String::from(
        "| | conditional writes | changes by others | checks in memory | records as they are | listed in order |\n|---|---|---|---|---|---|\n",
    );
    let directory = tempfile::tempdir().unwrap();
    let file = format!("file://{}/flags.json", directory.path().display());
    let of_redis = || format!("{}?base_key={}", redis().url(), unique("table"));
    let of_consul = format!("{}/{}", consul().url().replacen("http:", "consul:", 1), unique("table"));
    let plain = unique("plain");
    crate::postgres::psql(&postgres().url())
        .await
        .batch_execute(&format!("CREATE TABLE {plain} (name varchar(512) PRIMARY KEY, item bytea NOT NULL)"))
        .await
        .unwrap();
    let bucket = s3::bucket();
    let in_bucket = S3Store::new(bucket.server.client(), "flags");
    in_bucket.check_conditions().await.unwrap();
    let ours = ThriftServer::new(FeatureFlagClient::new(MemoryStore::new())).address("127.0.0.1:0");
    let ours = ours.start().await.unwrap();
    let published = PythonServer::parts("buffered");
    let replicated = RedisStore::connect(&format!("{}/5", redis().url())).await.unwrap();
    let replicated =
        ReplicatedStore::builder(replicated).replica("copy", MemoryStore::new()).start().unwrap();

    let with_triggers = format!("{}?create_table&table={}", postgres().url(), unique("table"));
    for (what, address) in [
        ("memory", "memory:".to_owned()),
        ("file", file),
        ("Redis", of_redis()),
        ("Redis Cluster", format!("{}?base_key={}", cluster().url(), unique("table"))),
        ("Consul", of_consul),
        ("PostgreSQL", with_triggers),
    ] {
        table.push_str(&row(what, open(&address).await.store()).await);
    }
    let without_triggers = PostgresStore::builder(&postgres().url()).table(&plain).connect().await.unwrap();
    table.push_str(&row("PostgreSQL without triggers", &without_triggers).await);
    table.push_str(&row("S3", &in_bucket).await);
    let published = open(&format!("thrift://{}", published.address())).await;
    let ours = open(&format!("thrift://{}", ours.local_address())).await;
    table.push_str(&row("Thrift, `ThriftServer`", ours.store()).await);
    table.push_str(&row("Thrift, the published service", published.store()).await);
    let mirrored = open(&format!("{}&mirror", of_redis())).await;
    table.push_str(&row("Redis, mirrored", mirrored.store()).await);
    let cached = open(&format!("{}&cache=5000", of_redis())).await;
    table.push_str(&row("Redis, cached", cached.store()).await);
    table.push_str(&row("Redis, replicated", &replicated).await);
    replicated.close().await.unwrap();
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_the_guide_is_what_the_stores_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/flipper/src/guide/stores.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once(BEGIN).expect("the table of the guide has its marks");
    let (shown, _) = rest.split_once(END).expect("the table of the guide has its marks");
    let right = table().await;
    let mut message = String::from("stores.md differs from what the stores say; the right table is:\n");
    write!(message, "\n{BEGIN}{right}{END}").unwrap();
    assert!(shown == right, "{message}");
}
