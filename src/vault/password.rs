//! Passwords: hashed with argon2id, and compared in a time that does not tell whether there is one.
//!
//! Hashing is work for a thread of its own: see [`PasswordHasher`]'s methods, which block.

use std::sync::OnceLock;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};

use crate::base::secret::Secret;

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// Hashes passwords, and compares them.
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    /// The hash of a password that nobody has: what is compared where there is no hash. Made with the first comparison.
    nobody: OnceLock<String>,
}

/// The cost is out of argon2's range, or the machine gives no memory or random numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the password can't be hashed ({0}); check the sign_in settings and the machine's memory")]
pub struct HashError(String);

impl PasswordHasher {
    /// With a cost.
    pub fn new(cost: PasswordCost) -> Result<Self, HashError> {
        let params =
            Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|error| HashError(error.to_string()))?;
        Ok(Self { argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params), nobody: OnceLock::new() })
    }

    /// The hash of a password with a salt of its own, as it is kept. Blocks for some ten milliseconds.
    pub fn hash(&self, password: &Secret) -> Result<String, HashError> {
        hash(&self.argon2, password.expose().as_bytes())
    }

    /// Whether it is the password of `kept`. Without one it takes as long and is `false`. Blocks for some ten milliseconds.
    pub fn is_right(&self, password: &Secret, kept: Option<&str>) -> bool {
        let nobody = self.nobody.get_or_init(|| hash(&self.argon2, &super::random::<32>()).unwrap_or_default());
        let right = self.argon2.verify_password(password.expose().as_bytes(), kept.unwrap_or(nobody)).is_ok();
        right && kept.is_some()
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, HashError> {
    argon2.hash_password(password).map(|hash| hash.to_string()).map_err(|error| HashError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 64, passes: 1 };

    #[test]
    fn a_password_is_known_by_its_hash_alone() {
        let hasher = PasswordHasher::new(CHEAP).unwrap();
        let password = Secret::new("correct horse battery staple".to_owned());
        let kept = hasher.hash(&password).unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{kept}");
        assert_ne!(kept, hasher.hash(&password).unwrap(), "each has a salt of its own");
        assert!(hasher.is_right(&password, Some(&kept)));
        assert!(!hasher.is_right(&Secret::new("correct horse battery stapl".to_owned()), Some(&kept)));
        assert!(!hasher.is_right(&password, None) && !hasher.is_right(&password, Some("no hash")));
    }

    #[test]
    fn a_hash_keeps_its_own_cost() {
        let password = Secret::new("correct horse battery staple".to_owned());
        let kept = PasswordHasher::new(CHEAP).unwrap().hash(&password).unwrap();
        let dearer = PasswordHasher::new(PasswordCost { memory_kib: 128, passes: 2 }).unwrap();
        assert!(dearer.is_right(&password, Some(&kept)), "other settings lock nobody out");
    }
}
