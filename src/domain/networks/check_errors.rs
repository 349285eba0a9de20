//! Whether the error rules of a file make sense: each can match something, and each can be reached.

use super::classify::exactness;
use super::document::{Document, Place};
use super::model::{ErrorRule, Network};

/// Notes every error rule that asks for nothing, can't match, or never has its turn.
pub(super) fn check(network: &Network, document: &mut Document<'_>) {
    let body = &network.error_body;
    let places =
        [("code", &body.code), ("subcode", &body.subcode), ("message", &body.message), ("transient", &body.transient)];
    for (key, paths) in places {
        for (at, path) in paths.iter().enumerate() {
            if path.split('.').any(str::is_empty) {
                let place = Place::default().key("error_body").key(key).at(at);
                document.note(&place, "must be keys and positions joined by dots, as 'error.errors.0.reason'");
            }
        }
    }
    for (at, rule) in network.errors.iter().enumerate() {
        let place = Place::default().key("errors").at(at);
        for (key, message) in faults(rule, network) {
            document.note(&if key.is_empty() { place.clone() } else { place.key(key) }, message);
        }
        let others = network.errors.iter().enumerate().filter(|(other, _)| *other != at);
        if let Some((other, _)) = others.into_iter().find(|(other, earlier)| {
            (exactness(earlier) > exactness(rule) || (exactness(earlier) == exactness(rule) && *other < at))
                && covers(earlier, rule)
        }) {
            document.note(&place, format!("can't be reached: errors[{other}] matches everything that it matches"));
        }
    }
}

fn faults(rule: &ErrorRule, network: &Network) -> Vec<(&'static str, &'static str)> {
    let body = &network.error_body;
    let asks_nothing = [&rule.code, &rule.subcode, &rule.message, &rule.header].iter().all(|asked| asked.is_none());
    let no_status = rule.http.is_some_and(|status| !(100..=599).contains(&status));
    let code_unknown = rule.code.is_some() && body.code.is_empty() && !body.challenge;
    let faults = [
        (asks_nothing && rule.http.is_none(), "", "asks for nothing, so that it matches every answer"),
        (no_status, "http", "is no HTTP status: write 100 to 599"),
        (code_unknown, "code", "'error_body.code' does not say where the code is"),
        (rule.subcode.is_some() && body.subcode.is_empty(), "subcode", "'error_body.subcode' does not say where it is"),
        (rule.message.is_some() && body.message.is_empty(), "message", "'error_body.message' does not say where it is"),
        (rule.message.as_deref() == Some(""), "message", "is empty, so that it matches every message"),
        (!is_range(&rule.code, rule.code_to), "code_to", "must be a number above 'code'"),
        (!is_range(&rule.subcode, rule.subcode_to), "subcode_to", "must be a number above 'subcode'"),
    ];
    faults.into_iter().filter(|(wrong, ..)| *wrong).map(|(_, key, message)| (key, message)).collect()
}

/// Whether `to` is absent, or ends a range that begins at `from`.
fn is_range(from: &Option<String>, to: Option<u32>) -> bool {
    let Some(to) = to else { return true };
    from.as_ref().and_then(|from| from.parse::<u32>().ok()).is_some_and(|from| from < to)
}

/// Whether `wide` matches every answer that `narrow` matches.
fn covers(wide: &ErrorRule, narrow: &ErrorRule) -> bool {
    wide.at == narrow.at
        && (wide.http.is_none() || wide.http == narrow.http)
        && covers_range((&wide.code, wide.code_to), (&narrow.code, narrow.code_to))
        && covers_range((&wide.subcode, wide.subcode_to), (&narrow.subcode, narrow.subcode_to))
        && (wide.header.is_none() || wide.header == narrow.header)
        && match (&wide.message, &narrow.message) {
            (None, _) => true,
            (Some(wide), Some(narrow)) => narrow.to_lowercase().contains(&wide.to_lowercase()),
            (Some(_), None) => false,
        }
}

fn covers_range(wide: (&Option<String>, Option<u32>), narrow: (&Option<String>, Option<u32>)) -> bool {
    let (Some(wide_from), Some(narrow_from)) = (wide.0, narrow.0) else { return wide.0.is_none() };
    if wide_from == narrow_from && wide.1 >= narrow.1 {
        return true;
    }
    let numbers = wide_from.parse::<u32>().ok().zip(narrow_from.parse::<u32>().ok());
    numbers.zip(wide.1).is_some_and(|((wide_from, narrow_from), wide_to)| {
        wide_from <= narrow_from && narrow.1.unwrap_or(narrow_from) <= wide_to
    })
}
