//! Rows of an import file: CSV or JSON lines in, tokens out, a batch at a time.
//!
//! Invariants: a batch fits one message of the API; a row's number is the line that it begins on; what is wrong with a
//! row is told without repeating any of its values.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Stdin};
use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::Value;

use super::super::failure::Failure;
use super::fields::{FACT, Field, NEEDED, field_of, is_title, token_of_fields};
use crate::grpc::pb;

/// The API takes 1000 rows and 1 MiB a message.
const MOST_ROWS: usize = 500;
const MOST_BYTES: usize = 512 * 1024;
/// A longer row is a mistake, such as a file without line ends.
pub const MOST_ROW_BYTES: usize = 256 * 1024;

/// A row that can't be sent, and why.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line that it begins on.
    pub row: i64,
    /// Which field is wrong; empty where it is the whole row.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// Some rows.
pub struct Batch {
    /// Those that can be sent.
    pub rows: Vec<pb::ImportRow>,
    /// Those that can't.
    pub unreadable: Vec<Unreadable>,
    /// How much of the file has been read.
    pub bytes_read: u64,
    /// Whether the file has ended.
    pub is_last: bool,
}

/// Reads rows from a file.
pub struct RowReader {
    path: PathBuf,
    bytes: Option<u64>,
    format: RowFormat,
    /// A row that did not fit the last batch.
    left_over: Option<pb::ImportRow>,
}

enum RowFormat {
    Csv { file: csv::Reader<Box<dyn BufRead + Send>>, titles: Vec<String> },
    JsonLines { file: Box<dyn BufRead + Send>, line: i64, bytes_read: u64 },
}

impl RowReader {
    /// Opens a file, or stdin for `-`; finds out what it is and checks its titles.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Self::new(path, None, Box::new(BufReader::<Stdin>::new(std::io::stdin())));
        }
        let failed = |source| Failure::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        Self::new(path, Some(bytes), Box::new(BufReader::new(file)))
    }

    fn new(path: &Path, bytes: Option<u64>, mut file: Box<dyn BufRead + Send>) -> Result<Self, Failure> {
        let failed = |source| Failure::File { path: path.to_owned(), source };
        let start = file.fill_buf().map_err(failed)?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            let advice = "a JSON array can't be read row by row; write one object a line, as `jq -c '.[]'` does";
            return Err(Failure::Usage(format!("{}: {advice}", path.display())));
        }
        let is_json = first == Some(&b'{');
        let format = if is_json {
            RowFormat::JsonLines { file, line: 0, bytes_read: 0 }
        } else {
            let mut file = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file);
            let titles = titles(&mut file).map_err(|wrong| Failure::Usage(format!("{}: {wrong}", path.display())))?;
            RowFormat::Csv { file, titles }
        };
        Ok(Self { path: path.to_owned(), bytes, format, left_over: None })
    }

    /// How long the file is, if that is known.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Reads as many rows as fit one message. Blocks.
    pub fn next_batch(&mut self) -> Result<Batch, Failure> {
        let mut batch = Batch { rows: Vec::new(), unreadable: Vec::new(), bytes_read: 0, is_last: false };
        let mut bytes = 0;
        batch.rows.extend(self.left_over.take());
        while batch.rows.len() + batch.unreadable.len() < MOST_ROWS {
            let read = self.format.next_row();
            match read.map_err(|source| Failure::File { path: self.path.clone(), source })? {
                None => {
                    batch.is_last = true;
                    break;
                }
                Some(Err(unreadable)) => batch.unreadable.push(unreadable),
                Some(Ok(row)) => {
                    bytes += row.encoded_len();
                    if bytes > MOST_BYTES && !batch.rows.is_empty() {
                        self.left_over = Some(row);
                        break;
                    }
                    batch.rows.push(row);
                }
            }
        }
        batch.bytes_read = self.format.bytes_read();
        Ok(batch)
    }
}

/// A row that can be sent, or why it can't.
pub type Row = Result<pb::ImportRow, Unreadable>;

impl RowFormat {
    fn bytes_read(&self) -> u64 {
        match self {
            Self::Csv { file, .. } => file.position().byte(),
            Self::JsonLines { bytes_read, .. } => *bytes_read,
        }
    }

    fn next_row(&mut self) -> std::io::Result<Option<Row>> {
        match self {
            Self::Csv { file, titles } => next_record(file, titles),
            Self::JsonLines { file, line, bytes_read } => next_object(file, line, bytes_read),
        }
    }
}

