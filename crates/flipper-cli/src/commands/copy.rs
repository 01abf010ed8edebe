//! `copy`.

use flipper::{Listed, Page};
use futures_util::{StreamExt as _, future};

use super::Pattern;
use crate::cli::CopyArgs;
use crate::failure::{Code, Failure, Result};
use crate::output::confirm;
use crate::run::Run;
use crate::transfer::Transfer;

pub(crate) async fn copy(run: &mut Run, args: &CopyArgs) -> Result<Code> {
    let source = run.settings.open_source(&args.source).await?;
    let target = run.settings.open_named(&args.target).await?;
    if !args.safety.dry_run && !args.safety.yes {
        let (from, to) = (run.settings.shown(&args.source), run.settings.shown(&args.target));
        let replaced = if args.overwrite { ", and replace those that differ" } else { "" };
        confirm(&format!("Copy the flags of {from} to {to}{replaced}?"))?;
    }
    let pattern = Pattern::new(args.filter.as_deref());
    // Why the listing has ended before its end, if it has.
    let mut broken = None;
    let flags = source.store().list(Page::ALL).scan(&mut broken, |broken, listed| {
        future::ready(match listed {
            Ok(listed) => Some(listed),
            Err(error) => {
                **broken = Some(error);
                None
            }
        })
    });
    let flags = flags.filter_map(|listed| {
        let wanted = pattern.matches_listed(&listed).then_some(listed);
        future::ready(wanted.and_then(|listed| match listed {
            Listed::Flag(found) => Some(Ok(found.value)),
            Listed::Bad { name, error, .. } => Some(Err((name, error))),
            _ => None,
        }))
    });
    let transfer =
        Transfer { overwrite: args.overwrite, dry_run: args.safety.dry_run, whole: None, what: "copied" };
    let code = transfer.run(run, &target, flags).await?;
    match broken {
        Some(error) => Err(Failure::error(format!("the source could not be read to its end: {error}"))),
        None => Ok(code),
    }
}
