//! `export`.

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

pub(crate) async fn export(run: &mut Run, args: &ExportArgs) -> Result<Code> {
    let Some(path) = args.file.as_deref().filter(|path| *path != Path::new("-")) else {
        let mut bad = 0;
        let out = &mut run.out;
        write(&run.settings, args, false, &mut bad, |line| out.bytes(line.as_bytes())).await?;
        return Ok(if bad == 0 { Code::Done } else { Code::Error });
    };
    // Beside the file, so that it can take its place.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |error: std::io::Error| Failure::file(path, &error);
    let file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    let mut out = BufWriter::new(file);
    let mut bad = 0;
    let is_json = run.out.is_json();
    let count =
        write(&run.settings, args, is_json, &mut bad, |line| out.write_all(line.as_bytes()).map_err(failed))
            .await?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    if is_json {
        run.out.json(&object([("exported", count.into()), ("unreadable", bad.into())]))?;
    } else {
        run.out.line(format_args!("{count} flags exported to {}", path.display()))?;
    }
    Ok(if bad == 0 { Code::Done } else { Code::Error })
}

/// Writes all flags as lines; returns how many. A record that cannot be read is told.
async fn write(
    settings: &crate::store::Settings,
    args: &ExportArgs,
    is_json: bool,
    bad: &mut u64,
    mut write: impl FnMut(&str) -> Result<()>,
) -> Result<u64> {
    let client = settings.open().await?;
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
