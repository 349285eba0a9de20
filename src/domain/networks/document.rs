//! One TOML text, read so that every mistake in it is found at once and has a line and a key.
//!
//! Reading stops at the first mistake by nature. So the part that was wrong is noted, cut out, and the rest is read
//! again, until it reads. What a key means is left to `read` and `check`.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// One mistake in a file of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The name of the file.
    pub file: String,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// The key, as `classes[0].limits[1].window`; empty for the whole file.
    pub key: String,
    /// What is wrong, and what is expected.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// All mistakes of a catalogue, in the order of files and lines. Never empty as an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct CatalogueErrors(pub Vec<Mistake>);

impl fmt::Display for CatalogueErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the catalogue of networks has {} mistake(s); correct these files:", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Key(String),
    Position(usize),
}

/// A place in a document: keys and positions from the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Place(Vec<Step>);

impl Place {
    /// The place of a key below this one.
    pub fn key(&self, key: &str) -> Place {
        self.below(Step::Key(key.to_owned()))
    }

    /// The place of an element below this one.
    pub fn at(&self, position: usize) -> Place {
        self.below(Step::Position(position))
    }

    fn below(&self, step: Step) -> Place {
        Place(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Position(position) => write!(f, "[{position}]")?,
            }
        }
        Ok(())
    }
}

/// A parsed text, with the mistakes found in it so far.
pub(super) struct Document<'t> {
    file: &'t str,
    text: &'t str,
    tree: DeTable<'t>,
    mistakes: Vec<Mistake>,
}

/// One node of the tree: where it is, and the spans of its key and its value.
struct Node {
    place: Place,
    key: Option<Range<usize>>,
    value: Range<usize>,
}

impl Node {
    fn start(&self) -> usize {
        self.key.as_ref().map_or(self.value.start, |key| key.start)
    }
}

impl<'t> Document<'t> {
    /// Parses `text`; a text that is no TOML gives all its mistakes.
    pub fn parse(file: &'t str, text: &'t str) -> Result<Self, Vec<Mistake>> {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let mut document = Document { file, text, tree: tree.into_inner(), mistakes: Vec::new() };
        if errors.is_empty() {
            return Ok(document);
        }
        for error in errors {
            let line = error.span().map(|span| document.line_of(span.start));
            document.push(line, String::new(), error.message().to_owned());
        }
        Err(document.mistakes)
    }

    /// Notes a mistake at `place`, or at the nearest place above it that the text has.
    pub fn note(&mut self, place: &Place, message: impl Into<String>) {
        let line = self.nodes().into_iter().filter(|node| place.0.starts_with(&node.place.0)).last();
        let line = line.map(|node| self.line_of(node.start()));
        self.push(line, place.to_string(), message.into());
    }

    /// Whether no mistake was found so far.
    pub fn is_faultless(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// The mistakes, in the order of lines.
    pub fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort();
        self.mistakes.dedup();
        self.mistakes
    }

    /// Reads the whole text as `T`. What can't be read is noted and left out; `None` if too little is left.
    pub fn read<T: for<'de> Deserialize<'de>>(&mut self) -> Option<T> {
        let mut rest = self.tree.clone();
        let mut cut: HashSet<(Place, String)> = HashSet::new();
        // Each round cuts at least one node out, so there are no more rounds than nodes.
        for _ in 0..=self.nodes().len() {
            let whole = Spanned::new(0..self.text.len(), DeValue::Table(rest.clone()));
            let error = match T::deserialize(whole.into_deserializer()) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let gone = self.judge(&error, &mut cut)?;
            if !remove(&mut rest, &gone) {
                return None;
            }
        }
        None
    }

    /// Notes the error, and says which node must go so that the rest can be read.
    fn judge(&mut self, error: &toml::de::Error, cut: &mut HashSet<(Place, String)>) -> Option<Range<usize>> {
        let nodes = self.nodes();
        let span = error.span().unwrap_or(0..self.text.len());
        let node =
            nodes.iter().rev().find(|node| node.key.as_ref() == Some(&span) || node.value == span).or_else(|| {
                nodes.iter().rev().find(|node| node.value.start <= span.start && span.end <= node.value.end)
            });
        let place = node.map(|node| node.place.clone()).unwrap_or_default();
        let message = error.message().trim();
        if let Some(missing) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            if !cut.contains(&(place.clone(), missing.to_owned())) {
                let line = self.line_of(node.map_or(span.start, Node::start));
                self.push(Some(line), place.key(missing).to_string(), "is missing".to_owned());
            }
            return innermost_element(&nodes, &place);
        }
        let line = self.line_of(node.map_or(span.start, Node::start));
        self.push(Some(line), place.to_string(), message.to_owned());
        match place.0.split_last() {
            Some((Step::Key(key), above)) => {
                cut.insert((Place(above.to_vec()), key.clone()));
                node.map(|node| node.value.clone())
            }
            Some((Step::Position(_), _)) => node.map(|node| node.value.clone()),
            None => None,
        }
    }

    fn push(&mut self, line: Option<usize>, key: String, message: String) {
        self.mistakes.push(Mistake { file: self.file.to_owned(), line, key, message });
    }

    fn line_of(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// All nodes of the text, parents before their children.
    fn nodes(&self) -> Vec<Node> {
        let mut nodes = Vec::new();
        walk_table(&self.tree, &Place::default(), &mut nodes);
        nodes
    }
}

