//! Servers that are none, and servers that mean ill.

use std::net::SocketAddr;
use std::sync::Arc;

use flipper_core::{ErrorKind, Expect, Store};
use flipper_s3::S3Store;
use flipper_s3::aws_sdk_s3::Client;
use flipper_s3::aws_sdk_s3::config::Credentials;
use flipper_testkit::s3_config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{fails, flag, hasty, listing_fails, name};

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
    for status in
        ["400 Bad Request", "403 Forbidden", "404 Not Found", "409 Conflict", "500 Internal Server Error"]
    {
        for field in ["Code", "Message", "RequestId"] {
            let store = store(
                answering(move |head| {
                    let token = head.lines().find_map(|line| line.strip_prefix("x-amz-security-token: "));
                    let secret = format!("the token is {}", token.unwrap_or("hunter2"));
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

#[tokio::test]
async fn a_listing_that_makes_no_sense_ends() {
    let contents =
        |key: &str| format!("<Contents><Key>{key}</Key><ETag>\"a\"</ETag><Size>9</Size></Contents>");
    for body in [
        // Without an end.
        "<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>".to_owned(),
        "<IsTruncated>true</IsTruncated>".to_owned(),
        // Not what was asked for.
        format!("<EncodingType>url</EncodingType>{}", contents("%FF%FE")),
    ] {
        let body = format!("<ListBucketResult>{body}</ListBucketResult>");
        let answer = http("200 OK", "Content-Type: application/xml\r\n", &body);
        let store = store(answering(move |_| answer.clone()).await);
        let error = listing_fails(&store).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{body}: {error}");
    }
}

/// A body that does not end is not read to its end.
#[tokio::test]
async fn an_object_without_end_is_no_flag() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = client.read(&mut [0; 4096]).await;
                let head = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nConnection: close\r\n\r\n";
                let mut sent = client.write_all(head.as_bytes()).await;
                while sent.is_ok() {
                    sent = client.write_all(&[b' '; 4096]).await;
                }
            });
        }
    });
    let error = fails(store(address).get(name("X"))).await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.message().contains("larger than 16 MiB"), "{error}");
}
