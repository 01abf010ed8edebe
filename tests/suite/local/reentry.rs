//! Clocks and sources of randomness that use the client that asks them, in the middle of its check.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flipper_core::{
    Bucketer, Context, FeatureFlagClient, LocalClient, LocalFlag, Percentage, Timestamp, release_thread,
};
use flipper_memory::MemoryStore;
use futures_lite::future::block_on;

use super::cases::{NOW, START};
use super::{in_time, is_on, watch};

/// A client, and a handle to its flag `OTHER`.
struct Both {
    local: LocalClient,
    other: LocalFlag,
}

impl Both {
    fn set_other(&self, is_enabled: bool) {
        let client = self.local.client();
        let set =
            async { if is_enabled { client.enable("OTHER").await } else { client.disable("OTHER").await } };
        block_on(set).unwrap();
    }

    /// What `OTHER` is in every way of checking it, which is the same.
    fn other(&self) -> bool {
        let by_name = is_on(&self.local, "OTHER");
        assert_eq!(self.other.is_enabled(&Context::EMPTY), by_name);
        assert_eq!(self.local.evaluate("OTHER", &Context::EMPTY, false).value, by_name);
        assert_eq!(block_on(self.local.client().is_enabled("OTHER", &Context::EMPTY)), by_name);
        by_name
    }
}

fn half() -> Bucketer {
    Bucketer::percentage(Percentage::new(0.5).unwrap())
}

/// A client whose source of randomness does something with the client first. `HALF` asks it; `RAMP` asks the clock.
fn client_that(
    draw: impl Fn(&Both) -> f64 + Send + Sync + 'static,
    tell: impl Fn(&Both) -> Timestamp + Send + Sync + 'static,
) -> Arc<OnceLock<Both>> {
    let both: Arc<OnceLock<Both>> = Arc::default();
    let (drawing, telling) = (Arc::clone(&both), Arc::clone(&both));
    let client = FeatureFlagClient::builder(MemoryStore::new())
        .random(move || drawing.get().map_or(0.0, &draw))
        .clock(move || telling.get().map_or(NOW, &tell))
        .build();
    let ramp = Percentage::linear_ramp(0.0, 1.0, Duration::from_hours(1), START).unwrap();
    block_on(async {
        client.create("OTHER").await.unwrap();
        for (name, bucketer) in [("HALF", half()), ("RAMP", Bucketer::consistent_hash(ramp, ["id"]))] {
            let flag = client.create(name).await.unwrap();
            flag.enable().await.unwrap();
            flag.set_bucketer(&bucketer).await.unwrap();
        }
    });
    let local = client.local().unwrap();
    let other = local.flag("OTHER");
    assert!(both.set(Both { local, other }).is_ok());
    both
}

/// Checks `HALF` in every way, each after something was done.
fn half_every_way(both: &Both, mut before: impl FnMut()) -> Vec<bool> {
    let (local, handle) = (&both.local, both.local.flag("HALF"));
    let ways: [&dyn Fn() -> bool; 5] = [
        &|| is_on(local, "HALF"),
        &|| local.evaluate("HALF", &Context::EMPTY, false).value,
        &|| handle.is_enabled(&Context::EMPTY),
        &|| handle.evaluate(&Context::EMPTY, false).value,
        &|| block_on(local.client().is_enabled("HALF", &Context::EMPTY)),
    ];
    let check = |way: &dyn Fn() -> bool| {
        before();
        way()
    };
    ways.into_iter().map(check).collect()
}

#[test]
fn a_source_of_randomness_may_check_flags_of_the_same_client() {
    in_time(|| {
        let both = client_that(|both| if both.other() { 0.1 } else { 0.9 }, |_| NOW);
        let both = both.get().unwrap();
        for is_enabled in [false, true, false] {
            both.set_other(is_enabled);
            assert_eq!(half_every_way(both, || {}), [is_enabled; 5]);
            // Also as the first check after a write.
            assert_eq!(half_every_way(both, || both.set_other(is_enabled)), [is_enabled; 5]);
        }
    });
}

#[test]
fn a_source_of_randomness_that_writes_sees_its_own_write_at_once() {
    in_time(|| {
        let draws = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&draws);
        let both = client_that(
            move |both| {
                counted.fetch_add(1, Ordering::SeqCst);
                let before = both.other();
                both.set_other(!before);
                assert_eq!(both.other(), !before, "its own write");
                if before { 0.1 } else { 0.9 }
            },
            |_| NOW,
        );
        let both = both.get().unwrap();
        assert_eq!(half_every_way(both, || {}), [false, true, false, true, false]);
        assert_eq!(draws.load(Ordering::SeqCst), 5);
        assert!(both.other(), "and so does whoever has checked");
    });
}

