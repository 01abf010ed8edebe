//! Where lines go: a file that is kept whole and is moved away when it is full, or any writer.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;

use super::files::{Files, is_at, is_removed, keep, private};

/// The file that is written to.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) files: Files,
    pub(super) file: Arc<File>,
    /// How long the file is, as far as it is known to consist of whole lines.
    size: u64,
    /// Whether there may be a part of a line after that.
    is_torn: bool,
    pub(super) number: u64,
    /// How long a file may get.
    longest: Option<u64>,
    /// Keeps other writers out.
    _lock: File,
}

impl LogFile {
    /// Opens the file for lines after its first `size` bytes, and cuts off what comes after them.
    pub(super) fn open(
        files: Files,
        size: u64,
        number: u64,
        longest: Option<u64>,
        lock: File,
    ) -> io::Result<Self> {
        let file = private().create(true).append(true).open(&files.active)?;
        keep(&file)?;
        if file.metadata()?.len() != size {
            file.set_len(size)?;
            file.sync_all()?;
        }
        files.sync_directory()?;
        Ok(Self { files, file: Arc::new(file), size, is_torn: false, number, longest, _lock: lock })
    }

    /// Whether a line of a length goes into another file.
    fn is_full_for(&self, len: usize) -> bool {
        self.longest.is_some_and(|longest| self.size > 0 && self.size + len as u64 > longest)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if is_removed(&self.file)? {
            let message = format!(
                "{} was removed or replaced while it was open: open the log again",
                self.files.active.display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        if self.is_torn {
            self.file.set_len(self.size)?;
            self.is_torn = false;
        }
        let written = (&*self.file).write_all(line);
        if written.is_ok() {
            self.size += line.len() as u64;
        } else {
            // If that fails too, it is done before the next line, or when the log is opened again.
            self.is_torn = self.file.set_len(self.size).is_err();
        }
        written
    }

    /// Moves the file away, and begins another one with a line.
    fn rotate(&mut self, first: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.size)?;
            self.is_torn = false;
        }
        self.file.sync_all()?;
        if !is_at(&self.file, &self.files.active)? {
            let message = format!("{} is another file by now", self.files.active.display());
            return Err(io::Error::other(message));
        }
        let full = self.files.numbered(self.number);
        if full.try_exists()? {
            let message = format!("{} is in the way of the file that is full", full.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        std::fs::rename(&self.files.active, &full)?;
        match self.begin(first) {
            Ok(file) => {
                (self.file, self.size) = (Arc::new(file), first.len() as u64);
                self.number += 1;
                // The other file is written to from here on, whatever becomes of that.
                if let Err(error) = self.files.sync_directory() {
                    log::error!(target: "flipper::audit", "the audit log has begun another file, which may be gone if the machine crashes: {error}");
                }
                Ok(())
            }
            Err(error) => {
                // As if nothing had happened. If the file cannot be moved back, lines still go into it, and the log is found
                // whole when it is opened again.
                let _ = std::fs::remove_file(&self.files.active);
                let _ = std::fs::rename(&full, &self.files.active);
                Err(error)
            }
        }
    }

    fn begin(&self, first: &[u8]) -> io::Result<File> {
        let mut options: OpenOptions = private();
        let mut file = options.create_new(true).append(true).open(&self.files.active)?;
        keep(&file)?;
        file.write_all(first)?;
        file.sync_all()?;
        Ok(file)
    }
}

#[cfg(unix)]
impl Drop for LogFile {
    fn drop(&mut self) {
        // Who flushes it may have it a little longer.
        let _ = self.file.unlock();
    }
}

/// Where lines go.
pub(super) enum Output {
    File(LogFile),
    Other {
        writer: Box<dyn Write + Send>,
        /// What is left of a line of which a part was written: nothing else may be written before.
        rest: Vec<u8>,
    },
}

impl Output {
    /// Whether a line of a length goes into another file.
    pub(super) fn is_full_for(&self, len: usize) -> bool {
        matches!(self, Self::File(file) if file.is_full_for(len))
    }

    /// Whether a part of a line is missing yet.
    pub(super) fn has_rest(&self) -> bool {
        matches!(self, Self::Other { rest, .. } if !rest.is_empty())
    }

    /// Writes a line. If it cannot be written, nothing of it is there, or will be completed before the next one.
    ///
    /// `Ok(Some(_))`: a part of it is there.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<Option<io::Error>> {
        match self {
            Self::File(file) => file.append(line).map(|()| None),
            Self::Other { writer, rest } => {
                write_rest(writer, rest)?;
                rest.extend_from_slice(line);
                match write_rest(writer, rest) {
                    Ok(()) => Ok(None),
                    Err(error) if rest.len() == line.len() => {
                        rest.clear();
                        Err(error)
                    }
                    Err(error) => Ok(Some(error)),
                }
            }
        }
    }

    pub(super) fn rotate(&mut self, first: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.rotate(first),
            Self::Other { .. } => Ok(()),
        }
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.file.sync_data(),
            Self::Other { writer, .. } => writer.flush(),
        }
    }
}

/// Writes as much as can be written, and keeps the rest.
fn write_rest(writer: &mut dyn Write, rest: &mut Vec<u8>) -> io::Result<()> {
    while !rest.is_empty() {
        match writer.write(rest) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::WriteZero, "the writer takes no more")),
            Ok(written) => {
                rest.drain(..written.min(rest.len()));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => fmt::Debug::fmt(file, f),
            Self::Other { .. } => f.write_str("a writer"),
        }
    }
}
