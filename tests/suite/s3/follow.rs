//! Following changes by polling: what it costs, and what is told.

use std::sync::Arc;
use std::time::Duration;

use flipper_core::{Context, FeatureFlagClient, Freshness, Page, Store};
use flipper_mirror::MirrorStore;
use flipper_s3::S3Store;
use flipper_testkit::{S3Server, next};

use super::{BUCKET, failure, hasty, name, plant, put, server, told, watch};
use crate::mirror::until;

fn requests(server: &S3Server) -> (usize, usize) {
    (server.count("ListObjectsV2"), server.count("GetObject"))
}

/// Waits for so many listings.
async fn listings(server: &S3Server, count: usize) {
    let until_then = server.count("ListObjectsV2") + count;
    until("listings", Duration::from_secs(5), || server.count("ListObjectsV2") >= until_then).await;
}

#[tokio::test]
async fn an_unchanged_bucket_costs_listings_only_and_a_change_one_read() {
    let server = server();
    let (somebody, store) = (hasty(server.client()), hasty(server.client()));
    for number in 0..20 {
        put(&somebody, &format!("F{number}"), 1).await;
    }
    let mut changes = watch(&store).await;
    assert_eq!(requests(&server).1, 20);
    listings(&server, 5).await;
    assert_eq!(requests(&server).1, 20, "nothing has changed");
    put(&somebody, "F7", 2).await;
    assert_eq!(told(&mut changes).await, "put F7 2");
    somebody.delete(name("F8"), flipper_core::Expect::Any).await.unwrap();
    assert_eq!(told(&mut changes).await, "deleted F8");
    plant(&server.client(), BUCKET, "F9", b"{").await;
    assert_eq!(told(&mut changes).await, "bad F9");
    plant(&server.client(), BUCKET, "new.txt", b"text").await;
    assert_eq!(told(&mut changes).await, "bad new.txt");
    let (_, read) = requests(&server);
    // Four were told, one of them was deleted, which somebody has looked for.
    assert_eq!(read, 20 + 4);
    listings(&server, 3).await;
    assert_eq!(requests(&server).1, read);
    // More watchers cost nothing.
    let mut second = watch(&store).await;
    put(&somebody, "F7", 3).await;
    assert_eq!(told(&mut second).await, "put F7 3");
    assert_eq!(told(&mut changes).await, "put F7 3");
    assert_eq!(requests(&server).1, read + 1);
}

#[tokio::test]
async fn a_mirror_reads_each_object_once() {
    let server = server();
    let somebody = hasty(server.client());
    for number in 0..20 {
        put(&somebody, &format!("F{number}"), 1).await;
    }
    let mirror = MirrorStore::start(hasty(server.client())).await.unwrap();
    assert_eq!(requests(&server).1, 20);
    let client = FeatureFlagClient::new(mirror);
    let local = client.local().unwrap();
    let on = crate::mirror::storm::state("F3", 3);
    plant(&server.client(), BUCKET, "F3", on.as_json()).await;
    until("the change", Duration::from_secs(5), || local.is_enabled("F3", &Context::EMPTY)).await;
    assert_eq!(requests(&server).1, 21);
    client.disable("F3").await.unwrap();
    assert!(!local.is_enabled("F3", &Context::EMPTY), "its own edits are there at once");
    assert_eq!(local.freshness(), Freshness::Live);
}

#[tokio::test]
async fn an_outage_is_told_and_its_end() {
    let server = server();
    let store = hasty(server.client());
    put(&store, "X", 1).await;
    let mut changes = watch(&store).await;
    server.fail("ListObjectsV2", 50, &failure(403, "ExpiredToken"));
    assert_eq!(told(&mut changes).await, "down permission denied");
    put(&store, "X", 2).await;
    server.mend();
    assert_eq!(told(&mut changes).await, "resync Reconnected");
    // One who comes during an outage is told so.
    server.fail("ListObjectsV2", 50, &failure(500, "InternalError"));
    assert_eq!(told(&mut changes).await, "down unavailable");
    let mut late = watch(&store).await;
    assert_eq!(told(&mut late).await, "down unavailable");
    server.mend();
    assert_eq!(told(&mut late).await, "resync Reconnected");
}

