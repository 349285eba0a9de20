//! The vault: seals secrets for the store and hashes API keys.
//!
//! An envelope of two layers. The *sealing key* lives beside, never inside, the store: in a file or the environment. It wraps one or
//! more *data keys* per team, which seal that team's secrets, and the broker's *own keys*, which seal what belongs to no team, such as
//! the client secrets of apps, and key its hashes. It seals nothing itself, so that it is changed by wrapping those few keys anew
//! ([`Vault::prepare`]). A sealed text is bound to its place (table, row, column,
//! team, version): copied, swapped or rolled back within the store, it does not open. There is no mode without a key.
//!
//! The vault does no database work: the caller stores wrapped data keys and sealed bytes, and decides when a version
//! counts up.

mod breached;
mod data_key;
mod key_file;
mod mac;
mod own;
mod password;
mod place;
mod ring;
mod sealing_key;

pub use breached::{BreachedPasswords, BreachedPasswordsError};
pub use data_key::WrappedDataKey;
pub use key_file::KeyFile;
pub use mac::MacKey;
pub use own::{OpenOwnError, OwnPlace, WrappedOwnKey};
pub use password::{HashError, PasswordCost, PasswordHasher};
pub use place::Place;
pub use ring::{OpenError, ResealError, Rotation, SealError, Vault, VaultError};
pub use sealing_key::{Fingerprint, KeptKey, SealingKey, SealingKeyError, WrappedKey};

/// Fills a fresh array from the machine's cryptographic generator.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the generator is seeded at start-up and does not fail afterwards");
    bytes
}
