//! Names of flags, and an order in which to ask for them.

use std::hint::black_box;

/// Returns the names of so many flags: 14 to 26 bytes, as teams name them.
pub fn names(count: usize) -> Vec<Box<str>> {
    let teams = ["checkout", "search", "growth", "payments", "ios"];
    (0..count).map(|at| format!("{}.new-flow.{at}", teams[at % teams.len()]).into()).collect()
}

/// Names in a random order, always the same, to be gone through over and over.
pub struct Shuffled<'n> {
    names: Vec<&'n Box<str>>,
    at: usize,
}

impl<'n> Shuffled<'n> {
    /// Shuffles names.
    pub fn new(names: &'n [Box<str>]) -> Self {
        let mut names: Vec<_> = names.iter().collect();
        fastrand::Rng::with_seed(7).shuffle(&mut names);
        Self { names, at: 0 }
    }

    /// Returns the next name: a thin pointer, which can be kept from the optimiser without a detour over memory.
    #[inline]
    pub fn pick(&mut self) -> &'n Box<str> {
        self.at = if self.at + 1 < self.names.len() { self.at + 1 } else { 0 };
        black_box(self.names[self.at])
    }

    /// Returns which name was picked last.
    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }
}
