//! Listings of keyspaces that other programs use as well.

use std::collections::BTreeSet;

use flipper_core::{ErrorKind, Listed, Page, Store};
use flipper_redis::{RedisStore, redis};
use flipper_testkit::{Proxy, RedisServer, Weather, collect, next};

use super::{Cli, flag, names, put, server, store};

async fn at(base_key: &str) -> RedisStore {
    RedisStore::builder(&server().url()).base_key(base_key).connect().await.unwrap()
}

#[tokio::test]
async fn base_keys_are_no_patterns() {
    let mut cli = Cli::new(&server().url()).await;
    for base_key in ["glob[x]", "glob*", "glob?", r"glob\", "glob^-", "glob", ""] {
        let store = at(base_key).await;
        put(&store, "own", 1).await;
        // Neighbours, which a pattern would take in.
        for key in ["globx/n", "glob[x]n", "glob*x/n", "globs/n", "glob-other/n", "g/n"] {
            cli.set(key, flag("n", 1).as_json()).await;
        }
        assert_eq!(names(&store, Page::ALL).await, (vec!["own".to_owned()], vec![]), "{base_key:?}");
        let mut changes = super::watch(&store).await;
        cli.set("glob-other/n", flag("n", 2).as_json()).await;
        put(&store, "own", 2).await;
        assert_eq!(super::told(&mut changes).await, "put own 2", "{base_key:?}");
    }
}

#[tokio::test]
async fn what_is_no_flag_is_an_item_and_takes_none_down() {
    let (store, base_key) = store().await;
    let mut cli = Cli::new(&server().url()).await;
    put(&store, "good", 1).await;
    let key = |name: &str| format!("{base_key}/{name}");
    cli.set(&key("empty"), "").await;
    cli.set(&key("no json"), "{").await;
    cli.set(&key("no utf8"), b"\xff\xfe").await;
    cli.set(&key(""), flag("x", 1).as_json()).await;
    cli.set(&key("line\nbreak"), flag("x", 1).as_json()).await;
    cli.set(&key(&"n".repeat(513)), flag("x", 1).as_json()).await;
    let _: i64 = cli.tell(&["HSET", &key("hash"), "a", "b"]).await;
    let _: i64 = cli.tell(&["XLEN", &key("stream")]).await;
    let mut raw = redis::cmd("SET");
    raw.arg([base_key.as_bytes(), b"/\xff"].concat()).arg(flag("x", 1).as_json());
    let () = raw.query_async(&mut cli.0).await.unwrap();

    let (mut good, mut bad) = (0, BTreeSet::new());
    for item in collect(store.list(Page::ALL)).await {
        match item.unwrap() {
            Listed::Flag(found) => {
                assert_eq!(found.value.name(), "good");
                good += 1;
            }
            Listed::Bad { name, version, error } => {
                assert_eq!((error.kind(), error.store()), (ErrorKind::Corrupt, Some("redis")), "{error}");
                assert_eq!(version.is_none(), &*name == "hash", "{name}");
                bad.insert(name.to_string());
            }
            other => panic!("{other:?}"),
        }
    }
    let expected = ["", "empty", "hash", "line\nbreak", "no json", "no utf8", "\u{1a}ff", &"n".repeat(513)];
    assert_eq!((good, bad), (1, expected.into_iter().map(str::to_owned).collect()));
    // They count in limits and offsets.
    assert_eq!(collect(store.list(Page { limit: Some(5), offset: 0 })).await.len(), 5);
    assert_eq!(collect(store.list(Page { limit: None, offset: 7 })).await.len(), 2);
}

