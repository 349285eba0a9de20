//! What an answer of a network means.

use std::cmp::Reverse;

use super::model::ErrorRule;

/// How exact a rule is: the more it asks for, the earlier it is asked. A message says more than a sub-code, that more
/// than a code, that more than a header, that more than the HTTP status; one value says more than a range.
pub(super) fn exactness(rule: &ErrorRule) -> (u8, Reverse<u32>) {
    let asked = [
        rule.message.is_some(),
        rule.subcode.is_some(),
        rule.code.is_some(),
        rule.header.is_some(),
        rule.http.is_some(),
    ];
    let rank = asked.into_iter().fold(0, |rank, asked| rank << 1 | u8::from(asked));
    let width = |from: &Option<String>, to: Option<u32>| {
        let from = from.as_ref().and_then(|from| from.parse::<u32>().ok());
        to.zip(from).map_or(0, |(to, from)| to.saturating_sub(from))
    };
    let widths = width(&rule.code, rule.code_to).saturating_add(width(&rule.subcode, rule.subcode_to));
    (rank, Reverse(widths))
}
