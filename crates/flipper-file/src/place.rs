//! Where the file is, and the lock beside it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk::{found, is_at, options, private};

/// The longest name that a file may have where its neighbours get `.lock` and a dot more.
const LONGEST_NAME: usize = 255 - ".".len() - ".lock".len();

/// Where a rename takes effect, and which files beside it are ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without symbolic links, so that what they lead to is replaced, and not they.
    pub(crate) file: PathBuf,
    pub(crate) directory: PathBuf,
    lock: PathBuf,
    pub(crate) new: PathBuf,
}

/// Makes a path absolute, and refuses what cannot be a file's.
pub(crate) fn absolute(path: &Path) -> io::Result<PathBuf> {
    let wrong = |what| Err(io::Error::new(ErrorKind::InvalidInput, what));
    let ends_with_slash = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    let Some(name) = path.file_name().filter(|_| !ends_with_slash) else {
        return wrong("the path does not name a file");
    };
    if name.len() > LONGEST_NAME {
        return wrong("the name is too long for the files beside it");
    }
    std::path::absolute(path)
}

impl Place {
    /// Finds a file's place now: links may be changed at any time.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let file = resolved(path)?;
        let beside = |suffix: &str| {
            let mut hidden = OsString::from(".");
            hidden.push(file.file_name().unwrap_or_default());
            hidden.push(suffix);
            file.with_file_name(hidden)
        };
        Ok(Self { lock: beside(".lock"), new: beside(".new"), directory: directory_of(&file), file })
    }
}

pub(crate) fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Follows links, also to what is not there yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match fs::canonicalize(&path) {
            Ok(found) => return Ok(found),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Err(_) => {
                let directory = directory_of(&path);
                let Ok(target) = fs::read_link(&path) else {
                    return Ok(fs::canonicalize(directory)?.join(path.file_name().unwrap_or_default()));
                };
                path = directory.join(target);
            }
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Held while a file is read, changed and replaced, by one writer of all processes.
///
/// The operating system gives it up when the process ends, however that happens.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Waits for the lock; `None` if somebody holds it until the deadline.
    pub(crate) fn acquire(place: &Place, deadline: Instant) -> io::Result<Option<Self>> {
        let mut pause = Duration::from_micros(200);
        let mut file = open(place)?;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    let lock = Self(file);
                    if lock.is_at(place)? {
                        return Ok(Some(lock));
                    }
                    // Whoever deletes the lock file, as one does who cleans up, leaves a lock that nobody else meets.
                    file = open(place)?;
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(Duration::from_millis(5));
        }
    }

    /// Whether this is the lock that others meet.
    pub(crate) fn is_at(&self, place: &Place) -> io::Result<bool> {
        is_at(&self.0, &place.lock)
    }
}

fn open(place: &Place) -> io::Result<File> {
    for _ in 0..10 {
        // Not through a link, which may lead anywhere.
        if let Some(metadata) = found(fs::symlink_metadata(&place.lock))?
            && !metadata.is_file()
        {
            let message = format!("{} is in the way: it is not a regular file", place.lock.display());
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let open = |options: &mut OpenOptions| found(options.open(&place.lock));
        let opened = match open(options().write(true)) {
            // To read it is enough, on most file systems.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => open(options().read(true)),
            opened => opened,
        };
        let made = match opened? {
            Some(file) => Ok(file),
            None => private().open(&place.lock),
        };
        match made {
            Ok(file) => {
                for_writers(&file, place);
                return Ok(file);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("somebody makes and deletes it all the time"))
}

/// Lets those lock who may write the file, as far as we can: who may only read it could keep all writers out.
#[cfg(unix)]
fn for_writers(lock: &File, place: &Place) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(data) = fs::metadata(&place.file) else { return };
    let _ = crate::disk::same_group(lock, &data);
    let Ok(ours) = lock.metadata() else { return };
    let may_write = data.permissions().mode() & 0o022;
    // Reading comes with writing.
    let mode = 0o600 | may_write | may_write << 1;
    if ours.permissions().mode() & 0o7777 != mode {
        let _ = lock.set_permissions(fs::Permissions::from_mode(mode));
    }
}

#[cfg(not(unix))]
fn for_writers(_: &File, _: &Place) {}
