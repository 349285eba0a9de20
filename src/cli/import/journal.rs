//! The file that lists rejected rows: CSV with the titles `row,reason,field,message`.
//!
//! It is made with the first rejected row. When an import is resumed, what an earlier run wrote about rows that are done
//! is kept, and the rest is written anew.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use super::super::words::Word;
use super::rows::Unreadable;
use crate::grpc::pb;

const TITLES: [&str; 4] = ["row", "reason", "field", "message"];

/// The list of rejected rows.
pub struct Journal {
    path: PathBuf,
    file: Option<csv::Writer<File>>,
}

impl Journal {
    /// Keeps what an earlier run wrote about rows up to `done`; a list of another import, or an empty one, goes.
    pub fn open(path: &Path, done: i64) -> Result<Self, Failure> {
        let mut journal = Self { path: path.to_owned(), file: None };
        let kept = if done > 0 { kept_rows(path, done) } else { Vec::new() };
        if path.exists() {
            std::fs::remove_file(path).map_err(|source| journal.failure(source))?;
        }
        for row in kept {
            journal.write(row.iter())?;
        }
        Ok(journal)
    }

    /// A row that the broker rejected.
    pub fn rejected_by_broker(&mut self, result: &pb::ImportRowResult) -> Result<(), Failure> {
        let reason = result.reason().word().to_uppercase();
        self.write([result.row.to_string().as_str(), &reason, &result.field, &result.message])
    }

    /// A row that could not be sent.
    pub fn unreadable(&mut self, row: &Unreadable) -> Result<(), Failure> {
        self.write([row.row.to_string().as_str(), "INVALID_FIELD", &row.field, &row.message])
    }

    /// Makes sure that all of it is in the file.
    pub fn finish(mut self) -> Result<(), Failure> {
        let flushed = self.file.as_mut().map_or(Ok(()), csv::Writer::flush);
        flushed.map_err(|source| self.failure(source))
    }

    fn write<'a>(&mut self, row: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
        if self.file.is_none() {
            let mut file = csv::Writer::from_path(&self.path).map_err(|error| self.failure(error.into()))?;
            file.write_record(TITLES).map_err(|error| self.failure(error.into()))?;
            self.file = Some(file);
        }
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_record(row));
        written.map_err(|error| self.failure(error.into()))
    }

    fn failure(&self, source: std::io::Error) -> Failure {
        Failure::File { path: self.path.clone(), source }
    }
}

/// What can be read of an earlier list about rows up to `done`.
fn kept_rows(path: &Path, done: i64) -> Vec<csv::StringRecord> {
    let Ok(mut file) = csv::Reader::from_path(path) else { return Vec::new() };
    let is_done =
        |row: &csv::StringRecord| row.get(0).and_then(|row| row.parse().ok()).is_some_and(|row: i64| row <= done);
    file.records().filter_map(Result::ok).filter(is_done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(row: i64) -> Unreadable {
        Unreadable { row, field: "kind".to_owned(), message: "is missing, or \"empty\"".to_owned() }
    }

    #[test]
    fn nothing_rejected_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("errors.csv");
        std::fs::write(&path, "of another import").expect("written");
        Journal::open(&path, 0).expect("opened").finish().expect("finished");
        assert!(!path.exists());
    }

    #[test]
    fn a_resumed_list_keeps_what_is_done_and_repeats_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("errors.csv");
        let mut first = Journal::open(&path, 0).expect("opened");
        for row in [2, 5, 9] {
            first.unreadable(&bad(row)).expect("written");
        }
        first.finish().expect("finished");
        let mut second = Journal::open(&path, 5).expect("opened");
        second.unreadable(&bad(9)).expect("written");
        second.finish().expect("finished");
        let text = std::fs::read_to_string(&path).expect("readable");
        let rows: Vec<_> = text.lines().map(|line| line.split(',').next().expect("has one")).collect();
        assert_eq!(rows, ["row", "2", "5", "9"]);
        assert!(text.contains("\"is missing, or \"\"empty\"\"\""), "{text}");
    }
}
