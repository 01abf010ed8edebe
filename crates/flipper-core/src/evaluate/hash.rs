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

/// Writes the text that is hashed.
#[inline]
pub(crate) fn write_pairs(
    hash: &ConsistentHash,
    context: Context<'_>,
    semantics: Semantics,
    out: &mut impl Sink,
) -> Result<(), TooDeep> {
    // flipper-client takes an argument of this name for itself.
    let dropped = |name: &[u8]| semantics == Semantics::FlipperClient && name == b"randomizer";
    let mut count = 0;
    out.put(b"[");
    if hash.is_limited() {
        for key in &hash.keys {
            let found = context.pairs.iter().rev().find(|(name, _)| name.as_bytes() == key.name.as_wtf8());
            if let Some((name, value)) = found
                && !dropped(name.as_bytes())
            {
                separate(count, out);
                out.put(&key.prefix);
                write_attribute(value, 0, out)?;
                out.put(b"]");
                count += 1;
            }
        }
    } else {
        // Sorts without memory: each round takes the smallest name above the last one. Contexts are small.
        let mut last: Option<&str> = None;
        loop {
            let above = context.pairs.iter().filter(|(name, _)| last.is_none_or(|last| *name > last));
            // Of equal names `max_by` would give the last one and `min_by` the first; the last one counts.
            let Some((name, value)) = above.rev().min_by(|(a, _), (b, _)| a.cmp(b)) else { break };
            last = Some(name);
            if dropped(name.as_bytes()) {
                continue;
            }
            separate(count, out);
            out.put(b"[");
            write_text(name.as_bytes(), out);
            out.put(b", ");
            write_attribute(value, 0, out)?;
            out.put(b"]");
            count += 1;
        }
    }
    out.put(b"]");
    Ok(())
}

#[inline]
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
            if depth > crate::json::MAX_DEPTH {
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
        Attribute::Value(value) => write_value(value, out),
    }
    Ok(())
}

/// Hashes what is put into it, without memory of its own.
struct Sha1Sink {
    state: [u32; 5],
    block: [u8; 64],
    /// Bytes in the block.
    filled: usize,
    /// Bytes in all blocks.
    len: u64,
}

impl Sha1Sink {
    #[inline]
    fn new() -> Self {
        Self {
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0],
            block: [0; 64],
            filled: 0,
            len: 0,
        }
    }

    #[inline]
    fn bucket(mut self) -> u8 {
        let bits = self.len * 8;
        self.block[self.filled] = 0x80;
        self.block[self.filled + 1..].fill(0);
        if self.filled >= 56 {
            compress(&mut self.state, &[self.block]);
            self.block.fill(0);
        }
        self.block[56..].copy_from_slice(&bits.to_be_bytes());
        compress(&mut self.state, &[self.block]);
        // 2^32 is 96 modulo 100, so the words are digits to the base 96. The sum stays below 2^59.
        (self.state.iter().fold(0_u64, |sum, word| sum * 96 + u64::from(*word)) % 100) as u8
    }

    #[inline(never)]
    fn put_across(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(64 - self.filled));
            self.block[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            if self.filled == 64 {
                compress(&mut self.state, &[self.block]);
                self.filled = 0;
            }
            bytes = later;
        }
    }
}

impl Sink for Sha1Sink {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        if self.filled + bytes.len() < 64 {
            self.block[self.filled..self.filled + bytes.len()].copy_from_slice(bytes);
            self.filled += bytes.len();
        } else {
            self.put_across(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;

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
