//! Secrets that can't be printed by accident.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

/// A text that must not appear in logs, errors, metrics or `Debug`. It has no `Debug`, `Display`, `Serialize` or `Clone`; its
/// memory is overwritten when it is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Each call is a place where the secret may leave: keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both hold the same text, in a time that depends on the length only.
    pub fn matches(&self, other: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other).is_ok()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_the_whole_text() {
        let secret = Secret::new("abc".to_owned());
        assert!(secret.matches(b"abc"));
        assert!(!secret.matches(b"abd"));
        assert!(!secret.matches(b"ab"));
    }
}
