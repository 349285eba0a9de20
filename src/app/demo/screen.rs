//! Where the pictures go: drawn over one another on a terminal, as lines elsewhere. Never both.
//!
//! A terminal is given back as it was, with the last picture above whatever is written next, however the demonstration ends.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crossterm::{QueueableCommand, cursor, terminal};

use crate::app::demo::board::Board;
use crate::app::demo::view::{Picture, Style, draw, event_line, plain};

/// How often a terminal is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);
/// How often lines are written.
const LINES_EVERY: Duration = Duration::from_secs(5);
/// Events are written as they come, looked for this often.
const EVENTS_EVERY: Duration = Duration::from_millis(250);

/// Where the pictures go.
pub enum Screen {
    /// A terminal.
    Live(Live),
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
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if json || is_dumb || !std::io::stdout().is_terminal() {
            return Screen::Lines { to_stderr: json, written: None, seen: 0 };
        }
        Screen::Live(Live::begin(uses_color()))
    }

    /// How long until the next picture.
    pub fn interval(&self) -> Duration {
        match self {
            Screen::Live(_) => DRAW_EVERY,
            Screen::Lines { .. } => EVENTS_EVERY,
        }
    }

    /// Shows a picture. A terminal that went away is no reason to stop.
    pub fn show(&mut self, picture: &Picture, board: &Board) {
        let _ = match self {
            Screen::Live(live) => live.draw(picture),
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

/// A terminal that is drawn on: on a screen of its own, which leaves nothing behind.
pub struct Live {
    color: bool,
    last: Vec<String>,
}

impl Live {
    fn begin(color: bool) -> Live {
        // A terminal that can't do it shows the pictures on its only screen.
        let _ = begin_drawing();
        Live { color, last: Vec::new() }
    }

    fn draw(&mut self, picture: &Picture) -> std::io::Result<()> {
        let (width, height) = size();
        self.last = draw(picture, Style { width, height, color: self.color });
        let mut out = std::io::stdout().lock();
        out.queue(terminal::BeginSynchronizedUpdate)?.queue(cursor::MoveTo(0, 0))?;
        for line in &self.last {
            write!(out, "{line}")?;
            out.queue(terminal::Clear(terminal::ClearType::UntilNewLine))?;
            out.write_all(b"\r\n")?;
        }
        out.queue(terminal::Clear(terminal::ClearType::FromCursorDown))?;
        out.queue(terminal::EndSynchronizedUpdate)?;
        out.flush()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A terminal that went away needs nothing.
        let _ = end_drawing(&self.last);
    }
}

fn begin_drawing() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.queue(terminal::EnterAlternateScreen)?.queue(cursor::Hide)?;
    out.flush()
}

fn end_drawing(last: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.queue(terminal::LeaveAlternateScreen)?.queue(cursor::Show)?;
    for line in last {
        writeln!(out, "{line}")?;
    }
    out.flush()
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
