//! The password of a session: a function of its id that all servers of an ensemble share, so
//! that a client can move between any of them.
//!
//! Source: 16 bytes of Java's 48-bit linear congruential generator, seeded with the id.

use base::SessionId;
use wire::PASSWORD_SIZE;

/// The password of `session`.
#[must_use]
pub fn password(session: SessionId) -> [u8; PASSWORD_SIZE] {
    let mut state = (session.0 as u64 ^ SERVER_SECRET ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_SIZE];
    for word in password.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    password
}

const SERVER_SECRET: u64 = 0xb341_5c00;
const MULTIPLIER: u64 = 0x5_deec_e66d;
const INCREMENT: u64 = 0xb;
const MASK: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::password;
    use base::SessionId;

    #[test]
    fn passwords_are_the_references_byte_for_byte() {
        let check = |id: i64, expected: &str| {
            let hex: String = password(SessionId(id)).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, expected, "{id:#x}");
        };
        check(0x1_0000_0000_0000, "f22acd4a97e69d6d20a49bb638eadb38");
        check(1, "054cc74a37327db215e702e20c73f005");
        check(0x0100_0000_0000_0001, "054cc74a37327db215e702e20c73f005");
        check(0x1234_5678_90ab_cdef, "f7721b383fd583ba74d220ede39f7b43");
        check(-1, "20f62cb5648dc2d771471c8a2486a9ee");
    }
}
