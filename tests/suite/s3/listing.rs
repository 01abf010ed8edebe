//! Listings: page by page, many objects at once, and only those that have changed.

use std::time::Duration;

use flipper_core::{ErrorKind, Expect, Listed, Page, Store};
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_testkit::{Proxy, Weather, collect, s3_config};

use super::{BUCKET, bucket, failure, hasty, listing_fails, names, plant, put, server};

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("F{number:03}")).collect()
}

async fn fill(store: &S3Store, count: usize) {
    for of in numbered(count) {
        put(store, &of, 1).await;
    }
}

#[tokio::test]
async fn pages_are_joined_and_what_is_asked_for_is_read() {
    let server = server();
    let store = S3Store::builder(server.client(), BUCKET).page_size(7).build().unwrap();
    fill(&store, 50).await;
    let requests = async |page| {
        let fresh = S3Store::builder(server.client(), BUCKET).page_size(7).build().unwrap();
        let before = (server.count("ListObjectsV2"), server.count("GetObject"));
        let listed = names(&fresh, page).await.0;
        (listed, server.count("ListObjectsV2") - before.0, server.count("GetObject") - before.1)
    };
    let all = numbered(50);
    assert_eq!(requests(Page::ALL).await, (all.clone(), 8, 50));
    assert_eq!(requests(Page { limit: Some(5), offset: 0 }).await, (all[..5].to_vec(), 1, 5));
    assert_eq!(requests(Page { limit: Some(5), offset: 20 }).await, (all[20..25].to_vec(), 4, 5));
    assert_eq!(requests(Page { limit: None, offset: 49 }).await, (all[49..].to_vec(), 8, 1));
    assert_eq!(requests(Page { limit: Some(0), offset: 0 }).await, (vec![], 0, 0));
    assert_eq!(requests(Page { limit: Some(usize::MAX), offset: usize::MAX }).await.0, Vec::<String>::new());
}

#[tokio::test]
async fn no_more_are_read_at_once_than_may_be() {
    let server = server();
    fill(&hasty(server.client()), 40).await;
    for (concurrency, most) in [(1, 1), (5, 5), (0, 1), (1_000, 40)] {
        let store = S3Store::builder(server.client(), BUCKET).concurrency(concurrency).build().unwrap();
        server.hold("GetObject", Duration::from_millis(20));
        assert_eq!(names(&store, Page::ALL).await.0.len(), 40);
        assert_eq!(server.most_at_once("GetObject"), most, "{concurrency}");
    }
}

#[tokio::test]
async fn foreign_objects_are_told_and_remembered() {
    let (server, bucket) = bucket();
    let s3 = server.client();
    let store = S3Store::new(server.client(), &bucket);
    put(&store, "A", 1).await;
    put(&store, "Z", 1).await;
    plant(&s3, &bucket, "photo.jpg", b"\xff\xd8\xff").await;
    plant(&s3, &bucket, "config.json", b"{\"debug\": true}").await;
    plant(&s3, &bucket, "empty", b"").await;
    plant(&s3, &bucket, &"n".repeat(600), b"{}").await;
    plant(&s3, &bucket, "with\ncontrol", b"{}").await;
    // Folders, as consoles make them.
    plant(&s3, &bucket, "folder/", b"").await;
    let bad = ["config.json", "empty", &"n".repeat(600), "photo.jpg", "with\ncontrol"].map(str::to_owned);
    for _ in 0..2 {
        assert_eq!(names(&store, Page::ALL).await, (vec!["A".to_owned(), "Z".to_owned()], bad.to_vec()));
    }
    let before = server.count("GetObject");
    for item in collect(store.list(Page::ALL)).await {
        if let Listed::Bad { name, version, error } = item.unwrap() {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
            assert_eq!(error.flag(), Some(&*name));
            assert!(version.is_some());
        }
    }
    // A part of a listing profits as well.
    names(&store, Page { limit: Some(3), offset: 1 }).await;
    assert_eq!(server.count("GetObject"), before, "nothing has changed");
    put(&store, "A", 2).await;
    plant(&s3, &bucket, "empty", b"no longer").await;
    names(&store, Page::ALL).await;
    assert_eq!(server.count("GetObject"), before + 2);
}

#[tokio::test]
async fn below_a_prefix_are_its_own_objects_only() {
    let (server, bucket) = bucket();
    let s3 = server.client();
    let store = S3Store::builder(server.client(), &bucket).prefix("shop/flags/").build().unwrap();
    put(&store, "X", 1).await;
    put(&store, "X/Y", 2).await;
    let record = super::flag("N", 1);
    for neighbour in ["shop/flagsN", "shop/flags", "shop", "N", "shop/flags/"] {
        plant(&s3, &bucket, neighbour, if neighbour.ends_with('/') { "" } else { record.as_json() }).await;
    }
    assert_eq!(names(&store, Page::ALL).await, (vec!["X".to_owned(), "X/Y".to_owned()], vec![]));
    let root = S3Store::new(server.client(), &bucket);
    assert!(names(&root, Page::ALL).await.0.contains(&"shop/flags/X/Y".to_owned()));
}

