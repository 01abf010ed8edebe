//! The methods of the published service, as flipper-client uses them.

use flipper_core::{Error, ErrorKind, FeatureFlagClient, Flag, Page, Peek, Result, Timestamp};

use super::answer::{flag_name, not_found};
use crate::convert;
use crate::wire::{Item, Meta, Reply};

/// Creates a flag, or replaces the one that is there, which flipper-client relies on; and returns it. A switch that is left out counts as on, as
/// in items; it is left out of the answer, too.
pub(crate) async fn create(
    client: &FeatureFlagClient,
    name: &[u8],
    is_enabled: Option<bool>,
    client_data: Option<Vec<u8>>,
) -> Result<Reply> {
    let name = flag_name(name)?;
    let data = convert::client_data(client_data.as_deref())?;
    client.create_or_replace(name.as_str(), is_enabled.unwrap_or(true), data).await?;
    // It is there, whatever becomes of reading it.
    let unknown = |error: Error| {
        let message = format!("the flag was created, and cannot be read: {}", error.message());
        Error::new(ErrorKind::OutcomeUnknown, message)
    };
    match client.store().get(name).await.map_err(unknown)? {
        Some(found) => {
            let created = convert::item(name.as_str(), &found.value)?;
            Ok(Reply::Item(Box::new(Item { is_enabled: is_enabled.and(created.is_enabled), ..created })))
        }
        None => Err(Error::new(ErrorKind::NotFound, "the flag was deleted as soon as it was created")),
    }
}

/// Reads a flag. While the store cannot be asked, it is what the store has in memory: whoever checks a flag gets an answer.
pub(crate) async fn get(client: &FeatureFlagClient, name: &[u8]) -> Result<Reply> {
    let name = flag_name(name)?;
    match client.store().get(name).await {
        Ok(Some(found)) => item(name.as_str(), &found.value),
        Ok(None) => Err(not_found(name)),
        Err(error) if error.is_retryable() => {
            let mut known = Err(error);
            client.store().peek(name.as_str(), &mut |peek| match peek {
                Peek::Hit { flag, .. } => known = item(name.as_str(), flag),
                Peek::KnownAbsent { .. } => known = Err(not_found(name)),
                _ => {}
            });
            known
        }
        Err(error) => Err(error),
    }
}

fn item(name: &str, flag: &Flag) -> Result<Reply> {
    Ok(Reply::Item(Box::new(convert::item(name, flag)?)))
}

/// Switches a flag on or off.
///
/// One that is not there is created if it is to be off, as flipper-client's stores do. It is not if it is to be on: whoever enables a flag that
/// was deleted a moment ago would switch it on for everybody, without the conditions that it had.
pub(crate) async fn set(client: &FeatureFlagClient, name: &[u8], is_enabled: Option<bool>) -> Result<Reply> {
    let name = flag_name(name)?;
    let missing = || Error::new(ErrorKind::InvalidInput, "`is_enabled` is missing: is it to be on or off?");
    let is_enabled = is_enabled.ok_or_else(missing)?;
    let switched = if is_enabled {
        client.enable(name.as_str()).await
    } else {
        match client.disable(name.as_str()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match client.create(name.as_str()).await.map(drop) {
                    // By somebody else, who may have switched it on.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                        client.disable(name.as_str()).await
                    }
                    created => created,
                }
            }
            switched => switched,
        }
    };
    match switched {
        Ok(()) => Ok(Reply::Nothing),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(name)),
        Err(error) => Err(error),
    }
}

/// Deletes a flag, if there is one.
pub(crate) async fn delete(client: &FeatureFlagClient, name: &[u8]) -> Result<Reply> {
    match client.destroy(flag_name(name)?.as_str()).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(Reply::Nothing),
    }
}

/// Replaces what belongs to a flag besides its switch. What a newer writer has put there stays.
pub(crate) async fn set_meta(client: &FeatureFlagClient, name: &[u8], meta: &Meta) -> Result<Reply> {
    let name = flag_name(name)?;
    let meta = convert::meta_object(meta)?;
    match client.update(name.as_str(), |flag| flag.merge_meta(&meta)).await {
        Ok(()) => Ok(Reply::Nothing),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_found(name)),
        Err(error) => Err(error),
    }
}

/// An item of a listing, unless flipper-client could not read it: its `list` would end there.
pub(crate) fn listed(flag: &Flag) -> Result<Item> {
    flag.rewritten_by_flipper_client(Timestamp::now())?;
    convert::item(flag.name(), flag)
}

/// What `List` asks for; `None` if that is nothing. An offset below zero is none.
pub(crate) fn page(limit: Option<i64>, offset: i64) -> Option<Page> {
    let limit = match limit {
        None => None,
        Some(..=0) => return None,
        Some(limit) => Some(usize::try_from(limit).unwrap_or(usize::MAX)),
    };
    Some(Page { limit, offset: usize::try_from(offset).unwrap_or(0) })
}
