//! Dates.

use syn::LitStr;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Date {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
}

impl Date {
    /// Reads `2027-01-31`, and refuses all else.
    pub(crate) fn read(text: &LitStr) -> syn::Result<Self> {
        parse(&text.value()).map_err(|why| syn::Error::new(text.span(), why))
    }
}

fn parse(text: &str) -> Result<Date, String> {
    let parts = || {
        let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
        let is_number = |part: &str, digits| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        (is_number(year, 4) && is_number(month, 2) && is_number(day, 2)).then_some(())?;
        Some(Date { year: year.parse().ok()?, month: month.parse().ok()?, day: day.parse().ok()? })
    };
    let Some(date) = parts() else {
        return Err(format!("{text:?} is not a date: write year, month and day as in \"2027-01-31\""));
    };
    let is_leap =
        date.year.is_multiple_of(4) && (!date.year.is_multiple_of(100) || date.year.is_multiple_of(400));
    let days = match date.month {
        2 => 28 + u8::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(format!("{text:?} is not a date: there is no month {}", date.month)),
    };
    if (1..=days).contains(&date.day) {
        Ok(date)
    } else {
        Err(format!("{text:?} is not a date: its month has {days} days"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_core() {
        for year in [1900, 2000, 2026, 2027, 2028] {
            for (month, day) in (0..=14).flat_map(|month| (0..=32).map(move |day| (month, day))) {
                let text = format!("{year:04}-{month:02}-{day:02}");
                let there = flipper_core::Date::new(year, month, day);
                assert_eq!(parse(&text).ok(), there.map(|_| Date { year, month, day }), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in
            ["", "2027", "2027-1-31", "27-01-31", "2027/01/31", "2027-01-31 ", "+027-01-31", "2027-01-3x"]
        {
            assert!(parse(text).unwrap_err().contains("write year, month and day"), "{text:?}");
        }
    }
}
