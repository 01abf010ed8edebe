//! Measurements, through the facade `metrics`.

mod publish;
mod store;

pub use publish::MetricsPublisher;
pub use store::MeteredStore;
