//! The server: the service before a client, and so before any store.

mod answer;
mod legacy;
mod memory;
mod running;
mod serve;
mod settings;
#[cfg(test)]
mod tests;

pub use running::RunningThriftServer;
pub use settings::ThriftServer;
