//! The vault: seals secrets for the store and hashes API keys.
//!
//! An envelope of two layers. The *sealing key* lives in a file beside, never inside, the store; it wraps one or more
//! *data keys* per team; a data key seals that team's secrets. What belongs to no team, such as the client secrets of
//! apps, is sealed with a key derived from the sealing key. A sealed text is bound to its place (table, row, column,
//! team, version): copied, swapped or rolled back within the store, it does not open. There is no mode without a key.
//!
//! The vault does no database work: the caller stores wrapped data keys and sealed bytes, and decides when a version
//! counts up.

mod data_key;
mod key_file;
mod mac;
mod own;
mod place;
mod ring;

pub use data_key::WrappedDataKey;
pub use key_file::{Fingerprint, KeyFile, KeyFileError};
pub use mac::MacKey;
pub use own::{OpenOwnError, OwnPlace};
pub use place::Place;
pub use ring::{OpenError, SealError, Vault, VaultError};

/// Fills a fresh array from the machine's cryptographic generator.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the generator is seeded at start-up and does not fail afterwards");
    bytes
}
