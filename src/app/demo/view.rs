//! What people see while it runs: a table that is drawn anew four times a second on a terminal, plain lines elsewhere.
//!
//! What is drawn is made by pure functions of a [`Picture`]; colour only repeats what a word says. On a terminal of 80 columns and 24
//! rows everything has its place; more room shows more of what happened.

use std::time::Duration;

use crate::app::demo::board::{Event, RowKey};

/// The narrowest and the widest picture.
const NARROWEST: usize = 40;
const WIDEST: usize = 120;
/// The widths from which there is room for all columns, and for what the credit is a part of.
const ALL_COLUMNS: usize = 79;
const WIDE: usize = 100;
/// Rows of the terminal that the latest events get in any case.
const EVENTS_KEPT: usize = 4;
/// Events that are shown at most.
const EVENTS_SHOWN: usize = 12;

/// Everything that is shown at one moment.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// How long it has run and will run, by the machine's clock.
    pub elapsed: Duration,
    /// The whole.
    pub whole: Duration,
    /// How much faster the networks' time runs.
    pub speed: u32,
    /// One per team, network and class.
    pub lines: Vec<Line>,
    /// What open alerts say, the latest first.
    pub alerts: Vec<String>,
    /// The latest events, the oldest first.
    pub events: Vec<Event>,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whose, and of which credit.
    pub key: RowKey,
    /// The credit as people call it.
    pub label: &'static str,
    /// Live tokens that serve the class.
    pub tokens: usize,
    /// Credit that may be spent in the present windows.
    pub left: u64,
    /// What may be spent in a whole window.
    pub cap: u64,
    /// Calls served in a second.
    pub rate: f64,
    /// Calls that the network refused for a limit.
    pub refused: u64,
    /// Calls that wait for credit.
    pub waiting: u64,
    /// The load; `None` while it is not known, and where demand meets no token.
    pub ratio: Option<f64>,
    /// Where it stands.
    pub level: Level,
}

/// Where a load stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Level {
    /// The tokens carry it.
    #[default]
    Ok,
    /// Too high.
    High,
    /// Collection falls behind.
    Critical,
    /// No token.
    NoTokens,
}

