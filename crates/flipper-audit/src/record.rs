//! One change, as it is written down.

use std::fmt;

use flipper_core::events::{Edit, Outcome, Phase};
use flipper_core::json::Value;
use flipper_core::{Flag, Timestamp};

use crate::difference::{Difference, differences};
use crate::json;
use crate::redact::Redaction;

/// Says how a change became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// It was made by a client that is listened to.
    Client,
    /// It was made by somebody else, and an edit has met it.
    Read,
    /// It was made by somebody else, and the store has told it.
    Watch,
}

impl Source {
    /// Returns the source as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Read => "read",
            Self::Watch => "watch",
        }
    }

    #[cfg(feature = "log")]
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Client, Self::Read, Self::Watch].into_iter().find(|source| source.as_str() == word)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Holds one change of one flag: what a line of the audit log says, and what a sink is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// When the change was made, or, if somebody else made it, when it was seen.
    pub time: Timestamp,
    /// The flag.
    pub flag: String,
    /// What has happened to it: `create`, `enable`, `set_bucketer` and so on; several if one write did several things. `change` if it
    /// was somebody else who made it.
    pub events: Vec<String>,
    /// Who made it: see [`FeatureFlagClient::as_actor`](flipper_core::FeatureFlagClient::as_actor).
    pub actor: Option<String>,
    /// How it became known.
    pub source: Source,
    /// Which attempt it was, from 1 on.
    pub attempt: u32,
    /// How it has ended.
    pub outcome: Outcome,
    /// The flag's record before, without what is redacted; `None` if there was none, or none that could be read.
    pub before: Option<String>,
    /// Whether there was a record that could not be read.
    pub was_unreadable: bool,
    /// The flag's record after; `None` if it was deleted.
    pub after: Option<String>,
    /// What differs, if there is a record before and after.
    pub difference: Vec<Difference>,
}

impl Record {
    /// Writes down an edit.
    pub(crate) fn of_edit(edit: &Edit<'_>, outcome: Outcome, redaction: &Redaction) -> Self {
        let events = edit.changes.iter().map(|change| {
            let name = change.event_type(Phase::After).as_str();
            name.strip_prefix("post_").unwrap_or(name).to_owned()
        });
        let record = Self {
            time: edit.time,
            flag: edit.flag.to_owned(),
            events: events.collect(),
            actor: edit.actor.map(ToOwned::to_owned),
            source: Source::Client,
            attempt: edit.attempt,
            outcome,
            before: edit.before.map(|flag| redaction.shown(flag)),
            was_unreadable: edit.was_unreadable,
            after: edit.after.map(|flag| redaction.shown(flag)),
            difference: Vec::new(),
        };
        record.with_difference()
    }

    /// Writes down what somebody else has done, of whom nothing is known.
    #[cfg(feature = "log")]
    pub(crate) fn of_others(
        flag: &str,
        time: Timestamp,
        source: Source,
        before: Option<String>,
        after: Option<String>,
    ) -> Self {
        let event = match (&before, &after) {
            (None, _) => "create",
            (_, None) => "destroy",
            _ => "change",
        };
        let record = Self {
            time,
            flag: flag.to_owned(),
            events: vec![event.to_owned()],
            actor: None,
            source,
            attempt: 1,
            outcome: Outcome::Done,
            before,
            was_unreadable: false,
            after,
            difference: Vec::new(),
        };
        record.with_difference()
    }

    pub(crate) fn with_difference(mut self) -> Self {
        if let (Some(before), Some(after)) = (&self.before, &self.after)
            && let (Ok(before), Ok(after)) = (Value::parse(before), Value::parse(after))
        {
            self.difference = differences(&before, &after);
        }
        self
    }

    /// Returns whether the change has certainly been made.
    pub fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::NotReplicated)
    }

    /// Returns the flag as it was before; `None` if there was none, or none that can be read.
    pub fn flag_before(&self) -> Option<Flag> {
        read(&self.flag, self.before.as_deref())
    }

    /// Returns the flag as it was after; `None` if it was deleted.
    pub fn flag_after(&self) -> Option<Flag> {
        read(&self.flag, self.after.as_deref())
    }

    /// Appends the members of a JSON object, each after a comma.
    pub(crate) fn write_members(&self, out: &mut String) {
        json::member(out, "flag", |out| json::text(out, &self.flag));
        json::member(out, "events", |out| json::list(out, &self.events, |out, event| json::text(out, event)));
        json::member(out, "actor", |out| {
            json::option(out, self.actor.as_ref(), |out, actor| json::text(out, actor));
        });
        json::member(out, "source", |out| json::text(out, self.source.as_str()));
        json::member(out, "attempt", |out| out.push_str(&self.attempt.to_string()));
        json::member(out, "outcome", |out| json::text(out, self.outcome.as_str()));
        json::member(out, "before", |out| {
            json::option(out, self.before.as_ref(), |out, record| json::embed(out, record));
        });
        if self.was_unreadable {
            json::member(out, "was_unreadable", |out| out.push_str("true"));
        }
        json::member(out, "after", |out| {
            json::option(out, self.after.as_ref(), |out, record| json::embed(out, record));
        });
        json::member(out, "difference", |out| json::list(out, &self.difference, difference));
    }

    /// Returns the change as a JSON object, in one line.
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"time\":");
        json::text(&mut out, &crate::time::write(self.time));
        self.write_members(&mut out);
        out.push('}');
        out
    }
}

fn difference(out: &mut String, difference: &Difference) {
    out.push_str("{\"path\":");
    json::text(out, &difference.path);
    for (name, value) in [("from", &difference.from), ("to", &difference.to)] {
        if let Some(value) = value {
            // Within a line, a value is three levels deeper than by itself.
            json::member(out, name, |out| json::embed_within(out, &value.to_json(), 190));
        }
    }
    out.push('}');
}

pub(crate) fn read(name: &str, record: Option<&str>) -> Option<Flag> {
    let name = flipper_core::FlagName::new(name).ok()?;
    Flag::read(name, record?.as_bytes()).ok()
}
