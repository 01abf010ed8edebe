//! Commands that look at flags.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use flipper::{Semantics, Timestamp};

use crate::pairs::{Pair, attribute, pair};
use crate::time::time;

const LIST: &str = "\
Examples:
  flipper list
  flipper list 'checkout.*' --state on
  flipper list --sort created --reverse --limit 10

Flags come as the store has them, as soon as they are read; with --sort, once all are read.
A record that cannot be read is shown in its place, and makes the exit status 1.";

const LIST_JSON: &str = "\
With --json, a line for each flag, as `show` prints it, or {\"name\", \"error\"} for a record that
cannot be read.";

/// Arguments of `list`.
#[derive(Args, Debug)]
#[command(after_help = LIST, after_long_help = format!("{LIST}\n{LIST_JSON}"))]
pub(crate) struct ListArgs {
    /// Which names: `*` stands for any text, `?` for any character
    pub(crate) pattern: Option<String>,
    /// Which flags: those that are switched on, or off
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<Switched>,
    /// In which order
    #[arg(long, value_name = "BY")]
    pub(crate) sort: Option<Sort>,
    /// In the opposite order
    #[arg(long, requires = "sort")]
    pub(crate) reverse: bool,
    /// How many, at most
    #[arg(long, short)]
    pub(crate) limit: Option<usize>,
}

/// Whether a flag is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switched {
    /// On, for whomever.
    On,
    /// Off.
    Off,
}

/// What to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// The name, by its bytes.
    Name,
    /// When the flag was made.
    Created,
    /// The state in words.
    State,
}

const SHOW_JSON: &str = "\
With --json: {\"name\", \"is_enabled\", \"state\": in words, \"share\": the bucketer's at this time or null,
\"conditions\": [[{\"variable\", \"operator\": a symbol or null, \"value\"}]], \"bucketer\", \"client_data\",
\"created_date\": seconds from 1970 or null}. NaN and infinities, which JSON lacks, are null; `--raw` and
`export` have the record as it is stored.";

/// Arguments of `show`.
#[derive(Args, Debug)]
#[command(after_long_help = SHOW_JSON)]
pub(crate) struct ShowArgs {
    /// The flag's name
    pub(crate) name: String,
    /// Print the record as it is stored
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
}

/// What is known of one check.
#[derive(Args, Debug)]
pub(crate) struct ContextArgs {
    /// What is known: a value is JSON, or else text
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) context: Vec<Pair>,
    /// At which time, such as `14:00`, `2026-12-01 09:00`, `+2h`, `-1d` or `@1700000000`; now unless told
    #[arg(long, value_parser = time, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<Timestamp>,
    /// Whose answers: what is documented, or those of flipper-client for Python
    #[arg(long, default_value = "documented", value_name = "WHOSE")]
    pub(crate) semantics: Meaning,
}

/// Whose answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Meaning {
    /// What is documented.
    Documented,
    /// What flipper-client 1.3.2 answers.
    FlipperClient,
}

impl From<Meaning> for Semantics {
    fn from(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Documented => Self::Documented,
            Meaning::FlipperClient => Self::FlipperClient,
        }
    }
}

const CHECK: &str = "\
Examples:
  flipper check NEW_SEARCH user_id=7 is_admin=false && echo on
  flipper check NEW_SEARCH user_id=7 --at +2h

Exit status: 0 on, 3 off, 4 there is no such flag, 1 nobody can tell: the store cannot be asked, the
record cannot be read, or the answer depends on what this version does not know.
With --json: {\"flag\", \"is_enabled\": true, false or null, \"reason\"}.";

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_help = CHECK)]
pub(crate) struct CheckArgs {
    /// The flag's name
    pub(crate) name: String,
    /// What is known.
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    /// Print nothing
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

const EXPLAIN: &str = "\
Example:
  flipper explain NEW_SEARCH user_id=7 is_admin=false

With --json: {\"flag\", \"is_enabled\", \"reason\", \"semantics\", \"is_switched_on\", \"conditions\":
[[{\"check\", \"given\", \"outcome\"}]], \"bucketer\": {\"type\", \"is_asked\", \"hashed\", \"score\", \"share\",
\"buckets\", \"is_in\"} or null, \"time\": seconds from 1970, \"python\": [where flipper-client differs]}.";

/// Arguments of `explain`.
#[derive(Args, Debug)]
#[command(after_help = EXPLAIN)]
pub(crate) struct ExplainArgs {
    /// The flag's name
    pub(crate) name: String,
    /// What is known.
    #[command(flatten)]
    pub(crate) context: ContextArgs,
}

const SIMULATE: &str = "\
Examples:
  flipper simulate NEW_SEARCH --key user_id --count 10000
  flipper simulate NEW_SEARCH --key user_id --keys users.txt country=DE
  flipper simulate NEW_SEARCH --key user_id --out ramp.svg

Users are the numbers from 0 on, or the lines of a file: a line is JSON, or else text.
With --json: {\"flag\", \"count\", \"points\": [{\"time\": seconds from 1970, \"share\": the bucketer's or null,
\"on\": how many}]}; the first point is now, the others follow the ramp.";

/// Arguments of `simulate`.
#[derive(Args, Debug)]
#[command(after_help = SIMULATE)]
pub(crate) struct SimulateArgs {
    /// The flag's name
    pub(crate) name: String,
    /// What is known.
    #[command(flatten)]
    pub(crate) context: ContextArgs,
    /// The attribute that tells users apart
    #[arg(long, value_name = "ATTRIBUTE", value_parser = attribute)]
    pub(crate) key: String,
    /// How many users
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: u64,
    /// A file with the users, one per line
    #[arg(long, value_name = "FILE", conflicts_with = "count")]
    pub(crate) keys: Option<PathBuf>,
    /// How many points of time of a ramp
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub(crate) points: u16,
    /// Draw a plot into a file, which ends in `.svg` or `.png`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

const WATCH: &str = "\
Ends with Ctrl-C, or once nobody reads what it prints.
With --json, a line for each change: {\"flag\", \"change\": \"created\", \"changed\", \"deleted\" or
\"unreadable\", \"time\": seconds from 1970, \"changes\": [in words], \"before\", \"after\": as `show` prints
them, or null}.";

/// Arguments of `watch`.
#[derive(Args, Debug)]
#[command(after_help = WATCH)]
pub(crate) struct WatchArgs {
    /// Which names: `*` stands for any text, `?` for any character
    pub(crate) pattern: Option<String>,
    /// End after so many changes
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
}

const VERIFY: &str = "\
Looks for records that cannot be read; names that are no names of flags; records that were copied or
renamed; parts that this version does not know; and contexts for which flipper-client, Python's
library, answers differently. It tries contexts that the flag's conditions name, and others, at times
before, in and after its ramp.

Exit status 3 if there is something to tell.
With --json, a line for each: {\"flag\", \"problem\": \"unreadable\", \"renamed\", \"unknown\" or \"python\",
\"message\", \"context\"}.";

/// Arguments of `verify`.
#[derive(Args, Debug)]
#[command(after_help = VERIFY)]
pub(crate) struct VerifyArgs {
    /// Which names: `*` stands for any text, `?` for any character
    pub(crate) pattern: Option<String>,
    /// Say nothing of Python
    #[arg(long)]
    pub(crate) no_python: bool,
}
