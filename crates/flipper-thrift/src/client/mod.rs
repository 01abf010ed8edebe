//! The store: a client of the service.

mod address;
mod builder;
mod connection;
mod parts;
mod pool;
mod server;
mod shared;
mod store;
#[cfg(test)]
mod tests;

pub use builder::ThriftStoreBuilder;
pub use store::ThriftStore;
