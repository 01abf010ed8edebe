//! Messages that were tampered with, thousands of them: nothing panics, memory stays, and others are served meanwhile.
//!
//! `FLIPPER_THRIFT_MESSAGES` says how many, 20,000 unless told. By itself in a binary, as it looks at the memory of the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flipper_core::{Expect, FeatureFlagClient, Flag, FlagName, Page, Store, Timestamp};
use flipper_memory::MemoryStore;
use flipper_testkit::collect;
use flipper_thrift::{ThriftServer, ThriftStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Messages that are right, or were wrong once.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/thrift_messages");
    let seeds: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(seeds.len() > 20);
    seeds
}

/// Changes a message in a few places.
fn tampered(seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut message = seeds[fastrand::usize(..seeds.len())].clone();
    for _ in 0..fastrand::usize(1..5) {
        let at = fastrand::usize(..message.len());
        match fastrand::u32(..7) {
            0 => message[at] = fastrand::u8(..),
            1 => message[at] ^= 1 << fastrand::u32(..8),
            2 => message.truncate(at.max(1)),
            3 => {
                let end = (at + fastrand::usize(1..16)).min(message.len());
                let piece = message[at..end].to_vec();
                message.splice(at..at, piece);
            }
            // A length, most likely.
            4 => {
                let huge = [[0x7f, 0xff, 0xff, 0xff], [0xff; 4], [0, 0xff, 0xff, 0xff], [0, 0, 0xff, 0xff]];
                let end = (at + 4).min(message.len());
                message.splice(at..end, huge[fastrand::usize(..4)]);
            }
            5 => {
                let other = &seeds[fastrand::usize(..seeds.len())];
                message.splice(at.., other[fastrand::usize(..other.len())..].iter().copied());
                message.push(0);
            }
            _ => message.insert(at, fastrand::u8(..)),
        }
    }
    message
}

/// Sends messages on one connection after the other.
async fn attack(address: std::net::SocketAddr, seeds: Arc<Vec<Vec<u8>>>, left: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..fastrand::usize(1..50) {
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
                return;
            }
            if stream.write_all(&tampered(&seeds)).await.is_err() {
                break;
            }
            // An answer, the end, or nothing as the server waits for more.
            let read = tokio::time::timeout(Duration::from_millis(2), stream.read(&mut buffer)).await;
            if !matches!(read, Ok(Ok(1..))) {
                break;
            }
        }
    }
}

/// A call of `SetMeta` with one condition, whose checks are these bytes.
fn checks(count: u32, checks: &[u8]) -> Vec<u8> {
    let head =
        [&[0x80, 1, 0, 1, 0, 0, 0, 7][..], b"SetMeta", &[0; 4], &[11, 0, 1, 0, 0, 0, 1, b'X', 12, 0, 2]];
    let list = [15, 0, 3, 13, 0, 0, 0, 1, 11, 15, 0, 0, 0, 1, 0, 0, 0, 1, b'a', 12];
    [&head.concat()[..], &list, &count.to_be_bytes(), checks, &[0, 0]].concat()
}

/// Messages that take much more memory than they are long.
async fn large_messages_take_no_more_memory_than_is_set() {
    const MEMORY: usize = 32 << 20;
    let flags = FeatureFlagClient::new(MemoryStore::new());
    flags.create("X").await.unwrap();
    let server = ThriftServer::new(flags).address("127.0.0.1:0").memory(MEMORY).start().await.unwrap();
    let mut full = Vec::new();
    for number in 0..120_000_u32 {
        let variable = format!("{number:x}");
        full.extend([11, 0, 1, 0, 0, 0, variable.len() as u8]);
        full.extend(variable.as_bytes());
        full.extend([11, 0, 2, 0, 0, 0, 1, b'1', 12, 0, 3, 0, 0]);
    }
    let before = resident();
    // Of a byte each; of the least that they can be; and as many as fit.
    for message in [checks(4 << 20, &vec![0; 4 << 20]), checks(120_000, &full), checks(20_000, &full)] {
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        let sent = stream.write_all(&message).await;
        let answered = stream.read(&mut [0; 4096]).await;
        assert!(sent.is_ok() || answered.is_ok());
        let more = resident().saturating_sub(before);
        println!("{} KiB: {} KiB more", message.len() >> 10, more >> 10);
        // And what this test has of it.
        assert!(more <= MEMORY + (16 << 20), "{more} bytes more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampered_messages_harm_nobody() {
    let messages = std::env::var("FLIPPER_THRIFT_MESSAGES").map_or(20_000, |count| count.parse().unwrap());
    large_messages_take_no_more_memory_than_is_set().await;
    let flags = FeatureFlagClient::new(MemoryStore::new());
    let server = ThriftServer::new(flags.clone()).address("127.0.0.1:0").start().await.unwrap();
    let store = ThriftStore::connect(&server.local_address().to_string()).await.unwrap();
    let (seeds, left) = (Arc::new(seeds()), Arc::new(AtomicUsize::new(messages)));
    let mut attackers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        attackers.spawn(attack(server.local_address(), Arc::clone(&seeds), Arc::clone(&left)));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let honest = {
        let is_over = Arc::clone(&is_over);
        tokio::spawn(async move {
            let name = FlagName::new("HONEST").unwrap();
            let (mut calls, mut longest) = (0, Duration::ZERO);
            while !is_over.load(Ordering::Relaxed) {
                let began = Instant::now();
                // Somebody's tampered message may have to do with it.
                let flag = Flag::new(name, Timestamp::from_secs(calls));
                store.put(&flag, Expect::Any).await.unwrap();
                store.get(name).await.unwrap();
                longest = longest.max(began.elapsed());
                calls += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (calls, longest)
        })
    };
    let (mut before, mut most) = (None, 0);
    while !attackers.is_empty() {
        let ended = tokio::time::timeout(Duration::from_millis(50), attackers.join_next()).await;
        if let Ok(Some(ended)) = ended {
            ended.unwrap();
        }
        // What was created is no growth of the server's.
        for item in collect(flags.store().list(Page::ALL)).await {
            if let Ok(flipper_core::Listed::Flag(found)) = item {
                let _ = flags.store().delete(FlagName::new(found.value.name()).unwrap(), Expect::Any).await;
            }
        }
        // Once everything is warm.
        if left.load(Ordering::Relaxed) < messages * 9 / 10 {
            let before = *before.get_or_insert_with(resident);
            most = most.max(resident().saturating_sub(before));
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let (calls, longest) = honest.await.unwrap();
    println!(
        "{messages} messages, {calls} honest calls of at most {longest:?}; {} KiB more at most",
        most >> 10
    );
    assert!(calls > 20 && longest < Duration::from_secs(2), "{calls} calls of {longest:?}");
    assert!(most <= 16 << 20, "{most} bytes more");
}
