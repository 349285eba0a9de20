//! Sealed replies of networks on disk, beside the database: for secrets that the database did not take when they came, and that no network gives twice.
//!
//! A file is written under another name, synced, and only then given its name, so that each is there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::ids::TokenId;
use crate::store::StoreError;

/// What a file is called that is not written to its end.
const UNFINISHED: &str = "new";

/// The replies that wait for the database.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
}

/// A reply: the token it belongs to, and the version of the secrets that it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpooledReply {
    /// The token.
    pub token: TokenId,
    /// The version of the secrets that were shown for it.
    pub version: u32,
}

impl SpooledReply {
    fn name(self) -> String {
        format!("{}.{}", self.token, self.version)
    }

    fn of_name(name: &str) -> Option<Self> {
        let (token, version) = name.rsplit_once('.')?;
        Some(Self { token: token.parse().ok()?, version: version.parse().ok()? })
    }
}

impl Spool {
    /// The spool of the store in a directory. Nothing is made before there is something to keep.
    pub fn of_store(directory: &Path) -> Self {
        Self { folder: directory.join("spool") }
    }

    /// Keeps a sealed reply, in place of what was kept under the same name. It is on disk when this returns.
    pub fn put(&self, reply: SpooledReply, sealed: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.folder.join(reply.name());
        let fresh = path.with_added_extension(UNFINISHED);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(sealed)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        self.sync()
    }

    /// What is kept.
    pub fn list(&self) -> Result<Vec<SpooledReply>, StoreError> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| unreadable(&self.folder, error))?,
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>();
        let names = names.map_err(|error| unreadable(&self.folder, error))?;
        Ok(names.iter().filter_map(|name| SpooledReply::of_name(name.to_str()?)).collect())
    }

    /// The sealed text of one.
    pub fn read(&self, reply: SpooledReply) -> Result<Vec<u8>, StoreError> {
        let path = self.folder.join(reply.name());
        fs::read(&path).map_err(|error| unreadable(&path, error))
    }

    /// Lets go of one, if it is kept.
    pub fn remove(&self, reply: SpooledReply) -> io::Result<()> {
        match fs::remove_file(self.folder.join(reply.name())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.sync()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn unreadable(path: &Path, cause: io::Error) -> StoreError {
    StoreError::Open { path: path.to_owned(), cause: Arc::new(cause) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn reply(token: u128, version: u32) -> SpooledReply {
        SpooledReply { token: TokenId::from_u128(token), version }
    }

    #[test]
    fn what_is_kept_is_there_until_it_is_let_go_of() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::of_store(folder.path());
        assert_eq!(spool.list().unwrap(), []);
        spool.remove(reply(1, 1)).unwrap();
        spool.put(reply(1, 1), b"first").unwrap();
        spool.put(reply(1, 1), b"again").unwrap();
        spool.put(reply(2, 7), b"other").unwrap();
        let again = Spool::of_store(folder.path());
        assert_eq!(again.list().unwrap().len(), 2);
        assert_eq!(
            (again.read(reply(1, 1)).unwrap(), again.read(reply(2, 7)).unwrap()),
            (b"again".to_vec(), b"other".to_vec())
        );
        again.remove(reply(1, 1)).unwrap();
        assert_eq!(spool.list().unwrap(), [reply(2, 7)]);
    }

    #[test]
    fn only_the_broker_reads_it_and_what_is_unfinished_or_foreign_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::of_store(folder.path());
        spool.put(reply(1, 1), b"sealed").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let inside = folder.path().join("spool");
        assert_eq!((mode(&inside), mode(&inside.join(reply(1, 1).name()))), (0o700, 0o600));
        fs::write(inside.join(format!("{}.{UNFINISHED}", reply(2, 1).name())), "half").unwrap();
        fs::write(inside.join("notes.txt"), "").unwrap();
        assert_eq!(spool.list().unwrap(), [reply(1, 1)]);
    }
}
