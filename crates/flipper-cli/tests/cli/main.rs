//! The program as it is built, on every store.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod audit;
mod bulk;
mod config;
mod failures;
mod flags;
mod generated;
mod guide;
mod hostile;
mod simulated;
mod stores;
mod support;
#[cfg(unix)]
mod terminal;
mod watched;
