#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(clippy::unnecessary_wraps, clippy::type_complexity, reason = "as the rules take and give it")]

use flipper_core::{Change, FlagName, ResyncCause, StaleCause};
use futures_util::FutureExt;

use super::*;

const TIMES: Times = Times { ttl: Some(10_000), negative_ttl: 500, stale: 60_000 };

fn cache(size: usize) -> Cache {
    Cache::new(NonZeroUsize::new(size).unwrap(), TIMES)
}

fn time(now: Millis) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + now as i64 * 1_000)
}

fn state(name: &str, number: u64) -> Found {
    let mut value = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(0));
    value.set_enabled(number % 2 == 1).unwrap();
    Some(Versioned { value, version: Version::from_u64(number) })
}

/// A whole read.
fn read(cache: &Cache, name: &str, found: Found, now: Millis) {
    let ticket = cache.begin_read(name, now);
    cache.end_read(name, ticket, &Ok(found), now, time(now));
}

fn fail(cache: &Cache, name: &str, kind: ErrorKind, now: Millis) {
    let ticket = cache.begin_read(name, now);
    cache.end_read(name, ticket, &Err(Error::new(kind, "failed")), now, time(now));
}

/// What a check finds: the version, and how old it is. `None`: it has to ask.
fn hit(cache: &Cache, name: &str, now: Millis) -> Option<(Option<u64>, Freshness)> {
    cache.hit(name, now, |hit| (hit.entry.version().and_then(Version::as_u64), hit.freshness))
}

fn live(number: u64) -> Option<(Option<u64>, Freshness)> {
    Some((Some(number), Freshness::Live))
}

fn stale(number: u64, since: Millis, cause: StaleCause) -> Option<(Option<u64>, Freshness)> {
    Some((Some(number), Freshness::Stale { since: time(since), cause }))
}

fn refreshes(cache: &Cache, name: &str, now: Millis) -> bool {
    cache.hit(name, now, |hit| hit.entry.is_due(now) && cache.takes_refresh(hit)).unwrap()
}

#[test]
fn a_flag_is_believed_for_its_time() {
    for _ in 0..50 {
        let cache = cache(10);
        assert_eq!(hit(&cache, "X", 1), None);
        read(&cache, "X", state("X", 1), 1_000);
        assert_eq!(hit(&cache, "X", 9_999), live(1), "at least nine tenths");
        assert_eq!(hit(&cache, "X", 11_000), None, "and never longer");
    }
    let ends = |cache: &Cache| (1_000..=11_000).find(|now| hit(cache, "X", *now).is_none()).unwrap();
    let mut seen: Vec<_> = (0..20)
        .map(|_| {
            let cache = cache(1);
            read(&cache, "X", state("X", 1), 1_000);
            ends(&cache)
        })
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 10, "they do not end together: {seen:?}");
}

#[test]
fn that_there_is_no_flag_is_believed_for_a_shorter_time() {
    let cache = cache(10);
    read(&cache, "X", None, 1_000);
    assert_eq!(hit(&cache, "X", 1_499), Some((None, Freshness::Live)));
    assert_eq!(hit(&cache, "X", 1_500), None);
    let never = Cache::new(NonZeroUsize::MIN, Times { negative_ttl: 0, ..TIMES });
    read(&never, "X", state("X", 1), 1_000);
    read(&never, "X", None, 1_000);
    assert_eq!((hit(&never, "X", 1_000), never.len()), (None, 0));
}

#[test]
fn the_one_that_was_not_used_for_the_longest_time_goes() {
    let cache = cache(3);
    for (number, name) in ["A", "B", "C"].into_iter().enumerate() {
        read(&cache, name, state(name, number as u64), 1_000);
    }
    // Too soon to be noticed, then not.
    assert!(hit(&cache, "B", 1_099).is_some());
    assert!(hit(&cache, "A", 1_100).is_some());
    read(&cache, "D", state("D", 4), 1_200);
    assert_eq!(hit(&cache, "B", 1_200), None);
    for name in ["A", "C", "D"] {
        assert!(hit(&cache, name, 1_200).is_some(), "{name}");
    }
    assert_eq!((cache.len(), cache.counters.stats().evictions), (3, 1));
    for number in 0..1_000 {
        let name = format!("N{number}");
        read(&cache, &name, state(&name, number), 2_000);
    }
    assert_eq!((cache.len(), cache.entries.len(), cache.counters.stats().evictions), (3, 3, 1_001));
}

