//! Randomness for percentage bucketers.

/// Draws the numbers with which a percentage bucketer decides.
///
/// Tests put a source of their own in its place; any `Fn() -> f64` is one.
///
/// # Examples
///
/// ```
/// use flipper_core::Random;
///
/// let always_low = || 0.0;
/// assert_eq!(always_low.draw(), 0.0);
/// ```
pub trait Random: Send + Sync {
    /// Returns a number of the half-open range from 0 to 1. Called at most once per evaluation; must not block.
    fn draw(&self) -> f64;
}

impl<F: Fn() -> f64 + Send + Sync> Random for F {
    fn draw(&self) -> f64 {
        self()
    }
}

/// Draws from a generator that belongs to the calling thread. The default.
///
/// It is fast and well distributed but predictable: fit to spread traffic, not to make secrets.
///
/// # Examples
///
/// ```
/// use flipper_core::{Random, ThreadRandom};
///
/// assert!((0.0..1.0).contains(&ThreadRandom.draw()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadRandom;

impl Random for ThreadRandom {
    fn draw(&self) -> f64 {
        fastrand::f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_in_the_half_open_range_and_spread() {
        let draws: Vec<f64> = (0..10_000).map(|_| ThreadRandom.draw()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let low = draws.iter().filter(|draw| **draw < 0.1).count();
        assert!((700..1300).contains(&low), "{low} of 10,000 draws below 0.1");
    }
}
