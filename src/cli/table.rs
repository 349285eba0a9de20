//! Tables for people. A table is described by its columns: a title, an alignment and a function from a row to a cell.
//!
//! On a terminal that is too narrow, minor columns are left out and text is wrapped; where even single words would have to be
//! broken, each row is shown as its fields, one below the other. Where the output is no terminal all columns are there and
//! nothing is wrapped.

use comfy_table::{
    Attribute, Cell as Drawn, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, TableStyle,
};

use super::times;
use crate::base::clock::Timestamp;

/// Spaces between columns.
const GAP: usize = 2;
/// Words up to this many characters are never broken over lines; longer ones are ids and addresses.
const WHOLE_WORD: usize = 20;

/// One column of a table, or one field of a single thing.
pub struct Column<T> {
    title: &'static str,
    align: CellAlignment,
    is_minor: bool,
    cell: fn(&T, View) -> Cell,
}

impl<T> Column<T> {
    /// Text, aligned to the left.
    pub const fn text(title: &'static str, cell: fn(&T, View) -> Cell) -> Self {
        Self { title, align: CellAlignment::Left, is_minor: false, cell }
    }

    /// A number, aligned to the right.
    pub const fn number(title: &'static str, cell: fn(&T, View) -> Cell) -> Self {
        Self { title, align: CellAlignment::Right, is_minor: false, cell }
    }

    /// Text that is left out where there is no room.
    pub const fn minor_text(title: &'static str, cell: fn(&T, View) -> Cell) -> Self {
        Self { title, align: CellAlignment::Left, is_minor: true, cell }
    }

    /// A number that is left out where there is no room.
    pub const fn minor_number(title: &'static str, cell: fn(&T, View) -> Cell) -> Self {
        Self { title, align: CellAlignment::Right, is_minor: true, cell }
    }

    /// Whether a cell may go over several lines.
    fn wraps(&self) -> bool {
        self.align == CellAlignment::Left
    }
}

/// What cells may depend on beside their row.
#[derive(Clone, Copy)]
pub struct View {
    /// The present moment.
    pub now: Timestamp,
    /// Whether there is room: times are shown in full.
    pub detail: bool,
}

impl View {
    /// A time: relative in tables, in full where there is room.
    pub fn time(self, at: Option<&prost_types::Timestamp>) -> Cell {
        if self.detail { times::absolute(at, self.now).into() } else { times::relative(at, self.now).into() }
    }
}

/// How a cell is felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Neither good nor bad.
    Plain,
    /// As it should be.
    Good,
    /// Somebody should look at it.
    Warning,
    /// Somebody must act.
    Bad,
}

/// The content of one cell.
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text with a tone.
    pub fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        grouped(number).into()
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        i64::from(number).into()
    }
}

/// A number with commas: `1,234,567`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One row without titles, as a line.
pub fn one_line<T>(row: &T, columns: &[Column<T>], view: View, color: bool) -> String {
    let drawn = draw_table(std::slice::from_ref(row), columns, view, color, None);
    drawn.lines().skip(1).map(|line| format!("{line}\n")).collect()
}

/// The titles of columns as a line of comma-separated values.
pub fn csv_titles<T>(columns: &[Column<T>]) -> String {
    csv_of(columns.iter().map(|column| column.title.to_lowercase().replace(' ', "_")))
}

/// A row as comma-separated values (RFC 4180): times in full, numbers without separators. What a spreadsheet would take for a formula gets an
/// apostrophe before it: names are foreign text.
pub fn csv_line<T>(row: &T, columns: &[Column<T>], view: View) -> String {
    let view = View { detail: true, ..view };
    let cells = columns.iter().map(|column| {
        let cell = (column.cell)(row, view);
        match column.align {
            CellAlignment::Right => cell.text().replace(',', ""),
            _ if cell.text().starts_with(['=', '+', '-', '@', '\t']) => format!("'{}", cell.text()),
            _ => cell.text().to_owned(),
        }
    });
    csv_of(cells)
}

fn csv_of(cells: impl Iterator<Item = String>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).expect("memory takes every line");
    String::from_utf8(writer.into_inner().expect("memory takes every line")).expect("it was made of text")
}

