#![allow(unused)]

use flipper::{FeatureFlagClient, LocalClient};

#[flipper::feature("A", client = flags)]
fn waits(flags: &FeatureFlagClient) {}

#[flipper::feature("A", client = flags)]
async fn no_client_at_all(flags: u8) {}

#[flipper::feature("A", client = flags)]
const fn constant(flags: &LocalClient) {}

#[flipper::feature("A", client = flags)]
struct NoFunction;

#[flipper::feature("A", client = flags, redirect = fewer)]
fn more(flags: &LocalClient, count: usize) {}

fn fewer(flags: &LocalClient) {}

struct NoDefault;

#[flipper::feature("A", client = flags)]
fn no_default(flags: &LocalClient) -> NoDefault {
    NoDefault
}

fn main() {}
