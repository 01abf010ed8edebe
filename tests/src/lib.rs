//! What the tests of several crates share, the fuzzers included.

pub mod fuzz;
mod held;

pub use held::Held;

/// The code in the README, which has to compile and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
