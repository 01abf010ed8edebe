//! Where the plain part of a string ends: eight bytes at a time.

/// Returns the place of the first quote, backslash or control character (and, if `ASCII_ONLY`, of the first byte beyond
/// `0x7e`), or the length.
///
/// Bytes outside of ASCII are part of valid UTF-8, and stand for themselves where they are read.
#[inline]
pub(super) fn first_special<const ASCII_ONLY: bool>(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // A byte's high bit is set where it is one of those. The lowest such bit is exact: borrows only go upwards.
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let mut found = control | is_zero(word ^ (ONES * 0x22)) | is_zero(word ^ (ONES * 0x5c));
        if ASCII_ONLY {
            found |= (word & HIGH) | is_zero(word ^ (ONES * 0x7f));
        }
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_special = |byte: &u8| match byte {
        0..0x20 | b'"' | b'\\' => true,
        0x7f.. => ASCII_ONLY,
        _ => false,
    };
    at + bytes[at..].iter().position(is_special).unwrap_or(bytes.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_byte_at_each_place() {
        for len in 0..20 {
            for at in 0..len {
                for byte in 0..=255_u8 {
                    let mut bytes = vec![b'a'; len];
                    bytes[at] = byte;
                    let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    assert_eq!(first_special::<false>(&bytes), if is_special { at } else { len });
                    let is_special = is_special || byte >= 0x7f;
                    assert_eq!(first_special::<true>(&bytes), if is_special { at } else { len });
                }
            }
        }
    }
}
