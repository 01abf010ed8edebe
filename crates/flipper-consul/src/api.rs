//! The requests.

use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};

use crate::builder::Consistency;
use tokio::time::timeout;

use crate::error::{Asked, error, no_consul, of_status, of_transport, unanswered};
use crate::transaction::{Answer, Kv, Operation};

/// How an agent is asked.
pub(crate) struct Api {
    pub(crate) client: Client,
    pub(crate) base: Url,
    /// The address, as it can be shown.
    pub(crate) shown: String,
    pub(crate) headers: HeaderMap,
    pub(crate) datacenter: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) partition: Option<String>,
    pub(crate) consistency: Consistency,
    pub(crate) timeout: Duration,
    pub(crate) largest_request: usize,
}

/// An answer to a recursive read.
pub(crate) struct Tree {
    /// As of when it is.
    pub(crate) index: u64,
    pub(crate) body: Vec<u8>,
}

impl Tree {
    pub(crate) fn is_empty(&self) -> bool {
        self.body.trim_ascii() == b"[]"
    }
}

impl Api {
    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        // It has a host, and so segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let all = [("dc", &self.datacenter), ("ns", &self.namespace), ("partition", &self.partition)];
        let all = all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        url.query_pairs_mut().extend_pairs(all).extend_pairs(query);
        if url.query() == Some("") {
            url.set_query(None);
        }
        url
    }

    fn key_url(&self, key: &str, query: &[(&str, &str)]) -> Url {
        let path: Vec<&str> = ["kv"].into_iter().chain(key.split('/')).collect();
        self.url(&path, query)
    }

    fn request(&self, method: Method, url: Url, limit: Duration) -> RequestBuilder {
        self.client.request(method, url).headers(self.headers.clone()).timeout(limit)
    }

    async fn send(&self, request: RequestBuilder, asked: Asked) -> Result<(StatusCode, HeaderMap, Vec<u8>)> {
        let named = |error: Error| error.map_message(|message| format!("{}: {message}", self.shown));
        let failed = |failure| named(of_transport(failure, asked));
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        // Once it has begun, an answer that waited for a change has to come as soon as any other.
        let mut body = Vec::new();
        let read = async {
            while let Some(chunk) =
                timeout(self.timeout, response.chunk()).await.map_err(|_| late(asked))?.map_err(failed)?
            {
                body.extend_from_slice(&chunk);
                if body.len() > LARGEST_ANSWER {
                    return Err(error(ErrorKind::Unavailable, "the agent's answer has no end"));
                }
            }
            Ok(())
        };
        timeout(self.timeout * 4, read).await.map_err(|_| named(late(asked)))??;
        Ok((status, headers, body))
    }

    /// What a server says, without what it may have repeated of ours.
    pub(crate) fn said(&self, text: &str) -> String {
        let secrets = self.headers.values().filter(|value| value.is_sensitive());
        let secrets = secrets.filter_map(|value| value.to_str().ok()).flat_map(str::split_whitespace);
        secrets
            .filter(|secret| *secret != "Basic")
            .fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    fn refused(&self, status: StatusCode, body: &[u8], asked: Asked) -> Error {
        of_status(status, &self.said(&String::from_utf8_lossy(body)), asked)
    }

    /// Reads all keys below a prefix; if there is an index, once something is newer than that, or the time is up.
    pub(crate) async fn tree(
        &self,
        prefix: &str,
        consistency: Consistency,
        since: Option<(u64, Duration)>,
    ) -> Result<Tree> {
        let (index, wait, mut limit);
        let mut query = vec![("recurse", "true")];
        query.extend(consistency.parameter());
        limit = self.timeout;
        if let Some((known, time)) = since {
            (index, wait) = (known.to_string(), format!("{}ms", time.as_millis()));
            query.extend([("index", index.as_str()), ("wait", wait.as_str())]);
            // The servers add up to a sixteenth, so that not all queries end together.
            limit += time + time / 16;
        }
        // The last segment is empty: so it ends in a slash, and neighbours do not belong to it.
        let request = self.request(Method::GET, self.key_url(prefix, &query), limit);
        let (status, headers, body) = self.send(request, Asked::Read).await?;
        match (status, index_in(&headers)) {
            (StatusCode::OK, Some(index)) => Ok(Tree { index, body }),
            (StatusCode::NOT_FOUND, Some(index)) => Ok(Tree { index, body: b"[]".to_vec() }),
            (StatusCode::OK, None) => Err(no_consul(Asked::Read)),
            _ => Err(self.refused(status, &body, Asked::Read)),
        }
    }

    /// The index of the keys below a prefix, or of more than that, if the token may list them: at the least what [`tree`](Self::tree) last told,
    /// unless the servers have lost their data.
    pub(crate) async fn index(&self, prefix: &str) -> Result<Option<u64>> {
        // With its neighbours, and grouped by what comes before the separator, so that the answer is short.
        let key = prefix.trim_end_matches('/');
        let mut query = vec![("keys", "true"), ("separator", "/")];
        query.extend(self.consistency.parameter());
        let request = self.request(Method::GET, self.key_url(key, &query), self.timeout);
        let (status, headers, body) = self.send(request, Asked::Read).await?;
        match status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(index_in(&headers)),
            StatusCode::FORBIDDEN => Ok(None),
            _ => Err(self.refused(status, &body, Asked::Read)),
        }
    }

    /// Finds out whether there is nothing, or nothing that we may see: in listings and transactions both look the same, but
    /// not in a read of one key. The prefix itself is one.
    pub(crate) async fn check_rights(&self, key: &str) -> Result<()> {
        let query: Vec<_> = self.consistency.parameter().into_iter().collect();
        let request = self.request(Method::GET, self.key_url(key, &query), self.timeout);
        let (status, _, body) = self.send(request, Asked::Read).await?;
        match status {
            // A folder of Consul's user interface.
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            StatusCode::FORBIDDEN => {
                let message = format!("the token may not read `{key}`");
                Err(error(ErrorKind::PermissionDenied, message))
            }
            _ => Err(self.refused(status, &body, Asked::Read)),
        }
    }

    /// Carries out some operations, all or none.
    pub(crate) async fn transact<T>(
        &self,
        operations: Vec<Kv<'_>>,
        asked: Asked,
        read: impl FnOnce(Answer<'_>) -> T,
    ) -> Result<T> {
        let (namespace, partition) = (self.namespace.as_deref(), self.partition.as_deref());
        let operations: Vec<_> =
            operations.into_iter().map(|kv| Operation { kv: Kv { namespace, partition, ..kv } }).collect();
        let body = serde_json::to_vec(&operations).map_err(|failure| {
            error(ErrorKind::Internal, "the request cannot be written").with_source(failure)
        })?;
        if body.len() > self.largest_request {
            return Err(error(
                ErrorKind::InvalidInput,
                format!(
                    "the request would have {} bytes, and Consul takes {}: the record is too large",
                    body.len(),
                    self.largest_request
                ),
            ));
        }
        // What is read to be edited, or to find out what has happened, comes from the leader.
        let consistency =
            self.consistency.parameter().filter(|_| self.consistency == Consistency::Consistent);
        let consistency: Vec<_> = consistency.into_iter().collect();
        let request = self.request(Method::PUT, self.url(&["txn"], &consistency), self.timeout);
        let (status, _, body) = self.send(request.body(body), asked).await?;
        // A conflict is what Consul calls any operation that could not be carried out.
        if !matches!(status, StatusCode::OK | StatusCode::CONFLICT) {
            return Err(self.refused(status, &body, asked));
        }
        let answer: Answer<'_> = serde_json::from_slice(&body).map_err(|_| {
            // Some errors of servers come with this status, and as text.
            if status == StatusCode::CONFLICT {
                self.refused(StatusCode::INTERNAL_SERVER_ERROR, &body, asked)
            } else {
                no_consul(asked)
            }
        })?;
        Ok(read(answer))
    }

    /// Asks the agent who leads the servers: empty if nobody does, `None` if it does not say, as some do not. It answers at once if
    /// it lives.
    pub(crate) async fn leader(&self, limit: Duration) -> Result<Option<String>> {
        let request = self.request(Method::GET, self.url(&["status", "leader"], &[]), limit);
        let (status, _, body) = self.send(request, Asked::Read).await?;
        if status.is_server_error() {
            return Err(self.refused(status, &body, Asked::Read));
        }
        let text = String::from_utf8_lossy(&body);
        let leader = text.trim().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        Ok(leader.filter(|_| status == StatusCode::OK).map(str::to_owned))
    }
}

/// What is larger is no listing of flags.
const LARGEST_ANSWER: usize = 256 << 20;

fn index_in(headers: &HeaderMap) -> Option<u64> {
    headers.get("x-consul-index")?.to_str().ok()?.parse().ok()
}

fn late(asked: Asked) -> Error {
    unanswered(asked, "the agent's answer has stopped in the middle")
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}
