//! Commands that change a flag.

use std::time::Duration;

use clap::{Args, Subcommand};
use flipper::Timestamp;

use crate::pairs::{Pair, attribute, pair};
use crate::time::{duration, time};
use crate::words::share;

/// What commands have that can do harm.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Safety {
    /// Tell what would be done, and do nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Do not ask, on a terminal, whether to do it
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// What commands have that change a flag and are easily undone.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct EditArgs {
    /// Tell what would be done, and do nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

const CHANGE_JSON: &str = "\
With --json: {\"flag\", \"changes\": [in words], \"before\", \"after\": as `show` prints them, or null,
\"actor\", \"dry_run\"}.";

const CREATE: &str = "\
Examples:
  flipper create NEW_SEARCH
  flipper create NEW_SEARCH --enable --data owner=search ttl=3600

Exit status 5 if there is a flag of this name.";

/// Arguments of `create`.
#[derive(Args, Debug)]
#[command(after_help = CREATE, after_long_help = format!("{CREATE}\n{CHANGE_JSON}"))]
pub(crate) struct CreateArgs {
    /// The flag's name
    pub(crate) name: String,
    /// Switch it on at once
    #[arg(long, short)]
    pub(crate) enable: bool,
    /// What applications keep with it: a value is JSON, or else text
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) data: Vec<Pair>,
    /// Tell what would be done.
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}

/// Arguments of `enable` and `disable`.
#[derive(Args, Debug)]
#[command(after_long_help = CHANGE_JSON)]
pub(crate) struct SwitchArgs {
    /// The flag's name
    pub(crate) name: String,
    /// Tell what would be done.
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}

/// Arguments of `destroy`.
#[derive(Args, Debug)]
#[command(after_long_help = CHANGE_JSON)]
pub(crate) struct DestroyArgs {
    /// The flag's name; its record need not be readable
    pub(crate) name: String,
    /// How careful to be.
    #[command(flatten)]
    pub(crate) safety: Safety,
}

const CONDITION: &str = "\
A check is `attribute=value`, or `attribute__operator=value` with one of ne gt gte lt lte in not_in.
A value is JSON, or else text. All checks of a context's attributes have to hold; those of attributes
that it lacks are passed over.

Examples:
  flipper condition add NEW_SEARCH is_admin=true number__gt=9000
  flipper condition add NEW_SEARCH 'country__in=[\"DE\", \"FR\"]' plan__ne=free
  flipper condition clear NEW_SEARCH";

/// Arguments of `condition`.
#[derive(Args, Debug)]
#[command(after_help = CONDITION, after_long_help = format!("{CONDITION}\n\n{CHANGE_JSON}"))]
pub(crate) struct ConditionArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: ConditionAction,
}

/// What to do with conditions.
#[derive(Debug, Subcommand)]
pub(crate) enum ConditionAction {
    /// Add a condition after those that there are
    #[command(after_help = CONDITION)]
    Add {
        /// The flag's name
        name: String,
        /// What has to hold
        #[arg(required = true, value_name = "CHECK", value_parser = pair)]
        checks: Vec<Pair>,
        /// Tell what would be done.
        #[command(flatten)]
        edit: EditArgs,
    },
    /// Replace all conditions by one
    #[command(after_help = CONDITION)]
    Set {
        /// The flag's name
        name: String,
        /// What has to hold
        #[arg(required = true, value_name = "CHECK", value_parser = pair)]
        checks: Vec<Pair>,
        /// How careful to be.
        #[command(flatten)]
        safety: Safety,
    },
    /// Remove all conditions
    Clear {
        /// The flag's name
        name: String,
        /// How careful to be.
        #[command(flatten)]
        safety: Safety,
    },
}

const BUCKET: &str = "\
A share is a percentage, `10%`, or a fraction, `0.1`. With `--by`, a user always gets the same answer;
without, each check draws anew.

