//! Keys of the broker itself, and what they seal: secrets that belong to no team.
//!
//! Own keys are wrapped by the sealing key, like data keys. The highest number seals. Keyed hashes are made under the first one for as
//! long as the store lives: what was hashed, such as an API key, can't be hashed anew without its text.

use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::Prk;
use zeroize::{Zeroize, Zeroizing};

use super::data_key::{self, FORMAT, WrappingKey};
use super::place::join;
use super::random;
use super::ring::Vault;
use super::sealing_key::{SealingKey, derive, root_of};
use crate::base::secret::Secret;

/// The first byte of what an own key seals.
const NUMBERED: u8 = 2;
/// `format | number of the own key`.
const HEADER_LEN: usize = 5;
/// The number of the key under which keyed hashes are made.
const FIRST: u32 = 1;

/// A key of the broker's own as the store keeps it: useless without the sealing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedOwnKey {
    /// 1 for the first; the highest seals.
    pub number: u32,
    /// The key, sealed with the sealing key and bound to its number.
    pub wrapped: Vec<u8>,
}

impl WrappedOwnKey {
    /// The first own key of a new store.
    pub fn first(sealing: &SealingKey) -> Self {
        Self::wrap(&WrappingKey::new(sealing), FIRST, &Zeroizing::new(random()))
    }

    fn wrap(wrapping: &WrappingKey, number: u32, plain: &[u8; 32]) -> Self {
        Self { number, wrapped: wrapping.wrap_bytes(&binding(number), plain) }
    }

    fn unwrap(&self, wrapping: &WrappingKey) -> Option<Zeroizing<[u8; 32]>> {
        let plain = wrapping.unwrap_bytes(&binding(self.number), &self.wrapped)?;
        Some(Zeroizing::new(<[u8; 32]>::try_from(plain.as_slice()).ok()?))
    }
}

fn binding(number: u32) -> Vec<u8> {
    join(&[b"own key", &[FORMAT], &number.to_be_bytes()])
}

/// All `keys` wrapped by another sealing key, and a new one.
pub(super) fn rotate(from: &WrappingKey, to: &WrappingKey, keys: &[WrappedOwnKey]) -> Vec<WrappedOwnKey> {
    let rewrap = |key: &WrappedOwnKey| Some(WrappedOwnKey::wrap(to, key.number, &*key.unwrap(from)?));
    let last = keys.iter().map(|key| key.number).max().unwrap_or(FIRST);
    let fresh = WrappedOwnKey::wrap(to, last.saturating_add(1), &Zeroizing::new(random()));
    keys.iter().filter_map(rewrap).chain([fresh]).collect()
}

/// The broker's own keys, ready for use.
pub(super) struct OwnKeys(BTreeMap<u32, Prk>);

impl OwnKeys {
    /// Opens them. Fails with the number of one that does not open, or of the first if it is missing.
    pub(super) fn open(wrapping: &WrappingKey, keys: &[WrappedOwnKey]) -> Result<Self, u32> {
        let open = |key: &WrappedOwnKey| Ok((key.number, root_of(&*key.unwrap(wrapping).ok_or(key.number)?)));
        let opened: BTreeMap<_, _> = keys.iter().map(open).collect::<Result<_, u32>>()?;
        if opened.contains_key(&FIRST) { Ok(Self(opened)) } else { Err(FIRST) }
    }

    /// What keyed hashes are made under.
    pub(super) fn macs(&self) -> Prk {
        self.0[&FIRST].clone()
    }

    fn newest(&self) -> (u32, LessSafeKey) {
        let (number, root) = self.0.last_key_value().expect("there is always a first one");
        (*number, sealing(root))
    }
}

fn sealing(root: &Prk) -> LessSafeKey {
    let key: UnboundKey = derive(root, &[b"seal what belongs to no team"], &AES_256_GCM_SIV);
    LessSafeKey::new(key)
}

fn header(number: u32) -> [u8; HEADER_LEN] {
    let mut header = [NUMBERED; HEADER_LEN];
    header[1..].copy_from_slice(&number.to_be_bytes());
    header
}

/// The header of a sealed text, the number of its key, and the rest.
fn parts(sealed: &[u8]) -> Option<(&[u8; HEADER_LEN], u32, &[u8])> {
    let (header, rest) = sealed.split_first_chunk::<HEADER_LEN>()?;
    let [NUMBERED, number @ ..] = *header else { return None };
    Some((header, u32::from_be_bytes(number), rest))
}

