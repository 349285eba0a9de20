//! The file that lists rejected rows: CSV with the titles `row,reason,field,message`.
//!
//! It is made with the first rejected row, and what is written is in the file at once: an import may be interrupted at any
//! time. When it is resumed, what an earlier run wrote about rows that are done is kept, and the rest is written anew.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use super::super::words::Word;
use super::rows::Unreadable;
use crate::grpc::pb;

const TITLES: [&str; 4] = ["row", "reason", "field", "message"];
/// How many rejected rows are shown at the end.
const SHOWN: usize = 5;

/// One rejected row, as it is written.
type Line = [String; 4];

/// The list of rejected rows.
pub struct Journal {
    path: PathBuf,
    file: Option<csv::Writer<File>>,
    listed: HashSet<i64>,
    /// The first rows of the list, for people.
    first: Vec<String>,
}

/// The line of a row that the broker rejected.
pub fn rejected(result: &pb::ImportRowResult) -> (i64, Line) {
    let reason = result.reason().word().to_uppercase();
    // Some messages begin with the field.
    let message = result.message.strip_prefix(&format!("{}: ", result.field)).unwrap_or(&result.message);
    (result.row, [result.row.to_string(), reason, result.field.clone(), message.to_owned()])
}

/// The line of a row that could not be sent.
pub fn unreadable(row: &Unreadable) -> (i64, Line) {
    (row.row, [row.row.to_string(), "INVALID_FIELD".to_owned(), row.field.clone(), row.message.clone()])
}

impl Journal {
    /// Keeps what an earlier run wrote about rows up to `done`; a list of another import, or an empty one, goes.
    pub fn open(path: &Path, done: i64) -> Result<Self, Failure> {
        let mut journal = Self { path: path.to_owned(), file: None, listed: HashSet::new(), first: Vec::new() };
        let kept = if done > 0 { kept_rows(path, done) } else { Vec::new() };
        if path.exists() {
            std::fs::remove_file(path).map_err(|source| journal.failure(source))?;
        }
        journal.write(kept)?;
        Ok(journal)
    }

    /// Lists rows, in the order of the file. Those that are listed already stay as they are.
    pub fn write(&mut self, mut lines: Vec<(i64, Line)>) -> Result<(), Failure> {
        lines.sort_unstable_by_key(|(row, _)| *row);
        lines.retain(|(row, _)| self.listed.insert(*row));
        if lines.is_empty() {
            return Ok(());
        }
        for (_, [row, _, field, message]) in lines.iter().take(SHOWN - self.first.len()) {
            let field = if field.is_empty() { String::new() } else { format!("{field}: ") };
            self.first.push(format!("row {row}: {field}{message}"));
        }
        self.append(&lines).map_err(|source| Failure::File { path: self.path.clone(), source })
    }

    /// How many rows are listed.
    pub fn len(&self) -> usize {
        self.listed.len()
    }

    /// The first rows of the list, for people.
    pub fn first(&self) -> &[String] {
        &self.first
    }

    fn append(&mut self, lines: &[(i64, Line)]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = csv::Writer::from_path(&self.path)?;
                file.write_record(TITLES)?;
                none.insert(file)
            }
        };
        for (_, line) in lines {
            file.write_record(line)?;
        }
        file.flush()
    }

    fn failure(&self, source: std::io::Error) -> Failure {
        Failure::File { path: self.path.clone(), source }
    }
}

/// What can be read of an earlier list about rows up to `done`.
fn kept_rows(path: &Path, done: i64) -> Vec<(i64, Line)> {
    let Ok(file) = csv::ReaderBuilder::new().has_headers(false).from_path(path) else { return Vec::new() };
    let line = |record: csv::StringRecord| -> Option<(i64, Line)> {
        let line: Line = record.deserialize(None).ok()?;
        Some((line[0].parse().ok()?, line))
    };
    file.into_records().filter_map(Result::ok).filter_map(line).filter(|(row, _)| *row <= done).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(row: i64) -> Unreadable {
        Unreadable { row, field: "kind".to_owned(), message: "is missing, or \"empty\"".to_owned() }
    }

    fn rows_of(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).expect("readable");
        text.lines().map(|line| line.split(',').next().expect("has one").to_owned()).collect()
    }

    #[test]
    fn nothing_rejected_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("errors.csv");
        std::fs::write(&path, "of another import").expect("written");
        let mut journal = Journal::open(&path, 0).expect("opened");
        journal.write(Vec::new()).expect("written");
        assert!(!path.exists());
    }

    #[test]
    fn what_is_written_survives_an_interruption() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("errors.csv");
        let mut journal = Journal::open(&path, 0).expect("opened");
        journal.write(vec![unreadable(&bad(5)), unreadable(&bad(2))]).expect("written");
        // A killed process runs no destructors.
        std::mem::forget(journal);
        assert_eq!(rows_of(&path), ["row", "2", "5"]);
    }

    #[test]
    fn a_resumed_list_keeps_what_is_done_and_repeats_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("errors.csv");
        let mut first = Journal::open(&path, 0).expect("opened");
        first.write([2, 5, 9].iter().map(|row| unreadable(&bad(*row))).collect()).expect("written");
        drop(first);
        let mut second = Journal::open(&path, 5).expect("opened");
        for row in [2, 5, 9] {
            second.write(vec![unreadable(&bad(row))]).expect("written");
        }
        assert_eq!((second.len(), second.first().len()), (3, 3));
        assert_eq!(rows_of(&path), ["row", "2", "5", "9"]);
        let text = std::fs::read_to_string(&path).expect("readable");
        assert!(text.contains("\"is missing, or \"\"empty\"\"\""), "{text}");
    }

    #[test]
    fn a_message_that_begins_with_its_field_tells_it_once() {
        let result = pb::ImportRowResult {
            row: 7,
            field: "token.person".to_owned(),
            message: "token.person: must have at most 256 characters".to_owned(),
            ..Default::default()
        };
        assert_eq!(rejected(&result).1[3], "must have at most 256 characters");
    }
}