Examples:
  flipper bucket percentage NEW_SEARCH 10%
  flipper bucket hash NEW_SEARCH 10% --by user_id
  flipper bucket ramp NEW_SEARCH --from 0% --to 100% --duration 1d --by user_id
  flipper bucket ramp NEW_SEARCH --to 50% --duration '2h 30m' --start '2026-12-01 09:00'
  flipper bucket none NEW_SEARCH";

/// Arguments of `bucket`.
#[derive(Args, Debug)]
#[command(after_help = BUCKET, after_long_help = format!("{BUCKET}\n\n{CHANGE_JSON}"))]
pub(crate) struct BucketArgs {
    /// Which bucketer.
    #[command(subcommand)]
    pub(crate) kind: BucketKind,
}

/// The bucketers.
#[derive(Debug, Subcommand)]
pub(crate) enum BucketKind {
    /// A share of the checks, drawn anew each time
    #[command(after_help = BUCKET)]
    Percentage {
        /// The flag's name
        name: String,
        /// The share
        #[arg(value_parser = share)]
        share: f64,
        /// Tell what would be done.
        #[command(flatten)]
        edit: EditArgs,
    },
    /// A share of the users, or of whatever the attributes name
    #[command(after_help = BUCKET)]
    Hash {
        /// The flag's name
        name: String,
        /// The share
        #[arg(value_parser = share)]
        share: f64,
        /// The attributes that decide who gets it
        #[arg(long, required = true, num_args = 1.., value_delimiter = ',', value_name = "ATTRIBUTE", value_parser = attribute)]
        by: Vec<String>,
        /// Tell what would be done.
        #[command(flatten)]
        edit: EditArgs,
    },
    /// A share that moves in a straight line
    #[command(after_help = BUCKET)]
    Ramp {
        /// The flag's name
        name: String,
        /// The share at the start
        #[arg(long, value_parser = share, default_value = "0%", value_name = "SHARE")]
        from: f64,
        /// The share at the end
        #[arg(long, value_parser = share, default_value = "100%", value_name = "SHARE")]
        to: f64,
        /// How long it takes, such as `90s`, `1h 30m` or `2d`
        #[arg(long, value_parser = duration)]
        duration: Duration,
        /// When it starts, such as `14:00`, `2026-12-01 09:00`, `+2h`, `-1d` or `@1700000000`; now unless told
        #[arg(long, value_parser = time, value_name = "TIME", allow_hyphen_values = true)]
        start: Option<Timestamp>,
        /// The attributes that decide who gets it; without, each check draws anew
        #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "ATTRIBUTE", value_parser = attribute)]
        by: Vec<String>,
        /// Tell what would be done.
        #[command(flatten)]
        edit: EditArgs,
    },
    /// Nothing: everybody gets the flag
    None {
        /// The flag's name
        name: String,
        /// Tell what would be done.
        #[command(flatten)]
        edit: EditArgs,
    },
}

const DATA: &str = "\
A value is JSON, or else text. Keys that are not named keep their values.

Examples:
  flipper data set NEW_SEARCH owner=search ttl=3600 'tags=[\"beta\"]'
  flipper data get NEW_SEARCH
  flipper data get NEW_SEARCH owner

With --json, `get` prints the data as one object, or the one value; NaN is null there.";

/// Arguments of `data`.
#[derive(Args, Debug)]
#[command(after_help = DATA, after_long_help = format!("{DATA}\n\n{CHANGE_JSON}"))]
pub(crate) struct DataArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) action: DataAction,
}

/// What to do with data.
#[derive(Debug, Subcommand)]
pub(crate) enum DataAction {
    /// Give keys new values
    Set {
        /// The flag's name
        name: String,
        /// Keys and values
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = pair)]
        data: Vec<Pair>,
        /// Tell what would be done.
        #[command(flatten)]
        edit: EditArgs,
    },
    /// Print all data, or the value of a key
    Get {
        /// The flag's name
        name: String,
        /// The key; exit status 4 if it is not there
        key: Option<String>,
    },
}
