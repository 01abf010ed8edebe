//! Consistent hashing: bit for bit flipper-client's.
//!
//! The text that Python's `json.dumps` prints for the sorted `[name, value]` pairs goes through SHA-1 (FIPS 180-4);
//! the digest, taken as one big number, modulo 100 is the bucket.

use sha1::block_api::compress;

use crate::bucketer::ConsistentHash;
use crate::json::{
    Sink, TooDeep, separate, write_bool, write_float, write_int, write_serde, write_text, write_value,
};
use crate::{Attribute, Context, Semantics};

/// Returns the bucket, 0 to 99, of a context.
pub(crate) fn bucket(
    hash: &ConsistentHash,
    context: Context<'_>,
    semantics: Semantics,
) -> Result<u8, TooDeep> {
    let mut sha1 = Sha1Sink::new();
    write_pairs(hash, context, semantics, &mut sha1)?;
    Ok(sha1.bucket())
}

/// Returns the bucket of a context by some of its attributes: their names in order, and how they are hashed.
#[inline(always)]
pub(crate) fn bucket_of<'k>(
    keys: impl Iterator<Item = (&'k [u8], &'k [u8])>,
    context: Context<'_>,
    semantics: Semantics,
) -> Result<u8, TooDeep> {
    let mut sha1 = Sha1Sink::new();
    write_chosen(keys, context, semantics, &mut sha1)?;
    Ok(sha1.bucket())
}

/// Writes the text that is hashed.
pub(crate) fn write_pairs(
    hash: &ConsistentHash,
    context: Context<'_>,
    semantics: Semantics,
    out: &mut impl Sink,
) -> Result<(), TooDeep> {
    if hash.is_limited() {
        let keys = hash.keys.iter().map(|key| (key.name.as_wtf8(), key.prefix.as_wtf8()));
        return write_chosen(keys, context, semantics, out);
    }
    let mut is_first = true;
    for_each_sorted(context, |name, value| {
        if is_dropped(name.as_bytes(), semantics) {
            return Ok(());
        }
        out.put(if std::mem::take(&mut is_first) { b"[[".as_slice() } else { b", [".as_slice() });
        write_text(name.as_bytes(), out);
        out.put(b", ");
        write_attribute(value, 0, out)?;
        out.put(b"]");
        Ok(())
    })?;
    out.put(if is_first { b"[]".as_slice() } else { b"]".as_slice() });
    Ok(())
}

#[inline(always)]
fn write_chosen<'k>(
    keys: impl Iterator<Item = (&'k [u8], &'k [u8])>,
    context: Context<'_>,
    semantics: Semantics,
    out: &mut impl Sink,
) -> Result<(), TooDeep> {
    let mut is_first = true;
    for (name, prefix) in keys {
        let Some(value) = context.find_wtf8(name) else { continue };
        if is_dropped(name, semantics) {
            continue;
        }
        // The prefix is that of a later pair; the first one has a bracket in place of the separator.
        if std::mem::take(&mut is_first) {
            out.put(b"[");
            out.put(&prefix[2..]);
        } else {
            out.put(prefix);
        }
        write_attribute(value, 0, out)?;
        out.put(b"]");
    }
    out.put(if is_first { b"[]".as_slice() } else { b"]".as_slice() });
    Ok(())
}

/// flipper-client takes an argument of this name for itself.
#[inline]
fn is_dropped(name: &[u8], semantics: Semantics) -> bool {
    semantics == Semantics::FlipperClient && name == b"randomizer"
}

