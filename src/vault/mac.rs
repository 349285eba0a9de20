//! Keyed hashes, each with a key of its own derived from the sealing key.

use aws_lc_rs::hmac;

use super::place::join;

/// A key for HMAC-SHA-256. It has no `Debug`, so that it can't be printed.
pub struct MacKey(hmac::Key);

impl MacKey {
    pub(super) fn new(key: hmac::Key) -> Self {
        Self(key)
    }

    /// The keyed hash of `parts`; where one part ends and the next begins counts.
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, &join(parts));
        tag.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }

    /// Whether `hash` is the keyed hash of `parts`, in a time that does not depend on where they differ.
    pub fn verify(&self, parts: &[&[u8]], hash: &[u8]) -> bool {
        hmac::verify(&self.0, &join(parts), hash).is_ok()
    }
}
