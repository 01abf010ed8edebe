//! Functions behind flags.
#![allow(clippy::unwrap_used, clippy::panic, clippy::unused_async, reason = "tests")]

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use flipper::{Condition, FeatureFlagClient, Flags, LocalClient, MemoryStore, Result, ctx};
use futures_lite::future::block_on;

#[derive(Flags, Clone, Copy)]
enum Feature {
    #[flag(name = "DECLARED", default = true)]
    Declared,
}

fn clients() -> (FeatureFlagClient, LocalClient) {
    let client = FeatureFlagClient::new(MemoryStore::new());
    let local = client.local().unwrap();
    (client, local)
}

#[flipper::feature("SOUNDS", client = flags, redirect = old_sound)]
fn new_sound(flags: &LocalClient, animal: String, times: usize) -> String {
    animal + &format!(": whinny {times}")
}

fn old_sound(_: &LocalClient, animal: String, times: usize) -> String {
    animal + &format!(": neigh {times}")
}

#[flipper::feature("SOUNDS", client = flags, redirect = old_sound_later)]
async fn new_sound_later(flags: &FeatureFlagClient, mut animal: String) -> Result<String> {
    animal.push_str(": whinny");
    if animal.starts_with('?') {
        return Ok("unknown".to_owned());
    }
    Ok(animal)
}

async fn old_sound_later(_: &FeatureFlagClient, animal: String) -> Result<String> {
    Ok(format!("{animal}: neigh"))
}

#[test]
fn one_function_or_the_other_is_called_with_the_same_arguments() {
    block_on(async {
        let (client, local) = clients();
        assert_eq!(new_sound(&local, "horse".to_owned(), 3), "horse: neigh 3");
        assert_eq!(new_sound_later(&client, "horse".to_owned()).await.unwrap(), "horse: neigh");
        client.create("SOUNDS").await.unwrap().enable().await.unwrap();
        assert_eq!(new_sound(&local, "horse".to_owned(), 3), "horse: whinny 3");
        assert_eq!(new_sound_later(&client, "horse".to_owned()).await.unwrap(), "horse: whinny");
        assert_eq!(new_sound_later(&client, "?".to_owned()).await.unwrap(), "unknown");
    });
}

#[flipper::feature("X", client = local)]
fn count(local: &LocalClient, called: &Cell<u32>) {
    called.set(called.get() + 1);
}

#[flipper::feature("X", client = local)]
async fn some(local: LocalClient) -> Option<&'static str> {
    let _ = local;
    Some("called")
}

#[test]
fn without_a_redirect_nothing_happens() {
    block_on(async {
        let (client, local) = clients();
        let called = Cell::new(0);
        count(&local, &called);
        assert_eq!((called.get(), some(local.clone()).await), (0, None));
        client.create("X").await.unwrap().enable().await.unwrap();
        count(&local, &called);
        assert_eq!((called.get(), some(local).await), (1, Some("called")));
    });
}

#[flipper::feature(Feature::Declared, client = flags)]
fn declared(flags: &LocalClient) -> bool {
    true
}

#[flipper::feature(Feature::Declared, client = flags, default = false)]
fn overruled(flags: &LocalClient) -> bool {
    true
}

#[flipper::feature("UNDECLARED", client = flags, default = true,)]
async fn told(flags: &FeatureFlagClient) -> bool {
    true
}

#[test]
fn the_default_is_that_of_the_attribute_or_of_the_flag() {
    let (client, local) = clients();
    assert!(declared(&local));
    assert!(!overruled(&local));
    assert!(block_on(told(&client)));
    block_on(async { client.create("DECLARED").await.unwrap() });
    assert!(!declared(&local));
}

struct Shop {
    flags: FeatureFlagClient,
    local: LocalClient,
    prices: Vec<u32>,
}

impl Shop {
    #[flipper::feature("SALE", client = self.flags, context = ctx! { user_id: user_id }, redirect = Self::full_price)]
    async fn price(&self, user_id: u64) -> u32 {
        self.prices[0] / 2
    }

    async fn full_price(&self, _user_id: u64) -> u32 {
        self.prices[0]
    }

    #[flipper::feature("SALE", client = self.local, context = ctx! { user_id: 7 })]
    fn raise(&mut self, by: u32) -> Option<&mut u32> {
        let first = self.prices.first_mut()?;
        *first += by;
        Some(first)
    }

    #[flipper::feature("SALE", client = self.local, redirect = Shop::keep)]
    fn close(self) -> Vec<u32> {
        Vec::new()
    }

    fn keep(self) -> Vec<u32> {
        self.prices
    }
}

