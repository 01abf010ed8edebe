//! Servers that are none, and servers that mean ill.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flipper_core::{ErrorKind, Expect, Page, Store};
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_s3::aws_sdk_s3::config::Credentials;
use flipper_testkit::s3_config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{fails, flag, hasty, listing_fails, name, names};

/// Answers each request with what is made of its head.
async fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match client.read(&mut buffer).await {
                        Ok(count @ 1..) => head.extend_from_slice(&buffer[..count]),
                        _ => return,
                    }
                }
                let _ = client.write_all(&answer(&String::from_utf8_lossy(&head))).await;
                let _ = client.shutdown().await;
                // What is left of the request, so that the connection is not reset.
                while matches!(client.read(&mut buffer).await, Ok(1..)) {}
            });
        }
    });
    address
}

fn store(address: SocketAddr) -> S3Store {
    let config = s3_config(&format!("http://{address}"), "AKIAKEY", "hunter2");
    let token = Some("session-hunter2".to_owned());
    let config = config.credentials_provider(Credentials::new("AKIAKEY", "hunter2", token, None, "tests"));
    hasty(Client::from_conf(config.build()))
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

#[tokio::test]
async fn what_is_no_s3_server_has_no_flags_to_be_off() {
    for answer in [
        http("404 Not Found", "Content-Type: text/html\r\n", "<h1>Not Found</h1>"),
        http("404 Not Found", "", ""),
        http("200 OK", "Content-Type: text/html\r\n", "<h1>It works!</h1>"),
        http("204 No Content", "", ""),
        b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
        b"".to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let store = store(answering(move |_| answer.clone()).await);
        let get = fails(store.get(name("X"))).await.kind();
        assert!(matches!(get, ErrorKind::Unavailable | ErrorKind::Unsupported), "{shown}: {get}");
        let list = listing_fails(&store).await;
        assert_eq!(list.kind(), ErrorKind::Unavailable, "{shown}: {list}");
        let put = fails(store.put(&flag("X", 1), Expect::Any)).await.kind();
        assert_eq!(put, ErrorKind::OutcomeUnknown, "{shown}: {put}");
    }
}

/// Sends back what it was sent, wherever that might be shown.
#[tokio::test]
async fn what_a_server_echoes_is_not_shown() {
    for status in [
        "301 Moved Permanently",
        "400 Bad Request",
        "403 Forbidden",
        "404 Not Found",
        "409 Conflict",
        "500 Internal Server Error",
    ] {
        for (field, before) in [("Code", "the token is "), ("Code", ""), ("Message", ""), ("RequestId", "")] {
            let store = store(
                answering(move |head| {
                    let token = head.lines().find_map(|line| line.strip_prefix("x-amz-security-token: "));
                    let secret = format!("{before}{}", token.expect("it was sent"));
                    let of = |name| if name == field { &*secret } else { "Else" };
                    let fields =
                        ["Code", "Message", "RequestId"].map(|name| format!("<{name}>{}</{name}>", of(name)));
                    let headers = format!("x-amz-request-id: {secret}\r\nx-amz-bucket-region: {secret}\r\n");
                    http(status, &headers, &format!("<Error>{}</Error>", fields.concat()))
                })
                .await,
            );
            let errors = [
                fails(store.get(name("X"))).await,
                listing_fails(&store).await,
                fails(store.put(&flag("X", 1), Expect::Any)).await,
            ];
            for error in errors {
                let mut shown = format!("{error} {error:?}");
                let mut source = std::error::Error::source(&error);
                while let Some(cause) = source {
                    shown.extend([format!(" {cause} {cause:?}")]);
                    source = cause.source();
                }
                assert!(!shown.contains("hunter2"), "{status} {field}: {shown}");
            }
        }
    }
}

/// A listing of objects whose records have two bytes, with more that it says of itself.
fn listing(keys: &[&str], more: &str) -> String {
    let contents =
        |key: &&str| format!("<Contents><Key>{key}</Key><ETag>\"{key}\"</ETag><Size>2</Size></Contents>");
    let contents: Vec<_> = keys.iter().map(contents).collect();
    format!(
        "<ListBucketResult><KeyCount>{}</KeyCount>{more}{}</ListBucketResult>",
        keys.len(),
        contents.concat()
    )
}

#[tokio::test]
async fn a_listing_that_makes_no_sense_ends() {
    let token = |token: &str| {
        format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
    };
    let whole = listing(&["A", "B", "C"], "<IsTruncated>false</IsTruncated>");
    for body in [
        // Without an end.
        listing(&[], &token("same")),
        listing(&[], "<IsTruncated>true</IsTruncated>"),
        // Not what was asked for.
        listing(&["%FF%FE"], "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"),
        // Not all of what it says that it is.
        "<ListBucketResult><KeyCount>3</KeyCount></ListBucketResult>".to_owned(),
        whole[..whole.find("<Key>B").unwrap()].to_owned(),
        whole[..whole.find("<Contents>").unwrap()].to_owned(),
        whole[..whole.find("</ListBucketResult>").unwrap()].to_owned(),
        "<ListBucketResult><Name>flags</Name>".to_owned(),
        "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>".to_owned(),
        "<html><body/></html>".to_owned(),
    ] {
        let answer = http("200 OK", "Content-Type: application/xml\r\n", &body);
        let store = store(answering(move |_| answer.clone()).await);
        let error = listing_fails(&store).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{body}: {error}");
    }
    // As much as some servers say of an empty bucket.
    let empty = http("200 OK", "", "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>");
    let store_of_empty = store(answering(move |_| empty.clone()).await);
    assert_eq!(names(&store_of_empty, Page::ALL).await, (vec![], vec![]));
    // Round in circles, and on and on.
    for circle in [2, usize::MAX] {
        let pages = AtomicUsize::new(0);
        let answer = move |_: &str| {
            let page = pages.fetch_add(1, Ordering::Relaxed) % circle;
            http("200 OK", "", &listing(&[], &token(&page.to_string())))
        };
        assert_eq!(listing_fails(&store(answering(answer).await)).await.kind(), ErrorKind::Unavailable);
    }
}

/// One object whose head nobody understands, one that wants a key to be read: neither takes the others down.
#[tokio::test]
async fn an_object_that_cannot_be_read_is_one_bad_record() {
    let record = flag("A", 1).as_json().to_owned();
    let address = answering(move |head| {
        let tells = |key: &str| head.starts_with(&format!("GET /flags/{key}"));
        if head.contains("list-type=2") {
            http(
                "200 OK",
                "",
                &listing(
                    &["A", "encrypted", "latin1", "spoiled", "weak"],
                    "<IsTruncated>false</IsTruncated>",
                ),
            )
        } else if tells("A") {
            http("200 OK", "ETag: \"A\"\r\n", &record)
        } else if tells("encrypted") {
            http("400 Bad Request", "", "<Error><Code>InvalidRequest</Code></Error>")
        } else if tells("spoiled") {
            http("200 OK", "ETag: \"A\"\r\nx-amz-checksum-crc32: AAAAAA==\r\n", &record)
        } else if tells("weak") {
            http("200 OK", "ETag: W/\"A\"\r\n", &record)
        } else {
            let mut answer = b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nConnection: close\r\n".to_vec();
            answer.extend(
                b"Content-Disposition: attachment; filename=\"\xe9.txt\"\r\nContent-Length: 2\r\n\r\nxx",
            );
            answer
        }
    });
    let store = store(address.await);
    let (good, bad) = names(&store, Page::ALL).await;
    assert_eq!(
        (good, bad),
        (vec!["A".to_owned()], ["encrypted", "latin1", "spoiled", "weak"].map(str::to_owned).to_vec())
    );
}

/// A body that does not end is not read to its end, whatever it is of.
#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    for status in ["200 OK", "500 Internal Server Error"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let most = Arc::new(AtomicUsize::new(0));
        let most_sent = Arc::clone(&most);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let most = Arc::clone(&most_sent);
                tokio::spawn(async move {
                    let _ = client.read(&mut [0; 4096]).await;
                    let head = format!(
                        "HTTP/1.1 {status}\r\nETag: \"a\"\r\nConnection: close\r\n\r\n<ListBucketResult>"
                    );
                    let (mut sent, mut count) = (client.write_all(head.as_bytes()).await, 0);
                    while sent.is_ok() {
                        sent = client.write_all(&[b' '; 4096]).await;
                        count += 4096;
                    }
                    most.fetch_max(count, Ordering::Relaxed);
                });
            }
        });
        let got = fails(store(address).get(name("X"))).await;
        let expected = if status.starts_with('2') { ErrorKind::Corrupt } else { ErrorKind::Unavailable };
        assert_eq!(got.kind(), expected, "{got}");
        assert_eq!(listing_fails(&store(address)).await.kind(), ErrorKind::Unavailable);
        // And what is on the way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let most = most.load(Ordering::Relaxed);
        assert!(most < 32 << 20, "{status}: {most} bytes were taken");
    }
}

#[tokio::test]
async fn an_address_with_a_password_is_not_shown() {
    let config = s3_config("http://user:hunter2@127.0.0.1:9", "AKIAKEY", "secret");
    let builder = S3Store::builder(Client::from_conf(config.build()), "flags");
    let mut shown = format!("{builder:?}");
    let store = builder.build().unwrap();
    let error = fails(store.get(name("X"))).await;
    shown.extend([format!("{store:?} {error} {error:?}")]);
    assert!(!shown.contains("hunter2"), "{shown}");
}
