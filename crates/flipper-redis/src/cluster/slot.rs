//! Which slot of a cluster a key is in.

/// How many slots there are.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a key, as the [specification of Redis Cluster](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/)
/// has it: of what is between the first `{` and the first `}` behind it, unless that is nothing.
pub(crate) fn slot(key: &[u8]) -> u16 {
    let find = |byte, from: &[u8]| from.iter().position(|other| *other == byte);
    let tag = find(b'{', key).and_then(|open| {
        let behind = &key[open + 1..];
        find(b'}', behind).filter(|end| *end > 0).map(|end| &behind[..end])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM: polynomial 0x1021, from 0.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc: u16, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures are those of `CLUSTER KEYSLOT`, release 7.0.
    #[test]
    fn slots_are_those_of_the_server() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [
            ("", 0),
            ("foo", 12_182),
            ("features/X", 3_839),
            ("features/é", 10_064),
            ("{user1000}.following", 3_443),
            ("foo{}{bar}", 8_363),
            ("foo{{bar}}zap", 4_015),
            ("foo{bar}{zap}", 5_061),
            ("}foo{bar", 7_622),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
    }
}
