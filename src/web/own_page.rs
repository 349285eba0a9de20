//! Pages of this host that foreign text names: where to go on after a sign-in, or back to after a change. Such text may name any address, so
//! it is read, held against the pages that there are, and written anew.

use url::form_urlencoded::{Serializer, parse};

/// The longest address that is taken, in bytes.
const LONGEST: usize = 4_096;

/// The address of a page of this host at or below one of `places`, as it is safe to lead to; `None`: it is none.
///
/// What its query says is kept, whatever it is, and written anew; a fragment is left out. A path has only letters, digits, `-`, `_` and `.`
/// between single slashes, so that no browser takes it for another host or for a step up.
pub(in crate::web) fn own_page(said: &str, places: &[&str]) -> Option<String> {
    let said = said.split('#').next().filter(|said| said.len() <= LONGEST)?;
    let (path, query) = said.split_once('?').unwrap_or((said, ""));
    let below = |place: &&str| path.strip_prefix(*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_plain = |part: &str| {
        let letters = part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        letters && !part.is_empty() && !part.chars().all(|c| c == '.')
    };
    let known = places.iter().any(below) && path.strip_prefix('/')?.split('/').all(is_plain);
    known.then(|| with(path, parse(query.as_bytes())))
}

/// An own page with more in its query; what is of the same name gives way.
pub(in crate::web) fn saying(page: &str, more: &[(&str, &str)]) -> String {
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let kept = parse(query.as_bytes()).filter(|(name, _)| more.iter().all(|(other, _)| name != other));
    with(path, kept.chain(more.iter().map(|(name, value)| ((*name).into(), (*value).into()))))
}

fn with<'q>(path: &str, pairs: impl Iterator<Item = (std::borrow::Cow<'q, str>, std::borrow::Cow<'q, str>)>) -> String {
    match Serializer::new(String::new()).extend_pairs(pairs).finish() {
        none if none.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [&str; 2] = ["/tokens", "/jobs"];

    #[test]
    fn a_page_is_kept_with_all_that_its_address_says() {
        for (said, expected) in [
            ("/tokens", "/tokens"),
            ("/tokens?q=nord+sport", "/tokens?q=nord+sport"),
            ("/tokens?q=50%25%20%26%20more&status=dead", "/tokens?q=50%25+%26+more&status=dead"),
            ("/tokens?action=token.", "/tokens?action=token."),
            ("/tokens/tok_1/usage#days", "/tokens/tok_1/usage"),
            ("/tokens?next=//evil.example", "/tokens?next=%2F%2Fevil.example"),
            ("/jobs/job_1?after=a-b\r\nx: y", "/jobs/job_1?after=a-b%0D%0Ax%3A+y"),
        ] {
            assert_eq!(own_page(said, &PLACES).as_deref(), Some(expected), "{said}");
        }
    }

    #[test]
    fn nothing_leads_elsewhere() {
        let long = format!("/tokens?q={}", "x".repeat(LONGEST));
        for said in [
            "",
            "/",
            "tokens",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/tokens//evil.example",
            "/tokens/../..//evil.example",
            "/tokens/..",
            "/tokens/%2e%2e/evil",
            "/tokens/%2F%2Fevil.example",
            "/%2Fevil.example",
            "%2F%2Fevil.example",
            "/tokens\\@evil.example",
            "/tokens@evil.example",
            "/tokens.evil.example",
            "/tokensome",
            "/tokens/\r\nset-cookie: a=b",
            "/\t/evil.example",
            "https://evil.example/tokens",
            "javascript:alert(1)",
            "/sign-out",
            &long,
        ] {
            assert_eq!(own_page(said, &PLACES), None, "{said}");
        }
    }

    #[test]
    fn more_is_said_once() {
        assert_eq!(saying("/tokens", &[("done", "paused")]), "/tokens?done=paused");
        assert_eq!(saying("/tokens?q=a+b&done=none", &[("done", "paused")]), "/tokens?q=a+b&done=paused");
    }
}
