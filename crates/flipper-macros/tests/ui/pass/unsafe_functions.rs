#![deny(warnings)]

use flipper::{FeatureFlagClient, LocalClient, MemoryStore};

#[flipper::feature("A", client = flags, redirect = old)]
unsafe fn new(flags: &LocalClient, by: usize) -> usize {
    by + 1
}

unsafe fn old(_: &LocalClient, by: usize) -> usize {
    by
}

fn main() {
    let flags = FeatureFlagClient::new(MemoryStore::new()).local().unwrap();
    assert_eq!(unsafe { new(&flags, 1) }, 1);
}
