//! Which files a log consists of, and how they are opened.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The file that is written to, and those before it: `audit.jsonl`, `audit.jsonl.000001` and so on.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) active: PathBuf,
    directory: PathBuf,
    name: OsString,
}

/// A file to be read.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    /// Those that are full stay where they are: they are opened when their turn comes, as there may be more of them than a process may have open.
    file: Option<File>,
}

impl Part {
    pub(crate) fn open(self) -> io::Result<(PathBuf, File)> {
        let file = self.file.map_or_else(|| File::open(&self.path), Ok)?;
        Ok((self.path, file))
    }
}

impl Files {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let active = followed(std::path::absolute(path)?)?;
        let (Some(name), Some(directory)) = (active.file_name(), active.parent()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file"));
        };
        Ok(Self { name: name.to_owned(), directory: directory.to_owned(), active: active.clone() })
    }

    /// Where a file is moved when it is full.
    pub(crate) fn numbered(&self, number: u64) -> PathBuf {
        let mut name = self.name.clone();
        name.push(format!(".{number:06}"));
        self.directory.join(name)
    }

    /// The files that are full, with their numbers, in order.
    pub(crate) fn full(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if let Some(number) = self.number_of(&entry.file_name()) {
                found.push((number, entry.path()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    fn number_of(&self, name: &OsStr) -> Option<u64> {
        let rest = name.as_encoded_bytes().strip_prefix(self.name.as_encoded_bytes())?.strip_prefix(b".")?;
        if rest.len() < 6 || !rest.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number: u64 = std::str::from_utf8(rest).ok()?.parse().ok()?;
        // There is one name for each number.
        (format!("{number:06}").as_bytes() == rest).then_some(number)
    }

    /// All files in order, as they are at one moment: those that are full, and the one that is written to, which is opened, as it may be moved away
    /// while the others are read.
    pub(crate) fn all(&self) -> io::Result<Vec<Part>> {
        loop {
            let full = self.full()?;
            let active = match File::open(&self.active) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            // If a file was moved away meanwhile, one may be missing, or be there twice.
            if self.full()?.len() != full.len() {
                continue;
            }
            let full = full.into_iter().map(|(_, path)| Part { path, file: None });
            let active = active.map(|file| Part { path: self.active.clone(), file: Some(file) });
            let files: Vec<_> = full.chain(active).collect();
            if files.is_empty() {
                let message = format!("there is no audit log at {}", self.active.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, message));
            }
            return Ok(files);
        }
    }

    /// Flushes which files there are.
    pub(crate) fn sync_directory(&self) -> io::Result<()> {
        #[cfg(unix)]
        File::open(&self.directory)?.sync_all()?;
        Ok(())
    }

    /// Keeps every other writer out until the file is dropped; `None` if another one does so.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".lock");
        let path = self.directory.join(name);
        for _ in 0..10 {
            let lock = private().create(true).truncate(false).write(true).open(&path)?;
            match lock.try_lock() {
                // Whoever deletes the lock leaves one that nobody else meets.
                Ok(()) if is_at(&lock, &path)? => return Ok(Some(lock)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other("somebody deletes the lock file all the time"))
    }
}

/// Follows links to a file, which need not be there: its lock and the files that are full are beside it, whatever it is called by.
fn followed(mut path: PathBuf) -> io::Result<PathBuf> {
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().map_or_else(|| target.clone(), |parent| parent.join(&target)),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is a link that leads nowhere"))
}

/// Options that make a file which nobody else may read.
pub(crate) fn private() -> OpenOptions {
    #[allow(unused_mut, reason = "where there are no modes")]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Keeps other writers out of a file itself, in case that somebody has deleted the lock beside it. Elsewhere, such a lock would keep out readers.
pub(crate) fn keep(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let message = "it is open already, and its lock was deleted: a log has one writer";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let _ = file;
    Ok(())
}

/// Looks whether a file is still there, by whatever name.
pub(crate) fn is_removed(file: &File) -> io::Result<bool> {
    #[cfg(unix)]
    return Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0);
    #[cfg(not(unix))]
    return file.metadata().map(|_| false);
}

#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_files_are_found_by_their_numbers_and_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(&directory.path().join("a.jsonl")).unwrap();
        for name in [
            "a.jsonl",
            "a.jsonl.000010",
            "a.jsonl.000002",
            "a.jsonl.1000000",
            "a.jsonl.0000003",
            "a.jsonl.00000x",
            "b.jsonl.000001",
        ] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let numbers: Vec<_> = files.full().unwrap().into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [2, 10, 1_000_000]);
        assert_eq!(files.all().unwrap().last().map(|last| &last.path), Some(&files.active));
        assert_eq!(files.numbered(2), files.full().unwrap()[0].1);
    }

    #[test]
    fn a_second_writer_is_kept_out_until_the_first_has_gone() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(&directory.path().join("a.jsonl")).unwrap();
        let first = files.lock().unwrap();
        assert!(first.is_some() && files.lock().unwrap().is_none());
        drop(first);
        assert!(files.lock().unwrap().is_some());
    }
}
