//! `bucket`.

use flipper::{Bucketer, Percentage};

use super::edit::edit;
use crate::cli::{BucketArgs, BucketKind};
use crate::failure::{Code, Result};
use crate::run::Run;

pub(crate) async fn bucket(run: &mut Run, args: &BucketArgs) -> Result<Code> {
    let (name, bucketer, dry_run) = match &args.kind {
        BucketKind::Percentage { name, share, edit } => {
            (name, Bucketer::percentage(Percentage::new(*share)?), edit.dry_run)
        }
        BucketKind::Hash { name, share, by, edit } => (
            name,
            Bucketer::consistent_hash(Percentage::new(*share)?, by.iter().map(String::as_str)),
            edit.dry_run,
        ),
        BucketKind::Ramp { name, from, to, duration, start, by, edit } => {
            let ramp = Percentage::linear_ramp(*from, *to, *duration, start.unwrap_or(run.moment.now))?;
            let bucketer = match by.as_slice() {
                [] => Bucketer::percentage(ramp),
                by => Bucketer::consistent_hash(ramp, by.iter().map(String::as_str)),
            };
            (name, bucketer, edit.dry_run)
        }
        BucketKind::None { name, edit } => (name, Bucketer::NoOp, edit.dry_run),
    };
    edit(run, name, dry_run, None, |flag| flag.set_bucketer(&bucketer)).await
}
