//! Writes lines, each with the hash of the one before.

use std::io;

use flipper_core::Timestamp;

use super::chain::{Chain, Head};
use super::files::Files;
use super::line::{LineKind, line};
use super::members::Header;
use super::output::{LogFile, Output};
use super::scan::Damage;
use crate::json;

/// How a log is written.
#[derive(Debug)]
pub(super) struct Writer {
    output: Output,
    chain: Chain,
    head: Head,
    header: Header,
    /// How many lines could not be written since the last one that could.
    unwritten: u64,
    /// Since when.
    lost_since: Option<Timestamp>,
    lost: u64,
    syncs: bool,
}

/// Why a log cannot be opened.
#[derive(Debug)]
pub(super) enum NotOpened {
    Io(io::Error),
    /// Somebody else writes it.
    Locked,
    Damaged(Damage),
    /// It is of another key.
    WrongKey(String),
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why a line is not certainly in the log.
#[derive(Debug)]
pub(super) struct NotWritten {
    pub(super) error: io::Error,
    /// The line, if it is there, or will be: it may not be on the disk, or a part of it may be missing yet.
    pub(super) line: Option<u64>,
}

impl From<io::Error> for NotWritten {
    fn from(error: io::Error) -> Self {
        Self { error, line: None }
    }
}

impl From<NotWritten> for NotOpened {
    fn from(not_written: NotWritten) -> Self {
        Self::Io(not_written.error)
    }
}

fn new_header(chain: &Chain) -> Header {
    // It need not be a secret: it tells logs apart that were made with the same key.
    let log = format!("{:032x}", fastrand::u128(..));
    Header { log, file: 1, after: None, chain: chain.name().to_owned() }
}

impl Writer {
    /// Begins a log that goes to a writer.
    pub(super) fn new(writer: Box<dyn io::Write + Send>, chain: Chain, syncs: bool) -> io::Result<Self> {
        let header = new_header(&chain);
        let output = Output::Other { writer, rest: Vec::new() };
        let mut new =
            Self { output, chain, head: Head::START, header, unwritten: 0, lost_since: None, lost: 0, syncs };
        new.begin().map_err(|not_written| not_written.error)?;
        Ok(new)
    }

    /// Opens a log in a file, or begins one.
    pub(super) fn open(
        files: &Files,
        chain: Chain,
        longest: Option<u64>,
        syncs: bool,
    ) -> Result<Self, NotOpened> {
        let lock = files.lock()?.ok_or(NotOpened::Locked)?;
        let full = files.full()?;
        let mut torn = Vec::new();
        let mut found = None;
        if files.active.try_exists()? {
            // Who reads a pipe waits for its writer, and a device has no end.
            if !files.active.metadata()?.is_file() {
                let message = "it is no file: use a writer for what else takes bytes";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
            }
            let (last, end) = last_state(&files.active, &chain)?;
            torn = end.torn;
            found = last.map(|(header, head)| (header, head, end.whole));
        }
        let output =
            |size, number| LogFile::open(files.clone(), size, number, longest, lock).map(Output::File);
        let (output, header, head, is_new) = match (found, full.last()) {
            (Some((header, head, size)), _) => (output(size, header.file)?, header, head, false),
            (None, Some((number, path))) => {
                // It was moved away, and the next one was not begun.
                let (last, end) = last_state(path, &chain)?;
                let Some((header, head)) = last.filter(|_| end.torn.is_empty()) else {
                    return Err(NotOpened::Damaged(Damage {
                        file: path.clone(),
                        line: end.lines + 1,
                        kind: super::scan::DamageKind::Torn,
                        message: "the file ends in the middle of a line".to_owned(),
                    }));
                };
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let header = Header { file: number + 1, after: name, ..header };
                (output(0, number + 1)?, header, head, true)
            }
            (None, None) => (output(0, 1)?, new_header(&chain), Head::START, true),
        };
        let mut writer = Self { output, chain, head, header, unwritten: 0, lost_since: None, lost: 0, syncs };
        if is_new {
            writer.begin()?;
        }
        if !torn.is_empty() {
            let hash = Chain::Plain.hash(&torn);
            writer.append(LineKind::Recovered, Timestamp::now(), &|out| {
                json::member(out, "torn_bytes", |out| out.push_str(&torn.len().to_string()));
                json::member(out, "torn_hash", |out| json::text(out, &hash.to_string()));
            })?;
        }
        writer.sync()?;
        Ok(writer)
    }

    pub(super) fn head(&self) -> Head {
        self.head
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost + u64::from(self.output.has_rest())
    }

