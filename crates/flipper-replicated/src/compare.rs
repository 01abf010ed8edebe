//! Comparing a replica with the primary, and repairing either.

use std::collections::{HashMap, HashSet};

use flipper_core::{Error, ErrorKind, Flag, FlagName, Listed, Page, Result, Store, Versioned};
use futures_lite::StreamExt;

use crate::replica::Replica;
use crate::status::Difference;
use crate::tell::Trouble;

/// A primary without flags is not believed if the replica has so many.
const EMPTIED_FROM: usize = 2;

/// Compares all flags. What differs in the listings is read once more of both, as it may have changed while they were listed.
pub(crate) async fn compare(primary: &dyn Store, replica: &Replica) -> Result<Vec<Difference>> {
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
    let is_whole = primary.capabilities().whole_records && replica.store.capabilities().whole_records;
    let mut suspects = Vec::new();
    let mut listing = primary.list(Page::ALL);
    while let Some(listed) = listing.next().await {
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
    Ok(differences)
}

async fn difference(
    primary: &dyn Store,
    replica: &Replica,
    name: FlagName<'_>,
    is_whole: bool,
) -> Result<Option<Difference>> {
    let owned = || name.as_str().to_owned();
    let original = match primary.get(name).await {
        // What is wrong with one record is no reason to know nothing of the others.
        Err(error) if is_of_one_record(&error) => {
            return Ok(Some(Difference::Unreadable { name: owned() }));
        }
        read => read?,
    };
    let copy = match replica.store.get(name).await {
        Err(error) if is_of_one_record(&error) => None,
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

fn is_of_one_record(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::InvalidInput | ErrorKind::Unsupported)
}

/// What becomes of flags that only the replica has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Extra {
    /// They are deleted, as somebody has asked for that.
    Deleted,
    /// They are deleted, unless the primary was found emptied, or is being restored.
    KeptIfInDoubt,
}

/// Has a replica told what differs; returns that.
pub(crate) async fn repair(
    primary: &dyn Store,
    replica: &Replica,
    extra: Extra,
) -> std::result::Result<Vec<Difference>, Trouble> {
    let trouble = |error: Error| {
        if error.is_retryable() { Trouble::Again(error) } else { Trouble::Later(error) }
    };
    let failures = replica.failures();
    let differences = compare(primary, replica).await.map_err(trouble)?;
    let is_extra = |difference: &Difference| matches!(difference, Difference::Extra { .. });
    // What the replica will be told anyway says nothing of what the primary has lost.
    let is_lost = |difference: &&Difference| is_extra(difference) && !replica.lacks(difference.name());
    let lost = differences.iter().filter(is_lost).count();
    let is_being_restored = replica.is_restoring() && differences.iter().any(is_extra);
    let is_emptied = if is_being_restored && extra == Extra::Deleted {
        return Err(Trouble::Never(emptied(&replica.name)));
    } else if is_being_restored || lost > 0 && extra == Extra::KeptIfInDoubt && replica.keeps_extra() {
        // However few are left: what the primary has by now does not tell what it has lost.
        true
    } else if lost >= EMPTIED_FROM && is_empty(primary).await.map_err(trouble)? {
        // Looked at once more, after everything: it may have been emptied while it was listed.
        replica.keep_extra(true);
        return Err(Trouble::Never(emptied(&replica.name)));
    } else {
        replica.keep_extra(false);
        false
    };
    let (mut unreadable, mut different) = (HashSet::new(), Vec::new());
    for difference in &differences {
        match difference {
            Difference::Unreadable { name } => _ = unreadable.insert(name.as_str()),
            _ if is_emptied && is_extra(difference) => {}
            _ => different.push(difference.name()),
        }
    }
    replica.add_different(different.into_iter(), &unreadable, failures);
    if is_emptied { Err(Trouble::Never(emptied(&replica.name))) } else { Ok(differences) }
}

async fn is_empty(store: &dyn Store) -> Result<bool> {
    let first = store.list(Page { limit: Some(1), offset: 0 }).next().await.transpose()?;
    Ok(first.is_none())
}

fn emptied(replica: &str) -> Error {
    let message = format!(
        "the primary was found without any flags, and replica {replica:?} has several that it has not: if the primary has lost its data, \
         `restore` brings them back; if not, `resync` deletes them as soon as the primary has a flag"
    );
    Error::new(ErrorKind::Conflict, message).with_retryable(false)
}
