//! Data keys: made, wrapped and unwrapped.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::place::join;
use super::random;
use super::sealing_key::SealingKey;
use crate::base::ids::TeamId;

/// The first byte of everything the vault seals: AES-256-GCM-SIV (RFC 8452) with a random nonce.
pub(super) const FORMAT: u8 = 1;
/// The bytes that authenticate, at the end of everything the vault seals.
pub(super) const TAG_LEN: usize = 16;
const KEY_LEN: usize = 32;

/// A team's data key as the store keeps it: useless without the sealing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedDataKey {
    /// The team whose secrets it seals.
    pub team: TeamId,
    /// 1 for the team's first; the highest seals, all of them open. Unique per team.
    pub number: u32,
    /// The key, sealed with the sealing key and bound to team and number.
    pub wrapped: Vec<u8>,
}

/// The key that wraps data keys.
pub(super) struct WrappingKey(LessSafeKey);

impl WrappingKey {
    pub(super) fn new(file: &SealingKey) -> Self {
        let key: UnboundKey = file.derive(&[b"wrap data keys"], &AES_256_GCM_SIV);
        Self(LessSafeKey::new(key))
    }

    /// A fresh data key.
    pub(super) fn make(&self, team: &TeamId, number: u32) -> WrappedDataKey {
        self.wrap(team, number, &*Zeroizing::new(random::<KEY_LEN>()))
    }

    /// The data key, ready for use; `None` if this is not the key that wrapped it, or if anything was changed.
    pub(super) fn unwrap(&self, key: &WrappedDataKey) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM_SIV, &self.plain(key)?[..]).ok().map(LessSafeKey::new)
    }

    /// The same data key, wrapped by another sealing key; `None` as for [`WrappingKey::unwrap`].
    pub(super) fn rewrap(&self, key: &WrappedDataKey, next: &WrappingKey) -> Option<WrappedDataKey> {
        self.plain(key).map(|plain| next.wrap(&key.team, key.number, &plain))
    }

    fn wrap(&self, team: &TeamId, number: u32, plain: &[u8]) -> WrappedDataKey {
        let wrapped = self.wrap_bytes(&binding(team, number), plain);
        WrappedDataKey { team: team.clone(), number, wrapped }
    }

    fn plain(&self, key: &WrappedDataKey) -> Option<Zeroizing<Vec<u8>>> {
        self.unwrap_bytes(&binding(&key.team, key.number), &key.wrapped)
    }

    /// Wraps any key for what it is bound to.
    pub(super) fn wrap_bytes(&self, binding: &[u8], plain: &[u8]) -> Vec<u8> {
        seal(&self.0, &[FORMAT], binding, plain)
    }

    /// What [`WrappingKey::wrap_bytes`] wrapped.
    pub(super) fn unwrap_bytes(&self, binding: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        open(&self.0, binding, wrapped.strip_prefix(&[FORMAT])?)
    }
}

fn binding(team: &TeamId, number: u32) -> Vec<u8> {
    join(&[b"data key", &[FORMAT], team.as_str().as_bytes(), &number.to_be_bytes()])
}

/// `header | nonce | ciphertext and tag`.
pub(super) fn seal(key: &LessSafeKey, header: &[u8], binding: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce = random::<NONCE_LEN>();
    let mut sealed = Vec::with_capacity(header.len() + NONCE_LEN + plain.len() + TAG_LEN);
    sealed.extend_from_slice(header);
    sealed.extend_from_slice(&nonce);
    let start = sealed.len();
    sealed.extend_from_slice(plain);
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(binding), &mut sealed[start..])
        .expect("sealing fails only beyond 2^36 bytes");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// The plain bytes of `nonce | ciphertext and tag`; `None` if they are not authentic.
pub(super) fn open(key: &LessSafeKey, binding: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = Zeroizing::new(sealed.to_vec());
    let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(binding), &mut bytes).ok()?.len();
    bytes.truncate(plain);
    Some(bytes)
}