    /// The file, to be flushed by somebody else.
    pub(super) fn file(&self) -> Option<&LogFile> {
        match &self.output {
            Output::File(file) => Some(file),
            Output::Other { .. } => None,
        }
    }

    /// Writes a line, and returns its number.
    ///
    /// # Errors
    ///
    /// It is not there, and counts as lost; or it is there, and may not be on the disk.
    pub(super) fn append(
        &mut self,
        kind: LineKind,
        time: Timestamp,
        members: &dyn Fn(&mut String),
    ) -> Result<u64, NotWritten> {
        let written = self.append_after_lost(kind, time, members);
        // What was to be announced, and was vetoed, has not happened.
        if written.as_ref().is_err_and(|not| not.line.is_none()) && kind != LineKind::Intent {
            self.unwritten += 1;
            self.lost += 1;
            self.lost_since.get_or_insert(time);
        }
        let head = written?;
        if self.syncs {
            self.sync().map_err(|error| NotWritten { error, line: Some(head.lines) })?;
        }
        Ok(head.lines)
    }

    fn append_after_lost(
        &mut self,
        kind: LineKind,
        time: Timestamp,
        members: &dyn Fn(&mut String),
    ) -> Result<Head, NotWritten> {
        if let (Some(since), count @ 1..) = (self.lost_since, self.unwritten) {
            let told = self.put(LineKind::Lost, Timestamp::now(), &|out| {
                json::member(out, "count", |out| out.push_str(&count.to_string()));
                json::member(out, "since", |out| json::text(out, &crate::time::write(since)));
            });
            if told.as_ref().map_or_else(|not| not.line.is_some(), |_| true) {
                (self.unwritten, self.lost_since) = (0, None);
            }
            told.map_err(|not| not.error)?;
        }
        self.put(kind, time, members)
    }

    /// Writes a line, into another file if the one that there is is full.
    fn put(
        &mut self,
        kind: LineKind,
        time: Timestamp,
        members: &dyn Fn(&mut String),
    ) -> Result<Head, NotWritten> {
        let (mut text, mut head) = line(self.head, &self.chain, kind, time, members);
        if self.output.is_full_for(text.len()) {
            match self.rotate() {
                Ok(()) => (text, head) = line(self.head, &self.chain, kind, time, members),
                // The file may grow longer than it should; the change is what matters.
                Err(error) => {
                    log::error!(target: "flipper::audit", "the audit log goes on in a file that is full: {error}");
                }
            }
        }
        self.write(&text, head)
    }

    fn begin(&mut self) -> Result<(), NotWritten> {
        let header = self.header.clone();
        let (text, head) =
            line(self.head, &self.chain, LineKind::Begin, Timestamp::now(), |out| header.write(out));
        self.write(&text, head).map(drop)
    }

    fn write(&mut self, text: &str, head: Head) -> Result<Head, NotWritten> {
        let partly = self.output.append(text.as_bytes())?;
        // What is there in part will be completed before anything else, so it counts.
        self.head = head;
        partly.map_or(Ok(head), |error| Err(NotWritten { error, line: Some(head.lines) }))
    }

    fn rotate(&mut self) -> io::Result<()> {
        let after = self.file().map(|file| file.files.numbered(file.number));
        let name = after.as_ref().and_then(|path| path.file_name());
        let after = name.map(|name| name.to_string_lossy().into_owned());
        let header = Header { file: self.header.file + 1, after, ..self.header.clone() };
        let (text, head) =
            line(self.head, &self.chain, LineKind::Begin, Timestamp::now(), |out| header.write(out));
        self.output.rotate(text.as_bytes())?;
        (self.head, self.header) = (head, header);
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.output.sync()
    }
}

type Last = Option<(Header, Head)>;

/// Goes through a file, and returns what its first line says and the head after its last whole one; `None` if there is none.
fn last_state(path: &std::path::Path, chain: &Chain) -> Result<(Last, super::scan::End), NotOpened> {
    let mut last: Option<(Header, super::scan::Scan<'_>)> = None;
    let end = super::scan::lines(std::fs::File::open(path)?, |at, line| {
        if let Some((_, scan)) = &mut last {
            return scan.next(path, at, line).map_err(NotOpened::Damaged);
        }
        let (header, mut scan) = super::verify::first_line(path, line, chain)?;
        scan.next(path, at, line).map_err(NotOpened::Damaged)?;
        last = Some((header, scan));
        Ok(())
    })??;
    Ok((last.map(|(header, scan)| (header, scan.head)), end))
}
