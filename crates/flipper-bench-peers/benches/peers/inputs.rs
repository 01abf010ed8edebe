//! Contexts, the same for all engines.

use std::hint::black_box;

/// Whether a flag without rules is switched on: every other one, which in random order nothing can predict.
pub fn is_on(at: usize) -> bool {
    at.is_multiple_of(2)
}

/// What a caller knows, and builds each engine's context of.
#[derive(Clone, Copy)]
pub struct Visit<'v> {
    pub user_id: &'v str,
    pub plan: &'v str,
    pub age: i32,
    /// The age, for an engine that knows nothing but text. It need not be formatted at each check.
    pub age_text: &'v str,
    pub location: &'v str,
    pub horse_type: &'v str,
    pub is_admin: bool,
}

impl Visit<'static> {
    /// Fulfils all conditions.
    pub const MATCHING: Self = Self {
        user_id: "1000000",
        plan: "gold",
        age: 20,
        age_text: "20",
        location: "land",
        horse_type: "Mare",
        is_admin: true,
    };

    /// Each of these fails one condition, the first one the first.
    pub fn failing() -> [Self; 5] {
        [
            Self { plan: "free", ..Self::MATCHING },
            Self { age: 17, age_text: "17", ..Self::MATCHING },
            Self { location: "city", ..Self::MATCHING },
            Self { horse_type: "Foal", ..Self::MATCHING },
            Self { is_admin: false, ..Self::MATCHING },
        ]
    }
}

/// Visits of ten users, one after the other.
pub struct Visits {
    visits: [Visit<'static>; 10],
    at: usize,
}

impl Visits {
    pub fn new() -> Self {
        let users = [
            "1000000", "1000001", "1000002", "1000003", "1000004", "1000005", "1000006", "1000007",
            "1000008", "1000009",
        ];
        Self { visits: users.map(|user_id| Visit { user_id, ..Visit::MATCHING }), at: 0 }
    }

    #[inline]
    pub fn next(&mut self) -> &Visit<'static> {
        self.at = if self.at + 1 < self.visits.len() { self.at + 1 } else { 0 };
        black_box(&self.visits[self.at])
    }
}
