//! The sealing key, in its file or as a text of the environment.
//!
//! The file holds one line, `token-broker-key-1 <64 hex digits> <fingerprint>`, after comments. Only its owner may read it. It is
//! made once, whole or not at all, and never overwritten: who loses it loses every secret in the store.
//!
//! A rotation needs two keys for a moment. The next one is written beside the present one (`sealing.key.next`) before the store is
//! sealed with it, and takes its place afterwards, while the old one keeps its fingerprint as its name. Which of the two is the
//! store's is said by the store alone, so a crash in between is mended by the next start.

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
const KEY_LEN: usize = 32;
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

/// A sealing key that was read.
pub struct SealingKey {
    /// Where it is, in words.
    place: String,
    bytes: Zeroizing<[u8; KEY_LEN]>,
    root: Prk,
    fingerprint: Fingerprint,
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
    /// Reads the file; if there is none and the store is new, makes one with a fresh key.
    pub fn open(path: &Path, store_is_new: bool) -> Result<Self, SealingKeyError> {
        match Self::read(path) {
            Err(SealingKeyError::Missing { .. }) if store_is_new => Self::create(path),
            outcome => outcome,
        }
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self, SealingKeyError> {
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SealingKeyError::Missing { path: path.to_owned() },
            _ => io_error("open", path, source),
        })?;
        let about = file.metadata().map_err(|source| io_error("look at", path, source))?;
        let place = place_of(path);
        let malformed = |why| SealingKeyError::Malformed { place: place.clone(), why };
        if !about.is_file() {
            return Err(malformed("it is not a regular file"));
        }
        let mode = about.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SealingKeyError::Exposed { path: path.to_owned(), mode });
        }
        if about.len() > MAX_LENGTH {
            return Err(malformed("it is too long"));
        }
        let text = io::read_to_string(file).map(Zeroizing::new).map_err(|source| io_error("read", path, source))?;
        Self::parse(place, &text)
    }

    /// The key that a text of the environment holds: the line of a key file.
    pub fn of_text(place: &str, text: &str) -> Result<Self, SealingKeyError> {
        Self::parse(place.to_owned(), text)
    }

    /// Makes the file with a fresh key. It appears whole or not at all, and never in the place of another one.
    pub fn create(path: &Path) -> Result<Self, SealingKeyError> {
        let key = Self::from_key(place_of(path), Zeroizing::new(random()));
        let bytes = key.text();
        let directory = directory_of(path);
        fs::create_dir_all(directory).map_err(|source| io_error("make the directory of", path, source))?;
        let fresh = path.with_added_extension(format!("{:016x}.new", u64::from_be_bytes(random())));
        let written = write_private(&fresh, &bytes).map_err(|source| io_error("write", &fresh, source));
        let placed = written.and_then(|()| place(&fresh, path));
        // The second name of a key that was placed, or the remains of one that was not.
        let _ = fs::remove_file(&fresh);
        placed?;
        sync_directory_of(path)?;
        Ok(key)
    }

    /// Makes the next key beside the file of the present one, in the place of one that was never used.
    pub fn create_next(path: &Path) -> Result<Self, SealingKeyError> {
        let next = next_path(path);
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("replace", &next, error)),
            _ => Self::create(&next),
        }
    }

    /// Reads the next key.
    pub fn read_next(path: &Path) -> Result<Self, SealingKeyError> {
        Self::read(&next_path(path))
    }

    /// Gives the next key the place of the present one, whose file keeps the fingerprint as its name. Returns that name. May be
    /// done again after a crash.
    pub fn promote_next(path: &Path) -> Result<Option<PathBuf>, SealingKeyError> {
        let retired = Self::read(path).ok().map(|key| path.with_added_extension(key.fingerprint.to_string()));
        if let Some(retired) = retired.as_deref().filter(|retired| !retired.exists()) {
            fs::hard_link(path, retired)
                .or_else(|_| fs::copy(path, retired).map(drop))
                .map_err(|source| io_error("keep a copy of", path, source))?;
        }
        fs::rename(next_path(path), path).map_err(|source| io_error("place", path, source))?;
        sync_directory_of(path)?;
        Ok(retired)
    }

    /// The key's fingerprint, to be kept in the store.
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

    /// Where it was read, in words.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The key itself.
    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    /// A key for one use, derived from the sealing key under `label`.
    pub(super) fn derive<K: KeyType, T: for<'a> From<Okm<'a, K>>>(&self, label: &[&[u8]], kind: K) -> T {
        derive(&self.root, label, kind)
    }

    fn parse(place: String, text: &str) -> Result<Self, SealingKeyError> {
        let malformed = |why| SealingKeyError::Malformed { place: place.clone(), why };
        let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(malformed("it must hold exactly one key"));
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [FORMAT, digits, fingerprint] = words.as_slice() else {
            return Err(malformed("its line is not 'token-broker-key-1', a key and a fingerprint"));
        };
        let bytes = hex_array(digits).map(Zeroizing::new).ok_or_else(|| malformed("its key is not 64 hex digits"))?;
        let key = Self::from_key(place.clone(), bytes);
        match fingerprint.parse() {
            Ok(written) if key.fingerprint == written => Ok(key),
            _ => Err(malformed("its key and its fingerprint do not belong together")),
        }
    }

    fn from_key(place: String, bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        let root = root_of(&bytes);
        let fingerprint: Output<8> = derive(&root, &[b"fingerprint"], Length::<8>);
        Self { place, bytes, root, fingerprint: Fingerprint(fingerprint.0) }
    }

    /// The text of its file.
    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(512));
        text.push_str(COMMENT);
        text.push_str(FORMAT);
        text.push(' ');
        push_hex(&mut text, &*self.bytes);
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

