//! The file on the disk: read whole, replaced whole.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// A file's coordinates: where a rename takes effect, and which files beside it are ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without symbolic links, so that what they lead to is replaced, and not they.
    pub(crate) file: PathBuf,
    pub(crate) directory: PathBuf,
    lock: PathBuf,
    new: PathBuf,
}

impl Place {
    /// Finds a file's place now: links may be changed at any time.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let file = resolved(path)?;
        let no_file = || io::Error::new(ErrorKind::InvalidInput, "the path does not name a file");
        let name = file.file_name().ok_or_else(no_file)?;
        let beside = |suffix: &str| {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(suffix);
            file.with_file_name(hidden)
        };
        let directory = directory_of(&file);
        Ok(Self { lock: beside(".lock"), new: beside(".new"), directory, file })
    }
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != OsStr::new("") => parent.to_owned(),
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

/// Tells a file and its state from others, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    len: u64,
    modified: Option<SystemTime>,
    changed: Option<SystemTime>,
    is_settled: bool,
}

/// How long a file must have been left alone until its times tell whether it has changed since: within a tick of the
/// file system's clock, two changes look like one.
pub(crate) const SETTLED: Duration = Duration::from_millis(100);

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok();
        #[cfg(unix)]
        let (device, inode, changed) = {
            use std::os::unix::fs::MetadataExt;
            let seconds = Duration::from_secs(metadata.ctime().try_into().unwrap_or_default());
            let changed =
                seconds + Duration::from_nanos(metadata.ctime_nsec().try_into().unwrap_or_default());
            (metadata.dev(), metadata.ino(), SystemTime::UNIX_EPOCH.checked_add(changed))
        };
        #[cfg(not(unix))]
        let (device, inode, changed) = (0, 0, modified);
        let now = SystemTime::now();
        // A time to come is as far from now as one that has passed: clocks jump, and machines differ.
        let is_far = |time: Option<SystemTime>| {
            let distance = |time| now.duration_since(time).unwrap_or_else(|ahead| ahead.duration());
            time.is_some_and(|time| distance(time) > SETTLED)
        };
        let is_settled = is_far(modified) && is_far(changed);
        Self { device, inode, len: metadata.len(), modified, changed, is_settled }
    }

    /// Whether the times of the file tell for certain that it has not changed since it was looked at.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Whether this is the same file in the same state, as far as its times tell.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Self { is_settled: true, ..*self } == Self { is_settled: true, ..*other }
    }
}

/// What tells a file or a directory from others, if there is one.
pub(crate) fn identity(path: &Path) -> io::Result<Option<Identity>> {
    found(fs::metadata(path)).map(|metadata| metadata.as_ref().map(Identity::of))
}

/// Which directory this is.
pub(crate) fn directory_identity(path: &Path) -> Option<(u64, u64)> {
    let identity = identity(path).ok()??;
    Some((identity.device, identity.inode))
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file, if there is one.
pub(crate) fn read(path: &Path) -> io::Result<Option<(Vec<u8>, Identity)>> {
    let Some(mut file) = found(File::open(path))? else { return Ok(None) };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    loop {
        let before = Identity::of(&file.metadata()?);
        let mut bytes = Vec::with_capacity(before.len as usize + 1);
        file.read_to_end(&mut bytes)?;
        // Somebody may be writing into it.
        if Identity::of(&file.metadata()?).is_same(&before) {
            return Ok(Some((bytes, before)));
        }
        io::Seek::rewind(&mut file)?;
    }
}

/// Held while a file is read, changed and replaced, by one writer of all processes.
///
/// The operating system gives it up when the process ends, however that happens.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "holds the lock")] File);

impl Lock {
    /// Waits for the lock; `None` if somebody holds it until the deadline.
    pub(crate) fn acquire(place: &Place, deadline: Instant) -> io::Result<Option<Self>> {
        let mut file = Self::open(place)?;
        let mut pause = Duration::from_micros(200);
        loop {
            match file.try_lock() {
                // Who deletes the lock file, as one does who cleans up, leaves a lock that nobody else meets.
                Ok(()) if is_at(&file, &place.lock)? => return Ok(Some(Self(file))),
                Ok(()) => {
                    file = Self::open(place)?;
                    continue;
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
}

impl Lock {
    fn open(place: &Place) -> io::Result<File> {
        loop {
            if let Some(file) = found(OpenOptions::new().write(true).open(&place.lock))? {
                return Ok(file);
            }
            let mut options = OpenOptions::new();
            options.create_new(true).write(true);
            private(&mut options);
            match options.open(&place.lock) {
                Ok(file) => {
                    // Whoever may write the file may lock it too.
                    if let Some(data) = found(fs::metadata(&place.file))? {
                        same_owner(&file, &data)?;
                    }
                    return Ok(file);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whether an open file is the one at a path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = Identity::of(&file.metadata()?);
    let there = identity(path)?;
    Ok(there.is_some_and(|there| (there.device, there.inode) == (ours.device, ours.inode)))
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

/// Gives a file the mode of another, and its owner, which only some may.
#[cfg(unix)]
fn same_owner(file: &File, as_of: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (as_of.uid(), as_of.gid()) {
        // Without the right to it, the file becomes ours, as with any editor.
        let _ = fchown(file, Some(as_of.uid()), Some(as_of.gid()));
    }
    // After the owner, whose change takes bits away.
    file.set_permissions(as_of.permissions())
}

#[cfg(not(unix))]
fn same_owner(file: &File, as_of: &Metadata) -> io::Result<()> {
    file.set_permissions(as_of.permissions())
}

/// A file's next state, on the disk under another name. Dropped, it is deleted.
#[derive(Debug)]
pub(crate) struct Replacement<'p> {
    place: &'p Place,
    is_in_place: bool,
}

impl<'p> Replacement<'p> {
    /// Writes the next state. Whoever holds the lock may.
    pub(crate) fn write(place: &'p Place, bytes: &[u8]) -> io::Result<Self> {
        // What a writer that was killed has left; and never through a link that somebody has put there.
        found(fs::remove_file(&place.new))?;
        let mut options = OpenOptions::new();
        options.create_new(true).write(true);
        private(&mut options);
        let mut file = options.open(&place.new)?;
        let replacement = Self { place, is_in_place: false };
        if let Some(current) = found(fs::metadata(&place.file))? {
            same_owner(&file, &current)?;
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(replacement)
    }

    /// Puts it in the place of the file.
    pub(crate) fn put_in_place(mut self) -> io::Result<()> {
        fs::rename(&self.place.new, &self.place.file)?;
        self.is_in_place = true;
        Ok(())
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if !self.is_in_place {
            let _ = fs::remove_file(&self.place.new);
        }
    }
}

/// Has a rename survive a loss of power.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}
