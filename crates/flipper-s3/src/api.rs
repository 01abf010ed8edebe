//! The four requests that the store makes, each in bounded time.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Config;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use aws_sdk_s3::types::EncodingType;
use flipper_core::{Error, ErrorKind, Result};
use flipper_follow::Backoff;
use percent_encoding::percent_decode_str;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::error::{Asked, Failure, causes, error, no_runtime, no_s3, unanswered};
use crate::record::version;
use crate::wire::{Guard, accepted};

/// The largest object that is read, in bytes: no record can have more.
pub(crate) const LARGEST: usize = flipper_core::json::MAX_BYTES;
/// How often a write is sent that is turned away each time.
const ATTEMPTS: usize = 4;
/// What is the ETag of no object, as it has no digest's length.
const NEVER: &str = "flipper-never";

/// What tells states of an object apart, without its quotes.
pub(crate) type Etag = String;

/// What there is to be asked. The client stays out of what is printed: its address may have a password.
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) bucket: String,
    pub(crate) timeout: Duration,
}

/// An object as it is read.
pub(crate) struct Object {
    pub(crate) etag: Etag,
    /// `None` if it is too large to be a flag.
    pub(crate) body: Option<Vec<u8>>,
}

/// An object as it is listed.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Not all servers tell it.
    pub(crate) etag: Option<Etag>,
    /// Nor this.
    pub(crate) size: Option<u64>,
}

pub(crate) struct Entries {
    pub(crate) entries: Vec<Entry>,
    /// Where to go on.
    pub(crate) next: Option<String>,
}

/// What has to hold for a write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When<'e> {
    Always,
    /// There is no object.
    Absent,
    /// The object is in this state.
    Matches(&'e str),
    /// What never holds: to find out whether it is looked at.
    Never,
    /// Both `Absent` and `Never`.
    AbsentAndNever,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("bucket", &self.bucket)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl When<'_> {
    fn if_match(self) -> Option<String> {
        match self {
            When::Matches(etag) => Some(format!("\"{etag}\"")),
            When::Never | When::AbsentAndNever => Some(format!("\"{NEVER}\"")),
            When::Always | When::Absent => None,
        }
    }
}

