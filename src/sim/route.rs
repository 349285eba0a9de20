//! From a path to an operation of the catalogue.
//!
//! `{name}` in a pattern stands for one segment (or a part of one, as in `tweets:{action}`-like paths, if it closes the segment).
//! Of several patterns that fit, the one with the most literal text wins; query parameters in a pattern must be present. Operations
//! that share a path are told apart by the kind of token, else the first of the catalogue is meant, unless the client names one.

use crate::base::ids::KindId;
use crate::domain::networks::{Network, Operation};

/// What a request asks for, as far as the path tells.
#[derive(Debug, Clone)]
pub(super) struct Route<'a> {
    /// The operation.
    pub(super) operation: &'a Operation,
    /// What stood in the place of the pattern's `{name}`s, in order.
    pub(super) parameters: Vec<String>,
}

/// The operation behind `method` and `path` (under the network's API base) for a token of `kind`. `named`: the operation that the
/// client says it means; it must have this path.
pub(super) fn find<'a>(
    network: &'a Network,
    method: &str,
    path: &str,
    query: &[(String, String)],
    kind: Option<&KindId>,
    named: Option<&str>,
) -> Option<Route<'a>> {
    let mut best: Option<((bool, usize, bool), Route<'a>)> = None;
    for operation in network.operations.iter().filter(|operation| operation.method.eq_ignore_ascii_case(method)) {
        let Some((literal, parameters)) = fit(&operation.path, path, query) else { continue };
        let is_named = named == Some(operation.id.as_str());
        let rank = (is_named, literal, kind.is_some_and(|kind| operation.allows(kind)));
        if best.as_ref().is_none_or(|(before, _)| rank > *before) {
            best = Some((rank, Route { operation, parameters }));
        }
    }
    best.map(|(_, route)| route)
}

/// Whether `pattern` stands for `path`.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    fit(pattern, path, &[]).is_some()
}

/// Whether `pattern` fits: how much of it is literal, and its parameters.
fn fit(pattern: &str, path: &str, query: &[(String, String)]) -> Option<(usize, Vec<String>)> {
    let (pattern, wanted) = pattern.split_once('?').unwrap_or((pattern, ""));
    let mut literal = 0;
    let mut parameters = Vec::new();
    let mut segments = path.trim_matches('/').split('/');
    for part in path_of(pattern).trim_matches('/').split('/') {
        let segment = segments.next()?;
        literal += fit_segment(part, segment, &mut parameters)?;
    }
    if segments.next().is_some() {
        return None;
    }
    for pair in wanted.split('&').filter(|pair| !pair.is_empty()) {
        literal += fit_pair(pair, query)?;
    }
    Some((literal, parameters))
}

/// An absolute address in the catalogue stands for its path: some operations live on another host of the same network.
pub(super) fn path_of(pattern: &str) -> &str {
    let Some((_, rest)) = pattern.split_once("://") else { return pattern };
    rest.find('/').map_or("", |slash| &rest[slash..])
}

fn fit_segment(part: &str, segment: &str, parameters: &mut Vec<String>) -> Option<usize> {
    let Some((before, rest)) = part.split_once('{') else {
        return (part == segment).then_some(part.len() + 1);
    };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    let value = segment.strip_prefix(before)?.strip_suffix(after)?;
    if value.is_empty() {
        return None;
    }
    parameters.push(value.to_owned());
    Some(before.len() + after.len())
}

/// A parameter of the pattern must be there; its value must begin as the pattern says, if it says so without braces.
fn fit_pair(pair: &str, query: &[(String, String)]) -> Option<usize> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    let fixed = value.split('{').next().unwrap_or_default();
    let fits = query.iter().any(|(key, given)| key == name && given.starts_with(fixed));
    fits.then_some(pair.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_segment_by_segment() {
        let query = [("fields".to_owned(), "business_discovery.username(x)".to_owned())];
        let cases = [
            ("/2/users/me", "/2/users/me", Some(vec![])),
            ("/2/users/{id}", "/2/users/12", Some(vec!["12"])),
            ("/2/users/{id}", "/2/users/", None),
            ("/2/users/{id}", "/2/users/12/tweets", None),
            ("/{id}:run", "/abc:run", Some(vec!["abc"])),
            ("/{id}:run", "/abc:stop", None),
            ("https://other.example/v1/{id}", "/v1/7", Some(vec!["7"])),
            ("/{id}?fields=business_discovery", "/7", Some(vec!["7"])),
            ("/{id}?metric=reach", "/7", None),
        ];
        for (pattern, path, expected) in cases {
            let found = fit(pattern, path, &query).map(|(_, parameters)| parameters);
            let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn literal_text_beats_parameters() {
        let rank = |pattern| fit(pattern, "/2/users/me", &[]).map(|(literal, _)| literal);
        assert!(rank("/2/users/me") > rank("/2/users/{id}"));
    }
}
