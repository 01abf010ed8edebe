//! Reads at full speed while everything happens to the agent. `FLIPPER_FAULT_SECONDS` says for how long, 3 s unless told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Instant;

use flipper_core::{Expect, FeatureFlagClient, Store};
use flipper_testkit::{ConsulServer, Proxy, Weather};

use super::rights::{WRITE, bootstrap, token};
use super::*;
use crate::mirror::storm::{FLAGS, ends_with, name, read, seconds, state};

const SECRET: &str = "abcdefab-1234-5678-9012-abcdefabcdef";

/// Writes states with rising numbers, as somebody else does, whatever comes of it.
async fn write(url: String, last: Arc<AtomicI64>, is_over: Arc<AtomicBool>) {
    let cli = Cli { url, token: String::new() };
    while !is_over.load(Ordering::Relaxed) {
        let number = last.fetch_add(1, Ordering::SeqCst) + 1;
        let of = name(fastrand::usize(..FLAGS));
        let body = state(&of, number).as_json().to_owned();
        let _ = cli.try_ask(Method::PUT, &["kv", "features", &of], &[], body.into()).await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..20_000))).await;
    }
}

/// Who may do everything, and the token of the store, which there is anew.
async fn arm(server: &ConsulServer) -> (Cli, String) {
    let root = bootstrap(server).await;
    let (_, accessor) = token(&root, WRITE, Some(SECRET)).await;
    (root, accessor)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checks_go_on_and_end_with_the_truth() {
    let mut server = ConsulServer::start(&["acl { enabled = true\n default_policy = \"allow\" }"]);
    let (mut root, mut accessor) = arm(&server).await;
    let proxy = Proxy::start(server.address()).await.unwrap();
    let builder = hasty(&proxy.address().to_string()).token(SECRET).wait(Duration::from_secs(1));
    let client = FeatureFlagClient::new(builder.connect().await.unwrap());
    let local = client.local().unwrap();
    let (last, is_over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (local, last, is_over) = (local.clone(), Arc::clone(&last), Arc::clone(&is_over));
            std::thread::spawn(move || read(&local, &last, &is_over))
        })
        .collect();
    let writer = tokio::spawn(write(server.url(), Arc::clone(&last), Arc::clone(&is_over)));

    let end = Instant::now() + seconds();
    while Instant::now() < end {
        let mut is_revoked = false;
        match fastrand::u32(..12) {
            0..=2 => proxy.cut(),
            3 => proxy.set(Weather::Stall),
            4 => proxy.set(Weather::LoseAnswers),
            5 => proxy.set(Weather::HangUp),
            6 => server.restart(),
            7 => {
                server.restart_empty();
                (root, accessor) = arm(&server).await;
            }
            8 => {
                root.ask(Method::DELETE, &["acl", "token", &accessor], &[], Vec::new()).await;
                is_revoked = true;
            }
            9 => {
                let _ = root
                    .try_ask(Method::DELETE, &["kv", "features", ""], &[("recurse", "true")], Vec::new())
                    .await;
            }
            _ => {
                server.pause();
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..1_500))).await;
                server.resume();
            }
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..800))).await;
        if is_revoked {
            (_, accessor) = token(&root, WRITE, Some(SECRET)).await;
        }
        proxy.set(Weather::Fair);
    }
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let reads: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();

    // With a flag in it, the store is believed.
    let truth = ConsulStore::builder(&server.url()).token(SECRET).connect().await.unwrap();
    let number = last.fetch_add(1, Ordering::SeqCst) + 1;
    truth.put(&state("F0", number), Expect::Any).await.unwrap();
    ends_with(&local, &truth).await;
    println!("{reads} reads, {} writes", last.load(Ordering::SeqCst));
}

/// As above, with three servers of which one at a time is gone or held, mostly the one that leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checks_go_on_while_leaders_change() {
    let mut servers = ConsulServer::cluster(3, &[]);
    let url = servers[0].url();
    let client = FeatureFlagClient::new(hasty(&url).connect().await.unwrap());
    let local = client.local().unwrap();
    let (last, is_over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let reader = {
        let (local, last, is_over) = (local.clone(), Arc::clone(&last), Arc::clone(&is_over));
        std::thread::spawn(move || read(&local, &last, &is_over))
    };
    let writer = tokio::spawn(write(servers[1].url(), Arc::clone(&last), Arc::clone(&is_over)));
    let end = Instant::now() + seconds();
    let mut changes = 0;
    while Instant::now() < end {
        let leader = servers.iter().position(ConsulServer::leads);
        let at = leader.filter(|_| fastrand::u32(..4) > 0).unwrap_or_else(|| fastrand::usize(..3));
        changes += u32::from(leader == Some(at));
        let pause = Duration::from_millis(fastrand::u64(100..2_500));
        if fastrand::bool() {
            servers[at].kill();
            tokio::time::sleep(pause).await;
            servers[at].restart();
        } else {
            servers[at].pause();
            tokio::time::sleep(pause).await;
            servers[at].resume();
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(10..500))).await;
    }
    is_over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let reads = reader.join().unwrap();
    // Whatever the servers have to settle among themselves.
    until("a leader", Duration::from_secs(20), || servers.iter().any(ConsulServer::leads)).await;
    let truth = hasty(&url).timeout(Duration::from_secs(20)).start_timeout(Duration::from_secs(20));
    let truth = truth.connect().await.unwrap();
    let number = last.fetch_add(1, Ordering::SeqCst) + 1;
    truth.put(&state("F0", number), Expect::Any).await.unwrap();
    ends_with(&local, &truth).await;
    println!("{reads} reads, {} writes, {changes} leaders gone", last.load(Ordering::SeqCst));
}
