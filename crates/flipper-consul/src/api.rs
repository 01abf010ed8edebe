//! The requests.

use std::time::Duration;

use flipper_core::{Error, ErrorKind, Result};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};

use crate::builder::Consistency;
use crate::error::{Asked, error, no_consul, of_status, of_transport, shown};
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

    fn request(&self, method: Method, url: Url, limit: Duration) -> RequestBuilder {
        self.client.request(method, url).headers(self.headers.clone()).timeout(limit)
    }

    async fn send(&self, request: RequestBuilder, asked: Asked) -> Result<(StatusCode, HeaderMap, Vec<u8>)> {
        let sent = async {
            let mut response = request.send().await?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            Ok((status, headers, response.bytes().await?.to_vec()))
        };
        sent.await.map_err(|failure| {
            of_transport(failure, asked).map_message(|message| format!("{}: {message}", self.shown))
        })
    }

    /// Reads all keys below a prefix; if there is an index, once something is newer than that, or the time is up.
    pub(crate) async fn tree(&self, prefix: &str, since: Option<(u64, Duration)>) -> Result<Tree> {
        let (index, wait, mut limit);
        let mut query = vec![("recurse", "true")];
        match self.consistency {
            Consistency::Default => {}
            Consistency::Consistent => query.push(("consistent", "true")),
            Consistency::Stale => query.push(("stale", "true")),
        }
        limit = self.timeout;
        if let Some((known, time)) = since {
            (index, wait) = (known.to_string(), format!("{}ms", time.as_millis()));
            query.extend([("index", index.as_str()), ("wait", wait.as_str())]);
            // The servers add up to a sixteenth, so that not all queries end together.
            limit += time + time / 16;
        }
        // The last segment is empty: so it ends in a slash, and neighbours do not belong to it.
        let path: Vec<&str> = ["kv"].into_iter().chain(prefix.split('/')).collect();
        let request = self.request(Method::GET, self.url(&path, &query), limit);
        let (status, headers, body) = self.send(request, Asked::Read).await?;
        let index = headers.get("x-consul-index").and_then(|value| value.to_str().ok()?.parse().ok());
        match (status, index) {
            (StatusCode::OK, Some(index)) => Ok(Tree { index, body }),
            (StatusCode::NOT_FOUND, Some(index)) => {
                self.check_rights(prefix).await?;
                Ok(Tree { index, body: b"[]".to_vec() })
            }
            (StatusCode::OK, None) => Err(no_consul(Asked::Read)),
            _ => Err(of_status(status, &String::from_utf8_lossy(&body), Asked::Read)),
        }
    }

    /// Finds out whether there is nothing, or nothing that we may see: in listings and transactions both look the same, but
    /// not in a read of one key, for which the prefix itself is taken.
    pub(crate) async fn check_rights(&self, prefix: &str) -> Result<()> {
        let path: Vec<&str> = ["kv"].into_iter().chain(prefix.split('/')).collect();
        let request = self.request(Method::GET, self.url(&path, &[]), self.timeout);
        let (status, _, body) = self.send(request, Asked::Read).await?;
        match status {
            // A folder of Consul's user interface.
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            StatusCode::FORBIDDEN => {
                let message = format!("the token may not read below `{prefix}`");
                Err(error(ErrorKind::PermissionDenied, message))
            }
            _ => Err(of_status(status, &String::from_utf8_lossy(&body), Asked::Read)),
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
        let consistency: &[_] = match self.consistency {
            Consistency::Consistent => &[("consistent", "true")],
            // What is read to be edited, or to find out what has happened, comes from the leader.
            Consistency::Default | Consistency::Stale => &[],
        };
        let request = self.request(Method::PUT, self.url(&["txn"], consistency), self.timeout);
        let (status, _, body) = self.send(request.body(body), asked).await?;
        // A conflict is what Consul calls any operation that could not be carried out.
        if !matches!(status, StatusCode::OK | StatusCode::CONFLICT) {
            return Err(of_status(status, &String::from_utf8_lossy(&body), asked));
        }
        let answer: Answer<'_> = serde_json::from_slice(&body).map_err(|_| {
            // Some errors of servers come with this status, and as text.
            if status == StatusCode::CONFLICT {
                of_status(StatusCode::INTERNAL_SERVER_ERROR, &shown(&String::from_utf8_lossy(&body)), asked)
            } else {
                no_consul(asked)
            }
        })?;
        Ok(read(answer))
    }

    /// Asks the agent who leads the servers; empty if nobody does. It answers at once if it lives.
    pub(crate) async fn leader(&self, limit: Duration) -> Result<String> {
        let request = self.request(Method::GET, self.url(&["status", "leader"], &[]), limit);
        let (status, _, body) = self.send(request, Asked::Read).await?;
        let text = String::from_utf8_lossy(&body);
        if status != StatusCode::OK {
            return Err(of_status(status, &text, Asked::Read));
        }
        Ok(text.trim().trim_matches('"').to_owned())
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What is refused, as an error: all that is neither missing nor in conflict.
pub(crate) fn refused(what: &str, asked: Asked) -> Error {
    of_status(StatusCode::INTERNAL_SERVER_ERROR, what, asked)
}
