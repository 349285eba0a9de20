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
use toml::de::{DeTable, DeValue};

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
    /// The elements of arrays that were left out, by their places in the text.
    left_out: Vec<Place>,
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
        let mut document = Document { file, text, tree: tree.into_inner(), mistakes: Vec::new(), left_out: Vec::new() };
        if errors.is_empty() {
            return Ok(document);
        }
        for error in errors {
            let line = error.span().map(|span| document.line_of(span.start));
            document.push(line, String::new(), error.message().to_owned());
        }
        Err(document.mistakes)
    }

    /// Notes a mistake at `place` of what was read, or at the nearest place above it that the text has.
    pub fn note(&mut self, place: &Place, message: impl Into<String>) {
        let place = &self.place_in_text(place);
        let line = self.nodes().into_iter().rfind(|node| place.0.starts_with(&node.place.0));
        let line = line.map(|node| self.line_of(node.start()));
        self.push(line, place.to_string(), message.into());
    }

    /// Whether the text has this key.
    pub fn has(&self, place: &Place) -> bool {
        let place = self.place_in_text(place);
        self.nodes().iter().any(|node| node.place == place)
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
            rest = without(rest, &gone.value);
            if matches!(gone.place.0.last(), Some(Step::Position(_))) {
                self.left_out.push(gone.place);
            }
        }
        None
    }

    /// Notes the error, and says which node must go so that the rest can be read.
    fn judge(&mut self, error: &toml::de::Error, cut: &mut HashSet<(Place, String)>) -> Option<Node> {
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
            return innermost_element(nodes, &place);
        }
        let line = self.line_of(node.map_or(span.start, Node::start));
        self.push(Some(line), place.to_string(), message.to_owned());
        if let Some((Step::Key(key), above)) = place.0.split_last() {
            cut.insert((Place(above.to_vec()), key.clone()));
        }
        nodes.into_iter().find(|node| node.place == place)
    }

    /// The place in the text of a place in what was read: elements that were left out count again.
    fn place_in_text(&self, place: &Place) -> Place {
        place.0.iter().fold(Place::default(), |above, step| match step {
            Step::Key(key) => above.key(key),
            Step::Position(position) => {
                let kept = (0..).map(|at| above.at(at)).filter(|place| !self.left_out.contains(place)).nth(*position);
                kept.unwrap_or(above)
            }
        })
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

/// The innermost element of an array that holds `place`.
fn innermost_element(nodes: Vec<Node>, place: &Place) -> Option<Node> {
    let depth = place.0.iter().rposition(|step| matches!(step, Step::Position(_)))? + 1;
    nodes.into_iter().find(|node| node.place.0 == place.0[..depth])
}

/// The table without the node whose value has this span.
fn without<'t>(table: DeTable<'t>, span: &Range<usize>) -> DeTable<'t> {
    let kept = table.into_iter().filter(|(_, value)| value.span() != *span);
    kept.map(|(key, value)| (key, value_without(value, span))).collect()
}

fn value_without<'t>(value: Spanned<DeValue<'t>>, span: &Range<usize>) -> Spanned<DeValue<'t>> {
    let own = value.span();
    let rest = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(without(table, span)),
        DeValue::Array(array) => {
            let kept = array.into_iter().filter(|element| element.span() != *span);
            DeValue::Array(kept.map(|element| value_without(element, span)).collect())
        }
        other => other,
    };
    Spanned::new(own, rest)
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
