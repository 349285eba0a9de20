//! Whether the settings fit the catalogue: what is set for a network that does not exist would hold for nobody.

use crate::config::Config;
use crate::domain::networks::{Catalogue, Network};

/// Every setting that names what the catalogue does not have: its name, and what is wrong with it.
pub fn misfits(config: &Config, catalogue: &Catalogue) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (id, settings) in &config.networks {
        let field = format!("networks.{id}");
        let Some(network) = catalogue.network(id.as_str()) else {
            let problem = "the catalogue has no such network; correct the name, or add a catalogue file for it";
            found.push((field, problem.to_owned()));
            continue;
        };
        for (section, limits) in [("safe_start", &settings.safe_start), ("budget", &settings.budget)] {
            let unknown = limits.keys().filter(|class| network.class(class.as_str()).is_none());
            found.extend(unknown.map(|class| (format!("{field}.{section}.{class}"), no_class(network))));
        }
        let known = facts(network);
        let unknown = settings.facts.keys().filter(|fact| !known.contains(&fact.as_str()));
        found.extend(unknown.map(|fact| (format!("{field}.facts.{fact}"), no_fact(&known))));
    }
    found
}

/// The facts that limits of a network are worked out from.
pub fn facts(network: &Network) -> Vec<&str> {
    let limits = network.classes.iter().flat_map(|class| &class.limits);
    let mut facts: Vec<_> = limits.filter_map(|limit| limit.amount.fact()).collect();
    facts.sort_unstable();
    facts.dedup();
    facts
}

fn no_class(network: &Network) -> String {
    let classes: Vec<_> = network.classes.iter().map(|class| class.id.as_str()).collect();
    format!("the network has no such credit class; it has {}", classes.join(", "))
}

fn no_fact(known: &[&str]) -> String {
    match known {
        [] => "no limit of the network is worked out from a fact; remove it".to_owned(),
        _ => format!("no limit of the network is worked out from it; those used are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EXAMPLE;

    fn told(text: &str) -> Vec<String> {
        let catalogue = Catalogue::embedded();
        let read = Config::read("broker.toml", text, [], &[], |config| misfits(config, &catalogue));
        read.err().iter().flat_map(|errors| errors.mistakes()).map(ToString::to_string).collect()
    }

    #[test]
    fn networks_classes_and_facts_must_exist() {
        let text = "[networks.nowhere]\nchoice = \"round_robin\"\n[networks.x.budget]\nnothing = 1\npost_reads = 2\n\
            [networks.x.safe_start]\nnobody = 3\n[networks.x.facts]\nfollowers = 4\n[networks.facebook.facts]\nusers = 5";
        let places = [
            "broker.toml:2: networks.nowhere:",
            "broker.toml:4: networks.x.budget.nothing:",
            "broker.toml:7: networks.x.safe_start.nobody:",
            "broker.toml:9: networks.x.facts.followers:",
            "broker.toml:11: networks.facebook.facts.users:",
        ];
        let told = told(text);
        assert_eq!(told.len(), places.len(), "{told:#?}");
        for (told, place) in told.iter().zip(places) {
            assert!(told.starts_with(place), "{told}");
        }
        assert!(told[1].contains("search_recent") && told[4].contains("app_users"), "{told:#?}");
    }

    #[test]
    fn the_example_fits_with_all_of_its_settings() {
        let on = |line: &str| {
            line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c != ' ')).unwrap_or(line).to_owned()
        };
        let whole: Vec<_> = EXAMPLE.lines().map(on).collect();
        assert_eq!(told(&whole.join("\n")), Vec::<String>::new());
    }
}
