//! What an edit changes, and the events that say so.

use crate::events::Payload;
use crate::json::{Object, Value};
use crate::store::{Expect, Version, Versioned};
use crate::{Bucketer, Condition, Error, ErrorKind, Flag, Result};

/// What an edit starts from.
pub(super) enum Current {
    Flag(Versioned<Flag>),
    Absent,
    /// There is a record that cannot be read.
    Corrupt(Error),
}

impl Current {
    /// The flag, which an edit of an existing flag needs.
    pub(super) fn flag(&self) -> Result<&Flag> {
        match self {
            Self::Flag(found) => Ok(&found.value),
            Self::Absent => Err(Error::new(ErrorKind::NotFound, "there is no such flag: create it first")),
            Self::Corrupt(error) => Err(error.clone()),
        }
    }

    pub(super) fn readable(&self) -> Option<&Flag> {
        match self {
            Self::Flag(found) => Some(&found.value),
            Self::Absent | Self::Corrupt(_) => None,
        }
    }

    pub(super) fn version(&self) -> Option<&Version> {
        match self {
            Self::Flag(found) => Some(&found.version),
            Self::Absent => None,
            Self::Corrupt(error) => error.version(),
        }
    }

    /// What a write that starts from here expects.
    pub(super) fn expect(&self) -> Expect<'_> {
        match (self, self.version()) {
            (Self::Absent, _) => Expect::Absent,
            (_, Some(version)) => Expect::Matches(version),
            // A record that cannot be read, of a store that cannot tell its version.
            (_, None) => Expect::Any,
        }
    }
}

/// What an edit wants to be stored.
#[derive(Clone)]
pub(super) enum Target {
    Put(Flag),
    Delete,
}

impl Target {
    /// Whether this is what is stored.
    pub(super) fn is(&self, current: &Current) -> bool {
        match (self, current) {
            (Self::Put(flag), Current::Flag(found)) => found.value.as_json() == flag.as_json(),
            (Self::Delete, Current::Absent) => true,
            _ => false,
        }
    }

    pub(super) fn flag(&self) -> Option<&Flag> {
        match self {
            Self::Put(flag) => Some(flag),
            Self::Delete => None,
        }
    }
}

/// One attempt, worked out from what was read.
pub(super) struct Plan {
    pub(super) target: Target,
    /// What the events of this attempt say, in order.
    pub(super) changes: Vec<Change>,
}

impl Plan {
    pub(super) fn put(flag: Flag, changes: Vec<Change>) -> Self {
        Self { target: Target::Put(flag), changes }
    }
}

/// The payload of an event, with what it is about.
pub(super) enum Change {
    Create { is_enabled: bool, client_data: Object },
    Enable,
    Disable,
    Destroy,
    AddCondition(Condition),
    SetConditions(Vec<Condition>),
    SetClientData(Object),
    SetBucketer(Bucketer),
}

impl Change {
    pub(super) fn payload(&self) -> Payload<'_> {
        match self {
            Self::Create { is_enabled, client_data } => {
                Payload::Create { is_enabled: *is_enabled, client_data }
            }
            Self::Enable => Payload::Enable,
            Self::Disable => Payload::Disable,
            Self::Destroy => Payload::Destroy,
            Self::AddCondition(condition) => Payload::AddCondition(condition),
            Self::SetConditions(conditions) => Payload::SetConditions(conditions),
            Self::SetClientData(data) => Payload::SetClientData(data),
            Self::SetBucketer(bucketer) => Payload::SetBucketer(bucketer),
        }
    }

    pub(super) fn switched(is_on: bool) -> Self {
        if is_on { Self::Enable } else { Self::Disable }
    }

    /// Finds what an edit of the caller's own has changed: at most one event of each aspect. What has no event of its own, such as
    /// the date, is told as a change of the client data, so that whoever keeps a log learns of it.
    pub(super) fn between(before: &Flag, after: &Flag) -> Vec<Self> {
        let mut changes = Vec::new();
        if before.is_switched_on() != after.is_switched_on() {
            changes.push(Self::switched(after.is_switched_on()));
        }
        if before.conditions() != after.conditions() {
            changes.push(match after.conditions().split_last() {
                Some((added, kept)) if kept == before.conditions() => Self::AddCondition(added.clone()),
                _ => Self::SetConditions(after.conditions().to_vec()),
            });
        }
        let data = client_data(after);
        if client_data(before) != data {
            changes.push(Self::SetClientData(data));
        }
        if before.bucketer() != after.bucketer() {
            changes.push(Self::SetBucketer(after.bucketer().clone()));
        }
        if changes.is_empty() && before.as_json() != after.as_json() {
            changes.push(Self::SetClientData(client_data(after)));
        }
        changes
    }
}

/// The client data of a flag; nothing if the record has something else than an object there.
pub(super) fn client_data(flag: &Flag) -> Object {
    match flag.client_data() {
        Value::Object(data) => data,
        _ => Object::default(),
    }
}