/// One who reads all the time hides nothing from others, whatever a listing has.
#[tokio::test]
async fn a_steady_reader_hides_nothing() {
    let server = server();
    let (store, somebody) = (Arc::new(hasty(server.client())), hasty(server.client()));
    put(&somebody, "X", 1).await;
    server.hold("ListObjectsV2", Duration::from_millis(60));
    let client = FeatureFlagClient::new(MirrorStore::start(Arc::clone(&store)).await.unwrap());
    let local = client.local().unwrap();
    let reader = tokio::spawn(async move {
        loop {
            store.get(name("X")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    });
    for number in 2..6 {
        put(&somebody, "X", number).await;
        let known = || local.snapshot().get("X").and_then(|known| known.value.created_date());
        until("the change", Duration::from_secs(5), || known() == Some(number)).await;
    }
    reader.abort();
}

/// An object that cannot be read for a moment is told again when it can be, though it has not changed since.
#[tokio::test]
async fn what_can_be_read_again_is_told() {
    let server = server();
    let (store, somebody) = (hasty(server.client()), hasty(server.client()));
    put(&somebody, "X", 1).await;
    put(&somebody, "Y", 1).await;
    let mut changes = watch(&store).await;
    server.fail("GetObject", 1, &failure(400, "KMS.DisabledException"));
    put(&somebody, "X", 2).await;
    assert_eq!(told(&mut changes).await, "bad X");
    assert_eq!(told(&mut changes).await, "put X 2");
}

/// All gone at once may be a mistake: it is told as something to look into.
#[tokio::test]
async fn an_emptied_bucket_is_told_at_once() {
    let server = server();
    let store = hasty(server.client());
    let s3 = server.client();
    for of in ["A", "B", "C"] {
        put(&store, of, 1).await;
    }
    let slow =
        S3Store::builder(server.client(), BUCKET).poll_interval(Duration::from_millis(300)).build().unwrap();
    let mut changes = watch(&slow).await;
    for of in ["A", "B", "C"] {
        s3.delete_object().bucket(BUCKET).key(of).send().await.unwrap();
    }
    assert_eq!(told(&mut changes).await, "resync Server");
    slow.close().await.unwrap();
    assert!(next(&mut changes).await.is_none());
}

/// That somebody looks for a flag meanwhile, there or not, does not change that.
#[tokio::test]
async fn an_emptied_bucket_is_told_while_somebody_reads() {
    let server = server();
    let (store, s3) = (hasty(server.client()), server.client());
    for of in ["A", "B", "C"] {
        put(&store, of, 1).await;
    }
    let mut changes = watch(&store).await;
    server.hold("ListObjectsV2", Duration::from_millis(100));
    let emptied = async {
        listings(&server, 1).await;
        for of in ["A", "B", "C"] {
            s3.delete_object().bucket(BUCKET).key(of).send().await.unwrap();
        }
        for _ in 0..30 {
            store.get(name("NOT_A_FLAG")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (word, ()) = tokio::join!(told(&mut changes), emptied);
    assert!(word == "resync Server" || word.starts_with("deleted"), "{word}");
    // Those that were gone when a listing had begun may be told one by one; never are all.
    if word.starts_with("deleted") {
        assert_eq!(told(&mut changes).await, "resync Server");
    }
}

/// What was read between two listings, and is gone by the next, is told as well.
#[tokio::test]
async fn a_state_that_was_only_seen_is_told_to_be_over() {
    let server = server();
    let store =
        S3Store::builder(server.client(), BUCKET).poll_interval(Duration::from_millis(300)).build().unwrap();
    let somebody = hasty(server.client());
    put(&somebody, "X", 1).await;
    let mut changes = watch(&store).await;
    put(&somebody, "X", 2).await;
    assert_eq!(super::number(&store, "X").await, Some(2));
    put(&somebody, "X", 1).await;
    // When it was seen, and at the listing, whatever that has.
    assert_eq!(told(&mut changes).await, "touched X");
    assert_eq!(told(&mut changes).await, "touched X");
    assert_eq!(super::number(&store, "X").await, Some(1));
    // Also by a part of a listing.
    put(&somebody, "X", 2).await;
    let part = Page { limit: Some(5), offset: 0 };
    assert_eq!(super::names(&store, part).await.0, ["X"]);
    put(&somebody, "X", 1).await;
    assert_eq!(told(&mut changes).await, "touched X");
}
