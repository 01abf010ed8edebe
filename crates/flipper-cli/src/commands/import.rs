//! `import`.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::Path;

use flipper::{Error, ErrorKind};

use crate::cli::ImportArgs;
use crate::failure::{Code, Failure, Result};
use crate::output::{confirm, note};
use crate::records::Records;
use crate::run::Run;
use crate::transfer::Transfer;

/// How many mistakes of a file are told.
const MOST: usize = 20;

pub(crate) async fn import(run: &mut Run, args: &ImportArgs) -> Result<Code> {
    let is_input = args.file == Path::new("-");
    let failed = |error: io::Error| Failure::file(&args.file, &error);
    let mut file = if is_input { spooled()? } else { File::open(&args.file).map_err(failed)? };
    let count = validate(&file, &args.file, run.out.is_json())?;
    file.rewind().map_err(failed)?;
    let client = run.settings.open().await?;
    if !args.safety.dry_run && !args.safety.yes && !is_input {
        let replaced = if args.overwrite { ", and replace those that differ" } else { "" };
        confirm(&format!("Import {count} flags{replaced}?"))?;
    }
    let transfer = Transfer {
        overwrite: args.overwrite,
        dry_run: args.safety.dry_run,
        whole: Some(count),
        what: "imported",
    };
    // It was valid a moment ago; if somebody has changed it since, that is told as any other failure.
    let flags = Records::new(file).map(|read| {
        read.map_err(|wrong| {
            let error =
                Error::new(ErrorKind::InvalidInput, format!("the file was changed meanwhile: {wrong}"));
            (args.file.display().to_string().into_boxed_str(), error)
        })
    });
    transfer.run(run, &client, futures_util::stream::iter(flags)).await
}

/// The standard input in a file, as it is read twice.
fn spooled() -> Result<File> {
    let failed =
        |error: io::Error| Failure::error(format!("the standard input cannot be kept in a file: {error}"));
    let mut file = tempfile::tempfile().map_err(failed)?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(file)
}

/// Reads all of it, and returns how many flags there are. Nothing is written if anything is wrong.
fn validate(file: &File, path: &Path, is_json: bool) -> Result<u64> {
    let (mut names, mut wrong, mut count) = (HashSet::new(), Vec::new(), 0);
    for read in Records::new(file) {
        match read {
            Ok(flag) if names.contains(flag.name()) => {
                wrong.push(format!("{:?} is there twice", flag.name()));
            }
            Ok(flag) => {
                names.insert(Box::<str>::from(flag.name()));
                count += 1;
            }
            Err(mistake) => wrong.push(mistake),
        }
    }
    if wrong.is_empty() {
        return Ok(count);
    }
    wrong.truncate(MOST);
    if is_json {
        let told = wrong.join("; ");
        return Err(Failure::error(format!("{}: {told}; nothing was imported", path.display())));
    }
    for mistake in &wrong {
        note(format_args!("{}: {mistake}", path.display()));
    }
    let mistakes = if wrong.len() == 1 { "a mistake" } else { "mistakes" };
    Err(Failure::error(format!("{}: {mistakes} in the file; nothing was imported", path.display())))
}
