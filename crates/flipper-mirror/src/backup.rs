//! The last known good state, in a file: for a start without the store.
//!
//! A line of what it is, `flipper-mirror 1 SECONDS COUNT SHA1`, and a line for each flag, its name and its record as two JSON
//! strings. The seconds are when the state was the store's; the checksum is of all that follows the first line.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flipper_core::json::Value;
use flipper_core::{Flag, FlagName, Timestamp, Versioned};
use sha1::{Digest, Sha1};

/// Tells what is being written apart.
static NUMBER: AtomicU32 = AtomicU32::new(0);

const MAGIC: &str = "flipper-mirror 1";

#[derive(Clone, Debug)]
pub(crate) struct Backup {
    path: PathBuf,
    saving: Arc<Mutex<()>>,
}

impl Backup {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, saving: Arc::default() }
    }

    /// Waits until nobody else saves.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the state, and when it was saved; `None` if there is no file.
    pub(crate) fn read(&self) -> io::Result<Option<(Timestamp, Vec<Versioned<Flag>>)>> {
        // Anything but a file could keep us waiting.
        if std::fs::metadata(&self.path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        match std::fs::read_to_string(&self.path) {
            Ok(text) => {
                parse(&text).map(Some).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a state in the place of the one before, or leaves that as it is.
    pub(crate) fn write(&self, saved: Timestamp, records: &[Arc<Versioned<Flag>>]) -> io::Result<()> {
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        // Several mirrors may save in the same place.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let new = self.path.with_file_name(format!(".{name}.{}-{number}.new", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        let written = file
            .write_all(format(saved, records).as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&new, &self.path));
        if let Err(error) = written {
            // A full disk shall not be made fuller.
            let _ = std::fs::remove_file(&new);
            return Err(error);
        }
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn format(saved: Timestamp, records: &[Arc<Versioned<Flag>>]) -> String {
    let mut lines = String::new();
    for record in records {
        let (name, text) = (Value::from(record.value.name()), Value::from(record.value.as_json()));
        let _ = writeln!(lines, "{} {}", name.to_json(), text.to_json());
    }
    format!("{MAGIC} {} {} {}\n{lines}", saved.as_secs(), records.len(), checksum(&lines))
}

fn parse(text: &str) -> Result<(Timestamp, Vec<Versioned<Flag>>), String> {
    let (first, lines) = text.split_once('\n').ok_or("it has no first line")?;
    let mut fields =
        first.strip_prefix(MAGIC).ok_or("it is no last known good state of a mirror")?.split_whitespace();
    let saved = fields.next().and_then(|field| field.parse().ok()).ok_or("its time cannot be read")?;
    let count: usize =
        fields.next().and_then(|field| field.parse().ok()).ok_or("its count cannot be read")?;
    if fields.next() != Some(&checksum(lines)) {
        return Err("its checksum does not fit: it was changed or cut off".to_owned());
    }
    let mut records = Vec::with_capacity(count.min(1 << 20));
    for line in lines.lines() {
        // Both are JSON strings. Quotes in the record are escaped, and it ends with a bracket: so it is the last one.
        let (name, text) = line.rsplit_once("\" \"").ok_or("a line of it has no two strings")?;
        let string = |json: String| {
            let value = Value::parse(&json).map_err(|error| error.message().to_owned())?;
            value.as_str().map(str::to_owned).ok_or_else(|| "a name in it is no text".to_owned())
        };
        let (name, text) = (string(format!("{name}\""))?, string(format!("\"{text}"))?);
        let read = FlagName::new(&name).and_then(|name| Flag::read(name, text.as_bytes()));
        let flag = read.map_err(|error| error.to_string())?;
        records.push(Versioned { version: flag.version_of_bytes(), value: flag });
    }
    if records.len() != count {
        return Err(format!("it has {} flags, and says that it has {count}", records.len()));
    }
    Ok((Timestamp::from_secs(saved), records))
}

fn checksum(lines: &str) -> String {
    Sha1::digest(lines.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Arc<Versioned<Flag>> {
        let flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(5));
        Arc::new(Versioned { version: flag.version_of_bytes(), value: flag })
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let backup = Backup::new(directory.path().join("flags.good"));
        assert!(backup.read().unwrap().is_none());
        let names = ["X", "\" \"", "é 😀", "a\\", "\u{2028}\u{a0}", "\" \"\" \"", "Y\" "];
        for names in [&names[..], &[]] {
            let records: Vec<_> = names.iter().map(|name| record(name)).collect();
            backup.write(Timestamp::from_secs(7), &records).unwrap();
            let (saved, read) = backup.read().unwrap().unwrap();
            assert_eq!(
                (saved, read),
                (Timestamp::from_secs(7), records.iter().map(|r| Versioned::clone(r)).collect())
            );
        }
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(
                &std::fs::metadata(backup.path()).unwrap().permissions(),
            );
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_changed_or_cut_off_is_noticed() {
        let text = format(Timestamp::from_secs(7), &[record("X"), record("Y")]);
        assert!(parse(&text).is_ok());
        for at in 0..text.len() {
            assert!(parse(&text[..at]).is_err(), "cut off at {at}");
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let read = parse(&String::from_utf8(changed).unwrap());
            // The time has no checksum, and matters little.
            let is_time = (MAGIC.len()..=MAGIC.len() + 1).contains(&at);
            assert!(read.is_err() || is_time, "changed at {at}");
        }
    }
}