#[test]
fn what_was_read_before_something_happened_does_not_land() {
    let happens: [(&str, fn(&Cache)); 6] = [
        ("invalidated", |cache| cache.outdate_one("X")),
        ("all invalidated", Cache::outdate_all),
        ("touched", |cache| cache.hear(&Change::Touched { name: "X".into() }, time(0))),
        ("put", |cache| cache.hear(&Change::Put(state("X", 3).unwrap()), time(0))),
        ("resync", |cache| cache.hear(&Change::Resync { cause: ResyncCause::Reconnected }, time(0))),
        ("written", |cache| {
            let ticket = cache.begin_write("X", 1_500);
            cache.end_write("X", ticket, Wrote::Unknown, 1_500);
        }),
    ];
    for (what, happen) in happens {
        let cache = cache(10);
        read(&cache, "X", state("X", 1), 1_000);
        let ticket = cache.begin_read("X", 1_400);
        happen(&cache);
        assert_eq!(hit(&cache, "X", 1_500), None, "{what}");
        cache.end_read("X", ticket, &Ok(state("X", 1)), 1_600, time(1_600));
        assert_eq!(hit(&cache, "X", 1_600), None, "{what}");
        read(&cache, "X", state("X", 3), 1_700);
        assert_eq!(hit(&cache, "X", 1_700), live(3), "{what}");
        assert!(cache.lock().under_way.is_empty(), "{what}");
    }
}

#[test]
fn of_two_reads_at_once_nobody_knows_which_is_newer() {
    let cache = cache(10);
    let (first, second) = (cache.begin_read("X", 1_000), cache.begin_read("X", 1_000));
    cache.end_read("X", second, &Ok(state("X", 2)), 1_001, time(1_001));
    assert_eq!(hit(&cache, "X", 1_001), live(2));
    cache.end_read("X", first, &Ok(state("X", 1)), 1_002, time(1_002));
    assert_eq!(hit(&cache, "X", 1_002), None, "so it is read again");
    let (first, second) = (cache.begin_read("X", 1_100), cache.begin_read("X", 1_100));
    for ticket in [first, second] {
        cache.end_read("X", ticket, &Ok(state("X", 2)), 1_101, time(1_101));
    }
    assert_eq!(hit(&cache, "X", 1_102), live(2), "unless both say the same");
}

#[test]
fn a_write_is_there_at_once_and_of_two_at_once_none() {
    let cache = cache(10);
    read(&cache, "X", state("X", 1), 1_000);
    let ticket = cache.begin_write("X", 1_100);
    assert_eq!(hit(&cache, "X", 1_100), live(1));
    cache.end_write("X", ticket, Wrote::State(state("X", 2)), 1_101);
    assert_eq!(hit(&cache, "X", 1_101), live(2));
    // It is told later, and then it is no news.
    cache.hear(&Change::Put(state("X", 2).unwrap()), time(0));
    assert_eq!(hit(&cache, "X", 1_102), live(2));
    let tickets = [cache.begin_write("X", 1_200), cache.begin_write("X", 1_200)];
    for (number, ticket) in [3, 4].into_iter().zip(tickets) {
        cache.end_write("X", ticket, Wrote::State(state("X", number)), 1_201);
        assert_eq!(hit(&cache, "X", 1_201), None);
    }
    // A read that lands while it is written.
    let write = cache.begin_write("X", 1_300);
    read(&cache, "X", state("X", 5), 1_300);
    cache.end_write("X", write, Wrote::State(state("X", 6)), 1_301);
    assert_eq!(hit(&cache, "X", 1_301), None);
    let ticket = cache.begin_write("X", 1_400);
    cache.end_write("X", ticket, Wrote::State(None), 1_401);
    assert_eq!(hit(&cache, "X", 1_401), Some((None, Freshness::Live)), "deleted");
    // What is known of a write that is no longer what checks see is still better than what was before.
    cache.outdate_one("X");
    fail(&cache, "X", ErrorKind::Unavailable, 1_500);
    assert!(matches!(hit(&cache, "X", 1_501), Some((None, Freshness::Stale { .. }))));
}

