//! A flag to measure with.

use flipper_core::{Condition, Flag, FlagName, Timestamp};

/// Makes a flag with a rule, some 400 bytes.
///
/// # Panics
///
/// If the name is illegal.
#[allow(clippy::unwrap_used, reason = "a benchmark")]
pub fn record(name: &str, is_on: bool) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1_700_000_000));
    flag.set_enabled(is_on).unwrap();
    let condition = Condition::builder().eq("is_admin", true).build().unwrap();
    flag.add_condition(&condition).unwrap();
    flag
}
