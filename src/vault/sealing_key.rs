//! The sealing key, and how it is kept: open, or wrapped by a key that never leaves a service.
//!
//! What keeps it is one line: `token-broker-key-1 <64 hex digits> <fingerprint>`, or, wrapped,
//! `token-broker-key-2 <service> <text> <fingerprint>`.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Okm, Prk, Salt};
use zeroize::Zeroizing;

use super::random;
use crate::base::hex::{hex_array, push_hex};

const OPEN: &str = "token-broker-key-1";
const WRAPPED: &str = "token-broker-key-2";
const COMMENT: &str = "\
# The sealing key of a token-broker store. Without it no secret in the store can be opened, and nobody can make it anew.
# Keep a copy of this file apart from the backups of the store.
";
const KEY_LEN: usize = 32;

/// Names a sealing key without giving it away: 64 bits derived from it, as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint of a sealing key is 16 hex digits")]
pub struct ParseFingerprintError;

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;
    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        hex_array(text).map(Self).ok_or(ParseFingerprintError)
    }
}

/// A sealing key that was read.
pub struct SealingKey {
    /// Where it is, in words.
    place: String,
    bytes: Zeroizing<[u8; KEY_LEN]>,
    root: Prk,
    fingerprint: Fingerprint,
}

/// A sealing key as it is kept.
pub struct KeptKey {
    place: String,
    fingerprint: Fingerprint,
    form: Form,
}

enum Form {
    Open(Zeroizing<[u8; KEY_LEN]>),
    Wrapped(WrappedKey),
}

/// A sealing key that a service has wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// The name of the service.
    pub service: String,
    /// What it gave: printable ASCII without spaces.
    pub text: String,
}

/// The sealing key can't be used. No message holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// There is a store, and its key is gone.
    #[error(
        "the key file {path} does not exist, but the store does; put the key of this store back (it is not made anew, since a new key opens nothing), \
         or set vault.key_file to where it is"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("the key file {path} can be read by others (mode {mode:04o}); make it private: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode bits.
        mode: u32,
    },
    /// It is not a key, or not a whole one.
    #[error("{place} is not a whole sealing key: {why}; restore it from its copy")]
    Malformed {
        /// Where it is.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is wrapped, and nobody is there to unwrap it.
    #[error(
        "{place} is wrapped by {service}, which is not configured; set it in [vault] as it was when the key was made"
    )]
    Wrapped {
        /// Where it is.
        place: String,
        /// The service that can unwrap it.
        service: String,
    },
    /// It exists already, so that a new one is not made.
    #[error("the key file {path} exists already and is not overwritten; start again to use it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is the key of another store.
    #[error(
        "{place} holds the key {found}, but this store was sealed with the key {expected}; put the key with that fingerprint in its place"
    )]
    WrongKey {
        /// Where it is.
        place: String,
        /// What the store asks for.
        expected: Fingerprint,
        /// What the file holds.
        found: Fingerprint,
    },
    /// The file system refused.
    #[error("cannot {action} the key file {path}; check the directory and its owner")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SealingKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self::from_bytes("a new sealing key".to_owned(), Zeroizing::new(random()))
    }

    /// As it is kept where nobody wraps it.
    pub fn kept(&self) -> KeptKey {
        let form = Form::Open(self.bytes.clone());
        KeptKey { place: self.place.clone(), fingerprint: self.fingerprint, form }
    }

    /// As it is kept once a service has wrapped it.
    pub fn kept_wrapped(&self, wrapped: WrappedKey) -> KeptKey {
        KeptKey { place: self.place.clone(), fingerprint: self.fingerprint, form: Form::Wrapped(wrapped) }
    }

    /// The key's fingerprint, to be kept in the store.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Where it was read, in words.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The key itself. It is handed to nobody but a service that wraps it.
    pub fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    /// A key for one use, derived from the sealing key under `label`.
    pub(super) fn derive<K: KeyType, T: for<'a> From<Okm<'a, K>>>(&self, label: &[&[u8]], kind: K) -> T {
        derive(&self.root, label, kind)
    }

    fn from_bytes(place: String, bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        let root = root_of(&bytes);
        let fingerprint: Output<8> = derive(&root, &[b"fingerprint"], Length::<8>);
        Self { place, bytes, root, fingerprint: Fingerprint(fingerprint.0) }
    }
}

impl KeptKey {
    /// Reads what keeps a key: comments, and one line. `place` says where it is, in words.
    pub fn parse(place: String, text: &str) -> Result<Self, SealingKeyError> {
        let malformed = |why| SealingKeyError::Malformed { place: place.clone(), why };
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(malformed("it must hold exactly one key"));
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let (form, fingerprint) = match words.as_slice() {
            [OPEN, digits, fingerprint] => {
                let bytes = hex_array(digits).map(Zeroizing::new);
                (Form::Open(bytes.ok_or_else(|| malformed("its key is not 64 hex digits"))?), fingerprint)
            }
            [WRAPPED, service, text, fingerprint] => {
                let wrapped = WrappedKey { service: (*service).to_owned(), text: (*text).to_owned() };
                (Form::Wrapped(wrapped), fingerprint)
            }
            _ => return Err(malformed("its line is not 'token-broker-key-1', a key and a fingerprint")),
        };
        let fingerprint = fingerprint.parse().map_err(|_| malformed("its fingerprint is not one"))?;
        let kept = Self { place: place.clone(), fingerprint, form };
        if let Form::Open(bytes) = &kept.form {
            kept.opened(bytes.clone())?;
        }
        Ok(kept)
    }

    /// The key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Refuses a key that is not the one the store was sealed with.
    pub fn must_be(&self, expected: Fingerprint) -> Result<(), SealingKeyError> {
        if self.fingerprint == expected {
            return Ok(());
        }
        Err(SealingKeyError::WrongKey { place: self.place.clone(), expected, found: self.fingerprint })
    }

