//! All networks that the broker knows: those compiled in, replaced or extended by an operator's files.
//!
//! A catalogue that exists is right: everything in it was checked, and it never changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Mistake, Mistakes};
use super::model::Network;
use super::read::read;

/// The files that are compiled in: name and text, in the order of names. An operator copies one to change it.
pub const EMBEDDED: [(&str, &str); 15] = [
    ("bluesky.toml", include_str!("catalogue/bluesky.toml")),
    ("facebook.toml", include_str!("catalogue/facebook.toml")),
    ("github.toml", include_str!("catalogue/github.toml")),
    ("google_business.toml", include_str!("catalogue/google_business.toml")),
    ("instagram.toml", include_str!("catalogue/instagram.toml")),
    ("linkedin.toml", include_str!("catalogue/linkedin.toml")),
    ("mastodon.toml", include_str!("catalogue/mastodon.toml")),
    ("pinterest.toml", include_str!("catalogue/pinterest.toml")),
    ("reddit.toml", include_str!("catalogue/reddit.toml")),
    ("threads.toml", include_str!("catalogue/threads.toml")),
    ("tiktok.toml", include_str!("catalogue/tiktok.toml")),
    ("tumblr.toml", include_str!("catalogue/tumblr.toml")),
    ("x.toml", include_str!("catalogue/x.toml")),
    ("xing.toml", include_str!("catalogue/xing.toml")),
    ("youtube.toml", include_str!("catalogue/youtube.toml")),
];

/// The networks, by their ids.
#[derive(Debug, Clone)]
pub struct Catalogue {
    networks: BTreeMap<String, Arc<Network>>,
}

impl Catalogue {
    /// The networks that are compiled in.
    pub fn embedded() -> Catalogue {
        Catalogue::load(None).expect("a test reads every file that is compiled in")
    }

    /// The networks that are compiled in, and those of an operator's files (name and text). A file replaces the
    /// network of the same name as a whole; a file of another name adds a network.
    ///
    /// Errors: all mistakes of all files at once.
    pub fn load(files: Option<&[(String, String)]>) -> Result<Catalogue, Mistakes> {
        let given = files.unwrap_or_default();
        let mut mistakes = repeated_names(given);
        let mut networks = BTreeMap::new();
        let embedded = EMBEDDED.into_iter().filter(|(name, _)| given.iter().all(|(replaced, _)| replaced != name));
        for (name, text) in embedded.chain(given.iter().map(|(name, text)| (name.as_str(), text.as_str()))) {
            match read(name, text) {
                Ok(network) => {
                    networks.insert(network.id.to_string(), Arc::new(network));
                }
                Err(found) => mistakes.extend(found),
            }
        }
        mistakes.sort();
        if mistakes.is_empty() { Ok(Catalogue { networks }) } else { Err(Mistakes(mistakes)) }
    }

    /// The network of that id.
    pub fn network(&self, id: &str) -> Option<&Arc<Network>> {
        self.networks.get(id)
    }

    /// All networks, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Network>> {
        self.networks.values()
    }
}

