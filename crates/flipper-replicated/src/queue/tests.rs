//! The order of what is told, without stores.

use flipper_core::{FlagName, Timestamp};

use super::*;

fn is(name: &str, number: i64) -> State {
    let value = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(number));
    State::Is(Versioned { version: value.version_of_bytes(), value })
}

/// What is told until the queue is empty: names with numbers.
fn told(queue: &mut Queue) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(job) = queue.begin(u64::MAX, true) {
        told.push(match job {
            Job::Everything => "*".to_owned(),
            Job::Flag(Entry { name, state: State::Is(found), .. }) => {
                format!("{name}{}", found.value.created_date().unwrap())
            }
            Job::Flag(Entry { name, .. }) => format!("{name}-"),
        });
        queue.end();
    }
    assert!(queue.is_empty() && queue.oldest().is_none() && queue.superseded.is_empty());
    told
}

fn add(queue: &mut Queue, states: &[(&str, i64)]) {
    for (name, number) in states {
        queue.add(name, is(name, *number), Instant::now());
    }
}

#[test]
fn the_last_state_of_each_flag_is_told_in_the_order_of_the_first() {
    let mut queue = Queue::new(true, 10);
    add(&mut queue, &[("A", 1), ("B", 2), ("A", 3), ("C", 4), ("A", 5)]);
    queue.add("B", State::Gone, Instant::now());
    assert_eq!(queue.len(), 3);
    assert_eq!(told(&mut queue), ["A5", "B-", "C4"]);
}

#[test]
fn every_state_is_told_in_order_if_asked_for() {
    let mut queue = Queue::new(false, 10);
    add(&mut queue, &[("A", 1), ("B", 2), ("A", 3), ("A", 4)]);
    assert_eq!(told(&mut queue), ["A1", "B2", "A3", "A4"]);
}

#[test]
fn a_full_queue_leaves_out_older_states_first() {
    let mut queue = Queue::new(false, 4);
    add(&mut queue, &[("A", 1), ("B", 2), ("A", 3), ("B", 4), ("C", 5), ("D", 6)]);
    assert_eq!((queue.len(), queue.dropped()), (4, 2));
    assert_eq!(told(&mut queue), ["A3", "B4", "C5", "D6"]);
    // Where each is the newest of its flag, none can be left out for another: all are compared.
    for coalesces in [true, false] {
        let mut queue = Queue::new(coalesces, 2);
        add(&mut queue, &[("A", 1), ("B", 2)]);
        let since = queue.oldest();
        add(&mut queue, &[("C", 3)]);
        assert_eq!(queue.oldest(), since, "it waits for as long as what was left out");
        let told = told(&mut queue);
        assert_eq!(told[0], "*", "{coalesces}: {told:?}");
        assert!(!told.contains(&"A1".to_owned()));
    }
}

#[test]
fn an_overloaded_queue_stays_small_and_quick() {
    let mut queue = Queue::new(false, 1_000);
    add(&mut queue, &[("HEAD", 0)]);
    for number in 0..200_000 {
        add(&mut queue, &[(["A", "B", "C"][number % 3], number as i64)]);
    }
    assert_eq!((queue.entries.len(), queue.dropped()), (1_000, 199_001));
    assert_eq!(told(&mut queue)[0], "HEAD0");
}

#[test]
fn what_has_failed_comes_first_or_last_and_in_its_newest_state() {
    let mut queue = Queue::new(true, 10);
    add(&mut queue, &[("A", 1), ("B", 2)]);
    let job = queue.begin(u64::MAX, true).unwrap();
    add(&mut queue, &[("B", 3), ("A", 4)]);
    queue.put_back(job, false);
    let job = queue.begin(u64::MAX, true).unwrap();
    queue.put_back(job, true);
    assert_eq!(told(&mut queue), ["B3", "A4"]);

    let mut queue = Queue::new(false, 10);
    add(&mut queue, &[("A", 1), ("A", 2)]);
    for _ in 0..3 {
        let job = queue.begin(u64::MAX, true).unwrap();
        queue.put_back(job, false);
    }
    add(&mut queue, &[("A", 3)]);
    assert_eq!(told(&mut queue), ["A1", "A2", "A3"]);
}

#[test]
fn what_is_compared_is_not_told_in_an_older_state_after_that() {
    let mut queue = Queue::new(true, 10);
    add(&mut queue, &[("A", 1)]);
    let job = queue.begin(u64::MAX, true).unwrap();
    add(&mut queue, &[("B", 2)]);
    queue.add_everything(Instant::now());
    add(&mut queue, &[("B", 3)]);
    queue.put_back(job, false);
    // They are read, and told also if nothing can be compared.
    assert_eq!(told(&mut queue), ["*", "A-", "B3"]);
}

#[test]
fn changes_are_pending_until_they_are_told() {
    let mut queue = Queue::new(true, 10);
    let first = queue.add("A", is("A", 1), Instant::now());
    assert!(queue.is_pending(Some("A"), first) && !queue.is_pending(Some("B"), first));
    let job = queue.begin(u64::MAX, true).unwrap();
    let other = queue.add("B", is("B", 1), Instant::now());
    assert!(queue.is_pending(Some("A"), first) && queue.is_pending(Some("A"), other), "it is under way");
    let second = queue.add("A", is("A", 2), Instant::now());
    queue.end();
    assert!(!queue.is_pending(Some("A"), first) && queue.is_pending(Some("A"), second));
    assert!(!queue.is_pending(None, first) && queue.is_pending(None, other));
    drop(job);
    queue.add_everything(Instant::now());
    let everything = queue.changes();
    assert!(queue.is_pending(Some("Z"), everything));
    let job = queue.begin(u64::MAX, true).unwrap();
    queue.add("C", is("C", 1), Instant::now());
    assert!(matches!(job, Job::Everything) && queue.is_pending(Some("Z"), queue.changes()));
    // What was found to differ is waited for as well by those who have waited before.
    queue.add_different("Z", Instant::now());
    queue.end();
    assert!(queue.is_pending(Some("Z"), everything) && !queue.is_pending(Some("Y"), everything));
}