fn titles(file: &mut csv::Reader<Box<dyn BufRead + Send>>) -> Result<Vec<String>, String> {
    let unreadable = "the line of titles can't be read; the file must be CSV or JSON lines, in UTF-8";
    let titles = file.headers().map_err(|_| unreadable.to_owned())?;
    let titles: Vec<_> = titles.iter().map(|title| title.trim_start_matches('\u{feff}').to_owned()).collect();
    if titles.iter().all(String::is_empty) {
        return Err("the file is empty; its first line should hold titles such as network,kind,access_token".to_owned());
    }
    if titles.iter().all(|title| title.contains([';', '\t'])) {
        return Err("the columns must be separated by commas".to_owned());
    }
    // A file without titles would have a token here: say which column, not what it holds.
    let unknown = titles.iter().zip(1..).filter(|(title, _)| !is_title(title));
    let unknown: Vec<_> = unknown.map(|(_, at): (_, i32)| at.to_string()).collect();
    if !unknown.is_empty() {
        return Err(format!(
            "the titles of these columns are not known: {}; see --help for those that are",
            unknown.join(", ")
        ));
    }
    if let Some(twice) = titles.iter().enumerate().find(|(at, title)| titles[..*at].contains(title)) {
        return Err(format!("the title {} is there twice", twice.1));
    }
    match NEEDED.into_iter().find(|needed| !titles.iter().any(|title| title == needed)) {
        Some(missing) => Err(format!("the column {missing} is missing")),
        None => Ok(titles),
    }
}
fn next_record(file: &mut csv::Reader<Box<dyn BufRead + Send>>, titles: &[String]) -> std::io::Result<Option<Row>> {
    let mut record = csv::ByteRecord::new();
    if !file.read_byte_record(&mut record)? {
        return Ok(None);
    }
    let row = record.position().map_or(0, |position| i64::try_from(position.line()).unwrap_or(i64::MAX));
    Ok(Some(token_of_record(row, &record, titles)))
}

fn token_of_record(row: i64, record: &csv::ByteRecord, titles: &[String]) -> Row {
    if record.len() > titles.len() {
        let message = format!("has {} fields, but there are {} titles", record.len(), titles.len());
        return Err(Unreadable { row, field: String::new(), message });
    }
    let fields = titles.iter().zip(record).map(|(title, bytes)| match std::str::from_utf8(bytes) {
        Ok(text) => Ok((title.as_str(), Field::Text(text.to_owned()))),
        Err(_) => Err(Unreadable { row, field: title.clone(), message: "is not UTF-8".to_owned() }),
    });
    let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
    token_of_fields(row, fields)
}

fn next_object(
    file: &mut Box<dyn BufRead + Send>,
    line: &mut i64,
    bytes_read: &mut u64,
) -> std::io::Result<Option<Row>> {
    loop {
        let mut text = Vec::new();
        let read = file.by_ref().take(MOST_ROW_BYTES as u64 + 1).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        *line += 1;
        *bytes_read += read as u64;
        if read > MOST_ROW_BYTES && text.last() != Some(&b'\n') {
            *bytes_read += skip_line(file)?;
            let message = format!("is longer than {} KiB", MOST_ROW_BYTES / 1024);
            return Ok(Some(Err(Unreadable { row: *line, field: String::new(), message })));
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        if !text.trim_ascii().is_empty() {
            return Ok(Some(token_of_object(*line, text)));
        }
    }
}

/// Passes over the rest of a line, however long it is. Returns its bytes.
fn skip_line(file: &mut Box<dyn BufRead + Send>) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = file.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let used = end.unwrap_or(buffer.len());
        file.consume(used);
        skipped += used as u64;
        if end.is_some() || used == 0 {
            return Ok(skipped);
        }
    }
}

