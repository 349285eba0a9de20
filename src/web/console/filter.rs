//! Filters of a list, which live in the page's address.

use url::form_urlencoded::Serializer;

/// The address of a list with these filters; those that are empty are left out.
pub(super) fn address(path: &str, filters: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in filters.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    match query.finish() {
        none if none.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// A choice of a filter.
pub(super) struct Choice {
    /// What the address says of it.
    pub(super) value: String,
    /// What it is called.
    pub(super) text: String,
    /// It is the one that holds.
    pub(super) chosen: bool,
}
