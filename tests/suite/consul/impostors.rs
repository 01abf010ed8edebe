//! Agents that do not answer as Consul does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use flipper_core::{ErrorKind, Expect, Freshness, Store};
use futures_lite::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::mirror::storm::state;

/// What a fake agent answers to the path that is asked: head and body; then it may keep quiet.
async fn fake(answer: impl Fn(&str) -> (String, bool) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut request = vec![0; 64 << 10];
                let count = stream.read(&mut request).await.unwrap_or_default();
                let asked = String::from_utf8_lossy(&request[..count]).into_owned();
                let (text, hangs) = answer(&asked);
                let _ = stream.write_all(text.as_bytes()).await;
                if hangs {
                    tokio::time::sleep(Duration::from_secs(100)).await;
                }
            });
        }
    });
    address
}

fn ok(index: u64, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nx-consul-index: {index}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Other data at the same index, without that the connection was lost.
#[tokio::test]
async fn who_watches_is_told_of_other_data_at_the_same_index() {
    use base64::Engine;
    let number = Arc::new(AtomicUsize::new(1));
    let address = fake({
        let number = Arc::clone(&number);
        move |asked| {
            if asked.contains("/status/leader") {
                return (ok(1, "\"127.0.0.1:8300\""), false);
            }
            let record = state("X", number.load(Ordering::SeqCst) as i64);
            let value = base64::engine::general_purpose::STANDARD.encode(record.as_json());
            let body = format!("[{{\"Key\":\"features/X\",\"Value\":\"{value}\",\"ModifyIndex\":7}}]");
            (ok(7, &body), false)
        }
    })
    .await;
    let store = ConsulStore::connect(&address).await.unwrap();
    let mut changes = store.watch().unwrap();
    flipper_testkit::next(&mut changes).await.unwrap();
    number.store(2, Ordering::SeqCst);
    let told = flipper_testkit::next(&mut changes).await;
    assert!(matches!(told, Some(flipper_core::Change::Put(_))), "{told:?}");
    assert_eq!(snapshot(&store).get("X").unwrap().value, state("X", 2));
}

/// A write that is refused tells why, whatever the flag is called.
#[tokio::test]
async fn a_refusal_is_not_told_by_the_name() {
    let address = fake(|asked| {
        // As Consul says it since 1.13.
        let what = "Permission denied: token with AccessorID 'x' lacks permission 'key:write' on \\\"features/index is stale\\\"";
        let body = format!("{{\"Results\":null,\"Errors\":[{{\"OpIndex\":0,\"What\":\"{what}\"}}]}}");
        let body = if asked.starts_with("PUT") { body } else { "[]".to_owned() };
        let text = ok(1, &body);
        (if asked.starts_with("PUT") { text.replace("200 OK", "409 Conflict") } else { text }, false)
    })
    .await;
    let store = ConsulStore::builder(&address).connect_lazy().unwrap();
    let error = store.put(&state("index is stale", 1), Expect::Any).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error:?}");
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_is_noticed() {
    let address = fake(|asked| {
        if asked.contains("/status/leader") {
            (ok(1, "\"127.0.0.1:8300\""), false)
        } else if asked.contains("index=") {
            ("HTTP/1.1 200 OK\r\nx-consul-index: 8\r\ncontent-length: 100000\r\n\r\n[".to_owned(), true)
        } else {
            (ok(7, "[]"), false)
        }
    })
    .await;
    let store = ConsulStore::builder(&address).timeout(Duration::from_secs(1)).connect().await.unwrap();
    // It is asked anew each time, and so is live in between.
    let mut changes = Box::pin(store.freshness_changes());
    let is_told = async {
        while let Some(freshness) = changes.next().await {
            if freshness != Freshness::Live {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(6), is_told)
        .await
        .expect("a change that does not come is noticed");
}

#[tokio::test]
async fn a_token_that_is_echoed_is_not_told() {
    let address = fake(|asked| {
        let body = asked.replace('\r', "");
        let at = body.to_ascii_lowercase().find("x-consul-token").unwrap_or_default();
        let body = &body[at..];
        (
            format!("HTTP/1.1 500 Oops\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()),
            false,
        )
    })
    .await;
    let builder = hasty(&address).token("a-secret").start_timeout(Duration::from_millis(300));
    let error = builder.connect().await.unwrap_err();
    assert!(!format!("{error:?} {error}").contains("a-secret"), "{error:?}");
}

/// A question without an index, after somebody else leads, has no heartbeat.
#[tokio::test]
async fn a_question_after_a_change_of_leaders_that_hangs() {
    let count = Arc::new(AtomicUsize::new(0));
    let asked_kv = Arc::new(AtomicUsize::new(0));
    let address = fake({
        let (count, asked_kv) = (Arc::clone(&count), Arc::clone(&asked_kv));
        move |asked| {
            if asked.contains("/status/leader") {
                let number = count.fetch_add(1, Ordering::SeqCst);
                if number > 1 {
                    return (String::new(), true);
                }
                (ok(1, &format!("\"127.0.0.1:830{number}\"")), false)
            } else if asked.contains("index=")
                || (asked.contains("recurse") && asked_kv.fetch_add(1, Ordering::SeqCst) > 1)
            {
                (String::new(), true)
            } else {
                (ok(7, "[]"), false)
            }
        }
    })
    .await;
    let store = ConsulStore::builder(&address).connect().await.unwrap();
    until("hangs", SOON, || asked_kv.load(Ordering::SeqCst) > 2).await;
    let start = Instant::now();
    until("stale", Duration::from_secs(20), || store.freshness() != Freshness::Live).await;
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
