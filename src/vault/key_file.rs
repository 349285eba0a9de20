//! The sealing key and its file.
//!
//! The file holds one line, `token-broker-key-1 <64 hex digits> <fingerprint>`, after comments. Only its owner may read it. It is
//! made once, whole or not at all, and never overwritten: who loses it loses every secret in the store.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Okm, Prk, Salt};
use zeroize::Zeroizing;

use super::random;
use crate::base::hex::{hex_array, push_hex};

const FORMAT: &str = "token-broker-key-1";
const COMMENT: &str = "\
# The sealing key of a token-broker store. Without it no secret in the store can be opened, and nobody can make it anew.
# Keep a copy of this file apart from the backups of the store.
";
/// A key file is a few lines; anything longer is another file.
const MAX_LENGTH: u64 = 4096;

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

/// A sealing key that was read from its file.
pub struct KeyFile {
    path: PathBuf,
    root: Prk,
    fingerprint: Fingerprint,
}

/// The sealing key can't be used. No message holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
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
    /// It is not a key file, or not a whole one.
    #[error("{path} is not a whole key file: {why}; restore it from its copy")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It exists already, so that a new one is not made.
    #[error("the key file {path} exists already and is not overwritten; start again to use it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is the key of another store.
    #[error(
        "the key file {path} holds the key {found}, but this store was sealed with the key {expected}; put the key file with that fingerprint in its place"
    )]
    WrongKey {
        /// The file.
        path: PathBuf,
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

impl KeyFile {
    /// Reads the file; if there is none and the store is new, makes one with a fresh key.
    pub fn open(path: &Path, store_is_new: bool) -> Result<Self, KeyFileError> {
        match Self::read(path) {
            Err(KeyFileError::Missing { .. }) if store_is_new => Self::create(path),
            outcome => outcome,
        }
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyFileError::Missing { path: path.to_owned() },
            _ => io_error("open", path, source),
        })?;
        let about = file.metadata().map_err(|source| io_error("look at", path, source))?;
        let malformed = |why| KeyFileError::Malformed { path: path.to_owned(), why };
        if !about.is_file() {
            return Err(malformed("it is not a regular file"));
        }
        let mode = about.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::Exposed { path: path.to_owned(), mode });
        }
        if about.len() > MAX_LENGTH {
            return Err(malformed("it is too long"));
        }
        let text = io::read_to_string(file).map(Zeroizing::new).map_err(|source| io_error("read", path, source))?;
        Self::parse(path, &text)
    }

    /// Makes the file with a fresh key. It appears whole or not at all, and never in the place of another one.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let key = Self::from_key(path, &Zeroizing::new(random::<32>()));
        let bytes = key.1;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(|source| io_error("make the directory of", path, source))?;
        let fresh = path.with_added_extension(format!("{:016x}.new", u64::from_be_bytes(random())));
        let written = write_private(&fresh, &bytes).map_err(|source| io_error("write", &fresh, source));
        let placed = written.and_then(|()| place(&fresh, path));
        // The second name of a key that was placed, or the remains of one that was not.
        let _ = fs::remove_file(&fresh);
        placed?;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|source| io_error("sync the directory of", path, source))?;
        Ok(key.0)
    }

    /// The key's fingerprint, to be kept in the store.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Refuses a key that is not the one the store was sealed with.
    pub fn must_be(&self, expected: Fingerprint) -> Result<(), KeyFileError> {
        if self.fingerprint == expected {
            return Ok(());
        }
        Err(KeyFileError::WrongKey { path: self.path.clone(), expected, found: self.fingerprint })
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A key for one use, derived from the sealing key under `label`.
    pub(super) fn derive<K: KeyType, T: for<'a> From<Okm<'a, K>>>(&self, label: &[&[u8]], kind: K) -> T {
        derive(&self.root, label, kind)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, KeyFileError> {
        let malformed = |why| KeyFileError::Malformed { path: path.to_owned(), why };
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(malformed("it must hold exactly one key"));
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [FORMAT, digits, fingerprint] = words.as_slice() else {
            return Err(malformed("its line is not 'token-broker-key-1', a key and a fingerprint"));
        };
        let bytes = hex_array(digits).map(Zeroizing::new).ok_or_else(|| malformed("its key is not 64 hex digits"))?;
        let (key, _) = Self::from_key(path, &bytes);
        match fingerprint.parse() {
            Ok(written) if key.fingerprint == written => Ok(key),
            _ => Err(malformed("its key and its fingerprint do not belong together")),
        }
    }

    /// The key, and the text of its file.
    fn from_key(path: &Path, bytes: &[u8; 32]) -> (Self, Zeroizing<String>) {
        let root = Salt::new(HKDF_SHA256, b"token-broker sealing key").extract(bytes);
        let fingerprint: Output<8> = derive(&root, &[b"fingerprint"], Length::<8>);
        let fingerprint = Fingerprint(fingerprint.0);
        let mut text = Zeroizing::new(String::with_capacity(512));
        text.push_str(COMMENT);
        text.push_str(FORMAT);
        text.push(' ');
        push_hex(&mut text, bytes);
        text.push_str(&format!(" {fingerprint}\n"));
        (Self { path: path.to_owned(), root, fingerprint }, text)
    }
}

fn derive<K: KeyType, T: for<'a> From<Okm<'a, K>>>(root: &Prk, label: &[&[u8]], kind: K) -> T {
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

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives the written file its name. A hard link is refused where the name is taken, which a rename is not; file systems
/// without hard links get the rename.
fn place(fresh: &Path, path: &Path) -> Result<(), KeyFileError> {
    let linked = fs::hard_link(fresh, path);
    let placed = match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => fs::rename(fresh, path),
        outcome => outcome,
    };
    placed.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => io_error("place", path, source),
    })
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> KeyFileError {
    KeyFileError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_store_gets_a_private_key_that_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/sealing.key");
        let made = KeyFile::open(&path, true).unwrap();
        assert_eq!(mode_of(&path), 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the key");
        for store_is_new in [true, false] {
            assert_eq!(KeyFile::open(&path, store_is_new).unwrap().fingerprint(), made.fingerprint());
        }
    }

    #[test]
    fn an_old_store_gets_no_new_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        assert!(matches!(KeyFile::open(&path, false), Err(KeyFileError::Missing { .. })));
        assert!(!path.exists());
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        let first = KeyFile::create(&path).unwrap();
        assert!(matches!(KeyFile::create(&path), Err(KeyFileError::Exists { .. })));
        assert_eq!(KeyFile::read(&path).unwrap().fingerprint(), first.fingerprint());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        KeyFile::create(&path).unwrap();
        for (mode, fits) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let outcome = KeyFile::read(&path);
            assert_eq!(outcome.is_ok(), fits, "{mode:o}");
            if let Err(error) = outcome {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn a_broken_file_is_named_and_its_text_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        KeyFile::create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let (_, key) = text.split_once("key-1 ").unwrap();
        let flipped = if key.starts_with('0') { '1' } else { '0' };
        let cases = [
            String::new(),
            "# only a comment\n".to_owned(),
            text.replace(FORMAT, "token-broker-key-9"),
            text[..text.len() - 20].to_owned(),
            text.replace(key, &format!("{flipped}{}", &key[1..])),
            format!("{text}{text}"),
            text.repeat(20),
        ];
        for broken in cases {
            fs::write(&path, &broken).unwrap();
            let message = KeyFile::read(&path).err().expect("it is broken").to_string();
            assert!(message.contains("sealing.key") && message.contains("restore"), "{message}");
            assert!(!message.contains(&key[..16]), "{message}");
        }
        assert!(matches!(
            KeyFile::read(directory.path()),
            Err(KeyFileError::Malformed { .. } | KeyFileError::Exposed { .. })
        ));
    }

    #[test]
    fn the_key_of_another_store_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let one = KeyFile::create(&directory.path().join("one.key")).unwrap();
        let other = KeyFile::create(&directory.path().join("other.key")).unwrap();
        assert!(one.must_be(one.fingerprint()).is_ok());
        let message = one.must_be(other.fingerprint()).unwrap_err().to_string();
        for part in ["one.key".to_owned(), one.fingerprint().to_string(), other.fingerprint().to_string()] {
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