impl Api {
    /// Limits what is asked.
    async fn bounded<T>(
        &self,
        asked: Asked,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        if Handle::try_current().is_err() {
            return Err(Failure::Other(no_runtime()));
        }
        match timeout(self.timeout, request).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Other(unanswered(asked, "the server has not answered in time"))),
        }
    }

    /// Sends a write until it is not turned away. The SDK sends it only once: it would do so as well after an answer that was lost, and take our
    /// own write for somebody else's.
    async fn written<T, F>(&self, send: impl Fn(aws_sdk_s3::config::Builder) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let attempts = async {
            let mut backoff = Backoff::default();
            for _ in 1..ATTEMPTS {
                match send(Config::builder().retry_config(RetryConfig::disabled())).await {
                    Err(Failure::Again(_)) => sleep(backoff.next_wait()).await,
                    answer => return answer,
                }
            }
            send(Config::builder().retry_config(RetryConfig::disabled())).await
        };
        self.bounded(Asked::Write, attempts).await
    }

    /// Reads an object; `None` if there is none.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Object>, Failure> {
        let read = async {
            let get = self.client.get_object().bucket(&self.bucket).key(accepted(key));
            let answer = get
                .customize()
                .interceptor(Guard::of_key(key))
                .send()
                .await
                .map_err(|failure| Failure::of(&failure, Asked::Object))?;
            let etag = answer.e_tag().and_then(unquoted).ok_or_else(|| Failure::Unreadable(no_etag()))?;
            if answer.content_length().is_some_and(|length| u64::try_from(length).map_or(true, is_large)) {
                return Ok(Some(Object { etag, body: None }));
            }
            let (mut stream, mut body) = (answer.body, Vec::new());
            while let Some(piece) = stream.next().await {
                let piece = piece.map_err(|failure| of_body(&failure, &etag))?;
                body.extend_from_slice(&piece);
                if is_large(body.len() as u64) {
                    return Ok(Some(Object { etag, body: None }));
                }
            }
            Ok(Some(Object { etag, body: Some(body) }))
        };
        match self.bounded(Asked::Object, read).await {
            Err(Failure::Missing) => Ok(None),
            read => read,
        }
    }

    /// Writes an object, and returns its ETag.
    pub(crate) async fn put(&self, key: &str, body: &str, when: When<'_>) -> Result<Etag, Failure> {
        self.written(async |config| {
            let put = self.client.put_object().bucket(&self.bucket).key(accepted(key));
            let put = put.content_type("application/json").set_if_match(when.if_match());
            let put = put.set_if_none_match(
                matches!(when, When::Absent | When::AbsentAndNever).then(|| "*".to_owned()),
            );
            let put = put.body(ByteStream::from(body.as_bytes().to_vec()));
            let answer = put.customize().interceptor(Guard::of_key(key)).config_override(config).send().await;
            let answer = answer.map_err(|failure| Failure::of(&failure, Asked::Write))?;
            let untold = || {
                Failure::Other(unanswered(
                    Asked::Write,
                    "the server has not told the ETag of what was written",
                ))
            };
            answer.e_tag().and_then(unquoted).ok_or_else(untold)
        })
        .await
    }

    /// Deletes an object. That there was one is not told.
    pub(crate) async fn delete(&self, key: &str, when: When<'_>) -> Result<(), Failure> {
        self.written(async |config| {
            let delete = self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(accepted(key))
                .set_if_match(when.if_match());
            let answer =
                delete.customize().interceptor(Guard::of_key(key)).config_override(config).send().await;
            answer.map(drop).map_err(|failure| Failure::of(&failure, Asked::Write))
        })
        .await
    }

    /// Lists some of the objects whose keys begin with a prefix.
    pub(crate) async fn list(&self, prefix: &str, count: usize, from: Option<String>) -> Result<Entries> {
        let listed = async {
            // Keys may have what XML cannot hold.
            let list = self.client.list_objects_v2().bucket(&self.bucket).encoding_type(EncodingType::Url);
            let list = list.prefix(prefix).max_keys(i32::try_from(count).unwrap_or(1_000));
            let list = list.set_continuation_token(from).customize().interceptor(Guard::of_listing());
            let answer = list.send().await;
            let answer = answer.map_err(|failure| Failure::of(&failure, Asked::Read))?;
            let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
            let entries = answer.contents().iter().map(|object| {
                Ok(Entry {
                    key: decoded(object.key().unwrap_or_default(), is_encoded)?,
                    etag: object.e_tag().and_then(unquoted),
                    size: object.size().and_then(|size| u64::try_from(size).ok()),
                })
            });
            let entries = entries.collect::<Result<Vec<_>>>().map_err(Failure::Other)?;
            let next = answer.next_continuation_token().map(str::to_owned);
            let count = answer.key_count().and_then(|count| usize::try_from(count).ok());
            if count.is_some_and(|count| count != entries.len()) {
                return Err(Failure::Other(no_s3(Asked::Read)));
            }
            match answer.is_truncated() {
                Some(true) if next.is_none() => Err(Failure::Other(no_s3(Asked::Read))),
                Some(true) => Ok(Entries { entries, next }),
                _ => Ok(Entries { entries, next: None }),
            }
        };
        self.bounded(Asked::Read, listed).await.map_err(|failure| failure.into_error(Asked::Read))
    }
}

/// What has gone wrong in the middle of an object: on the way, or in itself.
fn of_body(failure: &ByteStreamError, etag: &str) -> Failure {
    if causes(failure).any(|cause| cause.to_string().contains("checksum mismatch")) {
        let message = "the object is not what its checksum says";
        return Failure::Unreadable(error(ErrorKind::Corrupt, message).with_version(version(etag)));
    }
    Failure::Other(unanswered(Asked::Object, "the connection was lost"))
}

fn decoded(key: &str, is_encoded: bool) -> Result<String> {
    if !is_encoded {
        return Ok(key.to_owned());
    }
    // As in forms: a plus that is one is encoded.
    let key = key.replace('+', " ");
    let key = percent_decode_str(&key).decode_utf8();
    key.map(String::from).map_err(|_| no_s3(Asked::Read))
}

/// Whether an object is too large to be a flag.
pub(crate) fn is_large(size: u64) -> bool {
    size > LARGEST as u64
}

/// Whether it can stand in a header, between quotes.
pub(crate) fn is_plain(etag: &str) -> bool {
    etag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

fn unquoted(etag: &str) -> Option<Etag> {
    let etag = etag.trim().strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag.trim());
    (!etag.is_empty() && is_plain(etag)).then(|| etag.to_owned())
}

fn no_etag() -> Error {
    error(ErrorKind::Unsupported, "the server tells no ETags, by which states of a flag are told apart")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_forms_are() {
        for (key, decoded_key) in
            [("a%2Fb+c", "a/b c"), ("%2B", "+"), ("%F0%9F%98%80", "😀"), ("100%", "100%")]
        {
            assert_eq!(decoded(key, true).unwrap(), decoded_key);
            assert_eq!(decoded(key, false).unwrap(), key);
        }
        assert!(decoded("%FF", true).is_err());
    }

    #[test]
    fn etags_lose_their_quotes() {
        for (told, etag) in
            [("\"a-1\"", Some("a-1")), ("a", Some("a")), ("W/\"a\"", None), ("\"\"", None), ("a\nb", None)]
        {
            assert_eq!(unquoted(told).as_deref(), etag);
        }
    }
}
