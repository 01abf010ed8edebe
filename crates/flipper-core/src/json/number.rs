//! Numbers: integers of any size, and floats as Python prints them.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};

/// Holds an integer that does not fit into an `i64`, as its decimal digits.
///
/// # Examples
///
/// ```
/// use flipper_core::json::Value;
///
/// let Value::BigInt(big) = Value::parse("1208925819614629174706176")? else { unreachable!() };
/// assert_eq!(big.as_str(), "1208925819614629174706176");
/// # Ok::<(), flipper_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt(Box<str>);

impl BigInt {
    /// `digits` is a JSON integer beyond the range of `i64`.
    pub(crate) fn from_digits(digits: &str) -> Self {
        Self(digits.into())
    }

    /// Returns the decimal digits, with a leading `-` when negative.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the nearest float, infinite when the integer is beyond all floats.
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number to compare: exact, whatever its kind.
#[derive(Clone, Copy)]
pub(crate) enum Number<'a> {
    Int(i128),
    Float(f64),
    /// Digits beyond the range of `i128`.
    Big(&'a str),
}

impl<'a> Number<'a> {
    pub(crate) fn from_digits(digits: &'a str) -> Self {
        digits.parse().map_or(Self::Big(digits), Self::Int)
    }

    /// Compares by exact value; `None` when one of them is NaN.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_with_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_with_float(b, a).map(Ordering::reverse),
            (Self::Big(a), Self::Big(b)) => Some(digits_with_digits(a, b)),
            (Self::Big(a), Self::Int(_)) => Some(sign(a)),
            (Self::Int(_), Self::Big(b)) => Some(sign(b).reverse()),
            (Self::Big(a), Self::Float(b)) => digits_with_float(a, b),
            (Self::Float(a), Self::Big(b)) => digits_with_float(b, a).map(Ordering::reverse),
        }
    }
}

fn sign(digits: &str) -> Ordering {
    if digits.starts_with('-') { Ordering::Less } else { Ordering::Greater }
}

