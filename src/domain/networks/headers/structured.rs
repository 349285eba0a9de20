//! Lists of structured fields (RFC 9651), as far as headers about limits need them. A list is read whole or not at all.

/// One item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'t> {
    /// Its value.
    pub value: Bare<'t>,
    /// Its parameters.
    parameters: Vec<(&'t str, Bare<'t>)>,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare<'t> {
    /// An integer that is not negative; saturates.
    Integer(u64),
    /// A string without its quotes (escapes stay as they are), or a token.
    Text(&'t str),
    /// Anything else: of no use here.
    Other,
}

const MOST_ITEMS: usize = 32;
const MOST_PARAMETERS: usize = 16;

impl<'t> Item<'t> {
    /// The integer under a parameter's name.
    pub fn integer(&self, name: &str) -> Option<u64> {
        match self.parameter(name)? {
            Bare::Integer(number) => Some(number),
            Bare::Text(_) | Bare::Other => None,
        }
    }

    /// The text under a parameter's name.
    pub fn text(&self, name: &str) -> Option<&'t str> {
        match self.parameter(name)? {
            Bare::Text(text) => Some(text),
            Bare::Integer(_) | Bare::Other => None,
        }
    }

    /// Whether the parameter is there, in any form.
    pub fn has(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    fn parameter(&self, name: &str) -> Option<Bare<'t>> {
        self.parameters.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

/// The items of a list; `None` if it is malformed or longer than any honest one.
pub fn list(text: &str) -> Option<Vec<Item<'_>>> {
    let mut rest = text.trim_matches(is_space);
    let mut items = Vec::new();
    loop {
        let (value, after) = bare(rest)?;
        let (parameters, after) = parameters(after)?;
        items.push(Item { value, parameters });
        let after = after.trim_start_matches(is_space);
        if after.is_empty() {
            return Some(items);
        }
        if items.len() == MOST_ITEMS {
            return None;
        }
        rest = after.strip_prefix(',')?.trim_start_matches(is_space);
    }
}

fn parameters(text: &str) -> Option<(Vec<(&str, Bare<'_>)>, &str)> {
    let mut parameters = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix(';') {
        let (key, after) = split_while(after.trim_start_matches(' '), is_key);
        let (value, after) = match after.strip_prefix('=') {
            Some(after) => bare(after)?,
            None => (Bare::Other, after),
        };
        if key.is_empty() || parameters.len() == MOST_PARAMETERS {
            return None;
        }
        parameters.push((key, value));
        rest = after;
    }
    Some((parameters, rest))
}

fn bare(text: &str) -> Option<(Bare<'_>, &str)> {
    match text.bytes().next()? {
        b'"' => string(&text[1..]),
        b':' => text[1..].split_once(':').map(|(_, after)| (Bare::Other, after)),
        b'0'..=b'9' | b'-' => number(text),
        b'?' | b'@' => {
            let (value, after) = split_while(&text[1..], is_token);
            (!value.is_empty()).then_some((Bare::Other, after))
        }
        _ => {
            let (token, after) = split_while(text, is_token);
            (!token.is_empty()).then_some((Bare::Text(token), after))
        }
    }
}

fn string(text: &str) -> Option<(Bare<'_>, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some((Bare::Text(&text[..end]), &text[end + 1..]))
}

fn number(text: &str) -> Option<(Bare<'_>, &str)> {
    let (digits, after) = split_while(text, |c| c.is_ascii_digit() || c == '.' || c == '-');
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((Bare::Integer(digits.parse().unwrap_or(u64::MAX)), after));
    }
    digits.parse::<f64>().ok().map(|_| (Bare::Other, after))
}

fn split_while(text: &str, belongs: fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_key(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '*')
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read() {
        let items = list(r#"60, 100;w=1;name="a, \"b\";c=1", "day";q=7;pk=:cHJpdg==:;on;w=-1;d=1.5, tok"#).unwrap();
        let values: Vec<Bare<'_>> = items.iter().map(|item| item.value).collect();
        assert_eq!(values, [Bare::Integer(60), Bare::Integer(100), Bare::Text("day"), Bare::Text("tok")]);
        assert_eq!((items[1].integer("w"), items[1].text("name")), (Some(1), Some(r#"a, \"b\";c=1"#)));
        assert_eq!((items[2].integer("q"), items[2].integer("w"), items[2].integer("d")), (Some(7), None, None));
        assert!(items[2].has("pk") && items[2].has("on") && !items[2].has("off"));
    }

    #[test]
    fn of_two_parameters_of_one_name_the_last_counts() {
        assert_eq!(list("1;w=2;w=3").unwrap()[0].integer("w"), Some(3));
    }

    #[test]
    fn malformed_lists_are_refused_whole() {
        let many = vec!["1"; 33].join(",");
        for text in
            ["", ",", "1,", ",1", "1 2", "\"open", "1;", "1;w=", "1;=2", "1;W=2", "--", ":open", "?", "ü", &many]
        {
            assert_eq!(list(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC*") {
            let _ = list(&text);
        }

        #[test]
        fn what_is_written_is_read(limits in prop::collection::vec((any::<u64>(), any::<u64>(), "[ -!#-\\[\\]-~]{0,12}"), 1..32)) {
            let written: Vec<String> =
                limits.iter().map(|(limit, window, name)| format!("{limit};w={window};name=\"{name}\"")).collect();
            let written = written.join(", ");
            let items = list(&written).unwrap();
            prop_assert_eq!(items.len(), limits.len());
            for (item, (limit, window, name)) in items.iter().zip(&limits) {
                prop_assert_eq!(item.value, Bare::Integer(*limit));
                prop_assert_eq!(item.integer("w"), Some(*window));
                prop_assert_eq!(item.text("name"), Some(name.as_str()));
            }
        }
    }
}
