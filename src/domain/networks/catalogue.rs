//! All networks that the broker knows: those built in, and those of files beside them.
//!
//! Pure: the texts of the files are handed in. A catalogue is either free of mistakes or it does not come to be.

use std::sync::Arc;

use super::document::{CatalogueErrors, Mistake};
use super::model::Network;
use super::read;

/// The files that are built in: their names and their texts.
const EMBEDDED: [(&str, &str); 15] = [
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

/// The networks, by id. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// In the order of their ids.
    networks: Arc<[Arc<Network>]>,
}

impl Catalogue {
    /// The networks that are built in.
    pub fn embedded() -> Catalogue {
        Catalogue::load(&[]).expect("a test reads every built-in file")
    }

    /// The networks that are built in, and those of `files` (name and text of each, the name being the network's id
    /// and `.toml`). A file whose name is that of a built-in network takes its place as a whole.
    ///
    /// # Errors
    /// Every mistake of every file, in the order of files and lines.
    pub fn load(files: &[(String, String)]) -> Result<Catalogue, CatalogueErrors> {
        let mut mistakes = Vec::new();
        let mut networks = Vec::new();
        let given = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let built_in = EMBEDDED.into_iter().filter(|(name, _)| !files.iter().any(|(given, _)| given == name));
        for (name, text) in given.chain(built_in) {
            match read::read(name, text) {
                Ok(network) => networks.push(Arc::new(network)),
                Err(found) => mistakes.extend(found),
            }
        }
        mistakes.extend(given_twice(files));
        if !mistakes.is_empty() {
            mistakes.sort();
            return Err(CatalogueErrors(mistakes));
        }
        networks.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Catalogue { networks: networks.into() })
    }

    /// The text of a built-in file, by its name (`x.toml`).
    pub fn built_in(name: &str) -> Option<&'static str> {
        EMBEDDED.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
    }

    /// What people call a network; its id where the catalogue does not have it any more.
    pub fn name_for_people<'n>(&'n self, id: &'n str) -> &'n str {
        self.network(id).map_or(id, |network| &network.display_name)
    }

    /// The network with this id.
    pub fn network(&self, id: &str) -> Option<&Arc<Network>> {
        let at = self.networks.binary_search_by(|network| network.id.as_str().cmp(id)).ok()?;
        self.networks.get(at)
    }

    /// All networks, in the order of their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Network>> {
        self.networks.iter()
    }

    /// How many networks there are.
    pub fn len(&self) -> usize {
        self.networks.len()
    }

    /// Whether there is none. Never so for a catalogue that was loaded.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }
}

fn given_twice(files: &[(String, String)]) -> impl Iterator<Item = Mistake> {
    let twice = files.iter().enumerate().filter(|(at, (name, _))| files[..*at].iter().any(|(other, _)| other == name));
    twice.map(|(_, (name, _))| Mistake {
        file: name.clone(),
        line: None,
        key: String::new(),
        message: "is given twice: keep one of the files".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::networks::{Operation, Owner, Purpose, Renewal, TokenKind};

    #[test]
    fn every_built_in_file_is_free_of_mistakes() {
        if let Err(mistakes) = Catalogue::load(&[]) {
            panic!("{mistakes}");
        }
    }

    #[test]
    fn who_connects_an_account_is_told_of_it_without_a_technical_word() {
        for network in Catalogue::embedded().iter() {
            for kind in &network.kinds {
                let told = format!("{}. {}", kind.name, kind.summary);
                assert!(!kind.summary.is_empty() && kind.name != kind.id.as_str(), "{} {}", network.id, kind.id);
                for word in ["OAuth", "token", "Token", "API", "_", "derived", "revo"] {
                    assert!(!told.contains(word), "{} {}: {told}", network.id, kind.id);
                }
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_built_in() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/domain/networks/catalogue");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".toml"))
            .collect();
        names.sort();
        assert_eq!(names, EMBEDDED.map(|(name, _)| name));
    }

    #[test]
    fn networks_stand_in_order_and_are_found() {
        let catalogue = Catalogue::embedded();
        assert_eq!(catalogue.len(), EMBEDDED.len());
        assert!(!catalogue.is_empty());
        let ids: Vec<&str> = catalogue.iter().map(|network| network.id.as_str()).collect();
        assert!(ids.is_sorted());
        for id in ids {
            assert_eq!(catalogue.network(id).unwrap().id.as_str(), id);
        }
        assert!(catalogue.network("nowhere").is_none());
    }

    #[test]
    fn limits_belong_to_whom_the_networks_say() {
        let catalogue = Catalogue::embedded();
        let owners = |network: &str, kind: &str, class: &str| {
            let network = catalogue.network(network).unwrap();
            let kind = network.kind(kind).unwrap();
            network.class(class).unwrap().limits_for(kind).map(|limit| limit.owner).collect::<Vec<_>>()
        };
        let cases: [(&str, &str, &str, &[Owner]); 13] = [
            ("facebook", "user", "calls", &[Owner::App, Owner::Person]),
            ("facebook", "page", "calls", &[Owner::Profile]),
            ("instagram", "facebook_login", "hashtags", &[Owner::Profile]),
            ("threads", "user", "calls", &[Owner::Profile]),
            ("x", "user", "search_recent", &[Owner::AppPerson]),
            ("x", "app", "search_recent", &[Owner::App]),
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
    fn every_purpose_of_a_kind_leads_to_a_call() {
        for network in Catalogue::embedded().iter() {
            for kind in &network.kinds {
                // A person's token may be asked for more, so that a token made of it can do it.
                let of_it = |other: &&TokenKind| {
                    other.id == kind.id || matches!(&other.renewal, Renewal::Derived { from } if *from == kind.id)
                };
                for needed in &kind.scopes {
                    let serves = |operation: &Operation| {
                        operation.purposes.contains(&needed.purpose)
                            && network.kinds.iter().filter(of_it).any(|kind| operation.allows(&kind.id))
                    };
                    let what = format!("{}: {} for {:?}", network.id, kind.id, needed.purpose);
                    assert!(network.operations.iter().any(serves), "{what}");
                }
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

    fn file(name: &str, text: &str) -> (String, String) {
        (name.to_owned(), text.to_owned())
    }

    #[test]
    fn a_file_takes_the_place_of_a_built_in_network_or_adds_one() {
        let (_, text) = EMBEDDED.into_iter().find(|(name, _)| *name == "reddit.toml").unwrap();
        let text = text.replace("display_name = \"Reddit\"", "display_name = \"Other\"");
        let files = [file("reddit.toml", &text), file("lemmy.toml", &text)];
        let catalogue = Catalogue::load(&files).unwrap();
        assert_eq!(catalogue.len(), EMBEDDED.len() + 1);
        assert_eq!(catalogue.network("reddit").unwrap().display_name, "Other");
        assert_eq!(catalogue.network("lemmy").unwrap().display_name, "Other");
    }

    #[test]
    fn mistakes_of_all_files_are_told_at_once() {
        let files = [file("one.toml", "a = 1\n"), file("Two.toml", "= 2\n"), file("one.toml", "b = 1\n")];
        let mistakes = Catalogue::load(&files).unwrap_err();
        let told = mistakes.to_string();
        for expected in ["one.toml:1: a: unknown field", "Two.toml:1: ", "one.toml: is given twice", "one.toml:1: b: "]
        {
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
