//! Secrets of the broker itself, which belong to no team: sealed with a key derived from the sealing key, bound to their place.

use aws_lc_rs::aead::{AES_256_GCM_SIV, LessSafeKey, UnboundKey};
use zeroize::Zeroize;

use super::data_key::{self, FORMAT};
use super::key_file::KeyFile;
use super::place::join;
use super::ring::Vault;
use crate::base::secret::Secret;

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

pub(super) fn key(file: &KeyFile) -> LessSafeKey {
    let key: UnboundKey = file.derive(&[b"seal what belongs to no team"], &AES_256_GCM_SIV);
    LessSafeKey::new(key)
}

impl OwnPlace<'_> {
    fn bind(&self) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        join(&[&[FORMAT], self.table.as_bytes(), self.row.as_bytes(), self.column.as_bytes(), &version])
    }
}

impl Vault {
    /// Seals `plain` for `place`: `format | nonce | ciphertext and tag`.
    pub fn seal_own(&self, place: &OwnPlace<'_>, plain: &Secret) -> Vec<u8> {
        data_key::seal(&self.own, &[FORMAT], &place.bind(), plain.expose().as_bytes())
    }

    /// Opens what was sealed for exactly this `place`.
    pub fn open_own(&self, place: &OwnPlace<'_>, sealed: &[u8]) -> Result<Secret, OpenOwnError> {
        let opened = sealed.strip_prefix(&[FORMAT]).and_then(|sealed| data_key::open(&self.own, &place.bind(), sealed));
        let text = opened.and_then(|mut plain| {
            String::from_utf8(std::mem::take(&mut *plain)).map_err(|error| error.into_bytes().zeroize()).ok()
        });
        let OwnPlace { table, row, column, .. } = *place;
        text.map(Secret::new).ok_or_else(|| OpenOwnError { table, row: row.to_owned(), column })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: OwnPlace<'_> = OwnPlace { table: "app", row: "x/default", column: "secret", version: 1 };

    fn vault() -> (tempfile::TempDir, Vault) {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::create(&directory.path().join("sealing.key")).unwrap();
        (directory, Vault::open(file, Vec::new()).unwrap())
    }

    #[test]
    fn it_opens_in_its_place_only() {
        let (directory, vault) = vault();
        let sealed = vault.seal_own(&PLACE, &Secret::new("app-canary".to_owned()));
        let again = Vault::open(KeyFile::read(&directory.path().join("sealing.key")).unwrap(), Vec::new()).unwrap();
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
        let ((_here, vault), (_there, foreign)) = (vault(), vault());
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
}