fn int_with_float(int: i128, float: f64) -> Option<Ordering> {
    // 2^127: every i128 is below it in magnitude, and it is a float.
    const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if float.is_nan() {
        return None;
    }
    if float >= BEYOND {
        return Some(Ordering::Less);
    }
    if float < -BEYOND {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    // Equal to the whole part: the fraction decides. `trunc` keeps the sign of zero, so total_cmp sees no -0.0 < 0.0.
    Some(int.cmp(&(whole as i128)).then_with(|| whole.total_cmp(&float)))
}

fn digits_with_digits(a: &str, b: &str) -> Ordering {
    let magnitude = |x: &str, y: &str| x.len().cmp(&y.len()).then_with(|| x.cmp(y));
    match (a.strip_prefix('-'), b.strip_prefix('-')) {
        (None, None) => magnitude(a, b),
        (Some(a), Some(b)) => magnitude(b, a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
    }
}

fn digits_with_float(digits: &str, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // The digits are beyond i128, that is beyond 1.7e38: a smaller float, or an infinite one, needs no digits.
    if float.abs() < 1e38 {
        return Some(sign(digits));
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    // A float this large is whole, and Rust prints it exactly.
    let mut exact = Stack { bytes: [0; 320], len: 0 };
    if write!(exact, "{float:.0}").is_err() {
        return Some(sign(digits));
    }
    Some(digits_with_digits(digits, exact.as_str()))
}

/// A buffer on the stack, since evaluations do not allocate.
struct Stack {
    bytes: [u8; 320],
    len: usize,
}

impl Stack {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Stack {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Writes a float as Python's `repr` does: the shortest digits that read back, in positional notation for decimal
/// exponents from -4 to 15, else as `d.ddde+XX`.
pub(crate) fn python_float(float: f64, buffer: &mut [u8; 32]) -> &str {
    if float.is_nan() {
        "NaN"
    } else if float.is_infinite() {
        if float > 0.0 { "Infinity" } else { "-Infinity" }
    } else {
        let len = lay_out(zmij::Buffer::new().format_finite(float).as_bytes(), buffer);
        str::from_utf8(&buffer[..len]).unwrap_or_default()
    }
}

/// Lays out the digits of a printed float as Python does; returns the length.
fn lay_out(printed: &[u8], out: &mut [u8; 32]) -> usize {
    let mut digits = [b'0'; 20];
    let (mut count, mut point, mut exponent) = (0_usize, None, 0_i32);
    let mut leading_zeros = 0;
    let (negative, unsigned) = match printed {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    for (at, byte) in unsigned.iter().enumerate() {
        match byte {
            b'.' => point = Some(count as i32 + leading_zeros),
            b'e' | b'E' => {
                exponent =
                    str::from_utf8(&unsigned[at + 1..]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
                break;
            }
            b'0' if count == 0 => leading_zeros += 1,
            digit => {
                digits[count] = *digit;
                count += 1;
            }
        }
    }
    // The decimal point stands before this digit of `digits`.
    let point = point.unwrap_or(count as i32 + leading_zeros) - leading_zeros + exponent;
    while count > 0 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let point = if count == 0 { 1 } else { point };
    let digits = &digits[..count.max(1)];

    let mut writer = Layout { out, len: 0 };
    if negative {
        writer.push(b"-");
    }
    match point {
        1..=16 => {
            let whole = point as usize;
            writer.push(&digits[..whole.min(digits.len())]);
            writer.zeros(whole.saturating_sub(digits.len()));
            writer.push(b".");
            writer.push(digits.get(whole..).filter(|rest| !rest.is_empty()).unwrap_or(b"0"));
        }
        -3..=0 => {
            writer.push(b"0.");
            writer.zeros(point.unsigned_abs() as usize);
            writer.push(digits);
        }
        _ => {
            writer.push(&digits[..1]);
            if digits.len() > 1 {
                writer.push(b".");
                writer.push(&digits[1..]);
            }
            let exponent = point - 1;
            writer.push(if exponent < 0 { b"e-" } else { b"e+" });
            if exponent.abs() < 10 {
                writer.push(b"0");
            }
            writer.push(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
        }
    }
    writer.len
}

struct Layout<'a> {
    out: &'a mut [u8; 32],
    len: usize,
}

impl Layout<'_> {
    fn push(&mut self, bytes: &[u8]) {
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn zeros(&mut self, count: usize) {
        self.out[self.len..self.len + count].fill(b'0');
        self.len += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repr(float: f64) -> String {
        python_float(float, &mut [0; 32]).to_owned()
    }

    // Answers of CPython 3.11's repr().
    #[test]
    fn floats_print_as_in_python() {
        for (float, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.5, "0.5"),
            (0.1, "0.1"),
            (100.0, "100.0"),
            (0.0001, "0.0001"),
            (0.000_123_45, "0.00012345"),
            (0.00001, "1e-05"),
            (1e-7, "1e-07"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e22, "1e+22"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (-f64::MIN_POSITIVE, "-2.2250738585072014e-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(repr(float), text);
        }
    }

    #[test]
    fn every_printed_float_reads_back() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let float = f64::from_bits(bits);
            if float.is_finite() {
                assert_eq!(repr(float).parse::<f64>().unwrap().to_bits(), float.to_bits());
            }
        }
    }

    #[test]
    fn numbers_compare_by_exact_value() {
        let big = "1".to_owned() + &"0".repeat(400);
        let negative = format!("-{big}");
        let near_max = format!("{:.0}", f64::MAX);
        let cases: &[(Number<'_>, Number<'_>, Option<Ordering>)] = &[
            (
                Number::Int(9_007_199_254_740_993),
                Number::Float(9_007_199_254_740_992.0),
                Some(Ordering::Greater),
            ),
            (Number::Int(10_i128.pow(22)), Number::Float(1e22), Some(Ordering::Equal)),
            (Number::Int(0), Number::Float(-0.0), Some(Ordering::Equal)),
            (Number::Int(-1), Number::Float(-1.5), Some(Ordering::Greater)),
            (Number::Int(1), Number::Float(1.5), Some(Ordering::Less)),
            (Number::Int(1), Number::Float(f64::NAN), None),
            (Number::Int(i128::MAX), Number::Float(f64::INFINITY), Some(Ordering::Less)),
            (Number::Int(i128::MIN), Number::Float(f64::NEG_INFINITY), Some(Ordering::Greater)),
            (Number::Big(&big), Number::Float(f64::MAX), Some(Ordering::Greater)),
            (Number::Big(&big), Number::Float(f64::INFINITY), Some(Ordering::Less)),
            (Number::Big(&negative), Number::Float(f64::MIN), Some(Ordering::Less)),
            (Number::Big(&near_max), Number::Float(f64::MAX), Some(Ordering::Equal)),
            (Number::Big(&big), Number::Float(f64::NAN), None),
            (Number::Big(&negative), Number::Big(&big), Some(Ordering::Less)),
            (Number::Big(&negative), Number::Int(i128::MIN), Some(Ordering::Less)),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.compare(*b), *expected);
            assert_eq!(b.compare(*a), expected.map(Ordering::reverse));
        }
    }
}
