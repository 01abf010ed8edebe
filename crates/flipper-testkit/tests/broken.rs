//! The suite is tested itself: stores with one defect each, and the behaviours that have to find it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use flipper_core::{
    BoxStream, Capabilities, Change, Error, ErrorKind, Expect, Flag, FlagName, Freshness, Known, Listed,
    Page, Peek, Result, Snapshot, Store, Timestamp, Version, Versioned,
};
use flipper_memory::MemoryStore;
use flipper_testkit::{Subject, conformance};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    IgnoresMatches,
    IgnoresAbsent,
    ResurrectsDeleted,
    ChecksThenWrites,
    ReadsStale,
    DropsDeletes,
    DeletesAnyVersion,
    DeletesOnAbsent,
    ChecksThenDeletes,
    DeleteAlwaysTrue,
    VersionsNeverChange,
    PutReturnsAnotherVersion,
    RewritesBytes,
    CutsLargeRecords,
    NamesByBody,
    TrimsNames,
    DeletesByPrefix,
    TakesIllegalNames,
    ListsShort,
    ListsTwice,
    IgnoresOffset,
    IgnoresLimit,
    NoResync,
    MissesWakeUps,
    MissesDeletes,
    EchoesOldStates,
    WatchesNothing,
    OverflowsInSilence,
    PeeksStale,
    PeeksTwice,
    LooksUpStale,
    LiveWhileAway,
    SnapshotLags,
    SnapshotKeepsDeleted,
    SnapshotChanges,
    SnapshotIsNotStated,
    CloseLeavesWatches,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryStore,
    defect: Defect,
    first_reads: Mutex<HashMap<String, Option<Versioned<Flag>>>>,
    peeked: Mutex<HashMap<String, Flag>>,
    /// A snapshot beside that of the store.
    mirror: Snapshot,
    snapshots: AtomicUsize,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        let (first_reads, peeked, mirror) =
            (Mutex::default(), Mutex::default(), Snapshot::new(Freshness::Live));
        Self {
            inner: MemoryStore::new(),
            defect,
            first_reads,
            peeked,
            mirror,
            snapshots: AtomicUsize::new(0),
        }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }
}

fn conflict() -> Error {
    Error::new(ErrorKind::Conflict, "not as expected")
}

/// A flag under another name.
fn renamed(flag: &Flag, name: &str) -> Flag {
    Flag::read(FlagName::new(name).unwrap(), flag.as_json().as_bytes()).unwrap()
}

#[async_trait]
impl Store for Broken {
    async fn get(&self, name: FlagName<'_>) -> Result<Option<Versioned<Flag>>> {
        let name = if self.is(Defect::TrimsNames) {
            FlagName::new(name.as_str().trim_start_matches('/'))?
        } else {
            name
        };
        let found = self.inner.get(name).await?;
        if self.is(Defect::ReadsStale) {
            let mut reads = self.first_reads.lock().unwrap();
            return Ok(reads.entry(name.as_str().to_owned()).or_insert(found).clone());
        }
        Ok(found)
    }

    async fn look_up(&self, name: FlagName<'_>) -> Result<Known> {
        let found = self.get(name).await?;
        let found = if self.is(Defect::LooksUpStale) {
            let mut reads = self.first_reads.lock().unwrap();
            reads.entry(name.as_str().to_owned()).or_insert(found).clone()
        } else {
            found
        };
        Ok(Known { flag: found.map(|found| found.value), freshness: Freshness::Live })
    }