#[test]
fn a_source_of_randomness_may_take_away_the_flag_that_asks_it() {
    in_time(|| {
        let both = client_that(
            |both| {
                let client = both.local.client();
                block_on(client.destroy("HALF")).unwrap();
                assert!(!is_on(&both.local, "HALF"), "it is gone");
                // Much comes and goes while the check still looks at the flag.
                block_on(async {
                    for _ in 0..5 {
                        client.create("HALF").await.unwrap();
                        client.destroy("HALF").await.unwrap();
                    }
                });
                0.1
            },
            |_| NOW,
        );
        let both = both.get().unwrap();
        let again = || {
            block_on(async {
                let client = both.local.client();
                if !client.exists("HALF").await.unwrap() {
                    client.create("HALF").await.unwrap().set_bucketer(&half()).await.unwrap();
                }
                client.enable("HALF").await.unwrap();
            });
        };
        assert_eq!(half_every_way(both, again), [true; 5], "as the flag was when the check began");
        assert!(!is_on(&both.local, "HALF"));
    });
}

#[test]
fn releasing_what_a_thread_keeps_in_the_middle_of_a_check_does_nothing() {
    in_time(|| {
        let release = |both: &Both| {
            release_thread();
            let other = both.other();
            release_thread();
            other
        };
        let both = client_that(
            move |both| if release(both) { 0.1 } else { 0.9 },
            move |both| {
                release(both);
                NOW
            },
        );
        let both = both.get().unwrap();
        for is_enabled in [true, false] {
            both.set_other(is_enabled);
            assert_eq!(half_every_way(both, || {}), [is_enabled; 5]);
            assert_eq!(half_every_way(both, release_thread), [is_enabled; 5]);
        }
        is_on(&both.local, "RAMP");
    });
}

#[test]
fn a_clock_may_check_flags_of_the_same_client() {
    in_time(|| {
        let both =
            client_that(|_| 0.0, |both| if both.other() { NOW + Duration::from_hours(9) } else { START });
        let both = both.get().unwrap();
        let context = flipper_core::ctx! { id: 1 };
        for is_enabled in [false, true, false] {
            both.set_other(is_enabled);
            assert_eq!(both.local.is_enabled("RAMP", &context), is_enabled, "before or after the ramp");
            assert_eq!(both.local.flag("RAMP").is_enabled(&context), is_enabled);
        }
    });
}

#[test]
fn a_clock_that_writes_sees_its_own_write_at_once() {
    in_time(|| {
        // A write asks the clock as well, for its events.
        let is_writing = AtomicBool::new(false);
        let both = client_that(
            |_| 0.0,
            move |both| {
                if !is_writing.swap(true, Ordering::SeqCst) {
                    both.set_other(true);
                    assert!(both.other());
                    both.set_other(false);
                    assert!(!both.other());
                    is_writing.store(false, Ordering::SeqCst);
                }
                NOW + Duration::from_hours(9)
            },
        );
        let both = both.get().unwrap();
        for _ in 0..3 {
            assert!(is_on(&both.local, "RAMP"), "after the ramp");
        }
    });
}

#[test]
fn checks_within_checks_go_deep() {
    in_time(|| {
        let depth = AtomicU32::new(0);
        let both = client_that(
            move |both| {
                let deep = depth.fetch_add(1, Ordering::SeqCst);
                both.set_other(deep.is_multiple_of(2));
                let is_on = deep == 50 || is_on(&both.local, "HALF");
                assert!(is_on, "each one's answer is that of the next, down to the last");
                depth.fetch_sub(1, Ordering::SeqCst);
                0.1
            },
            |_| NOW,
        );
        let both = both.get().unwrap();
        assert_eq!(half_every_way(both, || {}), [true; 5]);
    });
}

#[test]
fn what_is_seen_within_a_check_is_not_kept_beyond_the_next() {
    let both = client_that(
        |both| {
            both.set_other(!both.other());
            0.1
        },
        |_| NOW,
    );
    let both = both.get().unwrap();
    let old = watch(both.local.snapshot(), "OTHER");
    assert!(is_on(&both.local, "HALF"));
    assert!(is_on(&both.local, "HALF"));
    both.set_other(true);
    both.other();
    both.set_other(false);
    assert_eq!(super::kept(&[old]), super::NONE);
}