#[test]
fn a_write_that_fails_changes_what_it_has_to() {
    for (wrote, expected) in [(Wrote::Nothing, live(1)), (Wrote::Conflict, None), (Wrote::Unknown, None)] {
        let cache = cache(10);
        read(&cache, "X", state("X", 1), 1_000);
        let ticket = cache.begin_write("X", 1_100);
        let what = format!("{wrote:?}");
        cache.end_write("X", ticket, wrote, 1_100);
        assert_eq!(hit(&cache, "X", 1_100), expected, "{what}");
    }
}

#[test]
fn what_may_still_be_written_is_not_believed_for_long() {
    let cache = cache(10);
    let ticket = cache.begin_write("X", 1_000);
    cache.end_write("X", ticket, Wrote::Unknown, 1_000);
    read(&cache, "X", state("X", 1), 1_100);
    assert_eq!((hit(&cache, "X", 2_099), hit(&cache, "X", 2_100)), (live(1), None));
    read(&cache, "X", state("X", 1), 31_000);
    assert_eq!(hit(&cache, "X", 39_000), live(1));
    assert!(cache.lock().unsettled.is_empty());
}

#[test]
fn while_the_store_is_away_the_last_state_answers() {
    let cache = cache(10);
    read(&cache, "X", state("X", 1), 1_000);
    read(&cache, "Y", state("Y", 2), 30_000);
    assert_eq!(hit(&cache, "X", 30_000), None);
    fail(&cache, "X", ErrorKind::Unavailable, 30_500);
    // For all flags: nobody waits for each of them to fail.
    assert_eq!(hit(&cache, "X", 31_000), stale(1, 30_500, StaleCause::Unavailable));
    assert_eq!(hit(&cache, "Y", 31_000), live(2), "its time is not over");
    assert_eq!(hit(&cache, "Y", 41_000), stale(2, 30_500, StaleCause::Unavailable));
    assert_eq!(hit(&cache, "X", 61_000), None, "too old");
    assert_eq!(hit(&cache, "Z", 31_000), None, "never seen");
    // It is asked once a second, for whatever flag.
    assert!(!refreshes(&cache, "X", 31_499));
    assert!(refreshes(&cache, "X", 31_500));
    assert!(!refreshes(&cache, "Y", 32_499) && !refreshes(&cache, "X", 32_499));
    assert!(refreshes(&cache, "X", 32_500));
    // It does not take the turn of others.
    assert!(refreshes(&cache, "Y", 42_000));
    fail(&cache, "X", ErrorKind::PermissionDenied, 32_600);
    assert_eq!(hit(&cache, "X", 32_600), stale(1, 30_500, StaleCause::PermissionDenied));
    read(&cache, "Z", None, 33_000);
    assert_eq!(hit(&cache, "Y", 41_000), None, "it answers again, so it is asked");
    // But this one has failed by itself, and is read again in the background.
    assert_eq!(hit(&cache, "X", 33_000), stale(1, 30_500, StaleCause::PermissionDenied));
    assert!(!refreshes(&cache, "X", 33_599));
    assert!(refreshes(&cache, "X", 33_600));
    let error = Error::new(ErrorKind::Unavailable, "failed");
    let known = cache.fall_back("X", &error, 33_000).unwrap();
    assert!(matches!(known.freshness, Freshness::Stale { .. }) && known.flag.is_some());
    assert!(cache.fall_back("X", &error, 61_000).is_none());
}

#[test]
fn a_record_that_goes_bad_keeps_its_last_good_state() {
    let cache = cache(10);
    read(&cache, "X", state("X", 1), 1_000);
    read(&cache, "Y", state("Y", 2), 1_000);
    fail(&cache, "X", ErrorKind::Corrupt, 2_000);
    assert_eq!(hit(&cache, "X", 2_000), stale(1, 2_000, StaleCause::Corrupt));
    assert_eq!(hit(&cache, "Y", 2_000), live(2));
    assert!(!refreshes(&cache, "X", 2_999));
    assert!(refreshes(&cache, "X", 3_000));
    read(&cache, "X", state("X", 3), 3_001);
    assert_eq!(hit(&cache, "X", 3_001), live(3));
}

