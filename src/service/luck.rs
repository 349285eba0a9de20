//! Randomness for the rules that spread work over time. Nothing secret is made of it.

/// Uniform over all of `u64`. Where the machine gives none, the greatest: waits are then as long as they may be, and renewals as early.
pub(super) fn luck() -> u64 {
    let mut bytes = [0_u8; 8];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => u64::MAX,
    }
}
