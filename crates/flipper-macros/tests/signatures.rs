//! Functions of all kinds behind flags, without a warning.
#![deny(warnings, unused, clippy::all, clippy::pedantic)]
#![allow(clippy::panic, clippy::unwrap_used, clippy::unused_async, reason = "tests")]

use std::cell::Cell;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use flipper::{FeatureFlagClient, Flags, LocalClient, MemoryStore, ctx};
use futures_lite::future::block_on;

fn clients() -> (FeatureFlagClient, LocalClient) {
    let client = FeatureFlagClient::new(MemoryStore::new());
    let local = client.local().unwrap();
    (client, local)
}

async fn switch_on(client: &FeatureFlagClient) {
    client.create("X").await.unwrap().enable().await.unwrap();
}

/// On one line each, as some people write them.
#[rustfmt::skip]
mod on_one_line {
    use super::{FeatureFlagClient, LocalClient};

    #[flipper::feature("X", client = flags, redirect = old)]
    pub(super) fn new(flags: &LocalClient, number: u8) -> u8 { number + 1 }
    fn old(_: &LocalClient, number: u8) -> u8 { number }

    #[flipper::feature("X", client = flags)]
    pub(super) async fn default(flags: &FeatureFlagClient, number: u8) -> u8 { number + 1 }
}

#[test]
fn a_function_on_one_line_has_braces_that_are_needed() {
    block_on(async {
        let (client, local) = clients();
        assert_eq!((on_one_line::new(&local, 1), on_one_line::default(&client, 1).await), (1, 0));
        switch_on(&client).await;
        assert_eq!((on_one_line::new(&local, 1), on_one_line::default(&client, 1).await), (2, 2));
    });
}

#[flipper::feature("X", client = flags, redirect = fewer)]
fn with_arguments_of_some_builds(
    flags: &LocalClient,
    #[cfg(not(test))] _count: usize,
    #[cfg(test)] (a, b): (u8, u8),
    #[cfg(not(test))] [c, d]: [u8; 2],
    #[cfg(test)] e: u8,
) -> u8 {
    a + b + e
}

fn fewer(_: &LocalClient, (a, _): (u8, u8), _: u8) -> u8 {
    a
}

#[test]
fn arguments_that_are_not_built_are_not_passed_on() {
    let (client, local) = clients();
    assert_eq!(with_arguments_of_some_builds(&local, (1, 2), 3), 1);
    block_on(switch_on(&client));
    assert_eq!(with_arguments_of_some_builds(&local, (1, 2), 3), 6);
}

#[flipper::feature("X", client = flags, context = ctx! { a: *a, c: *c })]
fn with_references(flags: &LocalClient, &(a, mut b): &(u8, u8), &&c: &&u8) -> u8 {
    b += 1;
    a + b + c
}

#[test]
fn patterns_that_look_through_references_are_seen_by_the_expressions() {
    block_on(async {
        let (client, local) = clients();
        let condition = flipper::Condition::builder().eq("a", 1).eq("c", 3).build().unwrap();
        switch_on(&client).await;
        client.add_condition("X", &condition).await.unwrap();
        assert_eq!(with_references(&local, &(1, 2), &&3), 7);
        assert_eq!(with_references(&local, &(1, 2), &&4), 0);
    });
}

#[flipper::feature("X", client = flags)]
fn with_guards(
    flags: &LocalClient,
    _: MutexGuard<'_, u8>,
    _: impl Future<Output = ()>,
    is_locked: impl Fn() -> bool,
) -> bool {
    is_locked()
}

#[test]
fn an_argument_without_a_name_is_kept_for_as_long_as_the_function_runs() {
    let (client, local) = clients();
    block_on(switch_on(&client));
    let lock = Mutex::new(1);
    assert!(with_guards(&local, lock.lock().unwrap(), ready(()), || lock.try_lock().is_err()));
    assert!(lock.try_lock().is_ok());
}

trait Old {
    fn price(flags: &LocalClient) -> u32;
}

struct Shop;

impl Old for Shop {
    fn price(_: &LocalClient) -> u32 {
        3
    }
}

#[flipper::feature("X", client = flags, redirect = <Shop as Old>::price)]
fn price(flags: &LocalClient) -> u32 {
    2
}

#[flipper::feature("X", client = flags, redirect = zero::<T>)]
fn one<T>(flags: &LocalClient) -> T
where
    T: Default + From<u8>,
{
    1.into()
}

fn zero<T: Default>(_: &LocalClient) -> T {
    T::default()
}

#[test]
fn redirects_are_paths_of_every_kind() {
    let (client, local) = clients();
    assert_eq!((price(&local), one::<u64>(&local)), (3, 0));
    block_on(switch_on(&client));
    assert_eq!((price(&local), one::<u64>(&local)), (2, 1));
}

#[flipper::feature("X", client = flags, redirect = foreign_old)]
extern "C" fn foreign_new(flags: &LocalClient) -> u8 {
    1
}

