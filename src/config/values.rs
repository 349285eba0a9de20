//! From a written value to what it means. The errors say what was expected, and never repeat the value.

use std::time::Duration;

use super::tree::{Node, Tree};

/// What is wrong with a value.
pub(super) type Problem = String;

pub(super) fn text(node: &Node) -> Result<String, Problem> {
    match (&node.tree, &node.raw) {
        (Tree::Text(text), _) => Ok(text.clone()),
        // A variable's text may look like a number or a date and still be meant as a text.
        (Tree::Integer(_) | Tree::Float(_) | Tree::Switch(_) | Tree::Other, Some(raw)) => Ok(raw.clone()),
        _ => Err(format!("expected a text, found {}; write it in quotes", node.kind())),
    }
}

/// A text that `T` can read; its error says what is expected.
pub(super) fn parsed<T: std::str::FromStr>(node: &Node, what: &str) -> Result<T, Problem> {
    let text = text(node).map_err(|_| format!("expected {what}, found {}", node.kind()))?;
    text.parse().map_err(|_| format!("expected {what}"))
}

/// A list of texts that `T` can read.
pub(super) fn parsed_list<T: std::str::FromStr>(node: &Node, what: &str) -> Result<Vec<T>, Problem> {
    match &node.tree {
        Tree::List(items) => items.iter().map(|item| parsed(item, what)).collect(),
        _ => Err(format!("expected {what}, found {}", node.kind())),
    }
}

pub(super) fn switch(node: &Node) -> Result<bool, Problem> {
    match node.tree {
        Tree::Switch(switch) => Ok(switch),
        _ => Err(format!("expected true or false, found {}; write it without quotes", node.kind())),
    }
}

pub(super) fn integer(node: &Node) -> Result<u64, Problem> {
    match node.tree {
        Tree::Integer(number) => u64::try_from(number).map_err(|_| "expected a number that is not negative".to_owned()),
        _ => Err(format!("expected a whole number, found {}; write it without quotes", node.kind())),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio is a small number")]
pub(super) fn float(node: &Node) -> Result<f64, Problem> {
    match node.tree {
        Tree::Float(number) if number.is_finite() => Ok(number),
        Tree::Integer(number) => Ok(number as f64),
        _ => Err(format!("expected a number, found {}; write it without quotes", node.kind())),
    }
}

pub(super) fn span(node: &Node) -> Result<Duration, Problem> {
    let problem = || format!("expected a duration with its unit such as \"30s\", found {}", node.kind());
    let text = text(node).map_err(|_| problem())?;
    humantime::parse_duration(&text)
        .map_err(|_| "expected a duration with its unit such as \"30s\", \"5min\" or \"1h 30min\"".to_owned())
}
