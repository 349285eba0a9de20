//! Where the pictures go: drawn over one another on a terminal, as lines elsewhere. Never both.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossterm::{QueueableCommand, cursor, terminal};

use crate::app::demo::board::Board;
use crate::app::demo::view::{Picture, Style, draw, event_line, plain};

/// How often a terminal is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// How often lines are written.
const LINES_EVERY: Duration = Duration::from_secs(2);
/// Events are written as they come, looked for this often.
const EVENTS_EVERY: Duration = Duration::from_millis(250);

/// Where the pictures go.
pub enum Screen {
    /// A terminal.
    Live {
        /// Lines of the last picture.
        drawn: u16,
        /// Whether colour is used.
        color: bool,
    },
    /// Anything else: lines to stdout, or to stderr where stdout is for a program.
    Lines {
        /// Whether stdout is left alone.
        to_stderr: bool,
        /// When the last lines were written.
        written: Option<Duration>,
        /// Events that were written.
        seen: u64,
    },
}

impl Screen {
    /// The right one for this process.
    pub fn of_process(json: bool) -> Screen {
        if json || !std::io::stdout().is_terminal() {
            return Screen::Lines { to_stderr: json, written: None, seen: 0 };
        }
        Screen::Live { drawn: 0, color: uses_color() }
    }

    /// How long until the next picture.
    pub fn interval(&self) -> Duration {
        match self {
            Screen::Live { .. } => DRAW_EVERY,
            Screen::Lines { .. } => EVENTS_EVERY,
        }
    }

    /// Shows a picture. A terminal that went away is no reason to stop.
    pub fn show(&mut self, picture: &Picture, board: &Board) {
        let _ = match self {
            Screen::Live { drawn, color } => draw_over(picture, drawn, *color),
            Screen::Lines { to_stderr, written, seen } => {
                let (events, now_seen) = board.events_after(*seen);
                *seen = now_seen;
                let mut lines: Vec<String> = events.iter().map(event_line).collect();
                if written.is_none_or(|at| picture.elapsed.saturating_sub(at) >= LINES_EVERY) {
                    *written = Some(picture.elapsed);
                    lines.extend(plain(picture));
                }
                write_lines(&lines, *to_stderr)
            }
        };
    }
}

/// Whether people want colour: see <https://no-color.org>.
pub fn uses_color() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused
}

/// The size of the terminal; a usual one where it is not known.
pub fn size() -> (usize, usize) {
    terminal::size().map_or((100, 30), |(width, height)| (usize::from(width.max(1)), usize::from(height.max(2))))
}

fn draw_over(picture: &Picture, drawn: &mut u16, color: bool) -> std::io::Result<()> {
    let (width, height) = size();
    let lines = draw(picture, Style { width, height, color });
    let mut out = std::io::stdout().lock();
    out.queue(terminal::BeginSynchronizedUpdate)?;
    let up = (*drawn).min(u16::try_from(height).unwrap_or(u16::MAX).saturating_sub(1));
    if up > 0 {
        out.queue(cursor::MoveToPreviousLine(up))?;
    }
    for line in &lines {
        write!(out, "{line}")?;
        out.queue(terminal::Clear(terminal::ClearType::UntilNewLine))?;
        out.write_all(b"\n")?;
    }
    out.queue(terminal::Clear(terminal::ClearType::FromCursorDown))?;
    out.queue(terminal::EndSynchronizedUpdate)?;
    out.flush()?;
    *drawn = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    Ok(())
}

fn write_lines(lines: &[String], to_stderr: bool) -> std::io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.join("\n");
    match to_stderr {
        true => writeln!(std::io::stderr().lock(), "{text}"),
        false => writeln!(std::io::stdout().lock(), "{text}"),
    }
}
