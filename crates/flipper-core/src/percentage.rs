//! How much of the traffic gets a flag: a fixed share, or one that moves with time.

use std::time::Duration;

use crate::json::{Sink, Value, write_float, write_int, write_value};
use crate::{Error, Result, Semantics, Timestamp};

/// Holds a share of the traffic, between 0 and 1, which may move with time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use flipper_core::{Percentage, Timestamp};
///
/// let half = Percentage::new(0.5)?;
/// assert_eq!(half.buckets(Timestamp::now()), Some(51));
///
/// let start = Timestamp::from_secs(1_700_000_000);
/// let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_secs(1800), start)?;
/// assert_eq!(ramp.value_at(start + Duration::from_secs(600)), Some(0.4));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Percentage(pub(crate) Share);

/// Inside of a [`Percentage`]. Numbers that are stored as integers are held as floats: as shares they are the same.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Share {
    Fixed(f64),
    Ramp(Ramp),
    /// Of a type, or with a value, that this version cannot use: as it is stored.
    Unknown(Value),
}

/// The line of a percentage that moves with time, as it is stored: see [`Percentage::as_ramp`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use flipper_core::{Percentage, Timestamp};
///
/// let start = Timestamp::from_secs(1_700_000_000);
/// let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_secs(1_800), start)?;
/// let ramp = ramp.as_ramp().expect("it is one");
/// assert_eq!(ramp.end(), Some(start + Duration::from_secs(1_800)));
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LinearRamp {
    /// The share at the start.
    pub initial: f64,
    /// The share at the end, and after it.
    pub last: f64,
    /// How long it takes, in seconds. A record may hold any number here.
    pub duration: f64,
    /// When it starts; `None` if the record does not say: then it never gets on.
    pub start: Option<Timestamp>,
}

impl LinearRamp {
    /// Returns when the last share is reached; `None` for a ramp that has no start, and for one that never ends.
    pub fn end(&self) -> Option<Timestamp> {
        let start = self.start?;
        let duration = Duration::try_from_secs_f64(self.duration.max(0.0)).ok()?;
        Some(start + duration)
    }
}

/// A straight line from one share to another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ramp {
    pub(crate) initial: f64,
    pub(crate) last: f64,
    /// What is added per second; 0 for a ramp without a duration. The order of the operations is flipper-client's, so
    /// that the doubles are the same to the last bit.
    pub(crate) slope: f64,
    /// In seconds.
    pub(crate) duration: f64,
    /// `None` where the record has none: flipper-client starts such a ramp anew each time it reads the record, so
    /// that no time has ever passed.
    pub(crate) start: Option<Timestamp>,
}

impl Percentage {
    /// Makes a fixed share: 0 is nobody, 0.5 about half, 1 everybody.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for NaN and for what is not between 0 and 1.
    pub fn new(share: f64) -> Result<Self> {
        legal(share, "a percentage").map(|share| Self(Share::Fixed(share)))
    }

    /// Makes a share that moves in a straight line from `initial` to `last`, in `duration` from `start` on. It may
    /// go up or down.
    ///
    /// Before `start` it is `initial`, after the duration it is `last`; with a duration of zero it is `last` at
    /// once. The start is kept in whole seconds, as it is stored.
    ///
    /// flipper-client computes a falling ramp differently (it is at its final value at once, and then below): see
    /// [`Semantics`]. [`Flag::explain`](crate::Flag::explain) says so where it matters.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a share that is NaN or not between 0 and 1, and for a
    /// start that Python cannot hold in every time zone: within the first two days of the year 1 or the last two of
    /// 9999, and beyond.
    pub fn linear_ramp(initial: f64, last: f64, duration: Duration, start: Timestamp) -> Result<Self> {
        let initial = legal(initial, "the initial share of a ramp")?;
        let last = legal(last, "the final share of a ramp")?;
        let start = Timestamp::from_secs(start.as_secs());
        if !(FIRST_START..LAST_START).contains(&start) {
            return Err(Error::invalid(format!(
                "a ramp has to start between the years 1 and 9999, not at {} s from 1970",
                start.as_secs()
            )));
        }
        let ramp = Ramp::new((initial, last), last - initial, duration.as_secs_f64(), Some(start));
        Ok(Self(Share::Ramp(ramp)))
    }

    /// Returns the share at a time, under [`Semantics::Documented`]; `None` for a stored percentage of a kind that
    /// this version cannot use.
    ///
    /// A stored record may hold any number, so what comes back may be outside 0 to 1, or NaN.
    pub fn value_at(&self, now: Timestamp) -> Option<f64> {
        self.value_under(Semantics::Documented, now)
    }

