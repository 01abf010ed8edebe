//! Replicas of other kinds than the primary.

use std::sync::Arc;

use flipper::FileStore;
use flipper_core::{Bucketer, Condition, FeatureFlagClient, Percentage};
use flipper_redis::RedisStore;
use flipper_replicated::ReplicatedStore;
use flipper_s3::S3Store;
use flipper_testkit::{RedisServer, S3Server};

use super::{SOON, records};
use crate::thrift::PythonServer;

#[tokio::test(flavor = "multi_thread")]
async fn redis_with_a_file_a_bucket_and_a_service() {
    let (redis, s3, service) = (RedisServer::start(&[]), S3Server::start(), PythonServer::parts("buffered"));
    s3.create_bucket("flags");
    let directory = tempfile::tempdir().unwrap();
    let primary = RedisStore::connect(&redis.url()).await.unwrap();
    let thrift = flipper_thrift::ThriftStore::connect(&service.address().to_string()).await.unwrap();
    let store = ReplicatedStore::builder(primary)
        .replica("file", FileStore::open(directory.path().join("flags.json")).unwrap())
        .replica("s3", S3Store::new(s3.client(), "flags"))
        .replica("thrift", thrift)
        .start()
        .unwrap();
    let store = Arc::new(store);
    let client = FeatureFlagClient::new(Arc::clone(&store));
    for number in 0..20 {
        let flag = client.create(&format!("F {number}/é")).await.unwrap();
        flag.enable().await.unwrap();
        flag.add_condition(&Condition::builder().gt("age", number).build().unwrap()).await.unwrap();
        let share = Percentage::new(f64::from(number) / 20.0).unwrap();
        flag.set_bucketer(&Bucketer::consistent_hash(share, ["user_id"])).await.unwrap();
        flag.set_client_data([("number", number)]).await.unwrap();
        if number % 4 == 0 {
            flag.destroy().await.unwrap();
        }
    }
    assert!(store.flush(SOON).await.is_empty(), "{:?}", store.status());
    let expected = records(&*store).await;
    assert_eq!(expected.len(), 15);
    for replica in ["file", "s3"] {
        assert_eq!(records(store.replica(replica).unwrap()).await, expected, "{replica}");
    }
    // That takes flags to pieces, and keeps what they mean.
    for replica in ["file", "s3", "thrift"] {
        assert_eq!(store.verify(replica).await.unwrap(), [], "{replica}");
    }
}
