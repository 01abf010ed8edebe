//! The behaviours that the contract asks of a store, one function each.
//!
//! [`store_conformance!`](crate::store_conformance) makes a test of each. A behaviour that needs a capability which the
//! store says it does not have, or a hook that the [`Subject`](crate::Subject) does not have, is [`Outcome::Absent`].

mod basic;
mod bytes;
mod close;
mod concurrency;
mod corrupt;
mod foreign;
mod local;
mod names;
mod outage;
mod paging;
mod watch;

pub use basic::*;
pub use bytes::*;
pub use close::*;
pub use concurrency::*;
pub use corrupt::*;
pub use foreign::*;
pub use local::*;
pub use names::*;
pub use outage::*;
pub use paging::*;
pub use watch::*;

use flipper_core::{Expect, Flag, FlagName, Store, Timestamp, Version};

/// Runs a behaviour on a runtime of its own, with several threads.
///
/// # Panics
///
/// If the behaviour does.
///
/// # Examples
///
/// ```
/// use flipper_testkit::conformance::run;
///
/// run(async { assert_eq!(1 + 1, 2) });
/// ```
pub fn run(behaviour: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(behaviour);
}

/// How a behaviour went. What is wrong panics.
///
/// # Examples
///
/// ```
/// use flipper_memory::MemoryStore;
/// use flipper_testkit::Subject;
/// use flipper_testkit::conformance::{Outcome, corrupt_records_can_be_replaced_and_deleted, what_is_put_is_got};
///
/// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let subject = Subject::new(|| async { MemoryStore::new() });
/// assert_eq!(what_is_put_is_got(&subject).await, Outcome::Proven);
/// // Nobody has told how to spoil a record.
/// assert!(matches!(corrupt_records_can_be_replaced_and_deleted(&subject).await, Outcome::Absent(_)));
/// # Ok::<(), flipper_core::Error>(()) })?;
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store behaves.
    Proven,
    /// The store or its subject lacks what the behaviour needs.
    Absent(&'static str),
}

/// Makes a test of each behaviour that the contract asks of a store.
///
/// `store_conformance!(name, subject)` makes a module `name` with a test for each behaviour; `subject` is an
/// expression that makes a [`Subject`](crate::Subject). A last test counts the behaviours that were left out because
/// the store or the subject lacks something: there must be as many as `absent` says, `0` unless told. So neither
/// a lost capability nor a new one goes unnoticed.
///
/// ```
/// # use flipper_memory::MemoryStore;
/// # use flipper_testkit::{Subject, store_conformance};
/// store_conformance!(memory, Subject::new(|| async { MemoryStore::new() }), absent = 8);
/// ```
#[macro_export]
macro_rules! store_conformance {
    ($name:ident, $subject:expr) => {
        $crate::store_conformance!($name, $subject, absent = 0);
    };
    ($name:ident, $subject:expr, absent = $absent:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $crate::for_each_behaviour!($crate::behaviour_test, { $subject });

            #[test]
            fn capabilities_are_those_that_are_stated() {
                $crate::conformance::run(async {
                    let subject = $subject;
                    let absent = $crate::conformance::absent(&subject).await;
                    for what in &absent {
                        println!("capability-absent: {what}");
                    }
                    let expected: usize = $absent;
                    assert_eq!(absent.len(), expected, "left out: {absent:?}");
                });
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! behaviour_test {
    ({ $subject:expr } $($behaviour:ident)*) => {$(
        #[test]
        fn $behaviour() {
            $crate::conformance::run(async {
                let subject = $subject;
                if let $crate::conformance::Outcome::Absent(what) = $crate::conformance::$behaviour(&subject).await {
                    println!("capability-absent: {what}");
                }
            });
        }
    )*};
}

/// Calls a macro with the names of all behaviours.
#[doc(hidden)]
#[macro_export]
macro_rules! for_each_behaviour {
    ($macro:path, $arguments:tt) => {
        $macro! {
            $arguments
            absent_flags_are_none
            what_is_put_is_got
            any_replaces_what_is_there
            absent_creates_and_never_replaces
            matches_takes_the_current_version_only
            a_write_never_resurrects_a_deleted_flag
            delete_says_whether_there_was_a_flag
            delete_takes_the_current_version_only
            delete_refuses_to_expect_nothing
            a_flag_made_again_is_another
            bytes_are_kept_as_they_are
            large_records_are_kept_or_refused
            the_key_is_the_name
            every_legal_name_round_trips
            neighbouring_names_do_not_touch
            illegal_names_are_refused
            listings_are_complete
            limit_and_offset_cut_a_listing
            listings_leave_out_what_is_deleted
            edits_of_32_editors_are_all_kept
            one_of_many_creators_wins
            concurrent_edits_of_different_flags_do_not_meet
            a_delete_and_a_write_never_both_win
            others_writes_are_read
            a_write_on_top_of_others_is_a_conflict
            corrupt_records_are_told_with_their_version
            corrupt_records_take_no_others_down
            corrupt_records_can_be_replaced_and_deleted
            a_watch_begins_with_a_resync
            a_watch_tells_writes_in_order
            a_watch_ends_at_the_last_state
            a_watch_wakes_who_waits
            a_watch_tells_others_writes
            watchers_do_not_disturb_one_another
            a_slow_watcher_is_told_to_load_again
            local_reads_agree_with_the_source
            checks_see_writes_at_once
            a_snapshot_agrees_with_the_source
            a_peek_is_seen_once
            answers_say_how_old_they_are
            a_lost_reply_is_found_out
            an_outage_is_told_in_bounded_time
            closing_ends_watches_and_can_be_repeated
            dropping_ends_watches
        }
    };
}

macro_rules! absent_function {
    ({} $($behaviour:ident)*) => {
        /// Returns what the behaviours that are left out lack, in order.
        ///
        /// # Examples
        ///
        /// ```
        /// use flipper_memory::MemoryStore;
        /// use flipper_testkit::Subject;
        /// use flipper_testkit::conformance::absent;
        ///
        /// # flipper_testkit::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        /// let subject = Subject::new(|| async { MemoryStore::new() });
        /// assert_eq!(absent(&subject).await.len(), 8);
        /// # Ok::<(), flipper_core::Error>(()) })?;
        /// # Ok::<(), flipper_core::Error>(())
        /// ```
        pub async fn absent<S: Store>(subject: &crate::Subject<S>) -> Vec<&'static str> {
            let mut absent = Vec::new();
            $(
                if let Outcome::Absent(what) = $behaviour(subject).await {
                    absent.push(what);
                }
            )*
            absent
        }
    };
}

for_each_behaviour!(absent_function, {});

/// A legal name.
fn name(name: &str) -> FlagName<'_> {
    FlagName::new(name).unwrap()
}

/// A new flag, switched on where the number is odd: to tell states apart.
fn flag(name: &str, number: i64) -> Flag {
    let mut flag = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(number));
    flag.set_enabled(number % 2 == 1).unwrap();
    flag
}

/// Puts a flag, whatever is there.
async fn put(store: &dyn Store, flag: &Flag) -> Version {
    store.put(flag, Expect::Any).await.unwrap()
}

/// Reads the record of a flag.
async fn stored(store: &dyn Store, of: &str) -> Option<String> {
    store.get(name(of)).await.unwrap().map(|found| found.value.as_json().to_owned())
}
