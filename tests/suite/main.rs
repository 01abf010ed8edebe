//! The tests of the whole: one binary, a module per subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod audit;
mod cached;
mod client;
mod consul;
mod edits;
mod fake;
mod file;
mod fuzz;
mod guide;
mod local;
mod mirror;
mod open;
mod peer;
mod postgres;
mod records;
mod redis;
mod replicated;
mod s3;
mod seed;
mod thrift;
mod vectors;
mod wrappers;