#[test]
fn a_flag_that_is_checked_late_is_read_ahead_once() {
    let cache = cache(10);
    read(&cache, "X", state("X", 1), 0);
    assert!(!refreshes(&cache, "X", 7_199));
    assert!(refreshes(&cache, "X", 8_000));
    assert!(!refreshes(&cache, "X", 8_500));
    assert_eq!(hit(&cache, "X", 8_500), live(1));
}

#[test]
fn while_it_cannot_be_followed_answers_say_so() {
    let cache = Cache::new(NonZeroUsize::MIN, Times { ttl: None, ..TIMES });
    read(&cache, "X", state("X", 1), 1_000);
    assert_eq!(hit(&cache, "X", 100_000_000), live(1));
    cache.hear(&Change::Down { error: Error::new(ErrorKind::Unavailable, "away") }, time(2_000));
    assert_eq!(hit(&cache, "X", 2_000), stale(1, 2_000, StaleCause::Unavailable));
    assert_eq!(hit(&cache, "X", 61_000), None, "it is read again now and then");
    cache.hear(&Change::Resync { cause: ResyncCause::Reconnected }, time(3_000));
    assert_eq!(hit(&cache, "X", 3_000), None, "anything may have happened");
    read(&cache, "X", state("X", 1), 3_001);
    assert_eq!(hit(&cache, "X", 3_002), live(1));
    cache.hear(&Change::Deleted { name: "X".into(), version: None }, time(3_003));
    assert_eq!(hit(&cache, "X", 3_003), None);
}

fn wait(joined: Joined) -> Load {
    let Joined::Wait(load) = joined else { panic!("a load") };
    load
}

#[test]
fn a_read_is_joined_as_long_as_somebody_waits_for_it() {
    let pending = |_, _| std::future::pending().boxed().shared();
    let cache = cache(10);
    let first = wait(cache.join("X", 1_000, pending));
    let second = wait(cache.join("X", 1_001, |_, _| panic!("there is one")));
    assert!(first.ptr_eq(&second));
    drop(first);
    let third = wait(cache.join("X", 1_002, |_, _| panic!("somebody still waits")));
    drop((second, third));
    let fourth = wait(cache.join("X", 1_003, pending));
    let late = wait(cache.join("X", 11_003, pending));
    assert!(!fourth.ptr_eq(&late), "it may have been answered long ago");
    cache.outdate_one("X");
    let after = wait(cache.join("X", 11_004, pending));
    assert!(!late.ptr_eq(&after), "it began before");
    let stats = cache.counters.stats();
    assert_eq!((stats.loads, stats.joined_loads), (4, 2));
}

#[test]
fn of_two_reads_at_once_one_of_which_is_corrupt_nobody_knows_which_is_newer() {
    for is_corrupt_first in [true, false] {
        let cache = cache(10);
        read(&cache, "X", state("X", 1), 900);
        let (first, second) = (cache.begin_read("X", 1_000), cache.begin_read("X", 1_001));
        let corrupt = Err(Error::new(ErrorKind::Corrupt, "bad"));
        let answers =
            if is_corrupt_first { [corrupt, Ok(state("X", 1))] } else { [Ok(state("X", 1)), corrupt] };
        for (ticket, answer) in [second, first].into_iter().zip(answers) {
            cache.end_read("X", ticket, &answer, 1_002, time(1_002));
        }
        assert!(!matches!(hit(&cache, "X", 1_003), Some((_, Freshness::Live))), "{is_corrupt_first}");
    }
}

#[test]
fn a_read_from_before_a_deletion_does_not_land_after_it() {
    let cache = cache(10);
    let deleted = |cache: &Cache| cache.hear(&Change::Deleted { name: "X".into(), version: None }, time(0));
    read(&cache, "X", None, 1_000);
    cache.hear(&Change::Put(state("X", 1).unwrap()), time(0));
    let ticket = cache.begin_read("X", 1_001);
    deleted(&cache);
    cache.end_read("X", ticket, &Ok(state("X", 1)), 1_002, time(1_002));
    assert_eq!(hit(&cache, "X", 1_003), None);
}
