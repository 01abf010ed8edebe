//! Time as people write and read it: that of their zone, which is always named.

use std::time::Duration;

use flipper::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Zoned};

/// Now, and the zone in which times are shown.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// The time.
    pub(crate) now: Timestamp,
    zone: TimeZone,
}

impl Moment {
    /// The system's.
    pub(crate) fn system() -> Self {
        Self { now: Timestamp::now(), zone: TimeZone::system() }
    }

    /// Another one, in the zone that has no summer.
    #[cfg(test)]
    pub(crate) fn utc(now: Timestamp) -> Self {
        Self { now, zone: TimeZone::UTC }
    }

    /// The same zone at another time.
    pub(crate) fn at(&self, now: Timestamp) -> Self {
        Self { now, zone: self.zone.clone() }
    }

    /// Shows a time: the hour alone if it is today, and seconds only where they matter.
    pub(crate) fn show(&self, time: Timestamp) -> String {
        let (Some(then), Some(now)) = (self.zoned(time), self.zoned(self.now)) else {
            return format!("{} s from 1970", time.as_secs());
        };
        let is_near = time.as_micros().abs_diff(self.now.as_micros()) < 600_000_000;
        let format = match (then.date() == now.date(), is_near) {
            (true, true) => "%H:%M:%S %Z",
            (true, false) => "%H:%M %Z",
            (false, true) => "%Y-%m-%d %H:%M:%S %Z",
            (false, false) => "%Y-%m-%d %H:%M %Z",
        };
        then.strftime(format).to_string()
    }

    /// Shows a time with its date and its seconds.
    pub(crate) fn exact(&self, time: Timestamp) -> String {
        let zoned = self.zoned(time);
        zoned.map_or_else(|| self.show(time), |then| then.strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
    }

    /// Shows the time of the day, with its seconds.
    pub(crate) fn clock(&self) -> String {
        self.zoned(self.now).map_or_else(String::new, |now| now.strftime("%H:%M:%S").to_string())
    }

    fn zoned(&self, time: Timestamp) -> Option<Zoned> {
        let time = jiff::Timestamp::from_microsecond(time.as_micros()).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }
}

/// Reads how long something takes: `90s`, `1h 30m`, `2d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write how long, such as `90s`, `1h 30m` or `2d`".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| "it cannot be negative".to_owned())
}

/// Reads a time: `now`, `+2h`, `-1d`, `14:00`, `2026-12-01 09:00`, `2026-12-01T09:00:00Z`, `@1700000000`.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    time_from(text, &Moment::system())
}

fn time_from(text: &str, moment: &Moment) -> Result<Timestamp, String> {
    let wrong = || {
        "write a time, such as `now`, `+2h`, `14:00`, `2026-12-01 09:00`, `2026-12-01T09:00:00Z` or `@1700000000`"
            .to_owned()
    };
    let of_zone = |time: civil::DateTime| {
        let zoned = time.to_zoned(moment.zone.clone()).map_err(|_| wrong())?;
        Ok(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
    };
    if text == "now" {
        return Ok(moment.now);
    }
    if let Some(later) = text.strip_prefix('+') {
        return Ok(moment.now + duration(later)?);
    }
    if let Some(earlier) = text.strip_prefix('-') {
        let micros = i64::try_from(duration(earlier)?.as_micros()).map_err(|_| wrong())?;
        return Ok(Timestamp::from_micros(moment.now.as_micros().saturating_sub(micros)));
    }
    if let Some(secs) = text.strip_prefix('@') {
        return secs.parse().map(Timestamp::from_secs).map_err(|_| wrong());
    }
    if let Ok(exact) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp::from_micros(exact.as_microsecond()));
    }
    if text.contains('-') {
        return of_zone(text.parse().map_err(|_| wrong())?);
    }
    let hour: civil::Time = text.parse().map_err(|_| wrong())?;
    let today = moment.zoned(moment.now).ok_or_else(wrong)?.date();
    of_zone(today.to_datetime(hour))
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2023-11-14 22:13:20 UTC
    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    #[test]
    fn times_are_shown_as_exactly_as_they_are_near() {
        let moment = Moment::utc(NOW);
        assert_eq!(moment.show(NOW + Duration::from_secs(90)), "22:14:50 UTC");
        assert_eq!(moment.show(NOW + Duration::from_hours(1)), "23:13 UTC");
        assert_eq!(moment.show(NOW + Duration::from_hours(24)), "2023-11-15 22:13 UTC");
        assert_eq!(
            moment.show(Timestamp::from_micros(i64::MAX)),
            format!("{} s from 1970", i64::MAX / 1_000_000)
        );
        assert_eq!(moment.clock(), "22:13:20");
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("2d"), Ok(Duration::from_hours(48)));
        assert!(duration("90").is_err() && duration("").is_err() && duration("-5s").is_err());
    }

    #[test]
    fn times_are_read_in_many_forms() {
        let moment = Moment::utc(NOW);
        for (text, secs) in [
            ("now", 1_700_000_000),
            ("+2h", 1_700_007_200),
            ("-1d", 1_699_913_600),
            ("@5", 5),
            ("22:00", 1_699_999_200),
            ("2023-11-15 00:00", 1_700_006_400),
            ("2023-11-15", 1_700_006_400),
            ("2023-11-15T01:00:00+01:00", 1_700_006_400),
        ] {
            assert_eq!(time_from(text, &moment), Ok(Timestamp::from_secs(secs)), "{text}");
        }
        for text in ["", "noon", "25:00", "2023-13-01", "+", "@x"] {
            assert!(time_from(text, &moment).is_err(), "{text}");
        }
    }
}
