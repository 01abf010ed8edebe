//! `diff`.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use flipper::{FeatureFlagClient, Flag, FlagName, Listed, Page};
use futures_util::StreamExt as _;

use super::Pattern;
use crate::changes::changes;
use crate::cli::DiffArgs;
use crate::escape::shown;
use crate::failure::{Code, Failure, Result};
use crate::output::Role;
use crate::progress::Progress;
use crate::run::Run;
use crate::shape::object;
use crate::transfer::is_same;
use crate::words::state;

pub(crate) async fn diff(run: &mut Run, args: &DiffArgs) -> Result<Code> {
    let a = run.settings.open_named(&args.a).await?;
    let b = run.settings.open_named(&args.b).await?;
    let pattern = Pattern::new(args.filter.as_deref());
    // A store that takes records to pieces gives them in other bytes.
    let is_whole = a.capabilities().whole_records && b.capabilities().whole_records;
    let progress = Progress::new("compared", None, run.out.is_json());
    // Of one store, only names and hashes are kept: records are read again where they differ.
    let hashing = RandomState::new();
    let mut left: HashMap<Box<str>, Option<u64>> = HashMap::new();
    let mut listing = a.store().list(Page::ALL);
    while let Some(listed) = listing.next().await {
        let listed = listed.map_err(|error| incomplete(&args.a, &error, run))?;
        if pattern.matches_listed(&listed) {
            match listed {
                Listed::Flag(found) => {
                    left.insert(found.value.name().into(), Some(hashing.hash_one(found.value.as_json())));
                }
                Listed::Bad { name, .. } => {
                    left.insert(name, None);
                }
                _ => {}
            }
        }
        progress.add(1);
    }
    let mut is_different = false;
    let mut listing = b.store().list(Page::ALL);
    while let Some(listed) = listing.next().await {
        let listed = listed.map_err(|error| incomplete(&args.b, &error, run))?;
        progress.add(1);
        if !pattern.matches_listed(&listed) {
            continue;
        }
        let told = match listed {
            Listed::Flag(found) => match left.remove(found.value.name()) {
                None => Some(Difference::OnlyB(found.value)),
                Some(Some(hash)) if hash == hashing.hash_one(found.value.as_json()) => None,
                Some(Some(_)) => both(&a, found.value, is_whole).await?,
                Some(None) => Some(Difference::Unreadable(found.value.name().into(), "a")),
            },
            // What nobody can read is not known to be the same.
            Listed::Bad { name, .. } => {
                left.remove(&name);
                Some(Difference::Unreadable(name, "b"))
            }
            _ => None,
        };
        if let Some(told) = told {
            is_different = true;
            progress.aside(|| tell(run, &told)).map_err(|failure| failure.knowing(Code::Differs))?;
        }
    }
    let mut gone: Vec<_> = left.into_iter().collect();
    gone.sort_unstable();
    for (name, hash) in gone {
        is_different = true;
        let told = if hash.is_some() { Difference::OnlyA(name) } else { Difference::Unreadable(name, "a") };
        progress.aside(|| tell(run, &told)).map_err(|failure| failure.knowing(Code::Differs))?;
    }
    Ok(if is_different { Code::Differs } else { Code::Done })
}

fn incomplete(store: &str, error: &flipper::Error, run: &Run) -> Failure {
    Failure::error(format!("{} could not be read to its end: {error}", run.settings.shown(store)))
}

enum Difference {
    OnlyA(Box<str>),
    OnlyB(Flag),
    Both(Flag, Flag),
    Unreadable(Box<str>, &'static str),
}

/// Reads the flag in the other store again: its listing has kept a hash alone.
async fn both(a: &FeatureFlagClient, in_b: Flag, is_whole: bool) -> Result<Option<Difference>> {
    let name = FlagName::new(in_b.name())?;
    Ok(match a.store().get(name).await? {
        Some(in_a) if is_same(&in_a.value, &in_b, is_whole) => None,
        Some(in_a) => Some(Difference::Both(in_a.value, in_b)),
        None => Some(Difference::OnlyB(in_b)),
    })
}

fn tell(run: &mut Run, difference: &Difference) -> Result<()> {
    let (name, place, told) = match difference {
        Difference::OnlyA(name) => (&**name, "a", vec!["only in the first store".to_owned()]),
        Difference::OnlyB(flag) => {
            (flag.name(), "b", vec![format!("only in the second store, {}", state(flag, &run.moment))])
        }
        Difference::Both(a, b) => (b.name(), "both", changes(Some(a), Some(b), &run.moment)),
        Difference::Unreadable(name, place) => {
            let which = if *place == "a" { "first" } else { "second" };
            (&**name, *place, vec![format!("cannot be read in the {which} store")])
        }
    };
    if run.out.is_json() {
        return run.out.json(&object([
            ("flag", name.into()),
            ("in", place.into()),
            ("changes", told.into()),
        ]));
    }
    let line = format!("{}: {}", run.out.paint(Role::Name, name), shown(&told.join("; ")));
    run.out.raw_line(&line)
}
