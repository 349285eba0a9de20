//! The files of words, and whether pages and they fit together.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join("src/web"), ".rs", &mut found);
    files(&root.join("src/domain"), ".rs", &mut found);
    files(&root.join("src/service"), ".rs", &mut found);
    files(&root.join("templates"), ".html", &mut found);
    found.push(root.join("src/text/mod.rs"));
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

const FILES: [&str; 2] = [include_str!("en/pages.ftl"), include_str!("en/notices.ftl")];

/// The messages of all files; what files say in several places (`-reconnect`) is none.
fn names() -> Vec<&'static str> {
    let lines = FILES.iter().flat_map(|file| file.lines());
    let named = lines.filter(|line| !line.starts_with([' ', '#', '}', '[', '*', '-']));
    named.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect()
}

#[test]
fn every_name_is_there_once_and_every_word_that_is_asked_for_is_there() {
    let names = names();
    let known: BTreeSet<_> = names.iter().copied().collect();
    assert_eq!(names.len(), known.len());
    let text = Text::english();
    for (path, source) in sources() {
        for called in ["say(\"", "say_of(\"", "say_with(\"", "Sentence::new(\""] {
            for rest in source.split(called).skip(1) {
                let name = rest.split('"').next().unwrap();
                assert!(text.has(name), "{}: there are no words '{name}'", path.display());
            }
        }
    }
}

#[test]
fn no_words_are_kept_that_no_page_says() {
    let sources = sources();
    // Names that are put together: `status-{light}`.
    let begun: Vec<String> = sources
        .iter()
        .flat_map(|(_, source)| source.split("format!(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter_map(|name| name.split_once('{').map(|(begun, _)| begun.to_owned()))
        .filter(|begun| begun.ends_with('-'))
        .collect();
    for name in names() {
        let said = sources.iter().any(|(_, source)| source.contains(&format!("\"{name}\"")));
        let put_together = begun.iter().any(|begun| name.starts_with(begun.as_str()));
        assert!(said || put_together, "nothing says '{name}'");
    }
}

#[test]
fn templates_hold_no_words_of_their_own() {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), ".html", &mut found);
    for path in found {
        let mut text = std::fs::read_to_string(&path).unwrap();
        for (open, close) in [("{#", "#}"), ("{{", "}}"), ("{%", "%}"), ("<title>", "</title>"), ("<", ">"), ("&", ";")]
        {
            while let Some(start) = text.find(open) {
                let end = text[start..].find(close).map_or(text.len(), |end| start + end + close.len());
                text.replace_range(start..end, " ");
            }
        }
        let left: Vec<&str> = text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic)).collect();
        assert!(left.is_empty() || left == ["token-broker"], "{}: {left:?}", path.display());
    }
}

#[test]
fn numbers_and_plurals_are_as_the_language_has_them() {
    let text = Text::english();
    let days = |days: u64| text.say_with("status-expiring-in", &[("days", days.into())]);
    assert_eq!([days(0), days(1), days(6)], ["Ends today", "Ends tomorrow", "6 days left"]);
}

#[test]
fn a_sentence_has_its_times_in_the_zone_of_who_reads_it() {
    let at = Timestamp::EPOCH + std::time::Duration::from_secs(86_400);
    let later = Sentence::new("wrong-renew-later").at("at", at).and("why", Sentence::new("wait-no-time"));
    let zone = TimeZone::get("America/New_York").unwrap();
    let told = Text::english().tell(&later, &zone);
    assert_eq!(told, "It is not renewed before 1970-01-01 19:00: it had no time yet at which it is renewed.");
}
