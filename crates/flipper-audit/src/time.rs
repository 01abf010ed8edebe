//! Times, as lines have them: RFC 3339 in UTC, with microseconds.

use flipper_core::Timestamp;

/// Writes a time, always as long, so that times sort as texts.
pub(crate) fn write(time: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(time.as_micros()) {
        Ok(time) => format!("{time:.6}"),
        // Before the year -9999 or after 9999: a clock that is broken. The log goes on.
        Err(_) => format!("@{}us", time.as_micros()),
    }
}

/// Reads what [`write`] has written.
#[cfg(feature = "log")]
pub(crate) fn read(text: &str) -> Option<Timestamp> {
    if let Some(micros) = text.strip_prefix('@').and_then(|text| text.strip_suffix("us")) {
        return micros.parse().ok().map(Timestamp::from_micros);
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_and_sort_as_texts() {
        let micros = [-62_135_596_800_000_000, -1, 0, 1, 1_700_000_000_000_000, 1_700_000_000_123_456];
        let texts = micros.map(|micros| write(Timestamp::from_micros(micros)));
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(texts[4], "2023-11-14T22:13:20.000000Z");
        for (micros, text) in micros.iter().zip(&texts) {
            assert_eq!(read(text), Some(Timestamp::from_micros(*micros)), "{text}");
        }
        let never = write(Timestamp::from_micros(i64::MAX));
        assert_eq!(read(&never), Some(Timestamp::from_micros(i64::MAX)));
        assert_eq!(read("yesterday"), None);
    }
}
