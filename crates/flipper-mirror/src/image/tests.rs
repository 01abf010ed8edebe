//! The rules, one by one.

use flipper_core::{FlagName, Listed};

use super::read::Ended;
use super::*;

fn found(number: i64) -> Versioned<Flag> {
    let flag = Flag::new(FlagName::new("X").unwrap(), Timestamp::from_secs(number));
    Versioned { version: flag.version_of_bytes(), value: flag }
}

fn now() -> Timestamp {
    Timestamp::from_secs(100)
}

fn image() -> Image {
    Image::new(Snapshot::new(Freshness::NeverLoaded), 2, true)
}

fn told(image: &mut Image, number: i64) -> Next {
    image.hear(Change::Put(found(number)), now())
}

fn number(image: &Image) -> Option<i64> {
    image.snapshot.get("X").and_then(|known| known.value.created_date())
}

/// Writes, with what is told meanwhile.
fn write(image: &mut Image, number: i64, meanwhile: &[i64]) -> Next {
    image.begin_write("X");
    for number in meanwhile {
        told(image, *number);
    }
    image.end_write("X", Wrote::State(Some(found(number))), now())
}

/// Reads what is stored, as the task does when it is told to.
fn read(image: &mut Image, next: Next, stored: Option<i64>) {
    let Next::Read(name, told) = next else { panic!("to be read, not {next:?}") };
    let ticket = image.begin_read(&name);
    assert_eq!(image.end_read(&name, ticket, &told, Ok(stored.map(found)), now()), Ended::Done);
}

#[test]
fn what_is_told_late_does_not_undo_a_write() {
    let mut image = image();
    assert_eq!(write(&mut image, 2, &[]), Next::Nothing);
    assert_eq!(number(&image), Some(2));
    // Older, or newer by somebody else: only the store knows. It may even be the same as ours.
    for (late, stored) in [(1, 2), (2, 2), (1, 2), (3, 3)] {
        let next = told(&mut image, late);
        assert_eq!(number(&image), Some(2), "{late}");
        read(&mut image, next, Some(stored));
        assert_eq!(number(&image), Some(stored), "{late}");
    }
    // After a while, it is as it is told.
    let later = Timestamp::from_secs(200);
    assert_eq!(image.hear(Change::Put(found(4)), later), Next::Nothing);
    assert_eq!(number(&image), Some(4));
    assert!(image.untold.is_empty());
}

#[test]
fn what_was_told_after_our_own_write_stays() {
    let mut image = image();
    assert_eq!(write(&mut image, 2, &[3, 2]), Next::Nothing);
    assert_eq!(number(&image), Some(2));
    // It may be that what was told first was the same by somebody else, and that ours is still to come.
    let ours = || Next::Read("X".into(), Told::Ours { is_there: true });
    assert_eq!(write(&mut image, 2, &[2, 3]), ours());
    assert_eq!((number(&image), told(&mut image, 4)), (Some(3), Next::Nothing));
    // Told something else meanwhile, which may be older or newer.
    assert_eq!(write(&mut image, 6, &[5]), ours());
}

#[test]
fn of_two_writes_at_once_the_store_says_which_was_the_last() {
    let mut image = image();
    image.begin_write("X");
    image.begin_write("X");
    assert_eq!(
        image.end_write("X", Wrote::State(Some(found(2))), now()),
        Next::Read("X".into(), Told::Touched)
    );
    assert_eq!(
        image.end_write("X", Wrote::State(Some(found(1))), now()),
        Next::Read("X".into(), Told::Touched)
    );
    assert_eq!(write(&mut image, 3, &[]), Next::Nothing);
    assert_eq!(number(&image), Some(3));
}

