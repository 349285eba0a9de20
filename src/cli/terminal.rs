//! Where output goes and in which form: tables for people, JSON for programs. What was asked for goes to stdout, all else
//! to stderr.
//!
//! Invariant: in the forms for programs, stdout holds JSON, or comma-separated values, and nothing else.

use std::io::{IsTerminal, Write};

use clap::ValueEnum;

use super::failure::Failure;
use super::json::{Named, to_json};
use super::table::{Column, View, draw_fields, draw_table};
use crate::base::clock::Timestamp;

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for people. Their look may change.
    #[default]
    Table,
    /// One JSON document: an object, or an array for lists; for streams as jsonl.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Lists as comma-separated values, with a line of titles; what is no list as jsonl.
    Csv,
}

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Both outputs and how to write to them.
pub struct Terminal {
    /// The form.
    pub format: Format,
    /// Whether stdout is coloured.
    pub color: bool,
    /// Columns of the terminal; none where stdout is no terminal: nothing is wrapped.
    pub width: Option<u16>,
    /// Whether notices and progress are left out.
    pub quiet: bool,
    /// Whether a person sees stdout.
    pub interactive: bool,
    /// The present moment, for relative times.
    pub now: Timestamp,
    out: Box<dyn Write + Send>,
    notices: Box<dyn Write + Send>,
}

impl Terminal {
    /// The process's own stdout and stderr.
    pub fn of_process(format: Format, color: ColorChoice, quiet: bool, now: Timestamp) -> Self {
        let interactive = std::io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width = comfy_table::Table::new().width();
        Self {
            format,
            color: match color {
                ColorChoice::Auto => interactive && !no_color,
                ColorChoice::Always => true,
                ColorChoice::Never => false,
            },
            width: if interactive { width } else { None },
            quiet,
            interactive,
            now,
            out: Box::new(std::io::BufWriter::new(std::io::stdout())),
            notices: Box::new(std::io::stderr()),
        }
    }

    /// Writes to the given places, without colour and without a width.
    #[cfg(test)]
    pub fn to_writers(
        format: Format,
        now: Timestamp,
        out: Box<dyn Write + Send>,
        notices: Box<dyn Write + Send>,
    ) -> Self {
        Self { format, color: false, width: None, quiet: false, interactive: false, now, out, notices }
    }

    /// Whether progress is worth drawing: a person looks at stderr and has not asked for quiet.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// What tables need to know.
    pub fn view(&self) -> View {
        View { now: self.now, detail: false }
    }

    /// Shows one thing: its fields, or its JSON.
    pub fn record<T: Named>(&mut self, record: &T, fields: &[Column<T>]) -> Result<(), Failure> {
        if self.format == Format::Table {
            return self.fields(record, fields);
        }
        self.message(record)
    }

    /// The fields of one thing, one below the other, for people only.
    pub fn fields<T>(&mut self, record: &T, fields: &[Column<T>]) -> Result<(), Failure> {
        if self.format == Format::Table {
            let view = View { detail: true, ..self.view() };
            let text = draw_fields(record, fields, view, self.color, self.width);
            self.text(&text)?;
        }
        Ok(())
    }

    /// A table under a heading, for people only; nothing where there are no rows.
    pub fn section<T>(&mut self, heading: &str, rows: &[T], columns: &[Column<T>]) -> Result<(), Failure> {
        if self.format != Format::Table || rows.is_empty() {
            return Ok(());
        }
        if !heading.is_empty() {
            self.text(&format!("\n{heading}\n"))?;
        }
        self.table(rows, columns)
    }

    /// A table, for people only.
    pub fn table<T>(&mut self, rows: &[T], columns: &[Column<T>]) -> Result<(), Failure> {
        let text = draw_table(rows, columns, self.view(), self.color, self.width);
        self.text(&text)
    }

    /// A message as JSON: over many lines as `json`, on one as `jsonl`.
    pub fn message<T: Named>(&mut self, message: &T) -> Result<(), Failure> {
        let value = json_of(message)?;
        self.json(&value)
    }

    /// A message as JSON on one line, for streams.
    pub fn message_line<T: Named>(&mut self, message: &T) -> Result<(), Failure> {
        let value = json_of(message)?;
        self.text(&format!("{value}\n"))
    }

    /// JSON: over many lines as `json`, on one as `jsonl`.
    pub fn json(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        if matches!(self.format, Format::Jsonl | Format::Csv) {
            self.text(&format!("{value}\n"))
        } else {
            self.text(&format!("{value:#}\n"))
        }
    }

    /// Text as it is, at once.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text)?;
        self.flush()
    }

    /// Text as it is, some time before the next [`Terminal::flush`].
    pub fn write(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Everything that was written so far, at once.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// A sentence for people, in tables only: what was done.
    pub fn say(&mut self, sentence: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table if !self.quiet => self.text(&format!("{sentence}\n")),
            _ => Ok(()),
        }
    }

    /// A sentence beside the output, on stderr.
    pub fn notice(&mut self, sentence: &str) {
        if !self.quiet {
            let _ = writeln!(self.notices, "{sentence}");
        }
    }

    /// An error, on stderr, in the form of the output.
    pub fn failure(&mut self, failure: &Failure) {
        let _ = match self.format {
            Format::Table => write!(self.notices, "{}", failure.to_text()),
            _ => writeln!(self.notices, "{}", failure.to_json()),
        };
    }
}

/// A message as JSON.
pub fn json_of<T: Named>(message: &T) -> Result<serde_json::Value, Failure> {
    to_json(message).map_err(|error| Failure::Answer(error.to_string()))
}
