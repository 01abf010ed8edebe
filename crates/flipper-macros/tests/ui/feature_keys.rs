#![allow(unused)]

use flipper::LocalClient;

#[flipper::feature]
fn no_arguments(flags: &LocalClient) {}

#[flipper::feature(client = flags)]
fn no_flag(flags: &LocalClient) {}

#[flipper::feature("A")]
fn no_client(flags: &LocalClient) {}

#[flipper::feature("A", client = flags, fallback = other)]
fn unknown_key(flags: &LocalClient) {}

#[flipper::feature("A", client = flags, client = flags)]
fn twice(flags: &LocalClient) {}

#[flipper::feature("A", client)]
fn no_value(flags: &LocalClient) {}

#[flipper::feature("a\tb", client = flags)]
fn illegal_name(flags: &LocalClient) {}

#[flipper::feature(7, client = flags)]
fn no_name(flags: &LocalClient) {}

#[flipper::feature("A", client = flags, default = 1)]
fn no_bool(flags: &LocalClient) {}

fn main() {}
