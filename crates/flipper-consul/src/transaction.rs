//! Transactions: the one way to read and write single keys that takes any name, and tells the version of what it has written.
//!
//! In the path of a URL, Consul rewrites `..` and `//`; and `?cas=` answers only whether it has happened.
//! See <https://developer.hashicorp.com/consul/api-docs/txn>.

use serde::{Deserialize, Serialize};

use crate::record::Entry;

#[derive(Serialize)]
pub(crate) struct Operation<'a> {
    #[serde(rename = "KV")]
    pub(crate) kv: Kv<'a>,
}

#[derive(Default, Serialize)]
pub(crate) struct Kv<'a> {
    #[serde(rename = "Verb")]
    pub(crate) verb: &'static str,
    #[serde(rename = "Key")]
    pub(crate) key: &'a str,
    #[serde(rename = "Value", skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    #[serde(rename = "Index", skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<u64>,
    #[serde(rename = "Namespace", skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<&'a str>,
    #[serde(rename = "Partition", skip_serializing_if = "Option::is_none")]
    pub(crate) partition: Option<&'a str>,
}

/// What came of it: a result of each operation, or none and what was wrong with some.
#[derive(Deserialize)]
pub(crate) struct Answer<'a> {
    #[serde(rename = "Results", borrow, default)]
    results: Option<Vec<Outcome<'a>>>,
    #[serde(rename = "Errors", borrow, default)]
    errors: Option<Vec<Refusal<'a>>>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(rename = "KV", borrow)]
    kv: Option<Entry<'a>>,
}

#[derive(Deserialize)]
pub(crate) struct Refusal<'a> {
    #[serde(rename = "OpIndex", default)]
    pub(crate) operation: usize,
    #[serde(rename = "What", borrow, default)]
    pub(crate) what: std::borrow::Cow<'a, str>,
}

impl<'a> Answer<'a> {
    /// Returns the keys that were read and written, or what was refused.
    pub(crate) fn outcome(self) -> Result<Vec<Entry<'a>>, Vec<Refusal<'a>>> {
        match self.errors {
            Some(errors) if !errors.is_empty() => Err(errors),
            _ => Ok(self.results.unwrap_or_default().into_iter().filter_map(|outcome| outcome.kv).collect()),
        }
    }
}
