//! The settings as they were written, before anybody asks what they mean: one tree out of file, environment and flags,
//! in which each value knows where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::errors::{Origin, Survey};

/// What the names of our variables begin with.
const PREFIX: &str = "TOKEN_BROKER__";

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub origin: Origin,
    pub tree: Tree,
    /// The text of a variable or flag, as it was before it was read as TOML.
    pub raw: Option<String>,
}

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Text(String),
    Integer(i64),
    Float(f64),
    Switch(bool),
    /// A date, or a number beyond 64 bits: no setting takes one.
    Other,
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    pub(super) fn empty(origin: Origin) -> Self {
        Self { origin, tree: Tree::Table(BTreeMap::new()), raw: None }
    }

    /// What it is, in words.
    pub(super) fn kind(&self) -> &'static str {
        match self.tree {
            Tree::Text(_) => "a text",
            Tree::Integer(_) | Tree::Float(_) => "a number",
            Tree::Switch(_) => "true or false",
            Tree::Other => "a date or a huge number",
            Tree::List(_) => "a list",
            Tree::Table(_) => "a section",
        }
    }
}

/// The tree of a file. Notes what is no TOML and keeps the rest.
pub(super) fn from_file(name: &str, text: &str, survey: &mut Survey) -> Node {
    let name: Arc<str> = name.into();
    let place = |offset: usize| {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        Origin::File { name: name.clone(), line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let origin = place(error.span().map_or(0, |span| span.start));
        survey.wrong_at(
            origin,
            "",
            format!("not TOML: {}; texts, durations and addresses need quotes", error.message()),
        );
    }
    Node { origin: place(0), tree: convert_table(table.into_inner(), &place), raw: None }
}

/// Lays variables over the tree.
pub(super) fn overlay_env(root: &mut Node, env: impl IntoIterator<Item = (String, String)>, survey: &mut Survey) {
    let mut ours: Vec<(String, String)> = env.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    for (name, value) in ours {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        overlay(root, &path, &value, Origin::Env(name.as_str().into()), survey);
    }
}

/// Lays flags over the tree.
pub(super) fn overlay_flags(root: &mut Node, flags: &[(String, String)], survey: &mut Survey) {
    for (name, value) in flags {
        let path: Vec<String> = name.split('.').map(str::to_owned).collect();
        overlay(root, &path, value, Origin::Flag, survey);
    }
}

fn overlay(root: &mut Node, path: &[String], value: &str, origin: Origin, survey: &mut Survey) {
    let field = path.join(".");
    let Some((key, sections)) = path.split_last().filter(|_| path.iter().all(|part| !part.is_empty())) else {
        return survey.wrong_at(origin, &field, "no setting has this name; write a section and a key");
    };
    let mut at = root;
    for section in sections {
        let Tree::Table(table) = &mut at.tree else {
            return survey.wrong_at(origin, &field, "what stands above it is not a section; check its name");
        };
        at = table.entry(section.clone()).or_insert_with(|| Node::empty(origin.clone()));
    }
    match &mut at.tree {
        Tree::Table(table) => drop(table.insert(key.clone(), from_text(value, origin))),
        _ => survey.wrong_at(origin, &field, "what stands above it is not a section; check its name"),
    }
}

/// TOML if it can be read as such, else the text itself.
fn from_text(value: &str, origin: Origin) -> Node {
    let tree = match DeValue::parse(value) {
        Ok(parsed) => convert(parsed.into_inner(), &|_| origin.clone()),
        Err(_) => Tree::Text(value.to_owned()),
    };
    Node { origin, tree, raw: Some(value.to_owned()) }
}

fn convert_table(table: DeTable<'_>, place: &dyn Fn(usize) -> Origin) -> Tree {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'_>>)| {
        let origin = place(key.span().start);
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (key.into_owned(), Node { origin, tree: convert(value.into_inner(), place), raw: None })
    };
    Tree::Table(table.into_iter().map(entry).collect())
}

fn convert(value: DeValue<'_>, place: &dyn Fn(usize) -> Origin) -> Tree {
    let item = |value: Spanned<DeValue<'_>>| {
        let origin = place(value.span().start);
        Node { origin, tree: convert(value.into_inner(), place), raw: None }
    };
    match value {
        DeValue::String(text) => Tree::Text(text.into_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Tree::Other, Tree::Integer)
        }
        DeValue::Float(number) => number.as_str().parse().map_or(Tree::Other, Tree::Float),
        DeValue::Boolean(switch) => Tree::Switch(switch),
        DeValue::Datetime(_) => Tree::Other,
        DeValue::Array(items) => Tree::List(items.into_iter().map(item).collect()),
        DeValue::Table(table) => convert_table(table, place),
    }
}
