//! `export`.

use std::fs::{Metadata, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use flipper::{Listed, Page};
use futures_util::StreamExt as _;

use super::Pattern;
use crate::cli::ExportArgs;
use crate::failure::{Code, Failure, Result};
use crate::output::note;
use crate::progress::Progress;
use crate::records::line;
use crate::run::Run;
use crate::shape::object;
use crate::signals::ended;

pub(crate) async fn export(run: &mut Run, args: &ExportArgs) -> Result<Code> {
    let Some(path) = args.file.as_deref().filter(|path| *path != Path::new("-")) else {
        let mut bad = 0;
        let out = &mut run.out;
        write(&run.settings, args, false, &mut bad, |line| out.bytes(line.as_bytes())).await?;
        return Ok(if bad == 0 { Code::Done } else { Code::Error });
    };
    let is_json = run.out.is_json();
    let mut bad = 0;
    let count = match std::fs::metadata(path) {
        // A pipe or a device: what is written goes through it, and nothing may take its place.
        Ok(known) if !known.is_file() && !known.is_dir() => {
            let failed = |error: std::io::Error| Failure::file(path, &error);
            let mut out = BufWriter::new(OpenOptions::new().write(true).open(path).map_err(failed)?);
            let put = |line: &str| out.write_all(line.as_bytes()).map_err(failed);
            let count = write(&run.settings, args, is_json, &mut bad, put).await?;
            out.flush().map_err(failed)?;
            count
        }
        known => whole(run, args, path, known.ok(), &mut bad).await?,
    };
    if is_json {
        run.out.json(&object([("exported", count.into()), ("unreadable", bad.into())]))?;
    } else {
        run.out.line(format_args!("{count} flags exported to {}", path.display()))?;
    }
    Ok(if bad == 0 { Code::Done } else { Code::Error })
}

/// Writes a file whole, or not at all; returns how many flags there are. `known` is what was there before.
async fn whole(
    run: &Run,
    args: &ExportArgs,
    path: &Path,
    known: Option<Metadata>,
    bad: &mut u64,
) -> Result<u64> {
    let failed = |error: std::io::Error| Failure::file(path, &error);
    // Behind a link is the file that is meant.
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if run.settings.file().and_then(|store| store.canonicalize().ok()).is_some_and(|store| store == place) {
        let message = format!("{}: this is the store itself: write to another file", path.display());
        return Err(Failure::error(message));
    }
    // Beside the file, so that it can take its place.
    let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_json = run.out.is_json();
    let writing = async {
        let file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        let mut out = BufWriter::new(file);
        let put = |line: &str| out.write_all(line.as_bytes()).map_err(failed);
        let count = write(&run.settings, args, is_json, bad, put).await?;
        Ok::<_, Failure>((out, count))
    };
    let (out, count) = tokio::select! {
        // Listened to before anything is made; what was made is removed.
        biased;
        () = ended() => {
            return Err(Failure::error(format!("{}: interrupted, nothing was written", path.display())));
        }
        written = writing => written?,
    };
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    // Who could read it before can do so still; a new file is its owner's.
    if let Some(known) = known {
        file.as_file().set_permissions(known.permissions()).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&place).map_err(|error| failed(error.error))?;
    Ok(count)
}

/// Writes all flags as lines; returns how many. A record that cannot be read is told.
async fn write(
    settings: &crate::store::Settings,
    args: &ExportArgs,
    is_json: bool,
    bad: &mut u64,
    mut write: impl FnMut(&str) -> Result<()>,
) -> Result<u64> {
    let client = settings.open_as_source().await?;
    let pattern = Pattern::new(args.filter.as_deref());
    let progress = Progress::new("exported", None, is_json);
    let mut listing = client.store().list(Page::ALL);
    let mut count = 0;
    while let Some(listed) = listing.next().await {
        let listed = listed?;
        if !pattern.matches_listed(&listed) {
            continue;
        }
        match listed {
            Listed::Flag(found) => {
                write(&line(&found.value))?;
                count += 1;
                progress.add(1);
            }
            Listed::Bad { name, error, .. } => {
                *bad += 1;
                progress.aside(|| note(format_args!("{name}: cannot be exported: {}", error.message())));
            }
            _ => {}
        }
    }
    Ok(count)
}
