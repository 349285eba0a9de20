//! What the commands that need no running broker show: tables for people, JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::failure::Failure;
use super::options::OutputOptions;
use super::table::{Cell, Column, Tone};
use super::terminal::{Format, Terminal};
use crate::app::Simulated;
use crate::base::clock::{Clock, SystemClock};
use crate::base::hex::push_hex;
use crate::config::{ConfigErrors, Mistake, Origin};
use crate::domain::audit::Actor;
use crate::sim::{ServedNetwork, TokenSpec};
use crate::store::{AuditRow, Finding, Severity};

const FINDINGS: &[Column<Finding>] = &[
    Column::text("RESULT", |one, _| result(one.severity)),
    Column::text("CHECK", |one, _| one.check.into()),
    Column::text("FOUND", |one, _| one.message.as_str().into()),
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

/// Writes events of the audit as JSON lines.
pub struct EventWriter(Terminal);

impl EventWriter {
    /// To stdout.
    pub fn new(output: OutputOptions) -> Self {
        Self(terminal(output))
    }

    /// One event. Returns whether the reader of the output is still there.
    pub fn write(&mut self, event: &AuditRow) -> anyhow::Result<bool> {
        let written = self.0.write(&format!("{}\n", event_json(event)));
        still_read(written)
    }

    /// Ends the output.
    pub fn finish(mut self) -> anyhow::Result<()> {
        still_read(self.0.flush()).map(drop)
    }
}

fn still_read(written: Result<(), Failure>) -> anyhow::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(failure) if failure.is_broken_pipe() => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}

fn event_json(event: &AuditRow) -> Value {
    let AuditRow { seq, mac, id, at, actor, action, team, subject, detail } = event;
    let actor = match actor {
        Some(Actor::Operator(key)) => format!("keys/{key}"),
        Some(Actor::Collector(id)) => {
            format!("teams/{}/collectors/{id}", team.as_ref().map_or("-", |team| team.as_str()))
        }
        Some(Actor::Member(id)) => format!("teams/{}/members/{id}", team.as_ref().map_or("-", |team| team.as_str())),
        Some(Actor::Broker) => "broker".to_owned(),
        None => "unreadable".to_owned(),
    };
    let mac = mac.map(|mac| {
        let mut digits = String::with_capacity(64);
        push_hex(&mut digits, &mac);
        digits
    });
    json!({
        "seq": seq, "id": id.to_string(), "time": at.to_string(), "actor": actor, "action": action,
        "team": team.as_ref().map(|team| team.as_str()), "resource": subject, "details": detail, "mac": mac,
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
    let Simulated { address, seed, speed, networks, .. } = simulated;
    if terminal.format != Format::Table {
        let url = format!("http://{address}");
        let example = networks.iter().find_map(example);
        let all = json!({"url": url, "seed": seed, "speed": speed, "networks": networks, "example": example});
        return quietly(terminal.json(&all));
    }
    quietly(terminal.text(&simulation(simulated)))
}

fn terminal(output: OutputOptions) -> Terminal {
    let OutputOptions { output, color, quiet } = output;
    Terminal::of_process(output, color, quiet, SystemClock::start().now())
}

fn list(terminal: &mut Terminal, items: impl Iterator<Item = Value>) -> Result<(), Failure> {
    match terminal.format {
        Format::Jsonl | Format::Csv => items.into_iter().try_for_each(|item| terminal.json(&item)),
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

/// What is served, for people. Operations only of networks that were named: those of all are more than a screen holds.
fn simulation(simulated: &Simulated) -> String {
    let Simulated { address, seed, speed, networks, named } = simulated;
    let mut text = format!(
        "Simulated networks at http://{address}, {speed} x real time, seed {seed}. Stop with ctrl-c.\n\
         \n  all of this as JSON:  curl http://{address}/_sim/networks\n  \
         the networks' books:  curl http://{address}/_sim/report\n  \
         a fault:              curl http://{address}/_sim/faults -d '{}'\n",
        EXAMPLE_FAULT.replace("NETWORK", networks.first().map_or("x", |one| one.network.as_str()))
    );
    for network in networks {
        tell(&mut text, network, *named).expect("a text takes everything");
    }
    if !named {
        text.push_str("\nName networks with --network to see their operations here.\n");
    }
    text
}

const EXAMPLE_FAULT: &str = r#"{"network":"NETWORK","fault":{"kind":"drop_replies","share":0.1}}"#;

fn tell(text: &mut String, network: &ServedNetwork, in_full: bool) -> std::fmt::Result {
    writeln!(text, "\n{}  {}  stands for {}", network.display_name, network.base_url, network.stands_for)?;
    for TokenSpec { kind, person, profiles, secret, .. } in &network.tokens {
        writeln!(text, "  token  {kind:<16} {person:<10} {:<12} {secret}", profiles.join(","), kind = kind.as_str())?;
    }
    if !in_full {
        return Ok(());
    }
    for (kind, endpoints) in &network.oauth {
        for (what, url) in endpoints {
            writeln!(text, "  oauth  {kind:<16} {what:<10} {url}")?;
        }
    }
    for operation in &network.operations {
        let costs: Vec<String> = operation.costs.iter().map(|(class, units)| format!("{units} {class}")).collect();
        let path = operation.url.strip_prefix(&network.base_url).unwrap_or(&operation.url);
        let id = operation.operation.as_str();
        writeln!(text, "  call   {id:<32} {:<6} {path:<56} {}", operation.method, costs.join(", "))?;
    }
    if let Some(example) = example(network) {
        writeln!(text, "  try    {example}")?;
    }
    Ok(())
}

/// A call that can be tried as it stands: a reading one without a part that varies, by a person if there is one who may.
fn example(network: &ServedNetwork) -> Option<String> {
    let reads = network.operations.iter().filter(|one| one.method == "GET" && !one.url.contains(['{', '?']));
    let mut calls = reads.flat_map(|operation| {
        let may = |token: &&TokenSpec| operation.kinds.is_empty() || operation.kinds.contains(&token.kind);
        network.tokens.iter().filter(may).map(|token| (token, operation.url.as_str()))
    });
    let first = calls.next()?;
    let by_a_person = |call: &(&TokenSpec, &str)| call.0.kind.as_str() != "app";
    let (token, url) = if by_a_person(&first) { first } else { calls.find(by_a_person).unwrap_or(first) };
    Some(format!("curl -i -H 'Authorization: Bearer {}' {url}", token.secret))
}