#[tokio::test]
async fn each_flag_is_listed_once_while_the_table_grows_and_shrinks() {
    let (store, base_key) = store().await;
    let mut cli = Cli::new(&server().url()).await;
    let lasting: Vec<String> = (0..3_000).map(|number| format!("lasting-{number}")).collect();
    for name in &lasting {
        cli.set(&format!("{base_key}/{name}"), flag(name, 1).as_json()).await;
    }
    let expected: BTreeSet<&str> = lasting.iter().map(String::as_str).collect();
    for round in 0..4 {
        let mut items = store.list(Page::ALL);
        let mut seen = BTreeSet::new();
        let mut number = 0_u32;
        while let Some(item) = next(&mut items).await {
            let Listed::Flag(found) = item.unwrap() else { panic!("a bad record") };
            assert!(seen.insert(found.value.name().to_owned()), "{} is listed twice", found.value.name());
            // Other keys come and go, so that the server moves everything to a larger table or a smaller one.
            number += 1;
            if number.is_multiple_of(50) {
                let keys: Vec<String> = (0..500).map(|key| format!("filler-{key}-{number}")).collect();
                let mut fill = redis::pipe();
                for key in &keys {
                    if round % 2 == 0 {
                        fill.cmd("SET").arg(key).arg("x")
                    } else {
                        fill.cmd("DEL").arg(key)
                    };
                }
                let () = fill.query_async(&mut cli.0).await.unwrap();
            }
        }
        let found: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
        assert!(found.is_superset(&expected), "{} are missing", expected.difference(&found).count());
    }
}

#[tokio::test]
async fn keys_that_vanish_meanwhile_are_left_out() {
    let (store, base_key) = store().await;
    let mut cli = Cli::new(&server().url()).await;
    for number in 0..5_000 {
        cli.set(&format!("{base_key}/{number}"), flag("x", 1).as_json()).await;
    }
    let mut listing = store.list(Page::ALL);
    assert!(matches!(next(&mut listing).await, Some(Ok(Listed::Flag(_)))));
    let mut deletes = redis::pipe();
    for number in 0..5_000 {
        deletes.cmd("DEL").arg(format!("{base_key}/{number}"));
    }
    let () = deletes.query_async(&mut cli.0).await.unwrap();
    let rest = collect(listing).await;
    assert!(rest.len() < 4_000, "{} of what is gone", rest.len());
    assert!(rest.iter().all(|item| matches!(item, Ok(Listed::Flag(_)))));
}

#[tokio::test]
async fn large_records_are_read_in_small_steps() {
    let (store, base_key) = store().await;
    let mut cli = Cli::new(&server().url()).await;
    let large = "x".repeat(3 << 20);
    for number in 0..20 {
        let record = flag("x", 1).as_json().replacen('{', &format!("{{\"note\": \"{large}\", "), 1);
        cli.set(&format!("{base_key}/{number}"), record).await;
    }
    cli.set(&format!("{base_key}/beyond"), "y".repeat(20 << 20)).await;
    let (good, bad) = names(&store, Page::ALL).await;
    assert_eq!((good.len(), bad), (20, vec!["beyond".to_owned()]));
    assert_eq!(store.get(super::name("beyond")).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A listing that goes on with another connection could be one of another server, where the scan stands nowhere.
#[tokio::test]
async fn a_listing_that_loses_its_connection_is_incomplete() {
    let server = RedisServer::start(&[]);
    let mut cli = Cli::new(&server.url()).await;
    for number in 0..5_000 {
        cli.set(&format!("features/{number}"), flag("x", 1).as_json()).await;
    }
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store = RedisStore::connect(&format!("redis://{}", proxy.address())).await.unwrap();
    let mut listing = store.list(Page::ALL);
    assert!(matches!(next(&mut listing).await, Some(Ok(_))));
    proxy.cut();
    let rest = collect(listing).await;
    let Some((Err(error), before)) = rest.split_last() else { panic!("it ends as if it were complete") };
    assert!(error.is_retryable(), "{error:?}");
    assert!(before.iter().all(Result::is_ok) && before.len() < 4_999);
    assert_eq!(names(&store, Page::ALL).await.0.len(), 5_000, "the next one is whole");

    proxy.set(Weather::Stall);
    let quick = RedisStore::builder(&format!("redis://{}", proxy.address()))
        .connect_timeout(std::time::Duration::from_millis(200))
        .connect_lazy()
        .unwrap();
    assert!(matches!(&collect(quick.list(Page::ALL)).await[..], [Err(error)] if error.is_retryable()));
}
