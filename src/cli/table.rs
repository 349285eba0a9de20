//! Tables for people. A table is described by its columns: a title, an alignment and a function from a row to a cell.

use comfy_table::{Attribute, Cell as Drawn, CellAlignment, Color, ContentArrangement, Table, TableStyle};

use super::times;
use crate::base::clock::Timestamp;

/// One column of a table, or one field of a single thing.
pub struct Column<T> {
    title: &'static str,
    align: CellAlignment,
    cell: fn(&T, View) -> Cell,
}

impl<T> Column<T> {
    /// Text, aligned to the left.
    pub const fn text(title: &'static str, cell: fn(&T, View) -> Cell) -> Self {
        Self { title, align: CellAlignment::Left, cell }
    }

    /// A number, aligned to the right.
    pub const fn number(title: &'static str, cell: fn(&T, View) -> Cell) -> Self {
        Self { title, align: CellAlignment::Right, cell }
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

/// Rows under their titles. Without a width nothing is wrapped.
pub fn draw_table<T>(rows: &[T], columns: &[Column<T>], view: View, color: bool, width: Option<u16>) -> String {
    let mut table = empty_table(color, width);
    table.set_header(columns.iter().map(|column| title(column).set_alignment(column.align)));
    for row in rows {
        table.add_row(columns.iter().map(|column| drawn((column.cell)(row, view)).set_alignment(column.align)));
    }
    finish(table)
}

/// The fields of one thing, one below the other; empty ones are left out.
pub fn draw_fields<T>(record: &T, fields: &[Column<T>], view: View, color: bool, width: Option<u16>) -> String {
    let mut table = empty_table(color, width);
    for field in fields {
        let cell = (field.cell)(record, view);
        if !cell.text.is_empty() {
            table.add_row([title(field), drawn(cell)]);
        }
    }
    finish(table)
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

/// Two spaces between columns, none around them.
fn finish(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
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
    fn narrow_terminals_wrap() {
        let drawn = draw_table(&[("a fairly long name", 5)], COLUMNS, VIEW, false, Some(20));
        assert!(drawn.lines().count() > 2, "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() <= 20), "{drawn}");
    }

    #[test]
    fn empty_fields_are_left_out() {
        assert_eq!(draw_fields(&("", 5), COLUMNS, VIEW, false, None), "CALLS  5\n");
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
}