    /// Returns the share at a time, under given semantics; `None` for a stored percentage of a kind that this version
    /// cannot use.
    #[inline]
    pub fn value_under(&self, semantics: Semantics, now: Timestamp) -> Option<f64> {
        match &self.0 {
            Share::Fixed(share) => Some(*share),
            Share::Ramp(ramp) => match semantics {
                Semantics::Documented => Some(ramp.documented(now)),
                Semantics::FlipperClient => Some(ramp.flipper_client_after(ramp.elapsed(now))),
            },
            Share::Unknown(_) => None,
        }
    }

    /// Returns how many of the 100 buckets of consistent hashing get the flag at a time.
    ///
    /// Bucket *n* of 0 to 99 is in when *n*/100 does not exceed the share, so that 0.5 is 51 buckets, and 0.99 is all
    /// of them. Only a share of exactly 0 is nobody: 0.001 is one bucket. flipper-client has it so, and nobody may
    /// change sides.
    pub fn buckets(&self, now: Timestamp) -> Option<u8> {
        self.value_at(now).map(buckets_in)
    }

    /// Returns the line on which the share moves; `None` if it does not move, or in a way that this version does not know.
    ///
    /// ```
    /// use std::time::Duration;
    /// use flipper_core::{Percentage, Timestamp};
    ///
    /// let start = Timestamp::from_secs(1_700_000_000);
    /// let ramp = Percentage::linear_ramp(0.2, 0.8, Duration::from_secs(1800), start)?;
    /// let line = ramp.as_ramp().expect("it moves");
    /// assert_eq!((line.initial, line.last), (0.2, 0.8));
    /// assert_eq!(line.end(), Some(start + Duration::from_secs(1800)));
    /// assert!(Percentage::new(0.5)?.as_ramp().is_none());
    /// # Ok::<(), flipper_core::Error>(())
    /// ```
    pub fn as_ramp(&self) -> Option<LinearRamp> {
        match &self.0 {
            Share::Ramp(Ramp { initial, last, duration, start, .. }) => {
                Some(LinearRamp { initial: *initial, last: *last, duration: *duration, start: *start })
            }
            Share::Fixed(_) | Share::Unknown(_) => None,
        }
    }

    /// How many buckets get the flag at any time, if the share does not move.
    pub(crate) fn fixed_buckets(&self) -> Option<u8> {
        match self.0 {
            Share::Fixed(share) => Some(buckets_in(share)),
            Share::Ramp(_) | Share::Unknown(_) => None,
        }
    }

    /// Whether the share moves with time, so that an evaluation needs the clock.
    pub(crate) fn is_ramp(&self) -> bool {
        matches!(self.0, Share::Ramp(_))
    }

    pub(crate) fn write(&self, out: &mut impl Sink) {
        match &self.0 {
            Share::Fixed(share) => {
                out.put(b"{\"type\": \"Percentage\", \"value\": ");
                write_float(*share, out);
                out.put(b"}");
            }
            Share::Ramp(ramp) => {
                out.put(b"{\"type\": \"LinearRampPercentage\", \"initial_value\": ");
                write_float(ramp.initial, out);
                out.put(b", \"final_value\": ");
                write_float(ramp.last, out);
                out.put(b", \"ramp_duration\": ");
                // Python's own default is an integer, so whole seconds are written as one.
                if ramp.duration.fract() == 0.0 && ramp.duration < 1e15 {
                    write_int(ramp.duration as i64, out);
                } else {
                    write_float(ramp.duration, out);
                }
                out.put(b", \"initial_time\": ");
                match ramp.start {
                    Some(start) if start.as_micros() % 1_000_000 == 0 => write_int(start.as_secs(), out),
                    // Read from a record: flipper-client writes whole seconds only.
                    Some(start) => {
                        let fraction = (start.as_micros() % 1_000_000) as f64 / 1e6;
                        write_float(start.as_secs() as f64 + fraction, out);
                    }
                    None => out.put(b"null"),
                }
                out.put(b"}");
            }
            Share::Unknown(stored) => {
                // It was read, so it is not too deep.
                let _ = write_value(stored, out);
            }
        }
    }
}

impl Ramp {
    /// `rise` is the difference of the two shares, which Python computes exactly if they are integers.
    pub(crate) fn new(
        (initial, last): (f64, f64),
        rise: f64,
        duration: f64,
        start: Option<Timestamp>,
    ) -> Self {
        let slope = if duration == 0.0 { 0.0 } else { rise / duration };
        Self { initial, last, slope, duration, start }
    }

    fn documented(&self, now: Timestamp) -> f64 {
        if self.duration <= 0.0 {
            return self.last;
        }
        Self::on_the_way((self.initial, self.last), self.slope, self.elapsed(now))
    }

    /// The share of a ramp that has a duration, so many seconds after its start.
    #[inline]
    pub(crate) fn on_the_way((initial, last): (f64, f64), slope: f64, elapsed: f64) -> f64 {
        let line = slope * elapsed.max(0.0) + initial;
        if line.is_nan() {
            return last;
        }
        line.max(initial.min(last)).min(initial.max(last))
    }