#[test]
fn methods_are_gated_with_what_they_are_called_on() {
    block_on(async {
        let (flags, local) = clients();
        let sale = flags.create("SALE").await.unwrap();
        let mut shop = Shop { flags, local, prices: vec![10] };
        assert!(shop.raise(2).is_none());
        sale.enable().await.unwrap();
        sale.add_condition(&Condition::builder().eq("user_id", 7).build().unwrap()).await.unwrap();
        assert_eq!(shop.raise(2), Some(&mut 12));
        assert_eq!(shop.price(7).await, 6);
        assert_eq!(shop.price(8).await, 12);
        sale.disable().await.unwrap();
        assert_eq!(shop.close(), [12]);
    });
}

struct State<T>(T);

struct Path {
    user: u64,
    rest: Vec<u8>,
}

#[flipper::feature("X", client = app.flags, context = ctx! { user: *user, first: &pair.0 }, redirect = old_handler)]
async fn handler(
    State(app): State<Arc<Shop>>,
    Path { user, mut rest }: Path,
    pair: (String, u8),
    (_, mut b): (u8, u8),
    _: u8,
) -> (u64, usize, u8, u32) {
    rest.push(1);
    b += 1;
    (user, rest.len() + pair.0.len(), b, app.prices[0])
}

async fn old_handler(
    State(app): State<Arc<Shop>>,
    path: Path,
    _: (String, u8),
    (a, b): (u8, u8),
    _: u8,
) -> (u64, usize, u8, u32) {
    (path.user, path.rest.len(), a + b, app.prices[0])
}

#[test]
fn what_patterns_bind_is_seen_by_the_expressions_and_moved_into_the_function() {
    block_on(async {
        let (flags, local) = clients();
        let flag = flags.create("X").await.unwrap();
        flag.add_condition(&Condition::builder().eq("user", 7).eq("first", "a").build().unwrap())
            .await
            .unwrap();
        flag.enable().await.unwrap();
        let shop = Arc::new(Shop { flags, local, prices: vec![10] });
        let call = |user| {
            let path = Path { user, rest: vec![1, 2] };
            handler(State(Arc::clone(&shop)), path, ("a".to_owned(), 1), (3, 4), 0)
        };
        assert_eq!(call(7).await, (7, 4, 5, 10));
        assert_eq!(call(8).await, (8, 2, 7, 10));
    });
}

static FLAGS: LazyLock<LocalClient> =
    LazyLock::new(|| FeatureFlagClient::new(MemoryStore::new()).local().unwrap());

#[flipper::feature("GLOBAL", client = FLAGS, redirect = module::twice, crate = flipper_core)]
fn global<T: Clone + Default>(value: &T, _by: impl Into<u8>) -> (T, T) {
    (T::default(), value.clone())
}

mod module {
    pub(super) fn twice<T: Clone>(value: &T, _by: impl Into<u8>) -> (T, T) {
        (value.clone(), value.clone())
    }
}

#[test]
fn generic_functions_and_clients_behind_pointers_work() {
    assert_eq!(global(&5, 1_u8), (5, 5));
    block_on(async { FLAGS.client().create("GLOBAL").await.unwrap().enable().await.unwrap() });
    assert_eq!(global(&5, true), (0, 5));
}

#[async_trait::async_trait]
trait Greeter: Sync {
    fn flags(&self) -> &LocalClient;

    #[flipper::feature("GREET", client = self.flags(), redirect = Self::mutter)]
    fn greet(&self, name: &str) -> String {
        format!("Hello, {name}!")
    }

    fn mutter(&self, name: &str) -> String {
        name.to_lowercase()
    }

    async fn greet_later(&self, name: &str) -> Option<String>;

    #[flipper::feature("GREET", client = self.flags(), redirect = Self::mutter_later)]
    async fn shout_later(&self, name: &str) -> String {
        name.to_uppercase()
    }

    async fn mutter_later(&self, name: &str) -> String {
        name.to_lowercase()
    }
}

#[async_trait::async_trait]
impl Greeter for LocalClient {
    fn flags(&self) -> &LocalClient {
        self
    }

    async fn greet_later(&self, name: &str) -> Option<String> {
        #[flipper::feature("GREET", client = local)]
        async fn inner(local: &LocalClient, name: &str) -> Option<String> {
            Some(local.greet(name))
        }
        inner(self, name).await
    }
}

#[test]
fn methods_of_traits_and_functions_within_functions_work() {
    block_on(async {
        let (client, local) = clients();
        assert_eq!(local.greet("Eve"), "eve");
        assert_eq!(local.greet_later("Eve").await, None);
        assert_eq!(local.shout_later("Eve").await, "eve");
        client.create("GREET").await.unwrap().enable().await.unwrap();
        assert_eq!(local.greet_later("Eve").await.as_deref(), Some("Hello, Eve!"));
        assert_eq!(local.shout_later("Eve").await, "EVE");
    });
}

#[test]
fn gated_futures_can_be_sent_to_other_threads() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let (client, local) = clients();
    drop(is_send(new_sound_later(&client, String::new())));
    drop(is_send(some(local)));
}