/// Visits the attributes in the order of their names, each name once with its last value.
///
/// Evaluations have no memory to sort in. So each round goes over the context and keeps the places of the 64 smallest
/// names that are above those of the rounds before: one round for almost every context, and a few for a large one.
fn for_each_sorted<'c>(
    context: Context<'c>,
    mut visit: impl FnMut(&'c str, &'c Attribute<'c>) -> Result<(), TooDeep>,
) -> Result<(), TooDeep> {
    let mut last: Option<&str> = None;
    loop {
        let mut places = [0_usize; 64];
        let mut count = 0;
        for (place, (name, _)) in context.pairs.iter().enumerate() {
            let is_full = count == places.len();
            if last.is_some_and(|last| *name <= last) || is_full && *name > context.pairs[places[count - 1]].0
            {
                continue;
            }
            match places[..count].binary_search_by(|at| context.pairs[*at].0.cmp(name)) {
                Ok(at) => places[at] = place,
                Err(at) => {
                    count = (count + 1).min(places.len());
                    places.copy_within(at..count - 1, at + 1);
                    places[at] = place;
                }
            }
        }
        for place in &places[..count] {
            let (name, value) = &context.pairs[*place];
            visit(name, value)?;
            last = Some(name);
        }
        if count < places.len() {
            return Ok(());
        }
    }
}

#[inline(always)]
pub(crate) fn write_attribute(
    value: &Attribute<'_>,
    depth: usize,
    out: &mut impl Sink,
) -> Result<(), TooDeep> {
    match value {
        Attribute::Int(int) => write_int(*int, out),
        Attribute::Str(text) => write_text(text.as_bytes(), out),
        other => return write_rare(other, depth, out),
    }
    Ok(())
}

fn write_rare(value: &Attribute<'_>, depth: usize, out: &mut impl Sink) -> Result<(), TooDeep> {
    match value {
        Attribute::Null => out.put(b"null"),
        Attribute::Bool(bool) => write_bool(*bool, out),
        Attribute::Int(int) => write_int(*int, out),
        Attribute::UInt(int) => out.put(itoa::Buffer::new().format(*int).as_bytes()),
        Attribute::Float(float) => write_float(*float, out),
        Attribute::Str(text) => write_text(text.as_bytes(), out),
        Attribute::List(elements) => {
            if depth >= crate::json::MAX_DEPTH {
                return Err(TooDeep);
            }
            out.put(b"[");
            for (at, element) in elements.iter().enumerate() {
                separate(at, out);
                write_attribute(element, depth + 1, out)?;
            }
            out.put(b"]");
        }
        Attribute::Json(value) => write_serde(value, out)?,
        Attribute::Value(value) => write_value(value, out)?,
    }
    Ok(())
}

/// What a digest's words count modulo 100: 2^32 is 96 there, so that the words are digits to the base 96.
const PLACES: [u64; 5] = [96 * 96 * 96 * 96, 96 * 96 * 96, 96 * 96, 96, 1];

/// Hashes what is put into it, without memory of its own.
///
/// It is aligned, so that the block is one line of the cache.
#[repr(C, align(64))]
struct Sha1Sink {
    /// One block, in the form in which `compress` takes blocks: a copy here costs a tenth of the hash.
    block: [[u8; 64]; 1],
    state: [u32; 5],
    /// Bytes in the block.
    filled: usize,
    /// Bytes in the blocks before.
    hashed: u64,
}

impl Sha1Sink {
    #[inline]
    fn new() -> Self {
        Self {
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0],
            block: [[0; 64]],
            filled: 0,
            hashed: 0,
        }
    }

    #[inline]
    fn bucket(&mut self) -> u8 {
        let bits = (self.hashed + self.filled as u64) * 8;
        self.block[0][self.filled] = 0x80;
        if self.hashed > 0 {
            // The rest of the block is still that of an earlier one.
            self.block[0][self.filled + 1..].fill(0);
        }
        if self.filled >= 56 {
            compress(&mut self.state, &self.block);
            self.block[0].fill(0);
        }
        self.block[0][56..].copy_from_slice(&bits.to_be_bytes());
        compress(&mut self.state, &self.block);
        // The sum stays below 2^59, and its terms do not wait for one another.
        let terms = std::array::from_fn::<u64, 5, _>(|at| u64::from(self.state[at]) * PLACES[at]);
        (terms.iter().sum::<u64>() % 100) as u8
    }

    #[inline(never)]
    fn put_across(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(64 - self.filled));
            self.block[0][self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            if self.filled == 64 {
                compress(&mut self.state, &self.block);
                self.filled = 0;
                self.hashed += 64;
            }
            bytes = later;
        }
    }
}

