//! What the commands that need no running broker show: tables for people, JSON for programs.

use serde_json::{Value, json};

use super::failure::Failure;
use super::options::OutputOptions;
use super::table::{Cell, Column, Tone};
use super::terminal::{Format, Terminal};
use crate::app::Simulated;
use crate::base::clock::{Clock, SystemClock};
use crate::base::ids::NetworkId;
use crate::config::{ConfigErrors, Mistake, Origin};
use crate::sim::{ServedNetwork, TokenSpec};
use crate::store::{Finding, Severity};

const FINDINGS: &[Column<Finding>] = &[
    Column::text("RESULT", |one, _| result(one.severity)),
    Column::text("CHECK", |one, _| one.check.into()),
    Column::text("FOUND", |one, _| one.message.as_str().into()),
];

/// A simulated token and its network.
const TOKENS: &[Column<(NetworkId, TokenSpec)>] = &[
    Column::text("NETWORK", |(network, _), _| network.to_string().into()),
    Column::text("KIND", |(_, token), _| token.kind.to_string().into()),
    Column::text("PERSON", |(_, token), _| token.person.as_str().into()),
    Column::text("TOKEN", |(_, token), _| token.secret.as_str().into()),
];

fn result(severity: Severity) -> Cell {
    match severity {
        Severity::Fine => Cell::toned("fine", Tone::Good),
        Severity::Warning => Cell::toned("warning", Tone::Warning),
        Severity::Error => Cell::toned("error", Tone::Bad),
    }
}

/// Text as it is: an example, a script.
pub fn show_text(text: &str, output: OutputOptions) -> anyhow::Result<()> {
    quietly(terminal(output).text(text))
}

/// What the doctor found.
pub fn show_findings(findings: &[Finding], output: OutputOptions) -> anyhow::Result<()> {
    let mut terminal = terminal(output);
    let as_json =
        |one: &Finding| json!({"result": result(one.severity).text(), "check": one.check, "found": one.message});
    quietly(match terminal.format {
        Format::Table => terminal.table(findings, FINDINGS),
        _ => list(&mut terminal, findings.iter().map(as_json)),
    })
}

/// The mistakes of a configuration, or that it has none.
pub fn show_mistakes(errors: Option<&ConfigErrors>, output: OutputOptions) -> anyhow::Result<()> {
    let mut terminal = terminal(output);
    let mistakes = errors.map(ConfigErrors::mistakes).unwrap_or_default();
    quietly(match (terminal.format, errors) {
        (Format::Table, None) => terminal.say("the configuration has no mistakes"),
        (Format::Table, Some(errors)) => {
            terminal.notice(&format!("error: {errors}"));
            Ok(())
        }
        _ => list(&mut terminal, mistakes.iter().map(mistake_json)),
    })
}

fn mistake_json(mistake: &Mistake) -> Value {
    let (place, line) = match &mistake.origin {
        Origin::File { name, line } => (name.to_string(), Some(*line).filter(|line| *line > 0)),
        other => (other.to_string(), None),
    };
    json!({"place": place, "line": line, "field": mistake.field, "problem": mistake.problem})
}

/// The simulated networks, and how to call them.
pub fn show_simulation(simulated: &Simulated, output: OutputOptions) -> anyhow::Result<()> {
    let mut terminal = terminal(output);
    let Simulated { address, speed, networks, example } = simulated;
    if terminal.format != Format::Table {
        let all = json!({"url": format!("http://{address}"), "speed": speed, "networks": networks, "example": example});
        return quietly(terminal.json(&all));
    }
    let of_network = |served: &ServedNetwork| {
        let network = served.network.clone();
        served.tokens.clone().into_iter().map(move |token| (network.clone(), token))
    };
    let rows: Vec<_> = networks.iter().flat_map(of_network).collect();
    let mut text = format!(
        "Simulated networks at http://{address}, {speed} x real time; stop them with ctrl-c.\n\
         http://{address}/NETWORK takes the place of a network's API base.\n\
         What it counted: GET /_sim/report. Faults on request: POST /_sim/faults.\n"
    );
    if let Some(example) = example {
        text.push_str(&format!("\nTry:  {example}\n"));
    }
    quietly(terminal.text(&format!("{text}\n")).and_then(|()| terminal.table(&rows, TOKENS)))
}

fn terminal(output: OutputOptions) -> Terminal {
    let OutputOptions { output, color, quiet } = output;
    Terminal::of_process(output, color, quiet, SystemClock::start().now())
}

fn list(terminal: &mut Terminal, items: impl Iterator<Item = Value>) -> Result<(), Failure> {
    match terminal.format {
        Format::Jsonl => items.into_iter().try_for_each(|item| terminal.json(&item)),
        _ => terminal.json(&items.collect()),
    }
}

/// A reader of the output that has gone is no failure.
fn quietly(shown: Result<(), Failure>) -> anyhow::Result<()> {
    match shown {
        Err(failure) if !failure.is_broken_pipe() => Err(failure.into()),
        _ => Ok(()),
    }
}
