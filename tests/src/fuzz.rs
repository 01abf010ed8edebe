//! The bodies of the fuzzers: plain functions, which `scripts/fuzz` runs by the million and the tests run over the
//! corpora in `fuzz/corpus`.

/// Placeholder.
pub fn stored_bytes(_data: &[u8]) {}
