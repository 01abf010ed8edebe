//! The public API of the core, as its users see it: one binary, a module per subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod allocations;
mod checked;
mod edits;
mod explanations;
mod hostile;
mod meter;
mod properties;
mod strategies;
mod unknown_parts;
mod wrong_input;

use flipper_core::{Flag, FlagName, Timestamp};

/// A flag that is switched on, with a bucketer and conditions as they are stored.
fn stored(conditions: &str, bucketer: &str) -> Flag {
    let text = format!(
        r#"{{"feature_name": "X", "is_enabled": true, "meta": {{"client_data": {{}}, "created_date": 1700000000, "conditions": {conditions}, "bucketer": {bucketer}}}}}"#
    );
    Flag::from_json(text.as_bytes()).unwrap()
}

/// A new flag that is switched on.
fn switched_on() -> Flag {
    let mut flag = Flag::new(FlagName::new("X").unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(true).unwrap();
    flag
}
