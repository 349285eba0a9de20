//! Reads a section setting by setting: each with its default and its range, so that one mistake hides no other.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use humantime::format_duration;
use url::{Host, Url};

use super::errors::{Origin, Survey};
use super::tree::{Node, Tree};
use super::units::{ByteSize, Share};
use super::values::{self, Problem};

/// A struct of settings.
pub(super) trait Section {
    /// Asks for every setting.
    fn read(from: &mut Reader<'_>) -> Self;
}

/// One section that is being read.
pub(super) struct Reader<'a> {
    path: String,
    table: BTreeMap<String, Node>,
    known: Vec<&'static str>,
    survey: &'a mut Survey,
}

/// Reads a whole tree.
pub(super) fn read<S: Section>(root: Node, survey: &mut Survey) -> S {
    read_at(String::new(), root, survey)
}

/// What a section is when nothing is set.
pub(super) fn default_of<S: Section>() -> S {
    let mut survey = Survey::default();
    read(Node::empty(Origin::Default), &mut survey)
}

fn read_at<S: Section>(path: String, node: Node, survey: &mut Survey) -> S {
    let kind = node.kind();
    let table = match node.tree {
        Tree::Table(table) => table,
        _ => {
            survey.wrong_at(
                node.origin,
                &path,
                format!("expected a section, found {kind}; write [{path}] above its settings"),
            );
            BTreeMap::new()
        }
    };
    let mut reader = Reader { path, table, known: Vec::new(), survey };
    let section = S::read(&mut reader);
    reader.finish();
    section
}

