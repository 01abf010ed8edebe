//! Names of all lengths, of which some are kept beside the hash and others are not.

use flipper_core::{Context, Flag};

use super::cases::stored;
use super::{is_on, live, local_of, record};

/// Names that begin alike, of 0 to 100 bytes, and such as end in different ways.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for letter in ["a", "é", "😀", "漢"] {
        let mut name = String::new();
        while name.len() <= 100 {
            names.push(name.clone());
            name.push_str(letter);
        }
    }
    let prefix = "a name that is longer than what fits beside a hash: ";
    names.extend((0..600).map(|number| format!("{prefix}{number}")));
    // Around the length up to which a name is kept beside its hash.
    for len in 30..40 {
        names.extend(["x", "y", "é"].map(|end| "n".repeat(len - end.len()) + end));
    }
    names.extend(["X", "x", "X ", " X", "X\u{301}", "\u{7f}", "a/b", "a\\\\b", "ﬁ", "fi"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

fn named(name: &str, is_enabled: bool) -> Flag {
    let flag = stored(name, is_enabled, "[]", "null");
    // A backslash is written as two.
    assert_eq!(flag.name(), name.replace("\\\\", "\\"));
    flag
}

#[test]
fn names_of_all_lengths_are_told_apart() {
    let snapshot = live();
    let local = local_of(&snapshot);
    let flags: Vec<_> = names().iter().map(|name| named(name, true)).collect();
    let handles: Vec<_> = flags.iter().map(|flag| local.flag(flag.name())).collect();
    // Every second one is put; of the others nothing is known.
    for half in [0, 1] {
        snapshot.edit(|edit| {
            edit.replace_all([] as [flipper_core::Versioned<Flag>; 0]);
            for flag in flags.iter().skip(half).step_by(2) {
                assert!(edit.put(record(flag.clone(), 1)));
            }
        });
        for (at, (flag, handle)) in flags.iter().zip(&handles).enumerate() {
            let is_there = at % 2 == half;
            let name = flag.name();
            assert_eq!(is_on(&local, name), is_there, "{name:?}");
            assert!(local.is_enabled_or(name, &Context::EMPTY, true), "{name:?}");
            assert_eq!(handle.is_enabled(&Context::EMPTY), is_there, "{name:?}");
            let found = snapshot.get(name).map(|found| found.value.name().to_owned());
            assert_eq!(found.as_deref(), is_there.then_some(name));
        }
    }
}

#[test]
fn each_name_is_put_and_taken_out_without_touching_its_neighbours() {
    let snapshot = live();
    let local = local_of(&snapshot);
    let flags: Vec<_> = names().iter().map(|name| named(name, true)).collect();
    snapshot.edit(|edit| edit.replace_all(flags.iter().map(|flag| record(flag.clone(), 1))));
    for (at, flag) in flags.iter().enumerate() {
        let name = flag.name();
        assert!(is_on(&local, name), "{name:?}");
        assert!(snapshot.edit(|edit| edit.remove(name)), "{name:?}");
        assert!(!snapshot.edit(|edit| edit.remove(name)), "{name:?}");
        assert!(!is_on(&local, name), "{name:?}");
        assert_eq!(snapshot.len(), flags.len() - at - 1);
        if let Some(next) = flags.get(at + 1) {
            assert!(is_on(&local, next.name()), "{:?} after {name:?}", next.name());
        }
    }
    assert!(snapshot.is_empty() && snapshot.records().is_empty());
}

#[test]
fn a_flag_under_another_key_is_found_by_the_key_alone() {
    let snapshot = live();
    let local = local_of(&snapshot);
    let copied = flipper_core::FlagName::new("KEY").unwrap();
    let flag = Flag::read(copied, named("BODY", true).as_json().as_bytes()).unwrap();
    snapshot.edit(|edit| edit.put(record(flag, 1)));
    assert!(is_on(&local, "KEY") && !is_on(&local, "BODY"));
}
