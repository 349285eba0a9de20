//! What people see while it runs: a table that is drawn anew four times a second on a terminal, plain lines elsewhere.
//!
//! What is drawn is made by pure functions of a [`Picture`]; colour only repeats what a word says.

use std::time::Duration;

use crate::app::demo::board::{Event, RowKey};

/// The width below which columns are left out, and the widest that is used.
const NARROW: usize = 110;
const WIDEST: usize = 140;
/// Cells of the bar of credit.
const BAR: usize = 12;
/// Events under the table.
const EVENTS_SHOWN: usize = 7;

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
    /// What open alerts say.
    pub alerts: Vec<String>,
    /// The latest events, the oldest first.
    pub events: Vec<Event>,
}

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whose, and of which credit.
    pub key: RowKey,
    /// Live tokens that serve the class.
    pub tokens: i32,
    /// Credit that may be spent in the present windows.
    pub left: u64,
    /// What may be spent in a whole window.
    pub cap: u64,
    /// Calls served in the last second.
    pub rate: f64,
    /// Requests refused so far.
    pub refused: u64,
    /// Calls that wait.
    pub waiting: u64,
    /// The load.
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

    /// The word for people, all of one width.
    fn word(self) -> &'static str {
        match self {
            Level::Ok => "ok       ",
            Level::High => "HIGH     ",
            Level::Critical => "TOO HIGH ",
            Level::NoTokens => "NO TOKENS",
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
        if !self.color {
            return text.to_owned();
        }
        let code = match paint {
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
    let width = style.width.clamp(40, WIDEST);
    let mut lines = vec![heading(picture, width, style), String::new(), style.paint(Paint::Bold, &header(width))];
    let mut team = "";
    for line in &picture.lines {
        let shown = if line.key.team == team { "" } else { line.key.team };
        team = line.key.team;
        lines.push(row(line, shown, width, style));
    }
    lines.push(String::new());
    lines.extend(banner(picture, width, style));
    lines.push(String::new());
    let room = style.height.saturating_sub(lines.len() + 1).min(EVENTS_SHOWN);
    let texts: Vec<String> =
        picture.events.iter().flat_map(|event| wrap(&event_line(event), width, "        ")).collect();
    let skip = texts.len().saturating_sub(room);
    lines.extend(texts[skip..].iter().map(|text| style.paint(Paint::Dim, text)));
    lines.truncate(style.height.saturating_sub(1).max(1));
    lines
}

fn heading(picture: &Picture, width: usize, style: Style) -> String {
    let done = picture.elapsed.as_secs_f64() / picture.whole.as_secs_f64().max(0.001);
    let left = format!("token-broker demo   {} ", bar(done, 20));
    let text = format!(
        "{left}{:>3.0} of {:.0} s   time runs {} × faster in the simulated networks",
        picture.elapsed.as_secs_f64(),
        picture.whole.as_secs_f64(),
        picture.speed
    );
    style.paint(Paint::Bold, &cut(&text, width))
}

fn header(width: usize) -> String {
    let full = format!(
        "{:<8}{:<11}{:<15}{:>6}  {:<24}{:>8}{:>9}{:>9}   {}",
        "team", "network", "credit of", "tokens", "credit left", "calls/s", "refused", "waiting", "load"
    );
    let narrow = format!(
        "{:<8}{:<11}{:>6}{:>12}{:>8}{:>9}   {}",
        "team", "network", "tokens", "left", "calls/s", "waiting", "load"
    );
    cut(if width < NARROW { &narrow } else { &full }, width)
}

fn row(line: &Line, team: &str, width: usize, style: Style) -> String {
    let ratio = line.ratio.map_or_else(|| "   –".to_owned(), |ratio| format!("{:>4}", two_decimals(ratio)));
    let load = style.paint(line.level.paint(), &format!("{ratio} {}", line.level.word()));
    let part = line.left as f64 / line.cap.max(1) as f64;
    if width < NARROW {
        let network = line.key.network;
        return format!(
            "{team:<8}{network:<11}{:>6}{:>12}{:>8.1}{:>9}   {load}",
            line.tokens, line.left, line.rate, line.waiting
        );
    }
    let credit = format!("{} {:>5} of {}", bar(part, BAR), line.left, line.cap);
    format!(
        "{team:<8}{:<11}{:<15}{:>6}  {credit:<24}{:>8.1}{:>9}{:>9}   {load}",
        line.key.network, line.key.class, line.tokens, line.rate, line.refused, line.waiting
    )
}

fn banner(picture: &Picture, width: usize, style: Style) -> Vec<String> {
    if picture.alerts.is_empty() {
        return vec![style.paint(Paint::Green, "No alert is open.")];
    }
    let texts = picture.alerts.iter().flat_map(|alert| wrap(&format!("! {alert}"), width, "  "));
    texts.map(|text| style.paint(Paint::Red, &text)).collect()
}

/// One line for each team, for those who have no terminal.
pub fn plain(picture: &Picture) -> Vec<String> {
    let mut teams: Vec<&str> = picture.lines.iter().map(|line| line.key.team).collect();
    teams.dedup();
    let of_team = |team: &&str| {
        let rows = picture.lines.iter().filter(|line| line.key.team == *team);
        let parts: Vec<String> = rows
            .map(|line| {
                let ratio = line.ratio.map_or_else(|| "–".to_owned(), two_decimals);
                format!(
                    "{}/{}: {} tokens, {} left, {:.0}/s, {} waiting, load {ratio} {}",
                    line.key.network,
                    line.key.class,
                    line.tokens,
                    line.left,
                    line.rate,
                    line.waiting,
                    line.level.as_str()
                )
            })
            .collect();
        format!("{:>5.1}s  {team}: {}", picture.elapsed.as_secs_f64(), parts.join(" | "))
    };
    teams.iter().map(of_team).collect()
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
        let line = |team, network, class, level| Line {
            key: RowKey { team, network, class },
            tokens: 3,
            left: 405,
            cap: 810,
            rate: 27.4,
            refused: 12,
            waiting: 34,
            ratio: Some(1.25),
            level,
        };
        Picture {
            elapsed: Duration::from_secs(30),
            whole: Duration::from_secs(75),
            speed: 60,
            lines: vec![
                line("acme", "x", "search_recent", Level::Critical),
                line("acme", "facebook", "calls", Level::Ok),
                line("globex", "pinterest", "org_analytics", Level::NoTokens),
            ],
            alerts: vec!["The token load of team acme on x is too high. ".repeat(4).trim().to_owned()],
            events: (0..20)
                .map(|second| Event { at: Duration::from_secs(second), text: format!("event {second}") })
                .collect(),
        }
    }

    #[test]
    fn nothing_is_wider_or_higher_than_the_terminal() {
        for (width, height) in [(40, 10), (80, 24), (100, 30), (120, 40), (200, 60)] {
            let lines = draw(&picture(), Style { width, height, color: false });
            assert!(lines.len() < height, "{width}×{height}: {} lines", lines.len());
            let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(width < 80 || widest <= width, "{width}×{height}: {widest} columns\n{}", lines.join("\n"));
        }
    }

    #[test]
    fn colour_only_repeats_what_words_say() {
        let plain = draw(&picture(), Style { width: 120, height: 40, color: false }).join("\n");
        let coloured = draw(&picture(), Style { width: 120, height: 40, color: true }).join("\n");
        assert!(!plain.contains('\x1b'));
        let mut stripped = coloured.clone();
        for code in ["1", "2", "32", "33", "1;31", "0"] {
            stripped = stripped.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(stripped, plain);
        assert!(plain.contains("TOO HIGH") && plain.contains("NO TOKENS"), "{plain}");
    }

    #[test]
    fn the_team_is_named_once_and_the_latest_events_are_shown() {
        let lines = draw(&picture(), Style { width: 120, height: 40, color: false });
        assert_eq!(lines.iter().filter(|line| line.starts_with("acme")).count(), 1);
        assert!(lines.last().unwrap().ends_with("event 19"));
    }

    #[test]
    fn plain_lines_name_all_that_is_collected() {
        let lines = plain(&picture());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("acme: x/search_recent: 3 tokens, 405 left, 27/s, 34 waiting, load 1.25 critical"));
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
