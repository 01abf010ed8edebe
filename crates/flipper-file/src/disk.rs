//! The file on the disk: read whole, replaced whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::place::Place;

/// Tells a file and its state from others, without reading it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    len: u64,
    modified: Option<SystemTime>,
    changed: Option<SystemTime>,
    is_settled: bool,
}

/// How long a file must have been left alone until its times tell whether it has changed since: within a tick of the
/// file system's clock, two changes look like one. There are file systems that count in two seconds.
pub(crate) const SETTLED: Duration = Duration::from_secs(2);

/// More is more than places in it can be told of.
const MOST_BYTES: u64 = u32::MAX as u64;

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
        self.has_same_content(other) && self.changed == other.changed
    }

    /// The same, where it may have been renamed meanwhile.
    fn has_same_content(&self, other: &Self) -> bool {
        self.is_same_file(other) && self.len == other.len && self.modified == other.modified
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What tells a file from others, if there is one.
pub(crate) fn identity(path: &Path) -> io::Result<Option<Identity>> {
    found(fs::metadata(path)).map(|metadata| metadata.as_ref().map(Identity::of))
}

/// Which directory this is.
pub(crate) fn directory_identity(path: &Path) -> Option<(u64, u64)> {
    let identity = identity(path).ok()??;
    Some((identity.device, identity.inode))
}

pub(crate) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn regular(metadata: Metadata) -> io::Result<Metadata> {
    if metadata.is_file() {
        Ok(metadata)
    } else {
        Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Options that never wait for the other end of a pipe.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    options
}

/// Options that make a file which nobody else may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether an open file is the one at a path.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = Identity::of(&file.metadata()?);
    Ok(identity(path)?.is_some_and(|there| there.is_same_file(&ours)))
}

/// Reads a file, if there is one.
pub(crate) fn read(path: &Path) -> io::Result<Option<(Vec<u8>, Identity)>> {
    let Some(metadata) = found(fs::metadata(path))? else { return Ok(None) };
    regular(metadata)?;
    let Some(mut file) = found(options().read(true).open(path))? else { return Ok(None) };
    for _ in 0..3 {
        let before = Identity::of(&regular(file.metadata()?)?);
        if before.len > MOST_BYTES {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("it has {} bytes, more than 4 GiB", before.len),
            ));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(before.len as usize + 1)?;
        (&file).take(MOST_BYTES).read_to_end(&mut bytes)?;
        // Somebody may be writing into it.
        if Identity::of(&file.metadata()?).is_same(&before) {
            return Ok(Some((bytes, before)));
        }
        file.rewind()?;
    }
    Err(io::Error::other("somebody is writing it all the time"))
}

/// How a replacement went that could not be completed.
pub(crate) enum NotReplaced {
    /// Somebody has changed the file; nothing has happened.
    Moved,
    /// Nothing has happened.
    Failed(io::Error),
    /// Nobody knows what has happened.
    Unknown(io::Error),
}

impl From<io::Error> for NotReplaced {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A file's next state, on the disk under another name. Dropped, it is deleted.
#[derive(Debug)]
pub(crate) struct Replacement<'p> {
    place: &'p Place,
    file: File,
    /// Opened before anything has happened, as it may not be permitted.
    directory: Option<File>,
}

impl<'p> Replacement<'p> {
    /// Writes the next state. Whoever holds the lock may.
    pub(crate) fn write(place: &'p Place, bytes: &[u8]) -> io::Result<Self> {
        let directory = if cfg!(unix) { Some(File::open(&place.directory)?) } else { None };
        // What a writer that was killed has left; and never through a link that somebody has put there.
        found(fs::remove_file(&place.new))?;
        let file = private().open(&place.new)?;
        let mut replacement = Self { place, file, directory };
        if let Some(current) = found(fs::metadata(&place.file))? {
            same_access(&replacement.file, &current)?;
        }
        replacement.file.write_all(bytes)?;
        replacement.file.sync_all()?;
        Ok(replacement)
    }