#[test]
fn a_read_during_which_something_happens_is_repeated() {
    let mut image = image();
    let ticket = image.begin_read("X");
    told(&mut image, 2);
    assert_eq!(image.end_read("X", ticket, &Told::Touched, Ok(Some(found(1))), now()), Ended::Again);
    assert_eq!(number(&image), Some(2), "it may be older than what was told");
    let ticket = image.begin_read("X");
    assert_eq!(image.hear(Change::Touched { name: "X".into() }, now()), Next::Nothing, "it is being read");
    assert_eq!(image.end_read("X", ticket, &Told::Touched, Ok(Some(found(3))), now()), Ended::Newer);
    assert_eq!(number(&image), Some(3), "it is newer than what was known, and there may be a newer one");
    let ticket = image.begin_read("X");
    assert_eq!(image.end_read("X", ticket, &Told::Touched, Ok(None), now()), Ended::Done);
    assert_eq!(number(&image), None);
    assert!(image.reading.is_empty());
}

#[test]
fn a_load_does_not_undo_what_happened_since_it_began() {
    let mut image = image();
    image.begin_load();
    told(&mut image, 2);
    let listed = vec![Listed::Flag(found(1))];
    assert_eq!(image.missing(&listed, now()), Some(vec![]));
    image.end_load(listed, vec![], now());
    assert_eq!((number(&image), image.snapshot.freshness()), (Some(2), Freshness::Live));
    // One that is missing goes once reading says so, and not if it was written meanwhile.
    image.begin_load();
    assert_eq!(image.missing(&[], now()), Some(vec!["X".into()]));
    told(&mut image, 3);
    image.end_load(vec![], vec![("X".into(), Ok(None))], now());
    assert_eq!(number(&image), Some(3));
    image.begin_load();
    assert_eq!(image.missing(&[], now()), Some(vec!["X".into()]));
    image.end_load(vec![], vec![("X".into(), Ok(None))], now());
    assert_eq!(number(&image), None);
}

#[test]
fn a_write_that_is_under_way_is_newer_than_a_load() {
    let mut image = image();
    told(&mut image, 1);
    image.begin_write("X");
    image.begin_load();
    assert_eq!(image.missing(&[], now()), Some(vec![]));
    image.end_load(vec![], vec![], now());
    image.end_write("X", Wrote::Nothing, now());
    assert_eq!(number(&image), Some(1));
    assert_eq!(image.end_write("X", Wrote::Nothing, now()), Next::Nothing, "there is none");
}

#[test]
fn what_is_loaded_while_nothing_is_told_is_not_live() {
    let mut image = image();
    let load = |image: &mut Image| {
        image.begin_load();
        let listed = vec![Listed::Flag(found(1))];
        image.missing(&listed, now()).unwrap();
        image.end_load(listed, vec![], now());
    };
    load(&mut image);
    assert_eq!(image.snapshot.freshness(), Freshness::Live);
    image.hear(Change::Down { error: Error::new(ErrorKind::Unavailable, "away") }, now());
    load(&mut image);
    assert!(matches!(image.snapshot.freshness(), Freshness::Stale { .. }));
    assert_eq!(
        image.hear(Change::Resync { cause: flipper_core::ResyncCause::Reconnected }, now()),
        Next::Load
    );
    load(&mut image);
    assert_eq!(image.snapshot.freshness(), Freshness::Live);
}

#[test]
fn of_several_writes_each_is_told() {
    let mut image = image();
    let gone = |image: &mut Image| image.hear(Change::Deleted { name: "X".into(), version: None }, now());
    let delete = |image: &mut Image| {
        image.begin_write("X");
        image.end_write("X", Wrote::State(None), now())
    };
    told(&mut image, 1);
    assert_eq!(delete(&mut image), Next::Nothing);
    assert_eq!(write(&mut image, 1, &[]), Next::Nothing);
    assert_eq!(delete(&mut image), Next::Nothing);
    // Told late, one after the other, and each perhaps by somebody else: only reading says what is there.
    for late in [None, Some(1), None, Some(1)] {
        let next = match late {
            Some(number) => told(&mut image, number),
            None => gone(&mut image),
        };
        assert_eq!(number(&image), None, "our own deletion has returned");
        read(&mut image, next, None);
        assert_eq!(number(&image), None);
    }
    assert!(image.queued.is_empty() && image.reading.is_empty());
}

