//! Comparing a replica with the primary, and repairing either.

use std::collections::HashMap;

use flipper_core::{Error, ErrorKind, Expect, Flag, FlagName, Listed, Page, Result, Store, Versioned};
use futures_lite::StreamExt;

use crate::queue::State;
use crate::replica::Replica;
use crate::status::Difference;
use crate::tell::{Trouble, tell};

/// A primary without flags is not believed if the replica has so many.
const EMPTIED_FROM: usize = 2;

/// What differs, and whether the primary has nothing where the replica has several flags.
pub(crate) struct Compared {
    pub(crate) differences: Vec<Difference>,
    pub(crate) is_emptied: bool,
}

/// Compares all flags. What differs in the listings is read once more of both, as it may have changed while they were listed.
pub(crate) async fn compare(primary: &dyn Store, replica: &Replica) -> Result<Compared> {
    let in_replica = |error: Error| {
        error.map_message(|message| format!("replica {:?} cannot be read: {message}", replica.name))
    };
    // Read first: what is created meanwhile is missing then, and is found to be there.
    let mut copies = HashMap::new();
    let mut listing = replica.store.list(Page::ALL);
    while let Some(listed) = listing.next().await {
        match listed.map_err(in_replica)? {
            Listed::Flag(found) => _ = copies.insert(found.value.name().to_owned(), Some(found.value)),
            Listed::Bad { name, .. } => _ = copies.insert(name.into(), None),
            _ => {}
        }
    }
    drop(listing);
    let (count, mut originals) = (copies.len(), 0);
    let is_whole = primary.capabilities().whole_records && replica.store.capabilities().whole_records;
    let mut suspects = Vec::new();
    let mut listing = primary.list(Page::ALL);
    while let Some(listed) = listing.next().await {
        originals += 1;
        match listed? {
            Listed::Flag(found) => {
                let name = found.value.name();
                let copy = copies.remove(name).flatten();
                if !copy.is_some_and(|copy| is_copy(&copy, &found.value, is_whole)) {
                    suspects.push(name.to_owned());
                }
            }
            Listed::Bad { name, .. } => {
                copies.remove(&*name);
                suspects.push(name.into());
            }
            _ => {}
        }
    }
    drop(listing);
    suspects.extend(copies.into_keys());
    suspects.sort_unstable();
    let mut differences = Vec::new();
    for name in suspects {
        // A record under a name that no flag can have is nobody's copy.
        if let Ok(legal) = FlagName::new(&name)
            && let Some(difference) = difference(primary, replica, legal, is_whole).await?
        {
            differences.push(difference);
        }
    }
    Ok(Compared { differences, is_emptied: originals == 0 && count >= EMPTIED_FROM })
}

async fn difference(
    primary: &dyn Store,
    replica: &Replica,
    name: FlagName<'_>,
    is_whole: bool,
) -> Result<Option<Difference>> {
    let owned = || name.as_str().to_owned();
    let original = match primary.get(name).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            return Ok(Some(Difference::Unreadable { name: owned() }));
        }
        read => read?,
    };
    let copy = match replica.store.get(name).await {
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        read => Some(read?),
    };
    Ok(match (original, copy) {
        (None, Some(None)) => None,
        (None, _) => Some(Difference::Extra { name: owned() }),
        (Some(_), Some(None)) => Some(Difference::Missing { name: owned() }),
        (Some(Versioned { value: original, .. }), Some(Some(copy)))
            if is_copy(&copy.value, &original, is_whole) =>
        {
            None
        }
        (Some(_), _) => Some(Difference::Different { name: owned() }),
    })
}

/// Whether two records are the same; where one of the stores takes flags to pieces, whether they mean the same.
fn is_copy(copy: &Flag, original: &Flag, is_whole: bool) -> bool {
    copy.as_json() == original.as_json()
        || !is_whole
            && copy.is_switched_on() == original.is_switched_on()
            && copy.conditions() == original.conditions()
            && copy.bucketer() == original.bucketer()
            && copy.client_data() == original.client_data()
            && copy.created_date() == original.created_date()
}

/// Makes a replica what the primary is; returns what differed.
pub(crate) async fn repair(
    primary: &dyn Store,
    replica: &Replica,
) -> std::result::Result<Vec<Difference>, Trouble> {
    let Compared { differences, is_emptied } = compare(primary, replica).await.map_err(Trouble::Again)?;
    if is_emptied {
        return Err(Trouble::Never(emptied(&replica.name)));
    }
    for difference in &differences {
        if !matches!(difference, Difference::Unreadable { .. }) {
            match tell(primary, replica, difference.name(), &mut State::Unknown).await {
                // The others are no worse for it.
                Err(Trouble::Never(error)) => {
                    log::warn!(target: "flipper::replicated", "{}: not repaired: {error}", replica.name);
                }
                told => told?,
            }
        }
    }
    Ok(differences)
}

fn emptied(replica: &str) -> Error {
    let message = format!(
        "the primary has no flags at all, and replica {replica:?} has several: if the primary has lost its data, `restore` brings them \
         back; if not, delete them in the replica"
    );
    Error::new(ErrorKind::Conflict, message).with_retryable(false)
}

/// Gives the primary the flags that it lacks; returns their names. What it has stays as it is.
pub(crate) async fn restore(primary: &dyn Store, replica: &Replica) -> Result<Vec<String>> {
    let mut restored = Vec::new();
    let mut listing = replica.store.list(Page::ALL);
    while let Some(listed) = listing.next().await {
        match listed? {
            Listed::Flag(found) => match primary.put(&found.value, Expect::Absent).await {
                Ok(_) => restored.push(found.value.name().to_owned()),
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            },
            Listed::Bad { name, error, .. } => {
                log::warn!(target: "flipper::replicated", "{name:?} is not restored: {error}");
            }
            _ => {}
        }
    }
    Ok(restored)
}