fn walk_table(table: &DeTable<'_>, above: &Place, nodes: &mut Vec<Node>) {
    for (key, value) in table {
        let place = above.key(key.get_ref());
        nodes.push(Node { place: place.clone(), key: Some(key.span()), value: value.span() });
        walk_value(value.get_ref(), &place, nodes);
    }
}

fn walk_value(value: &DeValue<'_>, place: &Place, nodes: &mut Vec<Node>) {
    match value {
        DeValue::Table(table) => walk_table(table, place, nodes),
        DeValue::Array(array) => {
            for (position, element) in array.iter().enumerate() {
                let place = place.at(position);
                nodes.push(Node { place: place.clone(), key: None, value: element.span() });
                walk_value(element.get_ref(), &place, nodes);
            }
        }
        _ => {}
    }
}

/// The span of the innermost element of an array that holds `place`.
fn innermost_element(nodes: &[Node], place: &Place) -> Option<Range<usize>> {
    let depth = place.0.iter().rposition(|step| matches!(step, Step::Position(_)))? + 1;
    nodes.iter().find(|node| node.place.0 == place.0[..depth]).map(|node| node.value.clone())
}

/// Cuts the node whose value has this span out of the table; whether it was there.
fn remove(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let key = table.iter().find(|(_, value)| value.span() == *span).map(|(key, _)| key.clone());
    if let Some(key) = key {
        return table.remove(&key).is_some();
    }
    table.iter_mut().any(|(_, value)| remove_within(value.get_mut(), span))
}

fn remove_within(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => remove(table, span),
        DeValue::Array(array) => {
            if array.iter().any(|element| element.span() == *span) {
                *array = std::mem::replace(array, DeArray::new())
                    .into_iter()
                    .filter(|element| element.span() != *span)
                    .collect();
                return true;
            }
            array.iter_mut().any(|element| remove_within(element.get_mut(), span))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Shop {
        name: String,
        #[serde(default)]
        rooms: Vec<Room>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Room {
        size: u32,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters here")]
        colour: Option<String>,
    }

    fn read(text: &str) -> (Option<Shop>, Vec<String>) {
        let mut document = Document::parse("shop.toml", text).expect("the text is TOML");
        let shop = document.read::<Shop>();
        (shop, document.into_mistakes().iter().map(Mistake::to_string).collect())
    }

    #[test]
    fn a_right_text_reads() {
        let (shop, mistakes) = read("name = 'a'\n[[rooms]]\nsize = 1\n");
        let shop = shop.unwrap();
        assert_eq!((shop.name.as_str(), shop.rooms[0].size, mistakes.len()), ("a", 1, 0));
    }

    #[test]
    fn every_mistake_is_found_with_its_line_and_key() {
        let text = "name = 'a'\nnmae = 'b'\nrooms = [\n  { size = 'x', color = 'red' },\n  { colour = 7 },\n  { size = 3 },\n]\n";
        let (shop, mistakes) = read(text);
        assert_eq!(shop.unwrap().rooms.iter().map(|room| room.size).collect::<Vec<_>>(), [3]);
        let starts = [
            "shop.toml:2: nmae: unknown field",
            "shop.toml:4: rooms[0].color: unknown field",
            "shop.toml:4: rooms[0].size: invalid type",
            "shop.toml:5: rooms[1].colour: invalid type",
            "shop.toml:5: rooms[1].size: is missing",
        ];
        assert_eq!(mistakes.len(), starts.len(), "{mistakes:#?}");
        for start in starts {
            assert!(mistakes.iter().any(|mistake| mistake.starts_with(start)), "{start}: {mistakes:#?}");
        }
    }

    #[test]
    fn a_text_that_misses_the_whole_is_refused() {
        let (shop, mistakes) = read("[[rooms]]\nsize = 1\n");
        assert!(shop.is_none());
        assert_eq!(mistakes, ["shop.toml:1: name: is missing"]);
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_lines() {
        let mistakes = Document::parse("shop.toml", "name = \nother = = 1\n").err().unwrap();
        assert!(mistakes.iter().any(|mistake| mistake.line == Some(1)), "{mistakes:?}");
    }
}
