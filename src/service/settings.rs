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
        let unknown = settings.safe_start.keys().filter(|class| network.class(class.as_str()).is_none());
        found.extend(unknown.map(|class| (format!("{field}.safe_start.{class}"), no_class(network))));
    }
    found
}

fn no_class(network: &Network) -> String {
    let classes: Vec<_> = network.classes.iter().map(|class| class.id.as_str()).collect();
    format!("the network has no such credit class; it has {}", classes.join(", "))
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
    fn networks_and_classes_must_exist() {
        let text = "[networks.nowhere]\nchoice = \"round_robin\"\n[networks.x.safe_start]\nnothing = 1\npost_reads = 2\n\
            [networks.facebook.safe_start]\nnobody = 3";
        let places = [
            "broker.toml:2: networks.nowhere:",
            "broker.toml:4: networks.x.safe_start.nothing:",
            "broker.toml:7: networks.facebook.safe_start.nobody:",
        ];
        let told = told(text);
        assert_eq!(told.len(), places.len(), "{told:#?}");
        for (told, place) in told.iter().zip(places) {
            assert!(told.starts_with(place), "{told}");
        }
        assert!(told[1].contains("search_recent"), "{told:#?}");
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