fn repeated_names(files: &[(String, String)]) -> Vec<Mistake> {
    let repeated =
        files.iter().enumerate().filter(|(at, (name, _))| files[..*at].iter().any(|(other, _)| other == name));
    repeated
        .map(|(_, (name, _))| Mistake {
            file: name.clone(),
            line: None,
            key: String::new(),
            message: "the file is given twice; keep one".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::model::{Owner, Purpose, Renewal, Window};
    use super::*;

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn what_is_compiled_in_is_right() {
        if let Err(mistakes) = Catalogue::load(None) {
            panic!("{mistakes}");
        }
        assert_eq!(Catalogue::embedded().iter().count(), EMBEDDED.len());
    }

    #[test]
    fn every_class_that_is_compiled_in_is_drawn_from() {
        for network in Catalogue::embedded().iter() {
            let drawn: HashSet<_> =
                network.operations.iter().flat_map(|operation| &operation.costs).map(|cost| &cost.class).collect();
            for class in &network.classes {
                assert!(drawn.contains(&class.id), "{}: no operation draws from {}", network.id, class.id);
            }
        }
    }

    #[test]
    fn xing_serves_no_collecting() {
        let catalogue = Catalogue::embedded();
        let xing = catalogue.network("xing").unwrap();
        assert!(xing.serves(Purpose::Publish));
        assert!(!xing.serves(Purpose::CollectStatistics) && !xing.serves(Purpose::CollectContent));
    }

    #[test]
    fn limits_belong_to_whom_the_networks_say() {
        let catalogue = Catalogue::embedded();
        let owners = |network: &str, kind: &str, class: &str| {
            let network = catalogue.network(network).unwrap();
            let kind = network.kind(kind).unwrap();
            network.class(class).unwrap().limits_for(kind).map(|limit| limit.owner).collect::<Vec<_>>()
        };
        let cases: [(&str, &str, &str, &[Owner]); 15] = [
            ("facebook", "user", "calls", &[Owner::App, Owner::Person]),
            ("facebook", "page", "calls", &[Owner::Profile]),
            ("instagram", "facebook_login", "hashtags", &[Owner::Profile]),
            ("threads", "user", "calls", &[Owner::Profile]),
            ("x", "user", "search_recent", &[Owner::AppPerson]),
            ("x", "oauth1", "search_recent", &[Owner::AppPerson]),
            ("x", "app", "search_recent", &[Owner::App]),
            ("x", "user", "post_reads", &[Owner::App]),
            ("youtube", "user", "search", &[Owner::App]),
            ("linkedin", "user", "posts", &[Owner::App, Owner::AppPerson]),
            ("pinterest", "user", "org_read", &[Owner::AppPerson]),
            ("tiktok", "user", "video_list", &[Owner::App]),
            ("mastodon", "user", "calls", &[Owner::Person, Owner::Address]),
            ("bluesky", "user", "calls", &[Owner::Address]),
            ("github", "user", "calls", &[Owner::Person]),
        ];
        for (network, kind, class, expected) in cases {
            assert_eq!(owners(network, kind, class), expected, "{network} {kind} {class}");
        }
    }

    #[test]
    fn renewal_families_are_those_of_the_networks() {
        let catalogue = Catalogue::embedded();
        let family =
            |network: &str, kind: &str| catalogue.network(network).unwrap().kind(kind).unwrap().renewal.clone();
        assert!(matches!(family("facebook", "page"), Renewal::Derived { .. }));
        assert!(matches!(family("threads", "user"), Renewal::SelfRenewing { .. }));
        assert!(matches!(family("linkedin", "user"), Renewal::RefreshToken { .. }));
        assert_eq!(family("mastodon", "user"), Renewal::Nothing);
    }

    #[test]
    fn a_file_replaces_and_another_adds() {
        let text = EMBEDDED.iter().find(|(name, _)| *name == "github.toml").unwrap().1;
        let fewer = text.replace("amount = 5000", "amount = 15000");
        let catalogue = Catalogue::load(Some(&[file("github.toml", &fewer), file("github-eu.toml", text)])).unwrap();
        assert_eq!(catalogue.iter().count(), EMBEDDED.len() + 1);
        let limit = |id: &str| catalogue.network(id).unwrap().class("calls").unwrap().limits[0].amount.units(None);
        assert_eq!((limit("github"), limit("github-eu")), (15_000, 5_000));
        assert_eq!(catalogue.network("github-eu").unwrap().id.as_str(), "github-eu");
    }

    #[test]
    fn mistakes_of_all_files_come_at_once() {
        let files = [file("a.toml", "display_name = 1\n"), file("B.toml", ""), file("a.toml", "x = ")];
        let Mistakes(mistakes) = Catalogue::load(Some(&files)).unwrap_err();
        let of = |name: &str| mistakes.iter().filter(|mistake| mistake.file == name).count();
        assert!(of("a.toml") >= 3 && of("B.toml") >= 2, "{mistakes:#?}");
    }

    #[test]
    fn zones_are_known() {
        let catalogue = Catalogue::embedded();
        let youtube = catalogue.network("youtube").unwrap();
        let zone = Window::Daily { zone: "America/Los_Angeles".to_owned() };
        assert!(youtube.classes.iter().flat_map(|class| &class.limits).all(|limit| limit.window == zone));
    }
}
