//! Writing to a server that has flags in parts: by the methods of the published service.
//!
//! There is nothing that a write could be conditional on, so what is expected is read just before: a write by somebody else in between is
//! lost. The order of the calls is such that nobody ever sees a flag on without its conditions, whichever of them is the last
//! that gets through.

use flipper_core::{ErrorKind, Expect, Flag, FlagName, Result, Version, Versioned};

use super::server::{Server, conflict};
use crate::convert;
use crate::error::{of_reply, outcome_unknown};
use crate::wire::{Call, Code, Meta, Reply};

/// The state of a flag that has no version: what it is made of. The letter keeps it apart from those that servers make.
pub(crate) fn version(flag: &Flag) -> Version {
    Version::from_bytes([b"p", flag.as_json().as_bytes()].concat())
}

/// What is there; an error inside if it cannot be read.
type There = Result<Option<Versioned<Flag>>>;

async fn there(server: &Server, name: FlagName<'_>) -> Result<There> {
    match server.get(name).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Err(error)),
        found => found.map(Ok),
    }
}

fn expected(there: &There, expect: Expect<'_>) -> Result<()> {
    let holds = match (there, expect) {
        // What cannot be read can be replaced, by who does not care what it is.
        (_, Expect::Any) => true,
        (Ok(found), Expect::Absent) => found.is_none(),
        (Ok(Some(found)), Expect::Matches(version)) => found.version == *version,
        _ => false,
    };
    if holds { Ok(()) } else { Err(conflict()) }
}

pub(crate) async fn put(
    server: &Server,
    name: FlagName<'_>,
    flag: &Flag,
    expect: Expect<'_>,
) -> Result<Version> {
    let there = there(server, name).await?;
    expected(&there, expect)?;
    let after = convert::item(name.as_str(), flag)?;
    let (meta, is_on) = (complete(after.meta.unwrap_or_default()), flag.is_switched_on());
    let calls = Calls { server, name: server.key(name) };
    let mut has_written = false;
    let done = match there {
        Ok(None) => calls.create(&meta, is_on, &mut has_written).await,
        Ok(Some(before)) => {
            let before = &before.value;
            let is_same = complete(convert::meta(before)?) == meta;
            calls.change(before.is_switched_on(), is_on, (!is_same).then_some(&meta), &mut has_written).await
        }
        // Nobody knows whether it is on: off first, whatever it is.
        Err(_) => calls.change(true, is_on, Some(&meta), &mut has_written).await,
    };
    match done {
        Ok(()) => Ok(version(&convert::flag(name, &stored(name, &meta, is_on))?)),
        // A part of it may be there.
        Err(error) if has_written && error.kind() != ErrorKind::Conflict => Err(outcome_unknown(&error)),
        Err(error) => Err(error),
    }
}

pub(crate) async fn delete(server: &Server, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
    let there = there(server, name).await?;
    if matches!(there, Ok(None)) {
        return Ok(false);
    }
    expected(&there, expect)?;
    match server.call(&Call::Delete { name: server.key(name) }).await? {
        Reply::Nothing => Ok(true),
        Reply::Failed(exception) if exception.code == Code::NOT_FOUND => Ok(false),
        other => Err(of_reply(other, true)),
    }
}

/// With all that `SetMeta` replaces.
fn complete(meta: Meta) -> Meta {
    Meta {
        conditions: Some(meta.conditions.unwrap_or_default()),
        bucketer: Some(meta.bucketer.unwrap_or_else(|| br#"{"type": "NoOpBucketer"}"#.to_vec())),
        ..meta
    }
}

/// What the server has then.
fn stored(name: FlagName<'_>, meta: &Meta, is_on: bool) -> crate::wire::Item {
    crate::wire::Item {
        name: Some(name.as_str().as_bytes().to_vec()),
        is_enabled: Some(is_on),
        meta: Some(meta.clone()),
        ..crate::wire::Item::default()
    }
}

/// The calls of one write.
struct Calls<'s> {
    server: &'s Server,
    name: Vec<u8>,
}

impl Calls<'_> {
    /// Off, then its rules, then on if it is to be.
    async fn create(&self, meta: &Meta, is_on: bool, has_written: &mut bool) -> Result<()> {
        let (name, client_data) = (self.name.clone(), meta.client_data.clone());
        let reply = self.server.call(&Call::Create { name, is_enabled: Some(false), client_data }).await?;
        let Reply::Item(created) = reply else { return Err(of_reply(reply, true)) };
        *has_written = true;
        // The server has chosen a date of its own.
        if complete(created.meta.unwrap_or_default()) != *meta {
            self.set_meta(meta, has_written).await?;
        }
        if is_on { self.set(true, has_written).await } else { Ok(()) }
    }

    /// Its rules while it is off, so that nobody meets the old ones on or the new ones half.
    async fn change(
        &self,
        was_on: bool,
        is_on: bool,
        meta: Option<&Meta>,
        has_written: &mut bool,
    ) -> Result<()> {
        if was_on && !is_on {
            self.set(false, has_written).await?;
        }
        if let Some(meta) = meta {
            self.set_meta(meta, has_written).await?;
        }
        if is_on && !was_on { self.set(true, has_written).await } else { Ok(()) }
    }

    async fn set(&self, is_enabled: bool, has_written: &mut bool) -> Result<()> {
        self.write(Call::Set { name: self.name.clone(), is_enabled }, has_written).await
    }

    async fn set_meta(&self, meta: &Meta, has_written: &mut bool) -> Result<()> {
        self.write(Call::SetMeta { name: self.name.clone(), meta: meta.clone() }, has_written).await
    }

    async fn write(&self, call: Call, has_written: &mut bool) -> Result<()> {
        match self.server.call(&call).await? {
            Reply::Nothing => {
                *has_written = true;
                Ok(())
            }
            // Somebody has deleted it meanwhile.
            Reply::Failed(exception) if exception.code == Code::NOT_FOUND => Err(conflict()),
            other => Err(of_reply(other, true)),
        }
    }
}