    async fn put(&self, flag: &Flag, expect: Expect<'_>) -> Result<Version> {
        let mut flag = flag.clone();
        match self.defect {
            Defect::RewritesBytes => {
                if let Ok(text) = flag.rewritten_by_flipper_client(Timestamp::now()) {
                    flag = renamed(&Flag::from_json(text.as_bytes())?, flag.name());
                }
            }
            Defect::CutsLargeRecords if flag.as_json().len() > 50_000 => {
                flag = renamed(&Flag::new(FlagName::new(flag.name())?, Timestamp::now()), flag.name());
            }
            Defect::NamesByBody => flag = Flag::from_json(flag.as_json().as_bytes())?,
            Defect::TrimsNames => flag = renamed(&flag, flag.name().trim_start_matches('/')),
            Defect::TakesIllegalNames if FlagName::new(flag.name()).is_err() => {
                return Ok(Version::from_u64(1));
            }
            _ => {}
        }
        let name = FlagName::new(flag.name())?;
        let current = self.inner.get(name).await?;
        let before = current.clone();
        let expect = match (self.defect, expect) {
            (Defect::IgnoresMatches, Expect::Matches(_)) if current.is_some() => {
                // Others come between, also where there is one processor for all.
                tokio::task::yield_now().await;
                Expect::Any
            }
            (Defect::ResurrectsDeleted, Expect::Matches(_)) if current.is_none() => Expect::Any,
            (Defect::IgnoresAbsent, Expect::Absent) | (Defect::VersionsNeverChange, Expect::Matches(_)) => {
                Expect::Any
            }
            (Defect::ChecksThenWrites, Expect::Matches(version)) => {
                if current.map(|found| found.version).as_ref() != Some(version) {
                    return Err(conflict());
                }
                tokio::task::yield_now().await;
                Expect::Any
            }
            (_, expect) => expect,
        };
        let version = self.inner.put(&flag, expect).await?;
        let written = Some(Versioned { value: flag.clone(), version: version.clone() });
        let mirrored = if self.is(Defect::SnapshotLags) { before } else { written };
        self.mirror.edit(|edit| mirrored.map(|found| edit.put(found)));
        if self.is(Defect::PeeksStale) {
            self.peeked.lock().unwrap().entry(flag.name().to_owned()).or_insert(flag);
        } else if self.is(Defect::LiveWhileAway) {
            self.peeked.lock().unwrap().insert(flag.name().to_owned(), flag);
        }
        Ok(match self.defect {
            Defect::VersionsNeverChange => Version::from_u64(0),
            Defect::PutReturnsAnotherVersion => Version::from_u64(u64::MAX),
            _ => version,
        })
    }

    async fn delete(&self, name: FlagName<'_>, expect: Expect<'_>) -> Result<bool> {
        if !self.is(Defect::SnapshotKeepsDeleted) {
            self.mirror.edit(|edit| edit.remove(name.as_str()));
        }
        match (self.defect, expect) {
            (Defect::DropsDeletes, _) => return Ok(self.inner.get(name).await?.is_some()),
            (Defect::DeletesAnyVersion, Expect::Matches(_)) | (Defect::DeletesOnAbsent, Expect::Absent) => {
                return self.inner.delete(name, Expect::Any).await;
            }
            (Defect::ChecksThenDeletes, Expect::Matches(version)) => {
                if self.inner.get(name).await?.map(|found| found.version).as_ref() != Some(version) {
                    return Err(conflict());
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                return self.inner.delete(name, Expect::Any).await;
            }
            (Defect::DeleteAlwaysTrue, _) => {
                self.inner.delete(name, expect).await?;
                return Ok(true);
            }
            (Defect::DeletesByPrefix, _) => {
                for item in flipper_testkit::collect(self.inner.list(Page::ALL)).await {
                    if let Listed::Flag(found) = item?
                        && found.value.name().starts_with(name.as_str())
                        && found.value.name() != name.as_str()
                    {
                        self.inner.delete(FlagName::new(found.value.name())?, Expect::Any).await?;
                    }
                }
            }
            _ => {}
        }
        self.inner.delete(name, expect).await
    }

    fn list(&self, page: Page) -> BoxStream<'_, Result<Listed>> {
        let limit = match self.defect {
            Defect::IgnoresLimit => None,
            _ => page.limit,
        };
        let offset = if self.is(Defect::IgnoresOffset) { 0 } else { page.offset };
        let inner = self.inner.list(Page { limit, offset });
        match self.defect {
            Defect::ListsShort => {
                Box::pin(Altered { inner, drop_at: Some(3), repeat_at: None, at: 0, repeated: None })
            }
            Defect::ListsTwice => {
                Box::pin(Altered { inner, drop_at: None, repeat_at: Some(3), at: 0, repeated: None })
            }
            _ => inner,
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL.with_local_reads(!self.is(Defect::SnapshotIsNotStated))
    }

    fn watch(&self) -> Option<BoxStream<'static, Change>> {
        let inner = self.inner.watch()?;
        if self.is(Defect::WatchesNothing) {
            return None;
        }
        Some(Box::pin(BadWatch { inner, defect: self.defect, seen: 0, old: HashMap::new(), echo: None }))
    }

