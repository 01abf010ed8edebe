//! Commands that read an audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use flipper::Timestamp;
use flipper::audit::Head;

use super::ContextArgs;
use crate::time::time;

const AUDIT: &str = "\
Examples:
  flipper audit show audit.jsonl --flag NEW_SEARCH --since -1d
  flipper audit verify audit.jsonl --head 42:9f3c…            # what the application has told to be its end
  flipper audit at audit.jsonl NEW_SEARCH user_id=7 --at '2026-12-01 09:00'

The file is the one that is written to; those that were moved away when they were full, such as
audit.jsonl.000001, are found beside it. A log may be read while it is written.";

/// Arguments of `audit`.
#[derive(Args, Debug)]
#[command(after_help = AUDIT, arg_required_else_help = true)]
pub(crate) struct AuditArgs {
    /// What to do with the log.
    #[command(subcommand)]
    pub(crate) action: AuditAction,
}

/// What to do with a log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Show who has changed what
    Show(AuditShowArgs),
    /// Find the first line that was altered, removed, inserted or cut off
    Verify(AuditVerifyArgs),
    /// Tell what a flag was at a time, and why it was on or off for a context
    At(AuditAtArgs),
}

const SHOW_JSON: &str = "\
With --json, the lines of the log, as they are written but for NaN and infinities, which are null.";

/// Arguments of `audit show`.
#[derive(Args, Debug)]
#[command(after_long_help = SHOW_JSON)]
pub(crate) struct AuditShowArgs {
    /// The log
    pub(crate) file: PathBuf,
    /// Lines about this flag alone
    #[arg(long, value_name = "NAME")]
    pub(crate) flag: Option<String>,
    /// From this time on, such as `14:00`, `2026-12-01 09:00`, `-1d` or `@1700000000`
    #[arg(long, value_parser = time, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_parser = time, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<Timestamp>,
}

const VERIFY: &str = "\
Without a head, a log that ends early, or was written anew as a whole, looks like any other: keep
the head that is printed, or the one that the application tells, where nobody who can write the log
can write. A log that was made with a key needs the key, from a file or from FLIPPER_AUDIT_KEY.

Exit status: 0 all is as it was written, 3 something is not, 1 the log cannot be read.";

const VERIFY_JSON: &str = "\
With --json: {\"is_intact\", \"files\", \"lines\", \"head\": after the last line that is right, \"torn_bytes\":
of a line that has no end yet, \"damage\": null or {\"file\", \"line\", \"kind\", \"message\"}}.";

/// Arguments of `audit verify`.
#[derive(Args, Debug)]
#[command(after_help = VERIFY, after_long_help = format!("{VERIFY}\n{VERIFY_JSON}"))]
pub(crate) struct AuditVerifyArgs {
    /// The log
    pub(crate) file: PathBuf,
    /// A head that the log is known to have had: it may have grown since
    #[arg(long, value_parser = head, value_name = "COUNT:HASH")]
    pub(crate) head: Option<Head>,
    /// The head before the first line that is still there, if the oldest files were removed on purpose
    #[arg(long, value_parser = head, value_name = "COUNT:HASH")]
    pub(crate) start: Option<Head>,
    /// The key with which the log was made: the bytes of this file, but for a line break at its end
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

const AT_JSON: &str = "\
With --json: {\"flag\": as `show` prints it, or null, \"line\": of the log, \"since\": its time, \"explanation\": as
`explain` prints it, or null, \"or\": null, or {\"flag\"} if nobody could tell which of both it was}.";

/// Arguments of `audit at`.
#[derive(Args, Debug)]
#[command(after_long_help = AT_JSON)]
pub(crate) struct AuditAtArgs {
    /// The log
    pub(crate) file: PathBuf,
    /// The flag's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) context: ContextArgs,
}

fn head(text: &str) -> Result<Head, String> {
    text.parse().map_err(|error: flipper::Error| error.message().to_owned())
}