    /// Where it is, in words.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What a service must unwrap; `None`: it is kept open.
    pub fn wrapped(&self) -> Option<&WrappedKey> {
        match &self.form {
            Form::Open(_) => None,
            Form::Wrapped(wrapped) => Some(wrapped),
        }
    }

    /// The key, where it is kept open.
    pub fn open(&self) -> Result<SealingKey, SealingKeyError> {
        match &self.form {
            Form::Open(bytes) => self.opened(bytes.clone()),
            Form::Wrapped(WrappedKey { service, .. }) => {
                Err(SealingKeyError::Wrapped { place: self.place.clone(), service: service.clone() })
            }
        }
    }

    /// The key, of which `bytes` are said to be the bytes.
    pub fn opened(&self, bytes: Zeroizing<[u8; KEY_LEN]>) -> Result<SealingKey, SealingKeyError> {
        let key = SealingKey::from_bytes(self.place.clone(), bytes);
        match key.fingerprint == self.fingerprint {
            true => Ok(key),
            false => Err(SealingKeyError::Malformed {
                place: self.place.clone(),
                why: "its key and its fingerprint do not belong together",
            }),
        }
    }

    /// The text that keeps it.
    pub(super) fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(4096));
        text.push_str(COMMENT);
        match &self.form {
            Form::Open(bytes) => {
                text.push_str(OPEN);
                text.push(' ');
                push_hex(&mut text, &**bytes);
            }
            Form::Wrapped(WrappedKey { service, text: wrapped }) => {
                text.push_str(&format!("{WRAPPED} {service} {wrapped}"));
            }
        }
        text.push_str(&format!(" {}\n", self.fingerprint));
        text
    }
}

/// What keys are derived from.
pub(super) fn root_of(bytes: &[u8; KEY_LEN]) -> Prk {
    Salt::new(HKDF_SHA256, b"token-broker sealing key").extract(bytes)
}

/// A key for one use, derived under `label`.
pub(super) fn derive<K: KeyType, T: for<'a> From<Okm<'a, K>>>(root: &Prk, label: &[&[u8]], kind: K) -> T {
    let output = root.expand(label, kind).expect("the length is far below the 8160 bytes that HKDF can give");
    T::from(output)
}

/// `N` bytes out of HKDF.
struct Length<const N: usize>;

impl<const N: usize> KeyType for Length<N> {
    fn len(&self) -> usize {
        N
    }
}

struct Output<const N: usize>([u8; N]);

impl<const N: usize> From<Okm<'_, Length<N>>> for Output<N> {
    fn from(output: Okm<'_, Length<N>>) -> Self {
        let mut bytes = [0; N];
        output.fill(&mut bytes).expect("the lengths are the same constant");
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_kept() {
        let key = SealingKey::generate();
        let read = KeptKey::parse("the test".to_owned(), &key.kept().text()).unwrap();
        assert_eq!((read.wrapped(), read.fingerprint()), (None, key.fingerprint()));
        assert_eq!(read.open().unwrap().bytes(), key.bytes());
        let wrapped = WrappedKey { service: "somebody".to_owned(), text: "v1:abc".to_owned() };
        let kept = key.kept_wrapped(wrapped.clone());
        assert!(!kept.text().contains(&key.kept().text()[COMMENT.len() + OPEN.len()..][..16]));
        let read = KeptKey::parse("the test".to_owned(), &kept.text()).unwrap();
        assert_eq!((read.wrapped(), read.fingerprint()), (Some(&wrapped), key.fingerprint()));
        assert!(matches!(read.open(), Err(SealingKeyError::Wrapped { service, .. }) if service == "somebody"));
        assert_eq!(read.opened(Zeroizing::new(*key.bytes())).unwrap().fingerprint(), key.fingerprint());
        let other = SealingKey::generate();
        assert!(matches!(read.opened(Zeroizing::new(*other.bytes())), Err(SealingKeyError::Malformed { .. })));
    }

    #[test]
    fn a_broken_text_is_named_by_its_place_and_not_shown() {
        let key = SealingKey::generate();
        let line = key.kept().text()[COMMENT.len()..].to_owned();
        let digits = &line[OPEN.len() + 1..];
        let flipped = if digits.starts_with('0') { '1' } else { '0' };
        let cases = [
            String::new(),
            "# only a comment\n".to_owned(),
            line.replace(OPEN, "token-broker-key-9"),
            line.replace(OPEN, WRAPPED),
            line[..line.len() - 20].to_owned(),
            line.replace(digits, &format!("{flipped}{}", &digits[1..])),
            format!("{line}{line}"),
        ];
        for broken in cases {
            let message = KeptKey::parse("VARIABLE".to_owned(), &broken).err().expect("it is broken").to_string();
            assert!(message.starts_with("VARIABLE is not a whole sealing key"), "{message}");
            assert!(!message.contains(&digits[..16]), "{message}");
        }
    }

    #[test]
    fn the_key_of_another_store_is_refused_by_name() {
        let (one, other) = (SealingKey::generate(), SealingKey::generate());
        let kept = one.kept();
        assert!(kept.must_be(one.fingerprint()).is_ok());
        let message = kept.must_be(other.fingerprint()).unwrap_err().to_string();
        for part in [one.place().to_owned(), one.fingerprint().to_string(), other.fingerprint().to_string()] {
            assert!(message.contains(&part), "{message}");
        }
    }

    #[test]
    fn a_fingerprint_survives_its_text() {
        let fingerprint = Fingerprint([1, 2, 3, 4, 5, 6, 7, 0xff]);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!("01".parse::<Fingerprint>(), Err(ParseFingerprintError));
    }
}
