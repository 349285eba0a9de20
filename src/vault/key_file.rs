//! The file of the sealing key.
//!
//! It holds one key after comments. Only its owner may read it. It is made once, whole or not at all, and never overwritten: who loses it
//! loses every secret in the store.
//!
//! A rotation needs two keys for a moment. The next one is written beside the present one (`sealing.key.next`) before the store is
//! sealed with it, and takes its place afterwards, while the old one keeps its fingerprint as its name. Which of the two is the
//! store's is said by the store alone, so a crash in between is mended by the next start.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::random;
use super::sealing_key::{KeptKey, SealingKeyError};

/// A key file is a few lines; anything longer is another file.
const MAX_LENGTH: u64 = 4096;

/// The file of the sealing key, which may not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The file at `path`.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its key.
    pub fn read(&self) -> Result<KeptKey, SealingKeyError> {
        read(&self.0)
    }

    /// The next key, beside it.
    pub fn read_next(&self) -> Result<KeptKey, SealingKeyError> {
        read(&self.next())
    }

    /// Makes the file with a key. It appears whole or not at all, and never in the place of another one.
    pub fn create(&self, key: &KeptKey) -> Result<(), SealingKeyError> {
        create(&self.0, key)
    }

    /// Makes the next key beside it, in the place of one that was never used.
    pub fn create_next(&self, key: &KeptKey) -> Result<(), SealingKeyError> {
        let next = self.next();
        match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("replace", &next, error)),
            _ => create(&next, key),
        }
    }

    /// Gives the next key the place of the present one, whose file keeps the fingerprint as its name. Returns that name. May be
    /// done again after a crash.
    pub fn promote_next(&self) -> Result<Option<PathBuf>, SealingKeyError> {
        let path = &*self.0;
        let retired = self.read().ok().map(|key| path.with_added_extension(key.fingerprint().to_string()));
        if let Some(retired) = retired.as_deref().filter(|retired| !retired.exists()) {
            fs::hard_link(path, retired)
                .or_else(|_| fs::copy(path, retired).map(drop))
                .map_err(|source| io_error("keep a copy of", path, source))?;
        }
        fs::rename(self.next(), path).map_err(|source| io_error("place", path, source))?;
        sync_directory_of(path)?;
        Ok(retired)
    }

    fn next(&self) -> PathBuf {
        self.0.with_added_extension("next")
    }
}

fn read(path: &Path) -> Result<KeptKey, SealingKeyError> {
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => SealingKeyError::Missing { path: path.to_owned() },
        _ => io_error("open", path, source),
    })?;
    let about = file.metadata().map_err(|source| io_error("look at", path, source))?;
    let place = format!("the key file {}", path.display());
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
    KeptKey::parse(place, &text)
}

fn create(path: &Path, key: &KeptKey) -> Result<(), SealingKeyError> {
    let directory = directory_of(path);
    fs::create_dir_all(directory).map_err(|source| io_error("make the directory of", path, source))?;
    let fresh = path.with_added_extension(format!("{:016x}.new", u64::from_be_bytes(random())));
    let written = write_private(&fresh, &key.text()).map_err(|source| io_error("write", &fresh, source));
    let placed = written.and_then(|()| place(&fresh, path));
    // The second name of a key that was placed, or the remains of one that was not.
    let _ = fs::remove_file(&fresh);
    placed?;
    sync_directory_of(path)
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
    use crate::vault::{Fingerprint, SealingKey};

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn in_directory() -> (tempfile::TempDir, KeyFile, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/sealing.key");
        (directory, KeyFile::at(path.clone()), path)
    }

    fn created(file: &KeyFile) -> Fingerprint {
        let key = SealingKey::generate();
        file.create(&key.kept()).unwrap();
        key.fingerprint()
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        let (_directory, file, path) = in_directory();
        assert!(matches!(file.read(), Err(SealingKeyError::Missing { .. })));
        assert!(!path.exists());
        let first = created(&file);
        assert_eq!(mode_of(&path), 0o600);
        let second = file.create(&SealingKey::generate().kept());
        assert!(matches!(second, Err(SealingKeyError::Exists { .. })));
        assert_eq!(file.read().unwrap().fingerprint(), first);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the key");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let (_directory, file, path) = in_directory();
        created(&file);
        for (mode, fits) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o620, false), (0o601, false)]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let outcome = file.read();
            assert_eq!(outcome.is_ok(), fits, "{mode:o}");
            if let Err(error) = outcome {
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        let (directory, file, path) = in_directory();
        created(&file);
        let text = fs::read_to_string(&path).unwrap();
        for broken in [String::new(), text[..text.len() - 20].to_owned(), text.repeat(20)] {
            fs::write(&path, &broken).unwrap();
            let message = file.read().err().expect("it is broken").to_string();
            assert!(message.contains("sealing.key") && message.contains("restore"), "{message}");
        }
        let of_directory = KeyFile::at(directory.path().to_owned()).read();
        assert!(matches!(of_directory, Err(SealingKeyError::Malformed { .. } | SealingKeyError::Exposed { .. })));
    }

    #[test]
    fn the_next_key_takes_the_place_of_the_present_one() {
        let (_directory, file, path) = in_directory();
        let old = created(&file);
        file.create_next(&SealingKey::generate().kept()).unwrap();
        let next = SealingKey::generate();
        file.create_next(&next.kept()).unwrap();
        assert_eq!(file.read().unwrap().fingerprint(), old);
        assert_eq!(file.read_next().unwrap().fingerprint(), next.fingerprint());
        let retired = file.promote_next().unwrap().unwrap();
        assert_eq!(file.read().unwrap().fingerprint(), next.fingerprint());
        assert_eq!(KeyFile::at(retired.clone()).read().unwrap().fingerprint(), old);
        assert_eq!((mode_of(&path), mode_of(&retired)), (0o600, 0o600));
        assert!(file.read_next().is_err());
    }
}