impl Level {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::High => "high",
            Level::Critical => "critical",
            Level::NoTokens => "no_tokens",
        }
    }

    /// The word for people.
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::High => "HIGH",
            Level::Critical => "TOO HIGH",
            Level::NoTokens => "NO TOKEN",
        }
    }

    fn paint(self) -> Paint {
        match self {
            Level::Ok => Paint::Green,
            Level::High => Paint::Yellow,
            Level::Critical | Level::NoTokens => Paint::Red,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

/// How it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Rows of the terminal.
    pub height: usize,
    /// Whether colour may be used.
    pub color: bool,
}

impl Style {
    fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.color || paint == Paint::Plain {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Plain => "0",
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Red => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The whole picture, one string per line of the terminal, none wider than it.
pub fn draw(picture: &Picture, style: Style) -> Vec<String> {
    let width = style.width.saturating_sub(1).clamp(NARROWEST, WIDEST);
    let mut lines = vec![heading(picture, width, style), String::new(), style.paint(Paint::Dim, &header(width))];
    let mut team = "";
    for line in &picture.lines {
        let shown = if line.key.team == team { "" } else { line.key.team };
        team = line.key.team;
        lines.push(row(line, shown, width, style));
    }
    lines.push(String::new());
    let room = style.height.saturating_sub(lines.len() + EVENTS_KEPT + 4);
    lines.extend(banner(picture, width, room, style));
    lines.push(String::new());
    let room = style.height.saturating_sub(lines.len() + 3).min(EVENTS_SHOWN);
    lines.extend(events(picture, width, room, style));
    lines.push(String::new());
    let legend = if width < ALL_COLUMNS { SHORT_LEGEND } else { LEGEND };
    lines.push(style.paint(Paint::Dim, &cut(legend, width)));
    lines.truncate(style.height.saturating_sub(1).max(1));
    lines
}

/// What the columns mean.
const LEGEND: &str = "load: credit asked for / given   waiting: for credit   refused: by the network";
/// What the columns mean that there is room for.
const SHORT_LEGEND: &str = "load: credit asked for / given   waiting: for credit";

fn heading(picture: &Picture, width: usize, style: Style) -> String {
    let done = picture.elapsed.as_secs_f64() / picture.whole.as_secs_f64().max(0.001);
    let (elapsed, whole) = (picture.elapsed.as_secs_f64(), picture.whole.as_secs_f64());
    let (bar, pace) = match width {
        ..ALL_COLUMNS => (bar(done, 10), format!("{} × faster", picture.speed)),
        _ => (bar(done, 20), pace(picture.speed)),
    };
    let text = format!("token-broker demo  {bar}  {elapsed:.0} of {whole:.0} s, {pace}");
    style.paint(Paint::Bold, &cut(&text, width))
}

/// How fast time runs, in words.
fn pace(speed: u32) -> String {
    match speed {
        1 => "in real time".to_owned(),
        60 => "a second is a minute".to_owned(),
        _ => format!("time runs {speed} × faster"),
    }
}

fn header(width: usize) -> String {
    let (team, what, tokens, waiting, load) = ("team", "collects", "tokens", "waiting", "load");
    let text = match width {
        ..ALL_COLUMNS => format!("{team:<6} {what:<14} {tokens:>6} {waiting:>7}  {load}"),
        ALL_COLUMNS..WIDE => format!(
            "{team:<6} {what:<14} {tokens:>6} {:>11} {:>7} {:>7} {waiting:>7}  {load}",
            "credit left", "calls/s", "refused"
        ),
        _ => format!(
            "{team:<7} {what:<16} {tokens:>6}   {:<26} {:>7} {:>7} {waiting:>7}   {load}",
            "credit left", "calls/s", "refused"
        ),
    };
    cut(&text, width)
}

fn row(line: &Line, team: &str, width: usize, style: Style) -> String {
    let Line { label, tokens, left, cap, rate, .. } = line;
    let ratio = line.ratio.map_or_else(|| "–".to_owned(), two_decimals);
    let load = format!("{ratio:>4} {}", line.level.word());
    let load = style.paint(line.level.paint(), &cut(&load, width.saturating_sub(38)));
    let count = |count: u64, paint| style.paint(if count > 0 { paint } else { Paint::Plain }, &format!("{count:>7}"));
    let (refused, waiting) = (count(line.refused, Paint::Red), count(line.waiting, Paint::Yellow));
    let credit = |cells| style.paint(line.level.paint(), &bar(*left as f64 / (*cap).max(1) as f64, cells));
    let name = |width: usize| style.paint(Paint::Bold, &format!("{:<width$}", cut(team, width)));
    match width {
        ..ALL_COLUMNS => format!("{} {:<14} {tokens:>6} {waiting}  {load}", name(6), cut(label, 14)),
        ALL_COLUMNS..WIDE => format!(
            "{} {:<14} {tokens:>6} {left:>6} {} {rate:>7.1} {refused} {waiting}  {load}",
            name(6),
            cut(label, 14),
            credit(4),
        ),
        _ => format!(
            "{} {:<16} {tokens:>6}   {} {left:>5} of {cap:<6} {rate:>7.1} {refused} {waiting}   {load}",
            name(7),
            cut(label, 16),
            credit(10),
        ),
    }
}

/// The open alerts, in at most `room` lines.
fn banner(picture: &Picture, width: usize, room: usize, style: Style) -> Vec<String> {
    if picture.alerts.is_empty() {
        return vec![style.paint(Paint::Green, "no alert is open")];
    }
    let mut lines: Vec<String> =
        picture.alerts.iter().flat_map(|alert| wrap(&format!("ALERT  {alert}"), width, "       ")).collect();
    let most = room.max(2);
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = format!("{} …", cut(last, width - 2).trim_end());
        }
    }
    lines.into_iter().map(|text| style.paint(Paint::Red, &text)).collect()
}

/// The latest events, in at most `room` lines; none is begun in its middle.
fn events(picture: &Picture, width: usize, room: usize, style: Style) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for event in picture.events.iter().rev() {
        let lines = wrap(&event_line(event), width, "        ");
        if !shown.is_empty() && shown.len() + lines.len() > room {
            break;
        }
        shown.splice(0..0, lines);
    }
    shown.truncate(room);
    shown.into_iter().map(|text| style.paint(Paint::Plain, &text)).collect()
}

/// One line for each row, for those who have no terminal.
pub fn plain(picture: &Picture) -> Vec<String> {
    let of_row = |line: &Line| {
        let Line { key, label, tokens, left, cap, rate, refused, waiting, ratio, level } = line;
        let ratio = ratio.map_or_else(|| "–".to_owned(), two_decimals);
        format!(
            "{:>5.1}s  {:<7} {label:<14} {tokens} {}, credit {left} of {cap}, {rate:.1} calls/s, {refused} refused, {waiting} \
             waiting, load {ratio} {}",
            picture.elapsed.as_secs_f64(),
            key.team,
            if *tokens == 1 { "token" } else { "tokens" },
            level.word()
        )
    };
    picture.lines.iter().map(of_row).collect()
}

/// An event as people read it.
pub fn event_line(event: &Event) -> String {
    format!("{:>5.1}s  {}", event.at.as_secs_f64(), event.text)
}

/// Two decimals, three digits at most.
fn two_decimals(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}

fn bar(part: f64, cells: usize) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of cells")]
    let full = (part.clamp(0.0, 1.0) * cells as f64).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(cells - full))
}

/// The text, cut to `width` characters.
fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

