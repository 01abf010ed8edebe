//! Days.

use std::fmt;

use crate::Timestamp;

/// A day of the calendar, in UTC: the last one on which a flag is meant to be there.
///
/// # Examples
///
/// ```
/// use flipper_core::{Date, Timestamp};
///
/// let date = Date::new(2027, 1, 31).unwrap();
/// assert_eq!(date.to_string(), "2027-01-31");
/// // Midnight of 2027-02-01.
/// assert_eq!(date.end(), Timestamp::from_secs(1_801_440_000));
/// assert!(Date::new(2027, 2, 29).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// Makes a date from a year up to 9999, a month from 1 to 12 and a day; `None` if there is no such day.
    pub const fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            2 => 28 + is_leap as u8,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if year > 9999 || day == 0 || day > days { None } else { Some(Self { year, month, day }) }
    }

    /// Returns the moment at which the day is over.
    pub const fn end(self) -> Timestamp {
        // Years that begin in March have the odd day at their end, and months before it that repeat in fives of 153 days.
        let month = (self.month as i64 + 9) % 12;
        let year = self.year as i64 - (self.month <= 2) as i64;
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        // Counted from 0000-03-01, which is 719,468 days before 1970.
        let days = year * 365 + leap_days + (month * 153 + 2) / 5 + self.day as i64 - 1;
        Timestamp::from_secs((days - 719_468 + 1) * 86_400)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_follows_the_one_before() {
        let mut end = Date::new(1969, 12, 31).unwrap().end();
        assert_eq!(end, Timestamp::from_secs(0));
        let mut days = 0;
        for year in 1970..=2400 {
            for (month, day) in (1..=12).flat_map(|month| (1..=31).map(move |day| (month, day))) {
                let Some(date) = Date::new(year, month, day) else { continue };
                assert_eq!(date.end().as_secs() - end.as_secs(), 86_400, "{date}");
                end = date.end();
                days += 1;
            }
        }
        // 431 years, with the leap days of 1972 to 2400, but for those of 2100, 2200 and 2300.
        assert_eq!(days, 431 * 365 + 108 - 3);
    }

    #[test]
    fn days_that_are_not_in_the_calendar_are_refused() {
        for (year, month, day) in [(2027, 0, 1), (2027, 13, 1), (2027, 4, 31), (1900, 2, 29), (2027, 1, 0)] {
            assert_eq!(Date::new(year, month, day), None);
        }
        assert!(Date::new(2000, 2, 29).is_some());
        assert!(Date::new(10_000, 1, 1).is_none());
    }
}
