//! Bucketers: who gets a flag, where no condition has decided.

use crate::Percentage;
use crate::json::{Sink, Text, Value, separate, write_text, write_value};

/// Decides who gets an enabled flag, where no condition has decided.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Percentage};
///
/// // Each check draws anew.
/// let ten_percent = Bucketer::percentage(Percentage::new(0.1)?);
/// // Each user always gets the same answer.
/// let half_of_the_users = Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]);
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Bucketer {
    /// Everybody gets the flag.
    #[default]
    NoOp,
    /// Each check draws a random number, and is on when it does not exceed the percentage.
    Percentage(Percentage),
    /// What the context says decides: equal attributes always give the same answer.
    ConsistentHash(ConsistentHash),
    /// A bucketer of a newer writer, as it is stored. Where the answer depends on it, the caller's default is given.
    Unknown(Value),
}

impl Bucketer {
    /// Makes a bucketer that decides each check by a random number.
    pub fn percentage(percentage: Percentage) -> Self {
        Self::Percentage(percentage)
    }

    /// Makes a bucketer that decides by a hash of the context's attributes of the names in `key_whitelist`, or of
    /// all attributes if that is empty.
    ///
    /// Name the attributes. Without a list, an attribute that a caller adds to its context moves its users to other
    /// buckets. With one, a context that has none of the names is in bucket 32, as is every other such context.
    pub fn consistent_hash<K: Into<Text>>(
        percentage: Percentage,
        key_whitelist: impl IntoIterator<Item = K>,
    ) -> Self {
        let names = key_whitelist.into_iter().map(Into::into).collect();
        Self::ConsistentHash(ConsistentHash::new(percentage, names, Vec::new()))
    }

    /// Returns the percentage of a bucketer that has one.
    pub fn as_percentage(&self) -> Option<&Percentage> {
        match self {
            Self::Percentage(percentage) => Some(percentage),
            Self::ConsistentHash(hash) => Some(&hash.percentage),
            Self::NoOp | Self::Unknown(_) => None,
        }
    }

    pub(crate) fn write(&self, out: &mut impl Sink) {
        match self {
            Self::NoOp => out.put(b"{\"type\": \"NoOpBucketer\"}"),
            Self::Percentage(percentage) => {
                out.put(b"{\"type\": \"PercentageBucketer\", \"percentage\": ");
                percentage.write(out);
                out.put(b"}");
            }
            Self::ConsistentHash(hash) => {
                out.put(b"{\"type\": \"ConsistentHashPercentageBucketer\", \"percentage\": ");
                hash.percentage.write(out);
                out.put(b", \"key_whitelist\": [");
                let names = hash.keys.iter().map(|key| Value::String(key.name.clone()));
                for (at, name) in names.chain(hash.no_names.iter().cloned()).enumerate() {
                    separate(at, out);
                    let _ = write_value(&name, out);
                }
                out.put(b"]}");
            }
            Self::Unknown(stored) => {
                // It was read, so it is not too deep.
                let _ = write_value(stored, out);
            }
        }
    }
}

/// Holds the parameters of consistent hashing.
///
/// # Examples
///
/// ```
/// use flipper_core::{Bucketer, Percentage};
///
/// let bucketer = Bucketer::consistent_hash(Percentage::new(0.5)?, ["user_id"]);
/// let Bucketer::ConsistentHash(hash) = &bucketer else { panic!("it is one") };
/// assert_eq!(hash.key_whitelist().next().and_then(|name| name.as_str()), Some("user_id"));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConsistentHash {
    pub(crate) percentage: Percentage,
    /// How many buckets get the flag, if the percentage is fixed.
    pub(crate) fixed_buckets: Option<u8>,
    /// Sorted by code point, each name once: the order in which they are hashed.
    pub(crate) keys: Box<[Key]>,
    /// What is stored among the names and is no text: it matches nothing, but limits what is hashed.
    no_names: Box<[Value]>,
}

/// A name of the whitelist.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: Text,
    /// `, ["name", ` as it is hashed.
    pub(crate) prefix: Text,
}

impl ConsistentHash {
    pub(crate) fn new(percentage: Percentage, mut names: Vec<Text>, no_names: Vec<Value>) -> Self {
        names.sort_unstable();
        names.dedup();
        let keys = names.into_iter().map(|name| {
            let mut prefix = Vec::with_capacity(name.as_wtf8().len() + 16);
            prefix.extend_from_slice(b", [");
            write_text(name.as_wtf8(), &mut prefix);
            prefix.extend_from_slice(b", ");
            Key { name, prefix: Text::from_wtf8(prefix) }
        });
        Self {
            fixed_buckets: percentage.fixed_buckets(),
            percentage,
            keys: keys.collect(),
            no_names: no_names.into(),
        }
    }

    /// Whether only some attributes are hashed.
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        !self.keys.is_empty() || !self.no_names.is_empty()
    }

    /// The names, if nothing but names limits what is hashed.
    pub(crate) fn only_keys(&self) -> Option<&[Key]> {
        (!self.keys.is_empty() && self.no_names.is_empty()).then_some(&self.keys)
    }

    /// Returns the share of the 100 buckets that get the flag.
    pub fn percentage(&self) -> &Percentage {
        &self.percentage
    }

    /// Returns the names of the attributes that are hashed, sorted; none means all.
    pub fn key_whitelist(&self) -> impl Iterator<Item = &Text> {
        self.keys.iter().map(|key| &key.name)
    }
}
