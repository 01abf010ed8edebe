//! What a file holds.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use flipper_core::json::{self, MAX_BYTES, Text, place};
use flipper_core::{Change, Error, ErrorKind, Flag, FlagName, Result, Version, Versioned};

use crate::layout;

/// A file's text, and the records in it, ordered by name.
#[derive(Debug, Default)]
pub(crate) struct Content {
    text: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    named: Arc<Named>,
    /// Where the value stands in the text.
    value: Range<usize>,
}

/// What contents share as long as it stays the same.
#[derive(Debug)]
struct Named {
    name: Text,
    /// The name as it is written.
    key: Box<str>,
    record: Record,
}

impl Named {
    fn new(name: Text, record: Record) -> Arc<Self> {
        let key = layout::key(&name).into();
        Arc::new(Self { name, key, record })
    }
}

/// One record, as it is read.
#[derive(Debug)]
pub(crate) enum Record {
    Flag(Arc<Versioned<Flag>>),
    Bad { name: Box<str>, version: Version, error: Error },
}

impl Record {
    pub(crate) fn version(&self) -> &Version {
        match self {
            Self::Flag(found) => &found.version,
            Self::Bad { version, .. } => version,
        }
    }
}

impl Content {
    /// Reads a file's text. A record that stands as it did before is taken over and not read again.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the whole file cannot be read: it is no JSON object, or has a name twice.
    pub(crate) fn read(text: String, before: &Self) -> Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        for (name, value) in json::members(&text)? {
            let known =
                before.entry(&name).filter(|known| before.text[known.value.clone()] == text[value.clone()]);
            let named = match known.map(|known| &known.named) {
                Some(named) if matches!(named.record, Record::Flag(_)) => Arc::clone(named),
                // A bad record says in which line it is, which may be another one now.
                _ => {
                    let record = read_record(&name, &text, &value);
                    Named::new(name, record)
                }
            };
            entries.push(Entry { named, value });
        }
        entries.sort_by(|one, other| one.named.name.cmp(&other.named.name));
        if let Some([first, second]) =
            entries.windows(2).find(|pair| pair[0].named.name == pair[1].named.name)
        {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{:?} stands twice, at {} and at {}: keep one of them",
                    first.named.name.to_string_lossy(),
                    place(&text, first.value.start),
                    place(&text, second.value.start)
                ),
            ));
        }
        Ok(Self { text, entries })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.entries.iter().map(|entry| &entry.named.record)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Record> {
        self.entry(&name.into()).map(|entry| &entry.named.record)
    }

    fn entry(&self, name: &Text) -> Option<&Entry> {
        self.at(name).ok().map(|at| &self.entries[at])
    }

    fn at(&self, name: &Text) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.named.name.cmp(name))
    }

    /// The same with another record under its name, or without the one that is there. All others keep their text.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the record or the file would be too long to be read again.
    pub(crate) fn with(&self, name: &str, record: Option<Arc<Versioned<Flag>>>) -> Result<Self> {
        let name = Text::from(name);
        let value = record.as_ref().map(|record| layout::lay_out(record.value.as_json(), 1));
        // As a string, an item may have more escapes than can be read again.
        if value.as_ref().is_some_and(|value| value.starts_with('"') && value.len() > MAX_BYTES) {
            let message = "the record is too long: it cannot be laid out over lines, and has too many escapes as a string";
            return Err(Error::new(ErrorKind::InvalidInput, message).with_store("file"));
        }
        let (before, after) = match self.at(&name) {
            Ok(at) => (&self.entries[..at], &self.entries[at + 1..]),
            Err(at) => self.entries.split_at(at),
        };
        let more = value.as_ref().map_or(0, String::len) + name.to_string_lossy().len() * 2 + 64;
        let mut to = Self {
            text: String::with_capacity(self.text.len() + more),
            entries: Vec::with_capacity(self.entries.len() + 1),
        };
        for entry in before {
            to.push(Arc::clone(&entry.named), &self.text[entry.value.clone()]);
        }
        if let (Some(record), Some(value)) = (record, value) {
            to.push(Named::new(name, Record::Flag(record)), &value);
        }
        for entry in after {
            to.push(Arc::clone(&entry.named), &self.text[entry.value.clone()]);
        }
        to.text.push_str(if to.entries.is_empty() { "{}\n" } else { "\n}\n" });
        if u32::try_from(to.text.len()).is_err() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "the file would be longer than 4 GiB").with_store("file")
            );
        }
        Ok(to)
    }

    fn push(&mut self, named: Arc<Named>, value: &str) {
        self.text.push_str(if self.entries.is_empty() { "{\n  " } else { ",\n  " });
        self.text.push_str(&named.key);
        self.text.push_str(": ");
        let start = self.text.len();
        self.text.push_str(value);
        self.entries.push(Entry { named, value: start..self.text.len() });
    }
}