/// As by a store that has lost its data since: whether all others are gone as well is a question for a load.
#[test]
fn a_flag_that_was_told_and_is_not_there_is_left_to_a_load() {
    for number in [2, 3, 0] {
        let mut image = image();
        write(&mut image, 2, &[]);
        let Next::Read(_, mut told) = told(&mut image, number) else { panic!("to be read") };
        if number == 0 {
            // What was read before may have been old.
            told = Told::Again;
        }
        let ticket = image.begin_read("X");
        assert_eq!(image.end_read("X", ticket, &told, Ok(None), now()), Ended::Failed);
        assert!(image.snapshot.get("X").is_some());
        image.begin_load();
        assert_eq!(image.missing(&[], now()), Some(vec!["X".into()]));
        image.end_load(vec![], vec![("X".into(), Ok(None))], now());
        assert!(image.snapshot.get("X").is_none());
    }
}

#[test]
fn a_read_from_before_a_write_does_not_forget_it() {
    let mut image = image();
    assert_eq!(write(&mut image, 1, &[]), Next::Nothing);
    let Next::Read(_, two) = told(&mut image, 2) else { panic!("somebody's, coalesced with ours") };
    let slow = image.begin_read("X");
    image.begin_write("X");
    told(&mut image, 2);
    assert_eq!(
        image.end_write("X", Wrote::State(Some(found(4))), now()),
        Next::Read("X".into(), Told::Ours { is_there: true })
    );
    assert_eq!(image.end_read("X", slow, &two, Ok(Some(found(2))), now()), Ended::Newer);
    let ticket = image.begin_read("X");
    assert_eq!(image.end_read("X", ticket, &Told::Touched, Ok(Some(found(4))), now()), Ended::Done);
    told(&mut image, 3);
    assert_eq!(number(&image), Some(4), "somebody's, from in between, told late");
}

#[test]
fn what_is_never_told_is_not_kept_for_ever() {
    let mut image = image();
    for number in 0..1_000 {
        let name = format!("N{number}");
        image.begin_write(&name);
        assert_eq!(image.end_write(&name, Wrote::Absent, now()), Next::Nothing);
        assert!(!image.untold.contains_key(&*name), "nobody tells that nothing was deleted");
        image.begin_write(&name);
        image.end_write(&name, Wrote::State(None), now());
    }
    image.begin_load();
    image.missing(&[], now()).unwrap();
    image.end_load(vec![], vec![], Timestamp::from_secs(200));
    assert!(image.untold.is_empty());
}

#[test]
fn a_slow_read_does_not_undo_a_load() {
    let mut image = image();
    told(&mut image, 1);
    let slow = image.begin_read("X");
    image.begin_load();
    let listed = vec![Listed::Flag(found(2))];
    image.missing(&listed, now()).unwrap();
    image.end_load(listed, vec![], now());
    assert_eq!(image.end_read("X", slow, &Told::Touched, Ok(Some(found(1))), now()), Ended::Again);
    assert_eq!(number(&image), Some(2));
}

#[test]
fn what_fails_to_be_read_is_left_to_a_load() {
    let mut image = image();
    assert_eq!(
        image.hear(Change::Touched { name: "X".into() }, now()),
        Next::Read("X".into(), Told::Touched)
    );
    assert_eq!(
        image.hear(Change::Touched { name: "X".into() }, now()),
        Next::Nothing,
        "it is going to be read"
    );
    let ticket = image.begin_read("X");
    let error = Error::new(ErrorKind::Unavailable, "away");
    assert_eq!(image.end_read("X", ticket, &Told::Touched, Err(error), now()), Ended::Failed);
    assert!(image.drop_read("X"));
}
