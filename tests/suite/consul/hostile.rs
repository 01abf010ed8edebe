//! Agents, tokens and data that do their worst.

use std::time::Instant;

use flipper_consul::Consistency;
use flipper_core::{Expect, FlagName, Freshness, Page, Store};
use flipper_testkit::{ConsulServer, Proxy, Weather};

use super::*;
use crate::mirror::storm::state;

async fn raw_put(url: &str, path: &str, body: &'static str) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.put(format!("{url}{path}")).body(body).send().await.unwrap();
    assert!(answer.status().is_success());
}

#[tokio::test]
async fn keys_that_are_no_utf8_hide_a_deletion() {
    let (store, base) = store().await;
    let cli = Cli::new(server());
    cli.set(&format!("{base}/X"), record(true)).await;
    raw_put(&server().url(), &format!("/v1/kv/{base}/%ff"), "a").await;
    raw_put(&server().url(), &format!("/v1/kv/{base}/%fe"), "b").await;
    until("X", SOON, || is_on(&store, "X") == Some(true)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cli.delete(&format!("{base}/X"), &[]).await;
    until("deleted", SOON, || is_on(&store, "X").is_none()).await;
}

#[tokio::test]
async fn a_flag_that_becomes_a_folder_goes() {
    let (store, base) = store().await;
    let cli = Cli::new(server());
    cli.set(&format!("{base}/X"), record(true)).await;
    cli.set(&format!("{base}/team/"), record(true)).await;
    until("there", SOON, || is_on(&store, "team/") == Some(true)).await;
    cli.set(&format!("{base}/team/"), "").await;
    cli.set(&format!("{base}/Y"), record(true)).await;
    until("Y", SOON, || is_on(&store, "Y") == Some(true)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let fresh = ConsulStore::builder(&server().url()).base_key(&base).connect().await.unwrap();
    println!("get says {:?}", store.get(FlagName::new("team/").unwrap()).await.map(|f| f.is_some()));
    assert_eq!(is_on(&fresh, "team/"), None, "it is a folder");
    assert_eq!(store.freshness(), Freshness::Live);
    assert_eq!(
        (is_on(&store, "team/"), snapshot(&store).freshness_of("team/")),
        (is_on(&fresh, "team/"), Freshness::Live)
    );
}

#[tokio::test]
async fn emptied_from_1_holds_while_followed() {
    let base = base_key();
    let store =
        ConsulStore::builder(&server().url()).base_key(&base).emptied_from(1).connect().await.unwrap();
    let cli = Cli::new(server());
    cli.set(&format!("{base}/X"), record(true)).await;
    until("X", SOON, || is_on(&store, "X") == Some(true)).await;
    cli.delete(&format!("{base}/"), &[("recurse", "true")]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(is_on(&store, "X"), Some(true), "{:?}", store.freshness());
}

/// [`usize::MAX`] believes everything.
#[tokio::test]
async fn emptied_from_max() {
    let base = base_key();
    let store = ConsulStore::builder(&server().url())
        .base_key(&base)
        .emptied_from(usize::MAX)
        .connect()
        .await
        .unwrap();
    let cli = Cli::new(server());
    for name in ["X", "Y", "Z"] {
        cli.set(&format!("{base}/{name}"), record(true)).await;
    }
    until("three", SOON, || snapshot(&store).len() == 3).await;
    cli.delete(&format!("{base}/"), &[("recurse", "true")]).await;
    until("gone", SOON, || snapshot(&store).is_empty()).await;
}

#[tokio::test]
async fn an_agent_that_does_not_say_who_leads() {
    let server = ConsulServer::start(&["http_config { block_endpoints = [\"/v1/status\"] }"]);
    let cli = Cli::new(&server);
    cli.set("features/X", record(true)).await;
    let store = ConsulStore::builder(&server.url()).connect().await.unwrap();
    let (mut stale, mut all) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        all += 1;
        if store.freshness() != Freshness::Live {
            stale += 1;
            if stale == 1 {
                println!("{:?} after {:?}", store.freshness(), start.elapsed());
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = server.log().lines().filter(|line| line.contains("url=/v1/kv/features/")).count();
    assert!(stale == 0 && asked < 6, "stale {stale} of {all} times, {asked} KV requests in 6 s");
}

#[tokio::test]
async fn an_idle_watch_of_nothing_asks_once_per_wait() {
    let server = ConsulServer::start(&[]);
    let store = ConsulStore::builder(&server.url()).wait(Duration::from_secs(1)).connect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = || server.log().lines().filter(|line| line.contains("url=/v1/kv/features/")).count();
    let before = asked();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let idle = asked() - before;
    // And neighbours.
    let cli = Cli::new(&server);
    let before = asked();
    for number in 0..50 {
        cli.set("features-other/X", record(number % 2 == 0)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let woken = asked() - before;
    drop(store);
    assert!(idle <= 7 && woken <= 12, "{idle} requests in six waits, {woken} for neighbours");
}

#[tokio::test]
async fn rights_that_are_narrowed_turn_nothing_off() {
    use serde_json::{Value, json};
    let (server, root) = rights::guarded("deny").await;
    let put = async |path: &[&str], body: Value, field: &str| {
        let made = root.ask(Method::PUT, path, &[], body.to_string().into()).await;
        serde_json::from_str::<Value>(&made).unwrap()[field].as_str().unwrap().to_owned()
    };
    let id = put(&["acl", "policy"], json!({"Name": "all", "Rules": rights::WRITE}), "ID").await;
    let token = put(&["acl", "token"], json!({"Policies": [{"Name": "all"}]}), "SecretID").await;
    for name in ["X", "Y"] {
        root.set(&format!("features/{name}"), record(true)).await;
    }
    let store = hasty(&server.url()).token(token).wait(Duration::from_millis(500)).connect().await.unwrap();
    assert_eq!(snapshot(&store).len(), 2);
    let narrow = json!({"ID": id, "Name": "all", "Rules": "key \"features/X\" { policy = \"read\" }"});
    put(&["acl", "policy", &id], narrow, "ID").await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        assert_eq!(is_on(&store, "Y"), Some(true), "{:?} {:?}", store.freshness(), start.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_may_read_some_is_told_that_there_is_none() {
    let (server, root) = rights::guarded("deny").await;
    let rules = "key_prefix \"features/team-\" { policy = \"write\" }";
    let (token, _) = rights::token(&root, rules, None).await;
    let store = hasty(&server.url()).token(token).connect_lazy().unwrap();
    store.put(&state("team-1", 1), Expect::Absent).await.unwrap();
    let found = store.get(FlagName::new("team-2").unwrap()).await;
    assert!(matches!(found, Ok(None)), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_without_the_others_is_not_live() {
    let mut servers = ConsulServer::cluster(3, &[]);
    let at = loop {
        if let Some(at) = servers.iter().position(ConsulServer::leads) {
            break at;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let own = (at + 1) % 3;
    let store = hasty(&servers[own].url()).consistency(Consistency::Stale).connect().await.unwrap();
    store.put(&state("X", 1), Expect::Any).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (_, other) in servers.iter_mut().enumerate().filter(|(at, _)| *at != own) {
        other.kill();
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let cli = Cli::new(&servers[own]);
    for query in [&[][..], &[("stale", "")]] {
        let start = Instant::now();
        let told = cli.try_ask(Method::GET, &["status", "leader"], query, Vec::new()).await;
        println!("leader {query:?}: {told:?} after {:?}", start.elapsed());
        let start = Instant::now();
        let query: Vec<_> = query.iter().copied().chain([("recurse", "true")]).collect();
        let told = cli.try_ask(Method::GET, &["kv", "features", ""], &query, Vec::new()).await;
        println!("kv {query:?}: {told:?} after {:?}", start.elapsed());
    }
    println!("down: {:?}", store.freshness());
    let start = Instant::now();
    let (mut last, mut stale_end) = (None, 0);
    while start.elapsed() < Duration::from_secs(3) {
        let now = store.freshness();
        if last != Some(now) {
            println!("{:?} {now:?}", start.elapsed());
            last = Some(now);
        }
        if start.elapsed() > Duration::from_secs(1) && now == Freshness::Live {
            stale_end += 1;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(stale_end, 0, "it says that it is live");
}

#[tokio::test]
async fn close_twice_while_a_question_hangs() {
    let server = ConsulServer::start(&[]);
    let store = ConsulStore::connect(&server.url()).await.unwrap();
    store.put(&state("X", 1), Expect::Any).await.unwrap();
    server.pause();
    let start = Instant::now();
    let (one, two) = tokio::join!(store.close(), store.close());
    one.unwrap();
    two.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    server.resume();
}

#[test]
fn another_runtime() {
    let server = ConsulServer::start(&[]);
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let one = runtime();
    let store = one.block_on(ConsulStore::connect(&server.url())).unwrap();
    one.block_on(store.put(&state("X", 1), Expect::Any)).unwrap();
    drop(one);
    assert_ne!(store.freshness(), Freshness::Live);
    let two = runtime();
    two.block_on(store.put(&state("X", 2), Expect::Any)).unwrap();
    assert!(snapshot(&store).get("X").unwrap().value == state("X", 2));
    two.block_on(store.close()).unwrap();
}

#[tokio::test]
async fn live_again_soon_by_default() {
    let server = ConsulServer::start(&[]);
    let proxy = Proxy::start(server.address()).await.unwrap();
    let store = ConsulStore::connect(&proxy.address().to_string()).await.unwrap();
    Cli::new(&server).set("features/X", record(true)).await;
    until("X", SOON, || is_on(&store, "X") == Some(true)).await;
    let mut worst = Duration::ZERO;
    for weather in [Weather::LoseRequests, Weather::LoseAnswers] {
        proxy.set(weather);
        until("stale", SOON, || store.freshness() != Freshness::Live).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        proxy.set(Weather::Fair);
        let start = Instant::now();
        until("live", Duration::from_secs(15), || store.freshness() == Freshness::Live).await;
        println!("{weather:?}: live after {:?}", start.elapsed());
        worst = worst.max(start.elapsed());
    }
    assert!(worst < Duration::from_secs(4), "{worst:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_load_takes_no_write_back() {
    let servers = ConsulServer::cluster(3, &[]);
    let at = loop {
        if let Some(at) = servers.iter().position(ConsulServer::leads) {
            break at;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let other = &servers[(at + 1) % 3];
    let proxy = Proxy::start(other.address()).await.unwrap();
    let store = hasty(&proxy.address().to_string()).consistency(Consistency::Stale).connect().await.unwrap();
    let other_store = hasty(&other.url()).connect().await.unwrap();
    let mut rolled = 0;
    let mut old_lists = 0;
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < Duration::from_secs(20) && (rolled == 0 || old_lists == 0) {
        number += 1;
        if store.put(&state("X", number), Expect::Any).await.is_err() {
            continue;
        }
        // Others' listings are from a follower, too.
        for item in flipper_testkit::collect(store.list(Page::ALL)).await {
            if let Ok(flipper_core::Listed::Flag(found)) = item
                && found.value != state("X", number)
            {
                old_lists += 1;
            }
        }
        number += 1;
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(30 + fastrand::u64(..40))).await;
        if store.put(&state("X", number), Expect::Any).await.is_err() {
            continue;
        }
        for _ in 0..100 {
            let known = snapshot(&store).get("X").unwrap();
            if known.value != state("X", number) {
                rolled += 1;
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    drop(other_store);
    assert!(
        rolled == 0 && old_lists == 0,
        "{rolled} taken back, {old_lists} old listings, of {number} writes"
    );
}