fn place_of(path: &Path) -> String {
    format!("the key file {}", path.display())
}

fn next_path(path: &Path) -> PathBuf {
    path.with_added_extension("next")
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_directory_of(path: &Path) -> Result<(), SealingKeyError> {
    let synced = File::open(directory_of(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|source| io_error("sync the directory of", path, source))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives the written file its name. A hard link is refused where the name is taken, which a rename is not; file systems
/// without hard links get the rename.
fn place(fresh: &Path, path: &Path) -> Result<(), SealingKeyError> {
    let linked = fs::hard_link(fresh, path);
    let placed = match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => fs::rename(fresh, path),
        outcome => outcome,
    };
    placed.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => SealingKeyError::Exists { path: path.to_owned() },
        _ => io_error("place", path, source),
    })
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> SealingKeyError {
    SealingKeyError::Io { action, path: path.to_owned(), source }
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
        let made = SealingKey::open(&path, true).unwrap();
        assert_eq!(mode_of(&path), 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the key");
        for store_is_new in [true, false] {
            assert_eq!(SealingKey::open(&path, store_is_new).unwrap().fingerprint(), made.fingerprint());
        }
    }

    #[test]
    fn an_old_store_gets_no_new_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        assert!(matches!(SealingKey::open(&path, false), Err(SealingKeyError::Missing { .. })));
        assert!(!path.exists());
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        let first = SealingKey::create(&path).unwrap();
        assert!(matches!(SealingKey::create(&path), Err(SealingKeyError::Exists { .. })));
        assert_eq!(SealingKey::read(&path).unwrap().fingerprint(), first.fingerprint());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        SealingKey::create(&path).unwrap();
        for (mode, fits) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let outcome = SealingKey::read(&path);
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
        SealingKey::create(&path).unwrap();
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
            let message = SealingKey::read(&path).err().expect("it is broken").to_string();
            assert!(message.contains("sealing.key") && message.contains("restore"), "{message}");
            assert!(!message.contains(&key[..16]), "{message}");
        }
        assert!(matches!(
            SealingKey::read(directory.path()),
            Err(SealingKeyError::Malformed { .. } | SealingKeyError::Exposed { .. })
        ));
    }

    #[test]
    fn the_key_of_another_store_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let one = SealingKey::create(&directory.path().join("one.key")).unwrap();
        let other = SealingKey::create(&directory.path().join("other.key")).unwrap();
        assert!(one.must_be(one.fingerprint()).is_ok());
        let message = one.must_be(other.fingerprint()).unwrap_err().to_string();
        for part in ["one.key".to_owned(), one.fingerprint().to_string(), other.fingerprint().to_string()] {
            assert!(message.contains(&part), "{message}");
        }
    }

    #[test]
    fn the_next_key_takes_the_place_of_the_present_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        let old = SealingKey::create(&path).unwrap();
        SealingKey::create_next(&path).unwrap();
        let next = SealingKey::create_next(&path).unwrap();
        assert_eq!(SealingKey::read(&path).unwrap().fingerprint(), old.fingerprint());
        assert_eq!(SealingKey::read_next(&path).unwrap().fingerprint(), next.fingerprint());
        let retired = SealingKey::promote_next(&path).unwrap().unwrap();
        assert_eq!(SealingKey::read(&path).unwrap().fingerprint(), next.fingerprint());
        assert_eq!(SealingKey::read(&retired).unwrap().fingerprint(), old.fingerprint());
        assert_eq!((mode_of(&path), mode_of(&retired)), (0o600, 0o600));
        assert!(SealingKey::read_next(&path).is_err());
    }

    #[test]
    fn a_text_is_read_as_a_file_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealing.key");
        let key = SealingKey::create(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let line = text.lines().last().unwrap();
        assert_eq!(SealingKey::of_text("VARIABLE", line).unwrap().fingerprint(), key.fingerprint());
        let message = SealingKey::of_text("VARIABLE", &line[..60]).err().unwrap().to_string();
        assert!(
            message.starts_with("VARIABLE is not a whole sealing key") && !message.contains(&line[20..40]),
            "{message}"
        );
    }

    #[test]
    fn a_fingerprint_survives_its_text() {
        let fingerprint = Fingerprint([1, 2, 3, 4, 5, 6, 7, 0xff]);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!("01".parse::<Fingerprint>(), Err(ParseFingerprintError));
    }
}