impl Reader<'_> {
    /// A section in this section.
    pub(super) fn section<S: Section>(&mut self, key: &'static str) -> S {
        let node = self.remove(key).unwrap_or(Node::empty(Origin::Default));
        read_at(self.field(key), node, self.survey)
    }

    /// Sections whose names are ids.
    pub(super) fn sections_by_id<K: FromStr<Err: Display> + Ord, S: Section>(
        &mut self,
        key: &'static str,
    ) -> BTreeMap<K, S> {
        let entries = self.entries(key);
        entries.into_iter().map(|(id, field, node)| (id, read_at(field, node, self.survey))).collect()
    }

    /// A list of sections (`[[section.key]]`).
    pub(super) fn sections<S: Section>(&mut self, key: &'static str) -> Vec<S> {
        let field = self.field(key);
        let Some(node) = self.remove(key) else { return Vec::new() };
        match node.tree {
            Tree::List(items) => {
                let numbered = items.into_iter().enumerate();
                numbered.map(|(at, item)| read_at(format!("{field}.{at}"), item, self.survey)).collect()
            }
            _ => {
                let problem = format!("expected a list, found {}; write [[{field}]] above each", node.kind());
                self.survey.wrong_at(node.origin, &field, problem);
                Vec::new()
            }
        }
    }

    /// Amounts by id.
    pub(super) fn amounts_by_id<K: FromStr<Err: Display> + Ord>(&mut self, key: &'static str) -> BTreeMap<K, u64> {
        self.values_by_id(key, "a whole number", values::integer)
    }

    /// Shares by id.
    pub(super) fn shares_by_id<K: FromStr<Err: Display> + Ord>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Share>,
    ) -> BTreeMap<K, Share> {
        self.values_by_id(key, &bounds(&range, Share::to_string), |node| share(node, &range))
    }

    /// A duration.
    pub(super) fn span(&mut self, key: &'static str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let expects = bounds(&range, |span| format_duration(*span).to_string());
        self.value(key, default, &expects, |node| within(values::span(node)?, &range, &expects))
    }

    /// A size.
    pub(super) fn size(&mut self, key: &'static str, default: ByteSize, range: RangeInclusive<ByteSize>) -> ByteSize {
        let expects = bounds(&range, ByteSize::to_string);
        self.value(key, default, &expects, |node| {
            within(values::parsed(node, "a size such as \"256KiB\" (B, KiB, MiB or GiB)")?, &range, &expects)
        })
    }

    /// A share.
    pub(super) fn share(&mut self, key: &'static str, default: Share, range: RangeInclusive<Share>) -> Share {
        let expects = bounds(&range, Share::to_string);
        self.value(key, default, &expects, |node| share(node, &range))
    }

    /// A share that may be absent.
    pub(super) fn optional_share(&mut self, key: &'static str, range: RangeInclusive<Share>) -> Option<Share> {
        let expects = bounds(&range, Share::to_string);
        self.value(key, None, &expects, |node| share(node, &range).map(Some))
    }

    /// A count.
    pub(super) fn count(&mut self, key: &'static str, default: usize, range: RangeInclusive<usize>) -> usize {
        let expects = bounds(&range, usize::to_string);
        self.value(key, default, &expects, |node| count(node, &range))
    }

    /// A count that may be absent.
    pub(super) fn optional_count(&mut self, key: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        let expects = bounds(&range, usize::to_string);
        self.value(key, None, &expects, |node| count(node, &range).map(Some))
    }

    /// A ratio.
    pub(super) fn ratio(&mut self, key: &'static str, default: f64, range: RangeInclusive<f64>) -> f64 {
        let expects = bounds(&range, f64::to_string);
        self.value(key, default, &expects, |node| within(values::float(node)?, &range, &expects))
    }

    /// True or false.
    pub(super) fn switch(&mut self, key: &'static str, default: bool) -> bool {
        self.value(key, default, "true or false", values::switch)
    }

    /// A text that must be of a kind; `what` says which.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, default: T, what: &str) -> T {
        self.value(key, default, what, |node| values::parsed(node, what))
    }

    /// An origin that people reach, or none: `https://` and a host, or `http://` and this machine. Blank means that there is none.
    pub(super) fn optional_origin(&mut self, key: &'static str) -> Option<Url> {
        let expects = "an origin such as \"https://broker.example\"";
        self.value(key, None, expects, |node| match values::text(node)?.as_str() {
            "" => Ok(None),
            _ => origin(values::parsed(node, expects)?, expects).map(Some),
        })
    }

    /// A text that must be of a kind; blank means that there is none.
    pub(super) fn optional_parsed<T: FromStr>(&mut self, key: &'static str, what: &str) -> Option<T> {
        self.value(key, None, what, |node| match values::text(node)?.as_str() {
            "" => Ok(None),
            _ => values::parsed(node, what).map(Some),
        })
    }

    /// Texts that must be of a kind.
    pub(super) fn parsed_list<T: FromStr>(&mut self, key: &'static str, what: &str) -> Vec<T> {
        self.value(key, Vec::new(), what, |node| values::parsed_list(node, what))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, default: T, words: &[(&'static str, T)]) -> T {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let expects = names.join(", ");
        self.value(key, default, &expects, |node| {
            let text = values::text(node)?;
            let found = words.iter().find(|(name, _)| *name == text);
            found.map(|(_, word)| *word).ok_or_else(|| format!("expected one of: {expects}"))
        })
    }

    /// A path; blank means the default.
    pub(super) fn path(&mut self, key: &'static str, default: &str) -> PathBuf {
        self.optional_path(key).unwrap_or_else(|| PathBuf::from(default))
    }

    /// A path; blank means that there is none.
    pub(super) fn optional_path(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.value(key, String::new(), "a path", values::text);
        if text.is_empty() { None } else { Some(PathBuf::from(text)) }
    }

    /// A text that must come from the environment: in a file it would be kept where it must not be. Blank means none.
    pub(super) fn only_of_environment<T: From<String>>(&mut self, key: &'static str) -> Option<T> {
        self.value(key, None, "a text of the environment", |node| match (&node.origin, values::text(node)?) {
            (_, text) if text.is_empty() => Ok(None),
            (Origin::Env(_), text) => Ok(Some(T::from(text))),
            _ => {
                Err("is taken from the environment only; put it into a file of its own and set vault.key_file"
                    .to_owned())
            }
        })
    }

    /// A setting that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        what: &str,
        read: impl FnOnce(&Node) -> Result<T, Problem>,
    ) -> Option<T> {
        let present = self.table.contains_key(key);
        let value = self.value(key, None, what, |node| read(node).map(Some));
        if !present {
            let field = self.field(key);
            self.survey.wrong_near(&field, format!("is missing; set it to {what}"));
        }
        value
    }

    fn values_by_id<K: FromStr<Err: Display> + Ord, T>(
        &mut self,
        key: &'static str,
        expects: &str,
        read: impl Fn(&Node) -> Result<T, Problem>,
    ) -> BTreeMap<K, T> {
        let mut values = BTreeMap::new();
        for (id, field, node) in self.entries(key) {
            self.survey.note(&field, node.origin.clone(), expects);
            match read(&node) {
                Ok(value) => drop(values.insert(id, value)),
                Err(problem) => self.survey.wrong(&field, problem),
            }
        }
        values
    }

    /// The entries of a table whose keys are ids: id, field, value.
    fn entries<K: FromStr<Err: Display>>(&mut self, key: &'static str) -> Vec<(K, String, Node)> {
        let section = self.field(key);
        let Some(node) = self.remove(key) else { return Vec::new() };
        let kind = node.kind();
        let Tree::Table(table) = node.tree else {
            self.survey.wrong_at(node.origin, &section, format!("expected a section, found {kind}"));
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (name, node) in table {
            let field = format!("{section}.{name}");
            match name.parse() {
                Ok(id) => entries.push((id, field, node)),
                Err(error) => self.survey.wrong_at(node.origin, &field, format!("{error}")),
            }
        }
        entries
    }

    /// One setting: its value, or `default` where it is absent or wrong.
    fn value<T>(
        &mut self,
        key: &'static str,
        default: T,
        expects: &str,
        read: impl FnOnce(&Node) -> Result<T, Problem>,
    ) -> T {
        let field = self.field(key);
        let node = self.remove(key);
        let origin = node.as_ref().map_or(Origin::Default, |node| node.origin.clone());
        self.survey.note(&field, origin, expects);
        match node.as_ref().map(read) {
            Some(Ok(value)) => value,
            Some(Err(problem)) => {
                self.survey.wrong(&field, problem);
                default
            }
            None => default,
        }
    }

    fn remove(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn field(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whatever nobody asked for is a mistake.
    fn finish(mut self) {
        for (key, node) in std::mem::take(&mut self.table) {
            let known = nearest(&key, &self.known)
                .map_or_else(|| self.known.join(", "), |near| format!("did you mean {near}?"));
            let advice = if known.ends_with('?') { known } else { format!("known here: {known}") };
            let field = self.field(&key);
            self.survey.wrong_at(node.origin, &field, format!("no setting has this name; {advice}"));
        }
    }
}

fn share(node: &Node, range: &RangeInclusive<Share>) -> Result<Share, Problem> {
    within(values::parsed(node, "a share such as \"10%\"")?, range, &bounds(range, Share::to_string))
}

fn origin(url: Url, expects: &str) -> Result<Url, Problem> {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let names_nobody = url.username().is_empty() && url.password().is_none();
    match url.scheme() {
        _ if !is_plain || !names_nobody => Err(format!("must be {expects}, without a path, a user or a password")),
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => {
            Err("must begin with https://, since sessions travel there (http:// only for this machine itself)"
                .to_owned())
        }
    }
}

fn count(node: &Node, range: &RangeInclusive<usize>) -> Result<usize, Problem> {
    let expects = bounds(range, usize::to_string);
    let count = usize::try_from(values::integer(node)?).map_err(|_| format!("must be {expects}"))?;
    within(count, range, &expects)
}

fn bounds<T>(range: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> String {
    format!("{} to {}", show(range.start()), show(range.end()))
}

fn within<T: PartialOrd>(value: T, range: &RangeInclusive<T>, expects: &str) -> Result<T, Problem> {
    if range.contains(&value) { Ok(value) } else { Err(format!("must be {expects}")) }
}

/// The known key that `key` is most likely a slip of.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let (distance, near) = known.iter().map(|candidate| (distance(key, candidate), *candidate)).min()?;
    (distance <= (key.len() / 3).clamp(1, 3)).then_some(near)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, against) in other.chars().enumerate() {
            let changed = diagonal + usize::from(letter != against);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_key() {
        let known = ["listen", "tls_cert", "tls_key", "hold"];
        for (slip, meant) in
            [("lisen", Some("listen")), ("tls_crt", Some("tls_cert")), ("holds", Some("hold")), ("quota", None)]
        {
            assert_eq!(nearest(slip, &known), meant, "{slip}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
