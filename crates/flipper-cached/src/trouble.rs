//! What keeps flags from being read again.

use std::sync::atomic::{AtomicU64, Ordering};

use flipper_core::{Error, ErrorKind, Freshness, StaleCause, Timestamp};

/// Since when something is wrong, and what; readable by all threads at once.
#[derive(Debug, Default)]
pub(crate) struct Trouble(AtomicU64);

impl Trouble {
    /// Notes an error; returns whether all was well before. The time of the first one stays.
    pub(crate) fn set(&self, error: &Error, now: Timestamp) -> bool {
        let cause = match error.kind() {
            ErrorKind::Corrupt => 1,
            ErrorKind::PermissionDenied => 2,
            _ => 3,
        };
        let since = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
        let update = |before: u64| {
            let since = if before == 0 { since } else { before >> 2 };
            Some(since << 2 | cause)
        };
        // It always succeeds.
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, update) == Ok(0)
    }

    /// Notes that all is well; returns whether it was not before.
    pub(crate) fn clear(&self) -> bool {
        // Mostly there is nothing to write, and then other threads keep their copy.
        self.0.load(Ordering::Acquire) != 0 && self.0.swap(0, Ordering::AcqRel) != 0
    }

    /// How old something is that cannot be read again.
    pub(crate) fn stale(&self) -> Option<Freshness> {
        let packed = self.0.load(Ordering::Acquire);
        let cause = match packed & 3 {
            0 => return None,
            1 => StaleCause::Corrupt,
            2 => StaleCause::PermissionDenied,
            _ => StaleCause::Unavailable,
        };
        Some(Freshness::Stale { since: Timestamp::from_micros((packed >> 2) as i64 * 1_000), cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_time_and_the_last_cause_are_kept() {
        let trouble = Trouble::default();
        assert_eq!(trouble.stale(), None);
        assert!(!trouble.clear());
        let at = |secs| Timestamp::from_secs(secs);
        assert!(trouble.set(&Error::new(ErrorKind::Unavailable, "away"), at(1_700_000_000)));
        assert!(!trouble.set(&Error::new(ErrorKind::PermissionDenied, "no"), at(1_700_000_001)));
        let stale = Freshness::Stale { since: at(1_700_000_000), cause: StaleCause::PermissionDenied };
        assert_eq!(trouble.stale(), Some(stale));
        assert!(trouble.clear());
        assert_eq!(trouble.stale(), None);
        // A clock that stands before 1970.
        assert!(trouble.set(&Error::new(ErrorKind::Corrupt, "bad"), at(-5)));
        assert!(matches!(trouble.stale(), Some(Freshness::Stale { cause: StaleCause::Corrupt, .. })));
    }
}
