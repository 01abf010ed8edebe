//! The guide: how to use flipper, page by page.
//!
//! * [Owning flags](owning_flags): in the Redis or Consul that you run already.
//! * [Outages](outages): what happens when a store is away, or has something in it that nobody can read.
//! * [Performance](performance): what a check costs, and how to have it cost less.
//! * [From Python](from_python): moving from flipper-client, or sharing flags with it; every difference.
//! * [The Thrift service](thrift_service): hosting it, or implementing it.
//! * [Writing a store](writing_a_store): four calls, and a suite that proves them right.
//!
//! How flipper compares with other libraries and platforms is in COMPARE.md.

#[doc = include_str!("owning_flags.md")]
pub mod owning_flags {}

#[doc = include_str!("outages.md")]
pub mod outages {}

#[doc = include_str!("performance.md")]
pub mod performance {}

#[doc = include_str!("from_python.md")]
pub mod from_python {}

#[doc = include_str!("thrift_service.md")]
pub mod thrift_service {}

#[doc = include_str!("writing_a_store.md")]
pub mod writing_a_store {}
