//! Commands that move many flags.

use std::path::PathBuf;

use clap::Args;

use super::Safety;

const EXPORT: &str = "\
Examples:
  flipper export flags.jsonl
  flipper export --store prod --filter 'checkout.*' checkout.jsonl
  flipper export | jq -r .name

Each line is {\"name\", \"record\"}, the record as it is stored, in Python's dialect of JSON. A file is
written whole, or not at all, and cannot be the store's own; with --json, {\"exported\", \"unreadable\"}
tells how many flags.";

/// Arguments of `export`.
#[derive(Args, Debug)]
#[command(after_help = EXPORT)]
pub(crate) struct ExportArgs {
    /// The file; the standard output unless told
    pub(crate) file: Option<PathBuf>,
    /// Which names: `*` stands for any text, `?` for any character
    #[arg(long, value_name = "PATTERN")]
    pub(crate) filter: Option<String>,
}

const IMPORT: &str = "\
Takes what `export` writes, or the records alone, one after the other or as a JSON array. All of it
is checked before anything is written. A flag that is there already with the same record is passed
over, so an import that was interrupted is taken up by another one. What fails is told, and the
import goes on.

Examples:
  flipper import flags.jsonl --dry-run
  flipper import flags.jsonl --overwrite

With --json, a line for each flag: {\"flag\", \"outcome\": \"created\", \"replaced\", \"same\" or \"failed\",
\"error\", \"dry_run\"}.";

/// Arguments of `import`.
#[derive(Args, Debug)]
#[command(after_help = IMPORT)]
pub(crate) struct ImportArgs {
    /// The file; `-` is the standard input
    pub(crate) file: PathBuf,
    /// Replace flags that are there and differ
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// How careful to be.
    #[command(flatten)]
    pub(crate) safety: Safety,
}

const COPY: &str = "\
A store is an address, a name of the configuration file, or the path of a file. Flags that only the
target has stay there.

Examples:
  flipper copy redis://old redis://new --dry-run
  flipper copy prod backup.json

With --json, lines as `import` prints them.";

/// Arguments of `copy`.
#[derive(Args, Debug)]
#[command(after_help = COPY)]
pub(crate) struct CopyArgs {
    /// The store to read
    pub(crate) source: String,
    /// The store to write
    pub(crate) target: String,
    /// Replace flags that are there and differ
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Which names: `*` stands for any text, `?` for any character
    #[arg(long, value_name = "PATTERN")]
    pub(crate) filter: Option<String>,
    /// How careful to be.
    #[command(flatten)]
    pub(crate) safety: Safety,
}

const DIFF: &str = "\
Examples:
  flipper diff staging prod
  flipper diff redis://host backup.json --filter 'checkout.*'

Exit status 3 if something differs.
With --json, a line for each flag that differs: {\"flag\", \"in\": \"a\", \"b\" or \"both\", \"changes\": [how
b differs, in words]}.";

/// Arguments of `diff`.
#[derive(Args, Debug)]
#[command(after_help = DIFF)]
pub(crate) struct DiffArgs {
    /// One store
    pub(crate) a: String,
    /// The other store
    pub(crate) b: String,
    /// Which names: `*` stands for any text, `?` for any character
    #[arg(long, value_name = "PATTERN")]
    pub(crate) filter: Option<String>,
}
