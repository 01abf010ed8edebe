//! What the watch sees, and what it costs.

use flipper_core::{Change, Freshness, StaleCause, Store};
use flipper_testkit::{ConsulServer, next};

use super::*;

#[tokio::test]
async fn what_others_do_is_seen() {
    let (store, base) = store().await;
    let cli = Cli::new(server());
    cli.set(&format!("{base}/X"), record(true)).await;
    until("created", SOON, || is_on(&store, "X") == Some(true)).await;
    cli.set(&format!("{base}/X"), record(false)).await;
    until("changed", SOON, || is_on(&store, "X") == Some(false)).await;
    // One of several, and then the last one: each was deleted by itself.
    cli.set(&format!("{base}/team/Y"), record(true)).await;
    until("nested", SOON, || is_on(&store, "team/Y") == Some(true)).await;
    cli.delete(&format!("{base}/X"), &[]).await;
    until("deleted", SOON, || is_on(&store, "X").is_none()).await;
    cli.delete(&format!("{base}/team/Y"), &[]).await;
    until("deleted", SOON, || snapshot(&store).is_empty()).await;
    assert_eq!(store.freshness(), Freshness::Live);
}

#[tokio::test]
async fn neighbours_and_folders_are_no_flags() {
    let (store, base) = store().await;
    let cli = Cli::new(server());
    for key in [format!("{base}-other/X"), format!("{base}X"), "X".to_owned(), format!("x/{base}/X")] {
        cli.set(&key, record(true)).await;
    }
    for folder in [format!("{base}/"), format!("{base}/team/")] {
        cli.set(&folder, "").await;
    }
    cli.set(&format!("{base}/last"), record(true)).await;
    until("the last", SOON, || is_on(&store, "last") == Some(true)).await;
    assert_eq!(snapshot(&store).len(), 1);
    assert!(snapshot(&store).marked().is_empty(), "and none of them is bad");
    let listed = flipper_testkit::collect(store.list(flipper_core::Page::ALL)).await;
    assert_eq!(listed.len(), 1, "{listed:?}");
}

#[tokio::test]
async fn what_cannot_be_read_hurts_nothing() {
    let (store, base) = store().await;
    let cli = Cli::new(server());
    cli.set(&format!("{base}/X"), record(true)).await;
    cli.set(&format!("{base}/Y"), record(true)).await;
    until("two", SOON, || snapshot(&store).len() == 2).await;
    let long = vec![b'x'; 400_000];
    let bad: [(&str, &[u8]); 4] = [("X", b"{"), ("Z", b"\xff\xfe"), ("long", &long), ("empty", b"")];
    for (name, bytes) in bad {
        cli.set(&format!("{base}/{name}"), bytes).await;
    }
    let marked = || {
        let mut marked = snapshot(&store).marked();
        marked.sort_unstable();
        marked
    };
    until("marked", SOON, || marked().iter().map(|name| &**name).eq(["X", "Z", "empty", "long"])).await;
    assert_eq!((is_on(&store, "X"), is_on(&store, "Y")), (Some(true), Some(true)), "its last good state");
    let stale = |name: &str| {
        matches!(snapshot(&store).freshness_of(name), Freshness::Stale { cause: StaleCause::Corrupt, .. })
    };
    assert!(stale("X") && store.freshness() == Freshness::Live);
    cli.set(&format!("{base}/Y"), record(false)).await;
    until("others go on", SOON, || is_on(&store, "Y") == Some(false)).await;
    cli.set(&format!("{base}/X"), record(false)).await;
    until("repaired", SOON, || is_on(&store, "X") == Some(false)).await;
    for name in ["Z", "long", "empty"] {
        cli.delete(&format!("{base}/{name}"), &[]).await;
    }
    until("gone", SOON, || marked().is_empty()).await;
}

#[tokio::test]
async fn to_delete_all_at_once_turns_nothing_off() {
    let (store, base) = store().await;
    let cli = Cli::new(server());
    for name in ["X", "Y", "Z"] {
        cli.set(&format!("{base}/{name}"), record(true)).await;
    }
    until("three", SOON, || snapshot(&store).len() == 3).await;
    let is_emptied = || matches!(store.freshness(), Freshness::Stale { cause: StaleCause::Emptied, .. });
    cli.delete(&format!("{base}/"), &[("recurse", "true")]).await;
    until("emptied", SOON, is_emptied).await;
    assert_eq!(is_on(&store, "X"), Some(true));
    store.accept_empty();
    assert!(snapshot(&store).is_empty() && store.freshness() == Freshness::Live);
    cli.set(&format!("{base}/X"), record(true)).await;
    cli.set(&format!("{base}/Y"), record(true)).await;
    until("two", SOON, || snapshot(&store).len() == 2).await;
    cli.delete(&format!("{base}/"), &[("recurse", "true")]).await;
    until("emptied", SOON, is_emptied).await;
    // A flag is there again, so the rest is believed.
    cli.set(&format!("{base}/Z"), record(false)).await;
    until("believed", SOON, || store.freshness() == Freshness::Live).await;
    assert_eq!((is_on(&store, "X"), is_on(&store, "Z")), (None, Some(false)));
}

#[tokio::test]
async fn those_who_watch_are_told_in_order() {
    let (store, base) = store().await;
    let cli = Cli::new(server());
    let mut changes = store.watch().unwrap();
    assert!(matches!(next(&mut changes).await, Some(Change::Resync { .. })));
    for is_on in [true, false, true] {
        cli.set(&format!("{base}/X"), record(is_on)).await;
        let Some(Change::Put(found)) = next(&mut changes).await else { panic!("a change") };
        assert_eq!(found.value.is_switched_on(), is_on);
    }
    cli.delete(&format!("{base}/X"), &[]).await;
    assert!(matches!(next(&mut changes).await, Some(Change::Deleted { .. })));
    store.close().await.unwrap();
}

#[tokio::test]
async fn an_idle_watch_asks_once_per_wait() {
    let server = ConsulServer::start(&[]);
    let cli = Cli::new(&server);
    cli.set("features/X", record(true)).await;
    let wait = Duration::from_secs(1);
    let store = ConsulStore::builder(&server.url()).wait(wait).connect().await.unwrap();
    let asked = || server.log().lines().filter(|line| line.contains("url=/v1/kv/features/?recurse")).count();
    tokio::time::sleep(wait * 2).await;
    let before = asked();
    assert!(before > 0, "requests are logged");
    tokio::time::sleep(wait * 6).await;
    // Each waits for nine tenths of the time at least.
    assert!(asked() - before <= 7, "{} requests in six waits", asked() - before);
    cli.set("features/X", record(false)).await;
    until("still follows", SOON, || is_on(&store, "X") == Some(false)).await;
    // Neighbours do not wake it up.
    let before = asked();
    for number in 0..50 {
        cli.set("features-other/X", record(number % 2 == 0)).await;
    }
    assert!(asked() - before <= 3, "{} requests for what is not ours", asked() - before);
}
