//! What the tests of several crates share, the fuzzers included.

pub mod fuzz;