    fn snapshot(&self) -> Option<&Snapshot> {
        match self.defect {
            Defect::SnapshotLags | Defect::SnapshotKeepsDeleted => Some(&self.mirror),
            Defect::SnapshotChanges if self.snapshots.fetch_add(1, Ordering::SeqCst) % 2 == 1 => {
                Some(&self.mirror)
            }
            Defect::SnapshotChanges | Defect::SnapshotIsNotStated => self.inner.snapshot(),
            _ => None,
        }
    }

    fn peek(&self, name: &str, see: &mut dyn FnMut(Peek<'_>)) {
        if self.is(Defect::PeeksStale)
            && let Some(flag) = self.peeked.lock().unwrap().get(name)
        {
            return see(Peek::Hit { flag, freshness: Freshness::Live });
        }
        if self.is(Defect::LiveWhileAway)
            && let Some(flag) = self.peeked.lock().unwrap().get(name)
        {
            return see(Peek::Hit { flag, freshness: Freshness::Live });
        }
        if self.is(Defect::PeeksTwice) {
            see(Peek::Ask);
        }
        self.inner.peek(name, see);
    }

    async fn close(&self) -> Result<()> {
        if self.is(Defect::CloseLeavesWatches) { Ok(()) } else { self.inner.close().await }
    }
}

/// A listing with an item too few or too many.
struct Altered<'s> {
    inner: BoxStream<'s, Result<Listed>>,
    drop_at: Option<usize>,
    repeat_at: Option<usize>,
    at: usize,
    repeated: Option<Result<Listed>>,
}

impl futures_core::Stream for Altered<'_> {
    type Item = Result<Listed>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(item) = self.repeated.take() {
            return Poll::Ready(Some(item));
        }
        let Poll::Ready(mut item) = self.inner.as_mut().poll_next(task) else { return Poll::Pending };
        if Some(self.at) == self.drop_at {
            let Poll::Ready(next) = self.inner.as_mut().poll_next(task) else { return Poll::Pending };
            item = next;
        }
        if Some(self.at) == self.repeat_at
            && let Some(Ok(listed)) = &item
        {
            self.repeated = Some(Ok(listed.clone()));
        }
        self.at += 1;
        Poll::Ready(item)
    }
}

struct BadWatch {
    inner: BoxStream<'static, Change>,
    defect: Defect,
    seen: usize,
    old: HashMap<String, Change>,
    echo: Option<Change>,
}

impl futures_core::Stream for BadWatch {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Change>> {
        if let Some(echo) = self.echo.take() {
            return Poll::Ready(Some(echo));
        }
        loop {
            let mut deaf = Context::from_waker(std::task::Waker::noop());
            let polled = if self.defect == Defect::MissesWakeUps && self.seen > 0 {
                self.inner.as_mut().poll_next(&mut deaf)
            } else {
                self.inner.as_mut().poll_next(task)
            };
            let Poll::Ready(change) = polled else { return Poll::Pending };
            self.seen += 1;
            if let (Defect::EchoesOldStates, Some(Change::Put(found))) = (self.defect, &change) {
                let name = found.value.name().to_owned();
                self.echo = self.old.insert(name, Change::Put(found.clone()));
            }
            match (self.defect, &change) {
                (Defect::NoResync, Some(Change::Resync { .. }))
                | (Defect::MissesDeletes, Some(Change::Deleted { .. })) => {}
                (Defect::OverflowsInSilence, Some(Change::Resync { .. } | Change::Put(_)))
                    if self.seen > 1 => {}
                (Defect::CloseLeavesWatches, None) => return Poll::Pending,
                _ => return Poll::Ready(change),
            }
        }
    }
}