    /// What flipper-client computes when it believes that so many seconds have passed.
    pub(crate) fn flipper_client_after(&self, elapsed: f64) -> f64 {
        if self.duration == 0.0 {
            return self.last;
        }
        let line = self.slope * elapsed + self.initial;
        // Python's `min` keeps its first argument when a comparison with NaN fails.
        if line < self.last { line } else { self.last }
    }

    /// Seconds since the start.
    fn elapsed(&self, now: Timestamp) -> f64 {
        self.start.map_or(0.0, |start| now.secs_since(start))
    }

    /// Microseconds since the start; `None` for a ramp that has none.
    pub(crate) fn elapsed_micros(&self, now: Timestamp) -> Option<i128> {
        self.start.map(|start| i128::from(now.as_micros()) - i128::from(start.as_micros()))
    }
}

fn legal(share: f64, what: &str) -> Result<f64> {
    if (0.0..=1.0).contains(&share) {
        // Turns -0.0 into 0.0.
        Ok(share + 0.0)
    } else {
        Err(Error::invalid(format!("{what} has to be between 0 and 1, not {share}")))
    }
}

/// The least share that each bucket is part of: the bucket's number divided by 100, in doubles.
const LEAST_SHARES: [f64; 100] = {
    let mut shares = [0.0; 100];
    let mut bucket = 0;
    while bucket < 100 {
        shares[bucket] = bucket as f64 / 100.0;
        bucket += 1;
    }
    shares
};

/// How many of the 100 buckets are part of a share: the first so many.
pub(crate) fn buckets_in(share: f64) -> u8 {
    if share == 0.0 { 0 } else { LEAST_SHARES.partition_point(|least| *least <= share) as u8 }
}

/// Python's `datetime` is in the years 1 to 9999, and looks a day back from a time to learn of its zone. This is what it
/// holds in UTC.
pub(crate) fn python_can_hold(time: Timestamp) -> bool {
    (Timestamp::from_secs(-62_135_510_400)..Timestamp::from_secs(253_402_300_800)).contains(&time)
}

/// What Python's `datetime` holds in every time zone.
const FIRST_START: Timestamp = Timestamp::from_secs(-62_135_596_800 + 2 * 86_400);
const LAST_START: Timestamp = Timestamp::from_secs(253_402_300_800 - 2 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn ramp(initial: f64, last: f64) -> Percentage {
        Percentage::linear_ramp(initial, last, Duration::from_mins(30), START).unwrap()
    }

    #[test]
    fn refuses_what_is_no_share() {
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Percentage::new(share).unwrap_err().kind(), ErrorKind::InvalidInput);
            assert!(Percentage::linear_ramp(share, 1.0, Duration::ZERO, START).is_err());
            assert!(Percentage::linear_ramp(0.0, share, Duration::ZERO, START).is_err());
        }
        let far = Timestamp::from_secs(253_402_300_800);
        assert!(Percentage::linear_ramp(0.0, 1.0, Duration::ZERO, far).is_err());
    }

    #[test]
    fn ramps_stay_between_their_ends_in_both_directions() {
        for (initial, last) in [(0.2, 0.8), (0.8, 0.2)] {
            let ramp = ramp(initial, last);
            let at = |secs: i64| ramp.value_at(Timestamp::from_secs(START.as_secs() + secs)).unwrap();
            assert_eq!(at(-100_000), initial);
            assert_eq!(at(0), initial);
            assert!((at(900) - 0.5).abs() < 1e-12);
            assert!((at(1800) - last).abs() < 1e-12);
            assert_eq!(at(1_000_000), last);
        }
    }

    #[test]
    fn effective_shares_are_those_of_flipper_client() {
        for (share, buckets) in
            [(0.0, 0), (0.001, 1), (0.01, 2), (0.5, 51), (0.98, 99), (0.99, 100), (1.0, 100)]
        {
            assert_eq!(Percentage::new(share).unwrap().buckets(START), Some(buckets), "{share}");
        }
    }

    #[test]
    fn the_end_of_a_ramp_is_known_unless_it_has_none() {
        let line = |duration, start| LinearRamp { initial: 0.0, last: 1.0, duration, start };
        assert_eq!(line(1.5, Some(START)).end(), Some(START + Duration::from_millis(1500)));
        assert_eq!(line(-5.0, Some(START)).end(), Some(START));
        assert_eq!(line(f64::INFINITY, Some(START)).end(), None);
        assert_eq!(line(5.0, None).end(), None);
    }

    #[test]
    fn starts_in_whole_seconds() {
        let ramp = Percentage::linear_ramp(
            0.0,
            1.0,
            Duration::from_millis(1500),
            START + Duration::from_millis(999),
        );
        let mut out = Vec::new();
        ramp.unwrap().write(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"type": "LinearRampPercentage", "initial_value": 0.0, "final_value": 1.0, "ramp_duration": 1.5, "initial_time": 1700000000}"#
        );
    }
}
