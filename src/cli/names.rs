//! Resource names: people may type the last part of a name (`tok_0192…`, `acme`) or the whole (`teams/acme`).

/// The last part of a resource name; empty for an empty name.
pub fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The whole name of a thing that has no parent: `noun` is such as `teams`.
pub fn top(noun: &str, text: &str) -> String {
    if text.is_empty() || text.contains('/') { text.to_owned() } else { format!("{noun}/{text}") }
}

/// The whole name of a thing under a parent, given by its whole name.
pub fn under(parent: &str, noun: &str, text: &str) -> String {
    if text.contains('/') { text.to_owned() } else { format!("{parent}/{noun}/{text}") }
}

/// `teams/{team}` of a whole name that begins so.
pub fn team_of(name: &str) -> &str {
    let end = name.match_indices('/').nth(1).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_once() {
        assert_eq!(top("teams", "acme"), "teams/acme");
        assert_eq!(top("teams", "teams/acme"), "teams/acme");
        assert_eq!(top("networks", ""), "");
        assert_eq!(under("teams/acme", "tokens", "tok_1"), "teams/acme/tokens/tok_1");
        assert_eq!(under("teams/acme", "tokens", "teams/b/tokens/tok_1"), "teams/b/tokens/tok_1");
    }

    #[test]
    fn names_are_cut_at_their_parts() {
        assert_eq!(short("teams/acme/tokens/tok_1"), "tok_1");
        assert_eq!(short(""), "");
        assert_eq!(team_of("teams/acme/tokens/tok_1"), "teams/acme");
        assert_eq!(team_of("teams/acme"), "teams/acme");
    }
}