/// Rows under their titles. Without a width nothing is wrapped or left out.
pub fn draw_table<T>(rows: &[T], columns: &[Column<T>], view: View, color: bool, width: Option<u16>) -> String {
    let cells: Vec<Vec<Cell>> =
        rows.iter().map(|row| columns.iter().map(|column| (column.cell)(row, view)).collect()).collect();
    let shown = match width {
        Some(width) => fitting(columns, &cells, usize::from(width)),
        None => vec![true; columns.len()],
    };
    if width.is_some_and(|width| usize::from(width) + GAP < least_width(columns, &cells, &shown)) {
        let records = cells.into_iter().map(|row| draw_record(columns, row, color, width));
        return records.collect::<Vec<_>>().join("\n");
    }
    let columns: Vec<_> = columns.iter().zip(&shown).filter_map(|(column, shown)| shown.then_some(column)).collect();
    let mut table = empty_table(color, width);
    table.set_header(columns.iter().map(|column| title(column).set_alignment(column.align)));
    for row in cells {
        let row = row.into_iter().zip(&shown).filter_map(|(cell, shown)| shown.then_some(cell));
        table.add_row(row.zip(&columns).map(|(cell, column)| drawn(cell).set_alignment(column.align)));
    }
    let keeps_width = |(at, column): (usize, &&Column<T>)| at == 0 || !column.wraps();
    let rigid: Vec<_> = columns.iter().enumerate().map(keeps_width).collect();
    finish(table, &rigid)
}

/// Which columns to show: minor ones are left out, from the right, until the rest fits. Text counts with at most 24
/// characters, since it can be wrapped.
fn fitting<T>(columns: &[Column<T>], cells: &[Vec<Cell>], width: usize) -> Vec<bool> {
    const LEAST_TEXT: usize = 24;
    let natural = |(at, column): (usize, &Column<T>)| {
        let longest = cells.iter().map(|row| row[at].text.chars().count()).max().unwrap_or(0);
        let longest = if at > 0 && column.wraps() { longest.min(LEAST_TEXT) } else { longest };
        longest.max(column.title.chars().count()) + GAP
    };
    let widths: Vec<_> = columns.iter().enumerate().map(natural).collect();
    let mut shown = vec![true; columns.len()];
    let mut total: usize = widths.iter().sum();
    for at in (0..columns.len()).rev().filter(|at| columns[*at].is_minor) {
        if total <= width + GAP {
            break;
        }
        shown[at] = false;
        total -= widths[at];
    }
    shown
}

