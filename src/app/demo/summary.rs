//! The summary for people.

use crate::app::demo::outcome::{AlertLine, Outcome};
use crate::app::demo::view::wrap;

/// The summary, in lines of at most `width` characters.
pub fn summary(outcome: &Outcome, width: usize) -> String {
    let width = width.clamp(40, 110);
    let mut lines = vec![String::new(), "What was shown".to_owned()];
    lines.extend(fact(&setting(outcome), width));
    lines.extend(fact(&promise(outcome), width));
    lines.extend(fact(&credit(outcome), width));
    lines.extend(fact(&latency(outcome), width));
    for alert in &outcome.alerts {
        lines.extend(fact(&of_alert(alert), width));
    }
    lines.push(String::new());
    lines.push("What to try next".to_owned());
    lines.extend(NEXT.map(|(command, what)| format!("  {command:<44} {what}")));
    lines.push(String::new());
    lines.push(match outcome.broken_promise() {
        None => "OK: nothing was throttled, nothing over-granted.".to_owned(),
        Some(why) => format!("FAILED: {why}."),
    });
    lines.join("\n")
}

const NEXT: [(&str, &str); 5] = [
    ("token-broker serve", "the real thing, with an embedded store"),
    ("token-broker token import --help", "bring your tokens"),
    ("token-broker lease acquire --help", "lease one by hand, as a worker would"),
    ("token-broker load show --help", "see a team's token load"),
    ("token-broker simulate --network x", "the simulated networks alone, to write collectors against"),
];

fn fact(text: &str, width: usize) -> Vec<String> {
    wrap(&format!("  • {text}"), width, "    ")
}

fn setting(outcome: &Outcome) -> String {
    format!(
        "Two teams collected from X, Facebook, YouTube and Pinterest for {:.0} s over the public gRPC API and real HTTP. The networks \
         were simulated with their documented limits; time ran {} × faster there, so that {:.0} minutes passed.",
        outcome.duration_s,
        outcome.speed,
        outcome.duration_s * f64::from(outcome.speed) / 60.0
    )
}

fn promise(outcome: &Outcome) -> String {
    format!(
        "{} calls were served. {} were refused for a limit by a network; {} units of credit were granted beyond the limits less the \
         owner's reserve of 10 %.",
        outcome.calls_ok, outcome.throttled, outcome.over_grants
    )
}

fn credit(outcome: &Outcome) -> String {
    let Some(utilisation) = outcome.utilisation else {
        return "Demand never waited for credit, so nothing can be said of how well credit was used.".to_owned();
    };
    let parts: Vec<String> = outcome
        .networks
        .iter()
        .filter_map(|one| Some(format!("{} {} {:.1} %", one.network, one.class, one.utilisation? * 100.0)))
        .collect();
    format!(
        "While demand was waiting, {:.1} % of the usable credit was used ({}).",
        utilisation * 100.0,
        parts.join(", ")
    )
}

fn latency(outcome: &Outcome) -> String {
    let leases = &outcome.leases;
    format!(
        "{} leases were opened, each durable before its answer; {} requests were told to wait. A lease for which there was credit took \
         {:.1} ms (median) and {:.1} ms (99 of 100), in real time.",
        leases.opened, leases.refused, leases.p50_ms, leases.p99_ms
    )
}

fn of_alert(alert: &AlertLine) -> String {
    let end = match &alert.cleared_at {
        Some(_) => "it opened and cleared",
        None => "it is still open",
    };
    format!("Alert {} ({end}): {}", alert.kind, alert.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::demo::outcome::tests::outcome;

    #[test]
    fn it_says_what_a_reader_wants_to_know() {
        let text = summary(&outcome(), 100);
        for said in
            ["60 × faster", "75 minutes", "98.7 %", "1.2 ms", "2 more x tokens", "opened and cleared", "serve", "OK: "]
        {
            assert!(text.replace("\n    ", " ").contains(said), "{said}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    }

    #[test]
    fn a_broken_promise_is_named() {
        let broken = Outcome { throttled: 3, ..outcome() };
        assert!(summary(&broken, 100).contains("FAILED: the networks refused 3 calls for a limit."));
    }
}
