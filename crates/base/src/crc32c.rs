//! CRC-32C, which seals frames between members and records of journals.
//!
//! Source: RFC 3720, section 12.1 (the Castagnoli polynomial). Eight bytes a step, by tables.

/// The checksum of these bytes.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let crc = words.iter().fold(!0, |crc, word| {
        let word = u64::from_le_bytes(*word) ^ u64::from(crc);
        let lane = |n: usize| TABLES[7 - n][(word >> (8 * n)) as usize & 0xff];
        lane(0) ^ lane(1) ^ lane(2) ^ lane(3) ^ lane(4) ^ lane(5) ^ lane(6) ^ lane(7)
    });
    !rest.iter().fold(crc, |crc, byte| step(crc, *byte))
}

fn step(crc: u32, byte: u8) -> u32 {
    TABLES[0][(crc as u8 ^ byte) as usize] ^ (crc >> 8)
}

/// Reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][b]`: what the byte `b` adds, `n` bytes before the end.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut lane = 1;
    while lane < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before: u32 = tables[lane - 1][byte];
            tables[lane][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        lane += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::{crc32c, step};

    #[test]
    fn the_published_values_come_out() {
        // RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn eight_bytes_a_step_are_the_same_as_one() {
        let bytes: Vec<u8> = (0..100u32).map(|n| ((n * 37) >> 1) as u8).collect();
        for len in 0..bytes.len() {
            let slow = !bytes[..len].iter().fold(!0, |crc, byte| step(crc, *byte));
            assert_eq!(crc32c(&bytes[..len]), slow, "{len} bytes");
        }
    }
}
