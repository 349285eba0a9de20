//! Breached passwords, which were leaked somewhere: a file of their SHA-1 hashes, one a line, in ascending order, as the downloader of *Pwned Passwords* writes it
//! (`haveibeenpwned-downloader`, "HASH:COUNT"). The file has some 40 GB, so it is searched where it lies, by bisection: about 40 small reads. It is
//! opened for each search, so that a newer one can take its place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::base::hex::push_hex;
use crate::base::secret::Secret;

/// Digits of a hash.
const DIGITS: usize = 40;
/// More than two of the longest lines.
const READ: usize = 192;
/// Places of the file whose order is looked at when it is opened first.
const SAMPLES: u64 = 64;

/// A list of breached passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreachedPasswords(PathBuf);

/// The list can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BreachedPasswordsError {
    /// It can't be read.
    #[error("sign_in.breached_passwords_file: {} can't be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "sign_in.breached_passwords_file: {} is no list of hashes: each line must be a SHA-1 hash of 40 hexadecimal digits, in ascending order, as \
         `haveibeenpwned-downloader` writes them to one file",
        .0.display()
    )]
    Form(PathBuf),
}

/// A line: where it begins, where the next one does, and its hash.
type Line = (u64, u64, [u8; DIGITS]);

impl BreachedPasswords {
    /// The list at `path`, if it looks like one.
    pub fn open(path: PathBuf) -> Result<Self, BreachedPasswordsError> {
        let list = Self(path);
        let (file, length) = list.file()?;
        let mut before = None;
        for sample in 0..SAMPLES {
            let Some((_, _, hash)) = list.line_from(&file, length, length / SAMPLES * sample)? else { break };
            if before.is_some_and(|before| before > hash) {
                return Err(list.form());
            }
            before = Some(hash);
        }
        if before.is_some() { Ok(list) } else { Err(list.form()) }
    }

    /// Whether a password is on it.
    pub fn has(&self, password: &Secret) -> Result<bool, BreachedPasswordsError> {
        let mut wanted = String::with_capacity(DIGITS);
        push_hex(&mut wanted, digest(&SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes()).as_ref());
        wanted.make_ascii_uppercase();
        let (file, length) = self.file()?;
        // The line, if there is one, begins at `low` or later and before `high`.
        let (mut low, mut high) = (0, length);
        while low < high {
            let middle = low.midpoint(high);
            match self.line_from(&file, length, middle)? {
                Some((at, next, hash)) if at < high => match hash[..].cmp(wanted.as_bytes()) {
                    std::cmp::Ordering::Less => low = next,
                    std::cmp::Ordering::Equal => return Ok(true),
                    std::cmp::Ordering::Greater => high = middle,
                },
                _ => high = middle,
            }
        }
        Ok(false)
    }

    fn file(&self) -> Result<(File, u64), BreachedPasswordsError> {
        let opened = File::open(&self.0).and_then(|file| file.metadata().map(|about| (file, about.len())));
        opened.map_err(|source| self.unread(source))
    }

    /// The first line that begins at `from` or later; `None`: there is none.
    fn line_from(&self, file: &File, length: u64, from: u64) -> Result<Option<Line>, BreachedPasswordsError> {
        let mut buffer = [0; READ];
        // The line break before it belongs to it, but for the first one.
        let start = from.saturating_sub(1);
        let got = read_full(file, &mut buffer, start).map_err(|source| self.unread(source))?;
        let read = &buffer[..got];
        let skipped = match from {
            0 => 0,
            _ => match read.iter().position(|byte| *byte == b'\n') {
                Some(at) => at + 1,
                None if start + got as u64 == length => return Ok(None),
                None => return Err(self.form()),
            },
        };
        let line = &read[skipped..];
        if line.is_empty() {
            return Ok(None);
        }
        let end = line.iter().position(|byte| *byte == b'\n').map_or(line.len(), |at| at + 1);
        let mut hash: [u8; DIGITS] =
            line.get(..DIGITS).and_then(|digits| digits.try_into().ok()).ok_or_else(|| self.form())?;
        if !hash.iter().all(u8::is_ascii_hexdigit) || line.get(DIGITS).is_some_and(u8::is_ascii_hexdigit) {
            return Err(self.form());
        }
        hash.make_ascii_uppercase();
        let at = start + skipped as u64;
        Ok(Some((at, at + end as u64, hash)))
    }

    fn unread(&self, source: io::Error) -> BreachedPasswordsError {
        BreachedPasswordsError::Read { path: self.0.clone(), source }
    }

    fn form(&self) -> BreachedPasswordsError {
        BreachedPasswordsError::Form(self.0.clone())
    }
}

/// As many bytes from `from` as there are, up to the buffer's length.
fn read_full(file: &File, buffer: &mut [u8], from: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], from + got as u64) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(password: &str) -> String {
        let mut text = String::new();
        push_hex(&mut text, digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref());
        text.to_ascii_uppercase()
    }

    fn list(folder: &tempfile::TempDir, text: &str) -> Result<BreachedPasswords, BreachedPasswordsError> {
        let path = folder.path().join("hashes");
        std::fs::write(&path, text).unwrap();
        BreachedPasswords::open(path)
    }

    #[test]
    fn every_line_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (count, ending) in [(1, "\r\n"), (2, "\n"), (3, ":7\r\n"), (1_000, ":12345678\r\n")] {
            let mut hashes: Vec<String> = (0..count).map(|number| hash_of(&format!("password {number}"))).collect();
            hashes.sort();
            let text: String = hashes.iter().map(|hash| format!("{hash}{ending}")).collect();
            for text in [text.trim_end().to_owned(), text.to_ascii_lowercase(), text] {
                let list = list(&folder, &text).unwrap();
                let has = |password: String| list.has(&Secret::new(password)).unwrap();
                assert!((0..count).all(|number| has(format!("password {number}"))), "{count} {ending:?}");
                assert!(!(count..count + 200).any(|number| has(format!("password {number}"))), "{count} {ending:?}");
            }
        }
    }

    #[test]
    fn another_file_is_refused_and_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (low, high) = ("0".repeat(40), "F".repeat(40));
        for text in [
            "",
            "password\n123456\n",
            &format!("{high}:1\n{low}:1\n").repeat(50),
            &"A".repeat(400),
            &format!("{low}0:1\n"),
        ] {
            let refused = list(&folder, text);
            assert!(matches!(refused, Err(BreachedPasswordsError::Form(_))), "{text:?}");
        }
        let missing = BreachedPasswords::open(folder.path().join("nothing"));
        assert!(matches!(missing, Err(BreachedPasswordsError::Read { .. })));
    }
}