fn token_of_object(row: i64, text: &[u8]) -> Row {
    let wrong = |field: &str, message: &str| Unreadable { row, field: field.to_owned(), message: message.to_owned() };
    // The parser's own message is left out: it may repeat a value.
    let object: serde_json::Map<String, Value> =
        serde_json::from_slice(text).map_err(|_| wrong("", "is not a JSON object on one line"))?;
    let mut fields = Vec::with_capacity(object.len());
    for (title, value) in &object {
        match (title.as_str(), value) {
            (_, Value::Null) => {}
            ("facts", Value::Object(facts)) => {
                for (fact, number) in facts {
                    let number = number.as_i64().ok_or_else(|| wrong("facts", "must hold whole numbers"))?;
                    fields.push((format!("{FACT}{fact}"), Field::Text(number.to_string())));
                }
            }
            (title, value) if is_title(title) => {
                let field =
                    field_of(value).ok_or_else(|| wrong(title, "must be text, a number, or an array of text"))?;
                fields.push((title.to_owned(), field));
            }
            _ => return Err(wrong("", "has a field that is not known; see --help for those that are")),
        }
    }
    token_of_fields(row, fields.iter().map(|(title, field)| (title.as_str(), field.clone())).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn reader(text: &str) -> Result<RowReader, Failure> {
        RowReader::new(Path::new("tokens"), None, Box::new(Cursor::new(text.as_bytes().to_vec())))
    }

    fn one_batch(text: &str) -> Batch {
        let batch = reader(text).expect("good titles").next_batch().expect("readable");
        assert!(batch.is_last);
        batch
    }

    #[test]
    fn csv_and_json_make_the_same_tokens() {
        let csv = "\u{feff}network,kind,access_token,scopes,purposes,access_expire_time,facts.engaged_users,app\n\
            facebook, page ,secret-1,a;b,collect_content collect-statistics,2026-01-31,1200,default\n";
        let json = r#"{"network":"facebook","kind":"page","access_token":"secret-1","scopes":["a","b"],"app":"default",
            "purposes":"collect_content;collect_statistics","access_expire_time":"2026-01-31T00:00:00Z","facts":{"engaged_users":1200}}"#
            .replace('\n', "");
        let (from_csv, from_json) = (one_batch(csv), one_batch(&json));
        assert_eq!((from_csv.rows[0].row, from_json.rows[0].row), (2, 1));
        assert_eq!(from_csv.rows[0].token, from_json.rows[0].token);
        let token = from_csv.rows[0].token.as_ref().expect("set");
        assert_eq!(token.network, "networks/facebook");
        assert_eq!(token.app, "networks/facebook/apps/default");
        assert_eq!(token.purposes, [2, 1]);
        assert_eq!(token.facts["engaged_users"], 1200);
        assert_eq!(from_csv.rows[0].secrets.as_ref().expect("set").access_token, "secret-1");
    }

    #[test]
    fn broken_rows_are_told_without_their_values() {
        let csv = "network,kind,access_token,reserve_percent,purposes\n\
            x,user,canary-1,many,\n\
            x,,canary-2,,\n\
            x,user,canary-3,5,spy\n\
            x,user,canary-4,5,publish,canary-5\n\
            x,user,good\n\
            x,user,\"canary-6\nx,user,canary-7\n";
        let batch = one_batch(csv);
        let told: Vec<_> = batch.unreadable.iter().map(|bad| (bad.row, bad.field.as_str())).collect();
        assert_eq!(told, [(2, "reserve_percent"), (3, "kind"), (4, "purposes"), (5, ""), (7, "access_token")]);
        assert_eq!(batch.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [6]);
        assert!(!format!("{:?}", batch.unreadable).contains("canary"));
    }

    #[test]
    fn broken_json_is_told_without_its_values() {
        let json = "{\"network\":\"x\",\"kind\":\"user\",\"access_token\":\"good\"}\n\n\
            {\"network\":\"x\", \"canary-1\n\
            {\"canary-2\":\"x\"}\n\
            [\"canary-3\"]\n\
            {\"network\":\"x\",\"kind\":\"user\",\"access_token\":{\"a\":\"canary-4\"}}\n";
        let batch = one_batch(json);
        assert_eq!(batch.unreadable.iter().map(|bad| bad.row).collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(batch.rows.len(), 1);
        assert!(!format!("{:?}", batch.unreadable).contains("canary"));
    }

    #[test]
    fn wrong_titles_are_refused_without_repeating_them() {
        for (text, expected) in [
            ("", "is empty"),
            ("network,kind,canary\n", "not known: 3"),
            ("network,kind\n", "access_token is missing"),
            ("network,kind,access_token,kind\n", "kind is there twice"),
            ("network;kind;canary\n", "separated by commas"),
            ("[{\"access_token\":\"canary\"}]", "one object a line"),
            ("net\u{0}work\u{ffff}canary\n", "not known: 1"),
        ] {
            let error = reader(text).err().expect(text).to_string();
            assert!(error.contains(expected) && !error.contains("canary"), "{text}: {error}");
        }
    }

    #[test]
    fn batches_are_bounded_by_rows_and_bytes_and_lose_nothing() {
        let long = "s".repeat(60 * 1024);
        let mut text = "network,kind,access_token\n".to_owned();
        for at in 0..1200 {
            let token = if at % 100 == 0 { long.as_str() } else { "short" };
            text.push_str(&format!("x,user,{token}\n"));
        }
        let mut reader = reader(&text).expect("good titles");
        let mut seen = Vec::new();
        loop {
            let batch = reader.next_batch().expect("readable");
            assert!(batch.rows.len() <= MOST_ROWS);
            assert!(pb::ImportRows { rows: batch.rows.clone() }.encoded_len() <= 1024 * 1024);
            seen.extend(batch.rows.iter().map(|row| row.row));
            if batch.is_last {
                break;
            }
        }
        assert_eq!(seen, (2..1202).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_without_end_is_passed_over() {
        let good = r#"{"network":"x","kind":"user","access_token":"good"}"#;
        let text = format!("{good}\n{{\"access_token\":\"{}\"}}\n{good}\n", "x".repeat(3 * MOST_ROW_BYTES));
        let batch = one_batch(&text);
        assert_eq!(batch.rows.iter().map(|row| row.row).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(batch.unreadable.iter().map(|bad| bad.row).collect::<Vec<_>>(), [2]);
        assert_eq!(batch.bytes_read, text.len() as u64);
    }
}