impl Sink for Sha1Sink {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        if end < 64 {
            copy_short(&mut self.block[0][self.filled..end], bytes);
            self.filled = end;
        } else {
            self.put_across(bytes);
        }
    }

    /// Makes the digits of a small number in a register and stores them once. Digits that are stored one by one and read
    /// back to be copied make the processor wait, a tenth of the hash.
    #[inline]
    fn put_int(&mut self, int: i64) {
        let space = self.block[0].get_mut(self.filled..).and_then(<[u8]>::first_chunk_mut::<8>);
        match (u32::try_from(int), space) {
            (Ok(number @ 1..100_000_000), Some(space)) if self.filled + 8 < 64 => {
                let digits = eight_digits(number);
                let leading_zeros = digits.trailing_zeros() / 8;
                // What is shifted in is zero, as the rest of the block is.
                *space = ((digits | 0x3030_3030_3030_3030) >> (leading_zeros * 8)).to_le_bytes();
                self.filled += 8 - leading_zeros as usize;
            }
            _ => self.put(itoa::Buffer::new().format(int).as_bytes()),
        }
    }
}

/// Splits a number below 10^8 into its digits, the first one in the lowest byte: in halves, quarters and eighths, all
/// parts of a step by one multiplication.
#[inline]
fn eight_digits(number: u32) -> u64 {
    let halves = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    // Divided by 100: 10486 / 2^20 is 1/100, near enough for four digits.
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | (halves - hundreds * 100) << 16;
    // Divided by 10: 103 / 2^10 is 1/10, near enough for two digits.
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (quarters - tens * 10) << 8
}

/// Copies slices of the same length, short ones without a call: as two pieces that may overlap.
#[inline]
fn copy_short(to: &mut [u8], from: &[u8]) {
    fn ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
        *to.first_chunk_mut::<N>()? = *from.first_chunk()?;
        *to.last_chunk_mut::<N>()? = *from.last_chunk()?;
        Some(())
    }
    let copied = match from.len() {
        2..4 => ends::<2>(to, from),
        4..8 => ends::<4>(to, from),
        8..=16 => ends::<8>(to, from),
        _ => None,
    };
    if copied.is_none() {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        let near = |number: i64| (number - 2..=number + 2).filter(|number| *number >= 0);
        let powers = (0..12).flat_map(|power| near(10_i64.pow(power)));
        let spread = (0..200_000).map(|at| at * 7_919 % 100_000_000);
        for number in (0..10_000).chain(powers).chain(spread).chain([i64::MAX, i64::MIN, -1]) {
            let mut sink = Sha1Sink::new();
            sink.put(b"x");
            sink.put_int(number);
            sink.put(b"y");
            let text = format!("x{number}y");
            assert_eq!(&sink.block[0][..sink.filled], text.as_bytes());
            assert!(sink.block[0][sink.filled..].iter().all(|byte| *byte == 0));
        }
        // Where the block ends.
        for before in 40..64 {
            let mut sink = Sha1Sink::new();
            sink.put(&vec![b'x'; before]);
            sink.put_int(12_345_678);
            let expected = Sha1::digest("x".repeat(before) + "12345678");
            let expected = expected.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 100);
            assert_eq!(u32::from(sink.bucket()), expected, "{before} bytes before");
        }
    }

    #[test]
    fn buckets_are_those_of_the_digest() {
        for len in 0..300 {
            let text: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let expected =
                Sha1::digest(&text).iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 100);
            for piece in [1, 7, 63, 64, 65, 300] {
                let mut sink = Sha1Sink::new();
                text.chunks(piece).for_each(|chunk| sink.put(chunk));
                assert_eq!(u32::from(sink.bucket()), expected, "{len} bytes in pieces of {piece}");
            }
        }
    }
}