#[tokio::test]
async fn what_is_deleted_meanwhile_is_left_out() {
    let server = server();
    let store = hasty(server.client());
    fill(&store, 20).await;
    server.fail("GetObject", 3, &failure(404, "NoSuchKey"));
    assert_eq!(names(&store, Page::ALL).await.0.len(), 17);
    assert_eq!(names(&store, Page::ALL).await.0.len(), 20);
    // A limit counts those that are there.
    let store = hasty(server.client());
    server.fail("GetObject", 3, &failure(404, "NoSuchKey"));
    assert_eq!(names(&store, Page { limit: Some(10), offset: 0 }).await.0.len(), 10);
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let (server, bucket) = bucket();
    let s3 = server.client();
    plant(&s3, &bucket, "movie", vec![b' '; (16 << 20) + 1]).await;
    let store = S3Store::new(s3, &bucket);
    put(&store, "X", 1).await;
    let before = server.count("GetObject");
    assert_eq!(names(&store, Page::ALL).await, (vec!["X".to_owned()], vec!["movie".to_owned()]));
    assert_eq!(server.count("GetObject"), before + 1);
    let error = super::fails(store.get(super::name("movie"))).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    // It can be taken away, and only as it is.
    let version = error.version().unwrap();
    assert!(store.delete(super::name("movie"), Expect::Matches(version)).await.unwrap());
    assert_eq!(names(&store, Page::ALL).await, (vec!["X".to_owned()], vec![]));
}

#[tokio::test]
async fn a_listing_that_breaks_off_says_so() {
    let server = server();
    let fresh = || S3Store::builder(server.client(), BUCKET).page_size(10).build().unwrap();
    fill(&fresh(), 30).await;
    for (operation, skip) in [("ListObjectsV2", 0), ("ListObjectsV2", 1), ("GetObject", 0), ("GetObject", 15)]
    {
        server.fail_after(operation, skip, 100, &failure(500, "InternalError"));
        let error = listing_fails(&fresh()).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{operation} {skip}: {error}");
        server.mend();
    }
    let store = fresh();
    server.fail_after("GetObject", 15, 100, &failure(500, "InternalError"));
    let items = collect(store.list(Page::ALL)).await;
    assert!(items[..items.len() - 1].iter().all(Result::is_ok) && items.last().unwrap().is_err());
    server.mend();
    assert_eq!(names(&store, Page::ALL).await.0.len(), 30);
}

/// Whoever takes his time with what he has been given finds the rest as it was asked for.
#[tokio::test]
async fn a_listing_can_be_taken_slowly() {
    use futures_lite::StreamExt;
    let server = server();
    let builder = S3Store::builder(server.client(), BUCKET).page_size(4).concurrency(3);
    let store = builder.timeout(Duration::from_millis(400)).build().unwrap();
    fill(&store, 10).await;
    let store = S3Store::builder(server.client(), BUCKET).page_size(4).concurrency(3);
    let store = store.timeout(Duration::from_millis(400)).build().unwrap();
    server.hold("GetObject", Duration::from_millis(100));
    server.hold("ListObjectsV2", Duration::from_millis(100));
    let mut listing = store.list(Page::ALL);
    let mut count = 0;
    while let Some(listed) = listing.next().await {
        listed.unwrap();
        count += 1;
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    assert_eq!(count, 10);
}

/// Whoever takes only the beginning, and whoever loses patience, leaves nothing behind.
#[tokio::test]
async fn a_listing_can_be_given_up() {
    use futures_lite::StreamExt;
    let server = server();
    let proxy = Proxy::start(server.address()).await.unwrap();
    let (access_key, secret_key) = server.keys();
    let config = s3_config(&format!("http://{}", proxy.address()), access_key, secret_key);
    let store = hasty(Client::from_conf(config.build()));
    fill(&store, 50).await;
    for taken in [0, 1, 20] {
        let mut listing = store.list(Page::ALL);
        for _ in 0..taken {
            listing.next().await.unwrap().unwrap();
        }
    }
    proxy.set(Weather::Stall);
    assert!(tokio::time::timeout(Duration::from_millis(200), collect(store.list(Page::ALL))).await.is_err());
    proxy.set(Weather::Fair);
    assert_eq!(names(&store, Page::ALL).await.0.len(), 50);
}