fn read_record(name: &Text, text: &str, value: &Range<usize>) -> Record {
    let shown = name.to_string_lossy();
    let stored = &text[value.clone()];
    let read = || {
        let name = name
            .as_str()
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, "the name is not text: it has a lone surrogate"))?;
        let name = FlagName::new(name)?;
        let flag = Flag::read(name, layout::item(stored)?.as_bytes())?;
        let version = flag.version_of_bytes();
        Ok(Arc::new(Versioned { value: flag, version }))
    };
    let error: Error = match read() {
        Ok(record) => return Record::Flag(record),
        Err(error) => error,
    };
    let version = Version::from_bytes(stored.as_bytes());
    let message = format!("{}: {}", place(text, value.start), error.message());
    let error = Error::new(ErrorKind::Corrupt, message).with_flag(&*shown).with_version(version.clone());
    Record::Bad { name: shown.into(), version, error: error.with_store("file") }
}

/// What has to happen for one content to become the other.
pub(crate) fn changes(before: &Content, after: &Content) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut before, mut after) = (before.entries.iter().peekable(), after.entries.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return changes,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => one.named.name.cmp(&other.named.name),
        };
        let gone = before.next_if(|_| order.is_le()).map(|entry| &*entry.named);
        let come = after.next_if(|_| order.is_ge()).map(|entry| &entry.named.record);
        match (gone, come) {
            (Some(gone), Some(come)) if gone.record.version() == come.version() => {}
            (_, Some(Record::Flag(found))) => changes.push(Change::Put(Versioned::clone(found))),
            (_, Some(Record::Bad { name, version, error })) => changes.push(Change::Bad {
                name: name.clone(),
                version: Some(version.clone()),
                error: error.clone(),
            }),
            (Some(gone), None) => {
                // One that is no text is shown as what may be the name of another one.
                let name = gone.name.as_str().map(Box::from);
                changes.extend(name.map(|name| Change::Deleted { name, version: None }));
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flipper_core::Timestamp;

    fn record(name: &str) -> Arc<Versioned<Flag>> {
        let value = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1));
        let version = value.version_of_bytes();
        Arc::new(Versioned { value, version })
    }

    fn read(text: &str) -> Content {
        Content::read(text.to_owned(), &Content::default()).unwrap()
    }

    #[test]
    fn what_is_written_is_sorted_and_read_again() {
        let mut content = Content::default();
        for name in ["b", "é", "a", "a\"b"] {
            content = content.with(name, Some(record(name))).unwrap();
        }
        let again = read(content.text());
        assert_eq!(
            again.entries.iter().map(|entry| entry.named.name.as_str()).collect::<Vec<_>>(),
            ["a", "a\"b", "b", "é"].map(Some)
        );
        for (one, other) in content.entries.iter().zip(&again.entries) {
            assert_eq!((&one.named.name, &one.value), (&other.named.name, &other.value));
            assert_eq!(one.named.record.version(), other.named.record.version());
        }
        for name in ["a", "é", "b", "a\"b"] {
            content = content.with(name, None).unwrap();
        }
        assert_eq!(content.text(), "{}\n");
    }

    #[test]
    fn what_others_have_written_keeps_its_text() {
        let content = read("{\"z\": {\n\t\"odd\":  1 }, \"\\u0041\":[] ,\"\\ud800\": 1}");
        let written = content.with("m", Some(record("m"))).unwrap().with("m", None).unwrap();
        assert_eq!(written.text(), "{\n  \"A\": [],\n  \"z\": {\n\t\"odd\":  1 },\n  \"\\ud800\": 1\n}\n");
        assert_eq!(read(written.text()).with("m", None).unwrap().text(), written.text());
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let error = |text: &str| Content::read(text.to_owned(), &Content::default()).unwrap_err().to_string();
        assert!(error("{\n  \"é\": tru }").contains("line 2, column 8"));
        assert!(
            error("{\"A\": 1,\n \"A\": 2}")
                .contains("\"A\" stands twice, at line 1, column 7 and at line 2, column 7")
        );
        assert!(error("[]").contains("a JSON object is expected"));
        assert!(error("").contains("found the end"));
        let content = read("{\n  \"A\": {\"feature_name\": \"A\"},\n  \"\": 1 }");
        let errors: Vec<_> = content
            .records()
            .filter_map(|record| match record {
                Record::Bad { error, .. } => Some(error.to_string()),
                Record::Flag(_) => None,
            })
            .collect();
        assert!(
            errors[1].contains("\"A\": corrupt record: line 2, column 8: `meta` is missing"),
            "{errors:?}"
        );
        assert!(errors[0].contains("line 3, column 7"), "{errors:?}");
    }

    #[test]
    fn records_that_stand_as_before_are_not_read_again() {
        let before =
            Content::default().with("a", Some(record("a"))).unwrap().with("b", Some(record("b"))).unwrap();
        let after =
            Content::read(before.text().replace("false", "true").replacen("true", "false", 1), &before)
                .unwrap();
        let same = |name: &str| match (before.get(name), after.get(name)) {
            (Some(Record::Flag(one)), Some(Record::Flag(other))) => Arc::ptr_eq(one, other),
            _ => unreachable!(),
        };
        assert!(same("a") && !same("b"));
    }
}