    /// Puts it in the place of the file, if that still is what was seen. Returns what tells it from others then; `None` if
    /// somebody has written into it already.
    pub(crate) fn put_in_place(&self, seen: Option<&Identity>) -> Result<Option<Identity>, NotReplaced> {
        let Place { file, new, .. } = self.place;
        let before = Identity::of(&self.file.metadata()?);
        if !is_at(&self.file, new)? {
            // Somebody has deleted the lock file, and two writers are here.
            return Err(NotReplaced::Moved);
        }
        match (seen, identity(file)?) {
            (Some(seen), Some(now)) if seen.is_same(&now) => {}
            (None, None) => {}
            _ => return Err(NotReplaced::Moved),
        }
        let renamed = match seen {
            Some(seen) => self.exchange(seen)?,
            None => fs::rename(new, file),
        };
        match renamed {
            // Of the open file, as there may be another one at the path by now.
            Ok(()) => {
                let after = self.file.metadata().ok().map(|metadata| Identity::of(&metadata));
                Ok(after.filter(|after| after.has_same_content(&before)))
            }
            Err(error) => match is_at(&self.file, file) {
                Ok(false) => Err(NotReplaced::Failed(error)),
                _ => Err(NotReplaced::Unknown(error)),
            },
        }
    }

    /// Swaps the two, looks at what has come out, and swaps them back if it is not what was seen: an editor may save between
    /// a look and a rename.
    #[cfg(target_os = "linux")]
    fn exchange(&self, seen: &Identity) -> Result<io::Result<()>, NotReplaced> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        let Place { file, new, .. } = self.place;
        let swap = || renameat_with(CWD, new, CWD, file, RenameFlags::EXCHANGE);
        match swap() {
            Ok(()) => {}
            Err(rustix::io::Errno::NOENT) => return Err(NotReplaced::Moved),
            // A file system that cannot.
            Err(_) => return Ok(fs::rename(new, file)),
        }
        match identity(new) {
            Ok(Some(out)) if out.has_same_content(seen) => return Ok(Ok(())),
            Ok(_) => {}
            Err(error) => return Err(NotReplaced::Unknown(error)),
        }
        // What has come out is the editor's, and goes back, unless the editor has saved once more and ours is gone.
        let unknown = NotReplaced::Unknown;
        if is_at(&self.file, file).map_err(unknown)? {
            swap().map_err(|error| unknown(error.into()))?;
            if !is_at(&self.file, new).map_err(unknown)? {
                // It was once more just now: that is what has come out.
                swap().map_err(|error| unknown(error.into()))?;
            }
        }
        Err(NotReplaced::Moved)
    }

    #[cfg(not(target_os = "linux"))]
    fn exchange(&self, _: &Identity) -> Result<io::Result<()>, NotReplaced> {
        Ok(fs::rename(&self.place.new, &self.place.file))
    }

    /// Has the rename survive a loss of power.
    pub(crate) fn flush(self) -> io::Result<()> {
        self.directory.as_ref().map_or(Ok(()), File::sync_all)
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        // It, if it was not put in place; else what it was exchanged for.
        let _ = fs::remove_file(&self.place.new);
    }
}

/// Gives a file to those who may read and write another.
#[cfg(unix)]
pub(crate) fn same_access(file: &File, as_of: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mut mode = as_of.permissions().mode() & 0o7777;
    // Without the right to it, the file becomes ours, as with any editor; but not our group's.
    if !same_group(file, as_of)? {
        mode &= !0o070;
    }
    // After the owner, whose change takes bits away.
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Gives a file the owner and the group of another, as far as we may, and returns whether it has that group.
#[cfg(unix)]
pub(crate) fn same_group(file: &File, as_of: &Metadata) -> io::Result<bool> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let ours = file.metadata()?;
    let (uid, gid) = (as_of.uid(), as_of.gid());
    Ok((ours.uid(), ours.gid()) == (uid, gid)
        || fchown(file, Some(uid), Some(gid)).is_ok()
        || ours.gid() == gid
        || fchown(file, None, Some(gid)).is_ok())
}

#[cfg(not(unix))]
pub(crate) fn same_access(file: &File, as_of: &Metadata) -> io::Result<()> {
    file.set_permissions(as_of.permissions())
}