extern "C" fn foreign_old(_: &LocalClient) -> u8 {
    2
}

#[flipper::feature("X", client = flags, redirect = give_up)]
fn never(flags: &LocalClient) -> ! {
    std::panic::panic_any("new")
}

fn give_up(_: &LocalClient) -> ! {
    std::panic::panic_any("old")
}

#[test]
fn functions_that_are_foreign_or_never_return_are_redirected() {
    let (client, local) = clients();
    let panic = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| never(&local))).unwrap_err();
    assert_eq!(foreign_new(&local), 2);
    assert_eq!(*panic().downcast::<&str>().unwrap(), "old");
    block_on(switch_on(&client));
    assert_eq!(foreign_new(&local), 1);
    assert_eq!(*panic().downcast::<&str>().unwrap(), "new");
}

static LOCAL: LazyLock<LocalClient> =
    LazyLock::new(|| FeatureFlagClient::new(MemoryStore::new()).local().unwrap());

macro_rules! declare {
    ($($variant:ident = $name:literal, $default:literal, $expires:literal;)*) => {
        #[derive(Flags, Clone, Copy)]
        enum Generated {
            $(#[flag(name = $name, default = $default, expires = $expires)] $variant,)*
        }
    };
}

macro_rules! gate {
    ($name:literal, $client:expr, $old:path, $default:literal, $new:ident, $pattern:pat) => {
        #[flipper::feature($name, client = $client, redirect = $old, default = $default)]
        fn $new($pattern: (u8, u8)) -> u8 {
            1
        }
    };
}

declare! {
    A = "A", true, "2027-01-31";
    B = "B", false, "2027-01-31";
}

fn generated_old(_: (u8, u8)) -> u8 {
    2
}

gate!("GENERATED", LOCAL, generated_old, false, generated_off, (_, _));
gate!("GENERATED", LOCAL, generated_old, true, generated_on, _);

#[test]
fn flags_and_functions_are_made_by_macros_as_well() {
    assert_eq!((Generated::A.name(), Generated::B.name()), ("A", "B"));
    assert!(Generated::A.default_value() && !Generated::B.default_value());
    assert_eq!(Generated::A.definition().expiry(), flipper::Date::new(2027, 1, 31));
    assert_eq!((generated_off((1, 2)), generated_on((1, 2))), (2, 1));
}

/// It can be sent, but not shared.
struct Body(Cell<u8>);

struct Request<T>(FeatureFlagClient, T);

#[flipper::feature("X", client = flags, redirect = old_handler)]
async fn handler(Request(flags, body): Request<Body>) -> u8 {
    body.0.get() + u8::from(flags.exists("X").await.unwrap())
}

async fn old_handler(Request(_, body): Request<Body>) -> u8 {
    body.0.get()
}

#[test]
fn what_cannot_be_shared_does_not_tie_the_future_to_its_thread() {
    let (client, _) = clients();
    let call = || {
        let request = Request(client.clone(), Body(Cell::new(7)));
        std::thread::spawn(move || block_on(handler(request))).join().unwrap()
    };
    assert_eq!(call(), 7);
    block_on(switch_on(&client));
    assert_eq!(call(), 8);
}

struct Service {
    client: FeatureFlagClient,
    local: LocalClient,
    calls: u8,
}

impl Service {
    #[flipper::feature("X", client = self.client, redirect = Self::shared_old)]
    async fn shared(self: Arc<Self>) -> u8 {
        self.calls + 1
    }

    async fn shared_old(self: Arc<Self>) -> u8 {
        self.calls
    }

    #[flipper::feature("X", client = self.local, redirect = Self::pinned_old)]
    fn pinned(mut self: Pin<&mut Self>) -> u8 {
        self.calls += 2;
        self.calls
    }

    fn pinned_old(self: Pin<&mut Self>) -> u8 {
        self.calls
    }

    #[flipper::feature("X", client = self.client, redirect = Self::lent_old)]
    async fn lent<'a>(&'a mut self, other: &'a mut u8) -> &'a mut u8 {
        *other += 1;
        other
    }

    async fn lent_old<'a>(&'a mut self, _: &'a mut u8) -> &'a mut u8 {
        &mut self.calls
    }
}

#[test]
fn self_is_passed_on_in_whatever_it_is() {
    block_on(async {
        let (client, local) = clients();
        let mut service = Service { client: client.clone(), local, calls: 5 };
        let mut other = 7;
        assert_eq!(Pin::new(&mut service).pinned(), 5);
        assert_eq!(*service.lent(&mut other).await, 5);
        switch_on(&client).await;
        assert_eq!(Pin::new(&mut service).pinned(), 7);
        assert_eq!(*service.lent(&mut other).await, 8);
        let service = Arc::new(service);
        assert_eq!(Arc::clone(&service).shared().await, 8);
        client.disable("X").await.unwrap();
        assert_eq!(service.shared().await, 7);
    });
}