/// The one place in the store where a sealed text of the broker itself may be opened.
#[derive(Debug, Clone, Copy)]
pub struct OwnPlace<'a> {
    /// The table.
    pub table: &'static str,
    /// The row's key.
    pub row: &'a str,
    /// The column.
    pub column: &'static str,
    /// Counts up each time the secret is replaced, so that an older text of the same row does not open.
    pub version: u64,
}

/// A sealed text of the broker itself does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{table}.{column} of '{row}' was changed, moved, or sealed with another sealing key, and does not open; set it anew"
)]
pub struct OpenOwnError {
    table: &'static str,
    row: String,
    column: &'static str,
}

impl OwnPlace<'_> {
    fn bind(&self, header: &[u8]) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        join(&[header, self.table.as_bytes(), self.row.as_bytes(), self.column.as_bytes(), &version])
    }
}

impl Vault {
    /// Seals `plain` for `place`: `format | number of the own key | nonce | ciphertext and tag`.
    pub fn seal_own(&self, place: &OwnPlace<'_>, plain: &Secret) -> Vec<u8> {
        let (number, key) = self.own(OwnKeys::newest);
        let header = header(number);
        data_key::seal(&key, &header, &place.bind(&header), plain.expose().as_bytes())
    }

    /// Opens what was sealed for exactly this `place`.
    pub fn open_own(&self, place: &OwnPlace<'_>, sealed: &[u8]) -> Result<Secret, OpenOwnError> {
        let opened = parts(sealed).and_then(|(header, number, rest)| {
            let key = self.own(|keys| keys.0.get(&number).map(sealing))?;
            data_key::open(&key, &place.bind(header), rest)
        });
        let text = opened.and_then(|mut plain| {
            String::from_utf8(std::mem::take(&mut *plain)).map_err(|error| error.into_bytes().zeroize()).ok()
        });
        let OwnPlace { table, row, column, .. } = *place;
        text.map(Secret::new).ok_or_else(|| OpenOwnError { table, row: row.to_owned(), column })
    }

    /// Whether `sealed` is sealed with the own key that seals now.
    pub fn is_of_newest_own(&self, sealed: &[u8]) -> bool {
        let newest = self.own(|keys| keys.newest().0);
        parts(sealed).is_some_and(|(_, number, _)| number == newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: OwnPlace<'_> = OwnPlace { table: "app", row: "x/default", column: "secret", version: 1 };

    struct Bench {
        vault: Vault,
        key: SealingKey,
        own: WrappedOwnKey,
    }

    fn bench() -> Bench {
        let key = SealingKey::generate();
        let own = WrappedOwnKey::first(&key);
        let vault = Vault::open(&key, std::slice::from_ref(&own)).unwrap();
        Bench { vault, key, own }
    }

    #[test]
    fn it_opens_in_its_place_only() {
        let Bench { vault, key, own, .. } = bench();
        let sealed = vault.seal_own(&PLACE, &Secret::new("app-canary".to_owned()));
        let again = Vault::open(&key, &[own]).unwrap();
        assert_eq!(again.open_own(&PLACE, &sealed).ok().unwrap().expose(), "app-canary");
        let wrong = [
            OwnPlace { table: "apps", ..PLACE },
            OwnPlace { row: "y/default", ..PLACE },
            OwnPlace { column: "id", ..PLACE },
            OwnPlace { version: 2, ..PLACE },
        ];
        for place in wrong {
            assert!(vault.open_own(&place, &sealed).is_err(), "{place:?}");
        }
    }

    #[test]
    fn any_changed_byte_and_any_other_key_is_noticed() {
        let (Bench { vault, .. }, Bench { vault: foreign, .. }) = (bench(), bench());
        let sealed = vault.seal_own(&PLACE, &Secret::new("app-canary".to_owned()));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(vault.open_own(&PLACE, &changed).is_err(), "byte {at}");
        }
        let error = foreign.open_own(&PLACE, &sealed).err().unwrap();
        assert!(!error.to_string().contains("canary"));
        assert!(vault.open_own(&PLACE, b"").is_err());
    }

    #[test]
    fn a_rotation_seals_with_a_new_key_and_opens_what_was() {
        let Bench { vault, own, .. } = bench();
        let sealed = vault.seal_own(&PLACE, &Secret::new("app-canary".to_owned()));
        let next = SealingKey::generate();
        vault.adopt(vault.prepare(&next, &[], &[own])).unwrap();
        assert!(!vault.is_of_newest_own(&sealed));
        let opened = vault.open_own(&PLACE, &sealed).ok().unwrap();
        let resealed = vault.seal_own(&PLACE, &opened);
        assert!(vault.is_of_newest_own(&resealed));
        assert_eq!(vault.open_own(&PLACE, &resealed).ok().unwrap().expose(), "app-canary");
    }
}