/// The text in lines of at most `width` characters; all but the first begin with `indent`.
pub fn wrap(text: &str, width: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut is_empty = true;
    for word in text.split(' ') {
        let longer = line.chars().count() + usize::from(!is_empty) + word.chars().count();
        if longer > width && !is_empty {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(&cut(word, width.saturating_sub(indent.chars().count())));
        is_empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let line = |team, class, label, level| Line {
            key: RowKey { team, network: "x", class },
            label,
            tokens: 3,
            left: 25_405,
            cap: 25_920,
            rate: 27.4,
            refused: 12,
            waiting: 34,
            ratio: Some(1.25),
            level,
        };
        let classes = ["X searches", "X tweet counts", "YouTube stats", "YouTube search", "Pinterest pins"];
        let globex = classes.map(|label| line("globex", "calls", label, Level::NoTokens));
        let mut lines = vec![
            line("acme", "search_recent", "X searches", Level::Critical),
            line("acme", "calls", "Facebook pages", Level::Ok),
        ];
        lines.extend(globex);
        Picture {
            elapsed: Duration::from_secs(30),
            whole: Duration::from_secs(75),
            speed: 60,
            lines,
            alerts: vec!["The token load of team acme on x is too high. ".repeat(6).trim().to_owned(); 3],
            events: (0..20)
                .map(|second| Event { at: Duration::from_secs(second), text: format!("event {second}") })
                .collect(),
        }
    }

    fn style(width: usize, height: usize) -> Style {
        Style { width, height, color: false }
    }

    #[test]
    fn nothing_is_wider_or_higher_than_the_terminal() {
        for (width, height) in [(42, 10), (80, 24), (100, 30), (120, 40), (200, 60)] {
            let lines = draw(&picture(), style(width, height));
            assert!(lines.len() < height, "{width}×{height}: {} lines", lines.len());
            let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(widest < width, "{width}×{height}: {widest} columns\n{}", lines.join("\n"));
        }
    }

    #[test]
    fn a_usual_terminal_has_room_for_all_that_matters() {
        let drawn = draw(&picture(), style(80, 24)).join("\n");
        for said in ["credit left", "calls/s", "refused", "waiting", "TOO HIGH", "NO TOKEN", "25405 ████", "…"]
        {
            assert!(drawn.contains(said), "{said}\n{drawn}");
        }
        assert!(drawn.contains("event 19") && drawn.contains("event 17"), "{drawn}");
        assert!(drawn.lines().last().unwrap().starts_with("load: "), "{drawn}");
    }

    #[test]
    fn a_narrow_terminal_cuts_neither_title_nor_legend() {
        let lines = draw(&picture(), style(60, 24));
        assert_eq!(lines[0], "token-broker demo  ████░░░░░░  30 of 75 s, 60 × faster");
        assert_eq!(lines.last().unwrap(), SHORT_LEGEND);
    }

    #[test]
    fn colour_only_repeats_what_words_say() {
        let plain = draw(&picture(), style(120, 40)).join("\n");
        let coloured = draw(&picture(), Style { color: true, ..style(120, 40) }).join("\n");
        assert!(!plain.contains('\x1b'));
        let mut stripped = coloured.clone();
        for code in ["1", "2", "32", "33", "1;31", "0"] {
            stripped = stripped.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(stripped, plain);
        assert!(plain.contains("TOO HIGH") && plain.contains("NO TOKEN"), "{plain}");
    }

    #[test]
    fn the_team_is_named_once_and_events_begin_with_their_time() {
        let mut picture = picture();
        picture.events = (0..9)
            .map(|second| Event {
                at: Duration::from_secs(second),
                text: format!("{second} is told at length. ").repeat(9),
            })
            .collect();
        let lines = draw(&picture, style(80, 24));
        assert_eq!(lines.iter().filter(|line| line.starts_with("acme")).count(), 1);
        let first = lines.iter().rposition(|line| line.is_empty()).map(|end| &lines[..end]).unwrap();
        let begins = first.iter().rposition(|line| line.is_empty()).unwrap() + 1;
        assert!(first[begins].contains("s  "), "{}", lines.join("\n"));
    }

    #[test]
    fn plain_lines_name_all_that_is_collected() {
        let lines = plain(&picture());
        assert_eq!(lines.len(), 7);
        let expected = " 30.0s  acme    X searches     3 tokens, credit 25405 of 25920, 27.4 calls/s, 12 refused, 34 waiting, \
                        load 1.25 TOO HIGH";
        assert_eq!(lines[0], expected);
    }

    #[test]
    fn wrapped_text_keeps_its_words() {
        let text = "one two three four five six";
        let lines = wrap(text, 10, "  ");
        assert!(lines.iter().all(|line| line.chars().count() <= 10), "{lines:?}");
        let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        assert_eq!(words.join(" "), text);
    }
}
