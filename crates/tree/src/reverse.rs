//! CRC-32 backwards: what it was before its last bytes.
//!
//! A step shifts the register by a byte and adds an entry of a table to it. No two entries have the
//! same high byte, so that the register behind a step tells which it was. Source: ISO 3309.

/// The CRC-32 of what stands before `bytes`, if `crc` is that of all.
pub(crate) fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let mut register = !crc;
    for byte in bytes.iter().rev() {
        let index = INDEXES[(register >> 24) as usize];
        register = (register ^ TABLE[index as usize]) << 8 | u32::from(index ^ byte);
    }
    !register
}

/// Reflected, as a register is that takes the low bits first.
const POLYNOMIAL: u32 = 0xedb8_8320;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut entry, mut bits) = (index as u32, 8);
        while bits > 0 {
            entry = if entry & 1 == 1 { entry >> 1 ^ POLYNOMIAL } else { entry >> 1 };
            bits -= 1;
        }
        table[index] = entry;
        index += 1;
    }
    table
};

/// By the high byte of an entry its place.
const INDEXES: [u8; 256] = {
    let mut indexes = [0; 256];
    let mut index = 0;
    while index < 256 {
        indexes[(TABLE[index] >> 24) as usize] = index as u8;
        index += 1;
    }
    indexes
};

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn it_leads_back_to_every_place() {
        let bytes: Vec<u8> = (0..=255).chain([0, 0, 255, 255]).collect();
        let whole = crc32fast::hash(&bytes);
        for at in 0..=bytes.len() {
            assert_eq!(crc32(whole, &bytes[at..]), crc32fast::hash(&bytes[..at]), "{at}");
        }
    }
}
