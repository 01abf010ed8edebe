//! What can be written on the command line: the one definition of which help, manual and completions are made.

mod audit;
mod bulk;
mod change;
mod look;
mod system;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use audit::{AuditAction, AuditArgs, AuditAtArgs, AuditShowArgs, AuditVerifyArgs};
pub(crate) use bulk::{CopyArgs, DiffArgs, ExportArgs, ImportArgs};
pub(crate) use change::{
    BucketArgs, BucketKind, ConditionAction, ConditionArgs, CreateArgs, DataAction, DataArgs, DestroyArgs,
    EditArgs, Safety, SwitchArgs,
};
pub(crate) use look::{
    CheckArgs, ContextArgs, ExplainArgs, ListArgs, ShowArgs, SimulateArgs, Sort, Switched, VerifyArgs,
    WatchArgs,
};
pub(crate) use system::{CompletionsArgs, ManArgs, ServeArgs};

const EXAMPLES: &str = "\
Examples:
  flipper demo                                      See it work, without a server
  flipper list 'checkout.*'                         In the file store of this user
  flipper --store redis://host list --state on      In Redis
  flipper enable NEW_SEARCH                         Switch a flag on
  flipper condition add NEW_SEARCH is_admin=true    For administrators
  flipper bucket ramp NEW_SEARCH --from 0% --to 100% --duration 1d --by user_id
  flipper check NEW_SEARCH user_id=7 && echo on     Ask in a script
  flipper explain NEW_SEARCH user_id=7              Why?
  flipper copy redis://old redis://new --dry-run    Move to another store

Stores:
  file:///path/flags.json, or the path of a file    redis://user@host:6379/0
  consul://host:8500                                rediss://…, unix:///path
  s3://bucket/prefix                                postgres://user@host/database
  thrift://host:9090                                Without any: a file in the data directory

Configuration, in `flipper/config.toml` of the directory $XDG_CONFIG_HOME:
  store = \"prod\"
  actor = \"alice\"
  [stores]
  prod = \"redis://flags@redis.internal\"            then `--store prod`

Passwords: FLIPPER_PASSWORD, or `--ask-password`, fills in the password of an address that has a
user and no password, as in `redis://me@host`, or a colon alone, as in `consul://:@host`. None is
ever shown.

Exit status:
  0  done; `check`: the flag is on
  1  an error, or nobody can tell
  2  wrong usage
  3  `check`: the flag is off; `diff`, `verify`, `audit verify`: something differs
  4  there is no such flag
  5  a conflict: the flag exists already, or others keep changing it";

/// Looks at, changes and moves feature flags, in any store.
#[derive(Debug, Parser)]
#[command(name = "flipper", version, after_long_help = EXAMPLES, max_term_width = 110)]
#[command(after_help = "`flipper --help` shows examples, stores and exit status.")]
pub(crate) struct Cli {
    /// What all commands have.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands have.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct Global {
    /// The store: an address, a name of the configuration file, or the path of a file
    #[arg(long, short, global = true, env = "FLIPPER_STORE", hide_env_values = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Who makes changes; the user's name unless told
    #[arg(long, global = true, env = "FLIPPER_ACTOR", value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// Print JSON: one object, or one per line; errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Ask for the password of an address that has a user and no password
    #[arg(long, global = true)]
    pub(crate) ask_password: bool,
    /// The configuration file
    #[arg(long, global = true, env = "FLIPPER_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// When to use colours; `auto` is on a terminal, unless `NO_COLOR` is set
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Colors,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colors {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List flags, with their state in words
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show everything about a flag
    Show(ShowArgs),
    /// Create a flag, switched off
    Create(CreateArgs),
    /// Switch a flag on
    Enable(SwitchArgs),
    /// Switch a flag off
    Disable(SwitchArgs),
    /// Delete a flag
    Destroy(DestroyArgs),
    /// Add, replace or remove the conditions of a flag
    Condition(ConditionArgs),
    /// Choose who gets a flag where no condition decides
    Bucket(BucketArgs),
    /// Set or get what applications keep with a flag
    Data(DataArgs),
    /// Tell whether a flag is on for a context, by the exit status
    Check(CheckArgs),
    /// Tell why a flag is on or off for a context
    Explain(ExplainArgs),
    /// Tell how many of so many users get a flag, now and as its ramp goes on
    Simulate(SimulateArgs),
    /// Print each change, by whomever, as it happens
    Watch(WatchArgs),
    /// Write all flags to a file
    Export(ExportArgs),
    /// Write the flags of a file to the store
    Import(ImportArgs),
    /// Copy all flags from one store to another
    Copy(CopyArgs),
    /// Tell how the flags of two stores differ
    Diff(DiffArgs),
    /// Find records that cannot be read, and what Python would answer differently
    Verify(VerifyArgs),
    /// Read an audit log: who has changed what, is it as it was written, what was a flag then
    Audit(AuditArgs),
    /// Serve the store's flags to those who speak Thrift
    ServeThrift(ServeArgs),
    /// Walk through what there is, with a store in a temporary directory
    Demo,
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the manual, for `man`
    Man(ManArgs),
}
