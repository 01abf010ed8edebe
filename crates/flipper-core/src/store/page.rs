//! What a store can do, and how much of it is asked for.

/// Chooses a part of a listing.
///
/// Without limit and offset the listing is complete. Records that cannot be read count in both.
///
/// # Examples
///
/// ```
/// use flipper_core::Page;
///
/// assert_eq!(Page::ALL, Page { limit: None, offset: 0 });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many records at the most; all if `None`.
    pub limit: Option<usize>,
    /// How many records to pass over first. Orders differ from store to store.
    pub offset: usize,
}

impl Page {
    /// Everything.
    pub const ALL: Self = Self { limit: None, offset: 0 };
}

/// Says what a store can do, here and now: servers differ, and so do permissions.
///
/// # Examples
///
/// ```
/// # use flipper_memory::MemoryStore;
/// use flipper_core::{CompareAndSet, Store};
///
/// let can = MemoryStore::new().capabilities();
/// assert!(can.local_reads, "checks never wait");
/// assert_eq!(can.conditional_put, CompareAndSet::Atomic, "no edit is lost");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// How a `put` with an expectation is carried out.
    pub conditional_put: CompareAndSet,
    /// How a `delete` with an expectation is carried out.
    pub conditional_delete: CompareAndSet,
    /// How changes by others become known.
    pub watch: Watching,
    /// Whether reads are answered from memory.
    pub local_reads: bool,
    /// Whether a record comes back byte for byte, with what newer writers have put into it. Otherwise the backend takes flags to pieces, and
    /// keeps those that it knows.
    pub whole_records: bool,
}

impl Capabilities {
    /// Whole records, reads and atomic conditional writes; no watching and no local reads.
    pub const CONDITIONAL_WRITES: Self = Self {
        conditional_put: CompareAndSet::Atomic,
        conditional_delete: CompareAndSet::Atomic,
        watch: Watching::Absent,
        local_reads: false,
        whole_records: true,
    };

    /// Everything that the contract has.
    pub const FULL: Self = Self { watch: Watching::Pushed, local_reads: true, ..Self::CONDITIONAL_WRITES };

    /// Chooses how changes by others become known.
    #[must_use]
    pub const fn with_watch(self, watch: Watching) -> Self {
        Self { watch, ..self }
    }

    /// Chooses whether reads are answered from memory.
    #[must_use]
    pub const fn with_local_reads(self, local_reads: bool) -> Self {
        Self { local_reads, ..self }
    }

    /// Chooses whether records come back byte for byte.
    #[must_use]
    pub const fn with_whole_records(self, whole_records: bool) -> Self {
        Self { whole_records, ..self }
    }

    /// Chooses how writes with an expectation are carried out.
    #[must_use]
    pub const fn with_conditional_writes(self, put: CompareAndSet, delete: CompareAndSet) -> Self {
        Self { conditional_put: put, conditional_delete: delete, ..self }
    }
}

/// Says how good an expectation is.
///
/// # Examples
///
/// ```
/// use flipper_core::{Capabilities, CompareAndSet};
///
/// let careless = Capabilities::CONDITIONAL_WRITES
///     .with_conditional_writes(CompareAndSet::BestEffort, CompareAndSet::BestEffort);
/// assert_ne!(careless.conditional_put, CompareAndSet::Atomic);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CompareAndSet {
    /// Check and write are one: no write of anybody can be lost.
    Atomic,
    /// The store reads, checks and writes: a write by somebody else in between is lost.
    BestEffort,
}

/// Says how changes by others become known.
///
/// # Examples
///
/// ```
/// use flipper_core::{Capabilities, Watching};
///
/// let told = Capabilities::CONDITIONAL_WRITES.with_watch(Watching::Pushed);
/// assert_eq!(told.watch, Watching::Pushed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Watching {
    /// The server tells.
    Pushed,
    /// The store asks again and again.
    Polled,
    /// They do not: whoever wants to know has to list.
    Absent,
}
