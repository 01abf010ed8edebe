//! Measurements, through the facade `metrics`.

mod counts;
mod meter;
mod publish;
mod store;

pub use counts::EvaluationCount;
pub use meter::EvaluationMeter;
pub use publish::MetricsPublisher;
pub use store::MeteredStore;