/// What the shown columns need so that no word is broken.
fn least_width<T>(columns: &[Column<T>], cells: &[Vec<Cell>], shown: &[bool]) -> usize {
    let word = |text: &str| text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    let least = |at: usize, column: &Column<T>| {
        let texts = cells.iter().map(|row| row[at].text.as_str());
        let longest = if at > 0 && column.wraps() {
            texts.map(word).max().unwrap_or(0).min(WHOLE_WORD)
        } else {
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        longest.max(word(column.title)) + GAP
    };
    columns.iter().enumerate().filter(|(at, _)| shown[*at]).map(|(at, column)| least(at, column)).sum()
}

/// The fields of one thing, one below the other; empty ones are left out.
pub fn draw_fields<T>(record: &T, fields: &[Column<T>], view: View, color: bool, width: Option<u16>) -> String {
    let cells = fields.iter().map(|field| (field.cell)(record, view)).collect();
    draw_record(fields, cells, color, width)
}

fn draw_record<T>(fields: &[Column<T>], cells: Vec<Cell>, color: bool, width: Option<u16>) -> String {
    let mut table = empty_table(color, width);
    for (field, cell) in fields.iter().zip(cells).filter(|(_, cell)| !cell.text.is_empty()) {
        let name = Drawn::new(field.title.to_lowercase()).add_attribute(Attribute::Bold);
        table.add_row([name, drawn(cell)]);
    }
    finish(table, &[true, false])
}

fn empty_table(color: bool, width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    if color {
        table.enforce_styling();
        table.style_text_only();
    } else {
        table.force_no_tty();
    }
    match width {
        Some(width) => table.set_width(width).set_content_arrangement(ContentArrangement::Dynamic),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

fn title<T>(column: &Column<T>) -> Drawn {
    Drawn::new(column.title).add_attribute(Attribute::Bold)
}

fn drawn(cell: Cell) -> Drawn {
    let drawn = Drawn::new(printable(&cell.text));
    match cell.tone {
        Tone::Plain => drawn,
        Tone::Good => drawn.fg(Color::Green),
        Tone::Warning => drawn.fg(Color::Yellow),
        Tone::Bad => drawn.fg(Color::Red),
    }
}

/// Without control characters, which could steer the terminal: names are the choice of others.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Sets the gaps between columns and which of them are not wrapped: those that are `rigid`. The first names the row, and
/// is copied; numbers must stay whole.
fn finish(mut table: Table, rigid: &[bool]) -> String {
    let last = table.column_count().saturating_sub(1);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at < last { GAP as u16 } else { 0 }));
        if rigid.get(at) == Some(&true) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View = View { now: Timestamp::from_secs(1_700_000_000), detail: false };

    const COLUMNS: &[Column<(&str, i64)>] =
        &[Column::text("NAME", |row, _| row.0.into()), Column::number("CALLS", |row, _| row.1.into())];

    #[test]
    fn numbers_are_grouped_and_aligned() {
        let drawn = draw_table(&[("x", 5), ("youtube", 1_234_567)], COLUMNS, VIEW, false, None);
        assert_eq!(drawn, "NAME         CALLS\nx                5\nyoutube  1,234,567\n");
        for (number, expected) in
            [(0, "0"), (-1234, "-1,234"), (999, "999"), (1000, "1,000"), (i64::MIN, "-9,223,372,036,854,775,808")]
        {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn narrow_terminals_wrap_all_but_the_first_column() {
        let columns = &[
            Column::text("TOKEN", |(): &(), _| "tok_0123456789".into()),
            Column::text("MESSAGE", |(): &(), _| "a rather long message".into()),
        ];
        let drawn = draw_table(&[()], columns, VIEW, false, Some(30));
        let expected = "TOKEN           MESSAGE\ntok_0123456789  a rather long\n                message\n";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn rows_become_records_where_words_would_be_broken() {
        let columns = &[
            Column::text("TOKEN", |(): &(), _| "tok_0123456789".into()),
            Column::text("STATE", |(): &(), _| "live".into()),
            Column::minor_text("TEAM", |(): &(), _| "acme".into()),
            Column::text("STATUS", |(): &(), _| "no_expiry".into()),
        ];
        assert_eq!(draw_table(&[()], columns, VIEW, false, Some(32)).lines().count(), 2, "it just fits");
        let record = "token   tok_0123456789\nstate   live\nteam    acme\nstatus  no_expiry\n";
        assert_eq!(draw_table(&[(), ()], columns, VIEW, false, Some(31)), format!("{record}\n{record}"));
    }

    #[test]
    fn minor_columns_go_first_from_the_right() {
        let columns = &[
            Column::text("TOKEN", |(): &(), _| "tok_0123456789".into()),
            Column::minor_text("TEAM", |(): &(), _| "acme".into()),
            Column::text("STATE", |(): &(), _| "live".into()),
            Column::minor_number("CALLS", |(): &(), _| 5.into()),
        ];
        let titles = |width| {
            let drawn = draw_table(&[()], columns, VIEW, false, width);
            drawn.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(titles(None), "TOKEN TEAM STATE CALLS");
        assert_eq!(titles(Some(34)), "TOKEN TEAM STATE CALLS");
        assert_eq!(titles(Some(33)), "TOKEN TEAM STATE");
        assert_eq!(titles(Some(26)), "TOKEN STATE");
        assert_eq!(titles(Some(21)), "TOKEN STATE");
    }

    #[test]
    fn empty_fields_are_left_out() {
        assert_eq!(draw_fields(&("", 5), COLUMNS, VIEW, false, None), "calls  5\n");
    }

    #[test]
    fn colour_is_for_those_who_want_it() {
        let columns = &[Column::text("STATE", |_: &(), _| Cell::toned("dead", Tone::Bad))];
        assert_eq!(draw_table(&[()], columns, VIEW, false, None), "STATE\ndead\n");
        assert!(draw_table(&[()], columns, VIEW, true, None).contains('\u{1b}'));
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let drawn = draw_table(&[("a\u{1b}[2Jb", 1)], COLUMNS, VIEW, false, None);
        assert!(!drawn.contains('\u{1b}'), "{drawn:?}");
    }

    #[test]
    fn comma_separated_values_are_for_programs_and_no_formulas() {
        struct Use(&'static str, i64);
        let columns = [
            Column::text("COLLECTION", |one: &Use, _| one.0.into()),
            Column::number("OF ALLOWANCE", |one: &Use, _| one.1.into()),
        ];
        assert_eq!(csv_titles(&columns), "collection,of_allowance\n");
        let view = View { now: Timestamp::EPOCH, detail: false };
        for (text, number, expected) in [
            ("brand", 1_234_567, "brand,1234567\n"),
            ("a,\"b\"", 0, "\"a,\"\"b\"\"\",0\n"),
            ("=SUM(A1)", -5, "'=SUM(A1),-5\n"),
        ] {
            assert_eq!(csv_line(&Use(text, number), &columns, view), expected);
        }
    }
}
