//! Writing to a server that has flags in parts: by the methods of the published service.
//!
//! There is nothing that a write could be conditional on, so what is expected is read just before: a write by somebody else in between is
//! lost. The order of the calls is such that nobody ever sees a flag on without its conditions, whichever of them is the last
//! that gets through.

use flipper_core::{Error, ErrorKind, Expect, Flag, FlagName, Result, Version, Versioned};

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

/// `None` if the server turns out to have whole records: nothing was written then.
pub(crate) async fn put(
    server: &Server,
    name: FlagName<'_>,
    flag: &Flag,
    expect: Expect<'_>,
) -> Result<Option<Version>> {
    let there = there(server, name).await?;
    if matches!(there, Ok(None)) {
        // That there is nothing looks alike on both kinds, and `Create` would replace whatever there is by then.
        server.describe().await?;
    }
    if server.has_been_records() {
        return Ok(None);
    }
    expected(&there, expect)?;
    let after = convert::item(name.as_str(), flag)?;
    let (meta, is_on) = (complete(after.meta.unwrap_or_default()), flag.is_switched_on());
    // What is read afterwards, which has to be a flag.
    let stored = convert::flag(name, &stored(name, &meta, is_on))
        .map_err(|error| Error::new(ErrorKind::InvalidInput, error.message().to_owned()))?;
    let mut calls = Calls { server, name: server.key(name), has_written: false, not_replicated: None };
    let done = match there {
        Ok(None) => calls.create(&meta, is_on).await,
        Ok(Some(before)) => {
            let before = &before.value;
            let is_same = complete(convert::meta(before)?) == meta;
            calls.change(before.is_switched_on(), is_on, (!is_same).then_some(&meta)).await
        }
        Err(_) => calls.replace(&meta, is_on).await,
    };
    match (done, calls.not_replicated) {
        (Ok(()), None) => Ok(Some(version(&stored))),
        // A part of it may be there.
        (Err(error), _) if calls.has_written && error.kind() != ErrorKind::Conflict => {
            Err(outcome_unknown(&error))
        }
        (Ok(()), Some(error)) | (Err(error), _) => Err(error),
    }
}

/// The same, of a deletion.
pub(crate) async fn delete(server: &Server, name: FlagName<'_>, expect: Expect<'_>) -> Result<Option<bool>> {
    let there = there(server, name).await?;
    if server.has_been_records() {
        return Ok(None);
    }
    if matches!(there, Ok(None)) {
        return Ok(Some(false));
    }
    expected(&there, expect)?;
    match server.call(&Call::Delete { name: server.key(name) }).await? {
        Reply::Nothing => Ok(Some(true)),
        Reply::Failed(exception) if exception.code == Code::NOT_FOUND => Ok(Some(false)),
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
    /// Whether one of them was made.
    has_written: bool,
    /// What was said of one that was made, and of which fewer copies were confirmed than were asked for.
    not_replicated: Option<Error>,
}

impl Calls<'_> {
    /// Off, then its rules, then on if it is to be.
    async fn create(&mut self, meta: &Meta, is_on: bool) -> Result<()> {
        let (name, client_data) = (self.name.clone(), meta.client_data.clone());
        let call = Call::Create { name, is_enabled: Some(false), client_data };
        let created = match self.server.call(&call).await? {
            Reply::Item(created) => created.meta.unwrap_or_default(),
            other => {
                self.made(other)?;
                Meta::default()
            }
        };
        self.has_written = true;
        // The server has chosen a date of its own.
        if complete(created) != *meta {
            self.set_meta(meta).await?;
        }
        if is_on { self.set(true).await } else { Ok(()) }
    }

    /// Its rules while it is off, so that nobody meets the old ones on or the new ones half.
    async fn change(&mut self, was_on: bool, is_on: bool, meta: Option<&Meta>) -> Result<()> {
        if was_on && !is_on {
            self.set(false).await?;
        }
        if let Some(meta) = meta {
            self.set_meta(meta).await?;
        }
        if is_on && !was_on { self.set(true).await } else { Ok(()) }
    }

    /// Of one that cannot be read, nobody knows whether it is on: it is off meanwhile.
    async fn replace(&mut self, meta: &Meta, is_on: bool) -> Result<()> {
        self.set(false).await?;
        self.set_meta(meta).await?;
        if is_on { self.set(true).await } else { Ok(()) }
    }

    async fn set(&mut self, is_enabled: bool) -> Result<()> {
        self.write(Call::Set { name: self.name.clone(), is_enabled: Some(is_enabled) }).await
    }

    async fn set_meta(&mut self, meta: &Meta) -> Result<()> {
        self.write(Call::SetMeta { name: self.name.clone(), meta: meta.clone() }).await
    }

    async fn write(&mut self, call: Call) -> Result<()> {
        match self.server.call(&call).await? {
            Reply::Nothing => {}
            // Somebody has deleted it meanwhile.
            Reply::Failed(exception) if exception.code == Code::NOT_FOUND => return Err(conflict()),
            other => self.made(other)?,
        }
        self.has_written = true;
        Ok(())
    }

    /// Takes note of a call that was made, though not as safely as was asked for; anything else is an error.
    fn made(&mut self, reply: Reply) -> Result<()> {
        let error = of_reply(reply, true);
        if error.kind() != ErrorKind::NotReplicated {
            return Err(error);
        }
        self.not_replicated = Some(error);
        Ok(())
    }
}