macro_rules! caught {
    ($($defect:ident by $($behaviour:ident),+;)*) => {$(
        #[allow(non_snake_case)]
        #[flipper_testkit::tokio::test(flavor = "multi_thread", crate = "flipper_testkit::tokio")]
        async fn $defect() {
            $(
                let subject = Subject::new(|| async { Broken::new(Defect::$defect) })
                    .with_sibling(|store| async { store })
                    .with_outage(|store: std::sync::Arc<Broken>| async move { store.close().await.unwrap() });
                let run = async move { conformance::$behaviour(&subject).await };
                let joined = tokio::spawn(run).await;
                match joined {
                    Err(error) => assert!(error.is_panic()),
                    Ok(outcome) => panic!("{:?} was not found by {}: {outcome:?}", Defect::$defect, stringify!($behaviour)),
                }
            )+
        }
    )*};
}

caught! {
    IgnoresMatches by matches_takes_the_current_version_only, a_write_on_top_of_others_is_a_conflict, edits_of_32_editors_are_all_kept;
    IgnoresAbsent by absent_creates_and_never_replaces, one_of_many_creators_wins;
    ResurrectsDeleted by a_write_never_resurrects_a_deleted_flag;
    ChecksThenWrites by edits_of_32_editors_are_all_kept;
    ReadsStale by any_replaces_what_is_there, others_writes_are_read;
    DropsDeletes by delete_says_whether_there_was_a_flag, listings_leave_out_what_is_deleted;
    DeletesAnyVersion by delete_takes_the_current_version_only;
    DeletesOnAbsent by delete_refuses_to_expect_nothing;
    DeleteAlwaysTrue by delete_says_whether_there_was_a_flag;
    VersionsNeverChange by any_replaces_what_is_there, a_flag_made_again_is_another;
    PutReturnsAnotherVersion by what_is_put_is_got, listings_are_complete;
    RewritesBytes by bytes_are_kept_as_they_are;
    CutsLargeRecords by large_records_are_kept_or_refused;
    NamesByBody by the_key_is_the_name;
    TrimsNames by every_legal_name_round_trips;
    DeletesByPrefix by neighbouring_names_do_not_touch;
    TakesIllegalNames by illegal_names_are_refused;
    ListsShort by listings_are_complete;
    ListsTwice by listings_are_complete;
    IgnoresOffset by limit_and_offset_cut_a_listing;
    IgnoresLimit by limit_and_offset_cut_a_listing;
    NoResync by a_watch_begins_with_a_resync;
    MissesWakeUps by a_watch_wakes_who_waits;
    MissesDeletes by a_watch_tells_writes_in_order;
    EchoesOldStates by a_watch_ends_at_the_last_state;
    WatchesNothing by a_watch_begins_with_a_resync;
    ChecksThenDeletes by a_delete_and_a_write_never_both_win;
    OverflowsInSilence by a_slow_watcher_is_told_to_load_again;
    PeeksStale by local_reads_agree_with_the_source;
    PeeksTwice by a_peek_is_seen_once;
    LooksUpStale by checks_see_writes_at_once;
    SnapshotLags by a_snapshot_agrees_with_the_source;
    SnapshotKeepsDeleted by a_snapshot_agrees_with_the_source;
    SnapshotChanges by a_snapshot_agrees_with_the_source;
    SnapshotIsNotStated by a_snapshot_agrees_with_the_source;
    LiveWhileAway by answers_say_how_old_they_are;
    CloseLeavesWatches by closing_ends_watches_and_can_be_repeated;
}
