//! The fields of requests: texts, numbers, names of resources, masks. Each mistake is noted, so that a caller is told all at once.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::base::ids::{NetworkId, TeamId};
use crate::domain::networks::{Purpose, Purposes};
use crate::grpc::convert::purpose;
use crate::grpc::pb;
use crate::grpc::status::FieldMistakes;

/// The longest name for people, in characters.
pub const NAME: usize = 128;
/// The longest comment, in characters.
pub const COMMENT: usize = 256;

/// Requires a text of at most `most` characters, without control characters.
pub fn check_text(field: &str, text: &str, most: usize, mistakes: &mut FieldMistakes) {
    if text.chars().count() > most {
        mistakes.note(field, format!("must have at most {most} characters"));
    } else if text.chars().any(char::is_control) {
        mistakes.note(field, "must not have control characters, such as line breaks");
    }
}

/// Requires that a field that is needed is not empty.
pub fn check_given(field: &str, text: &str, mistakes: &mut FieldMistakes) {
    if text.is_empty() {
        mistakes.note(field, "is required");
    }
}

/// A message that is needed; an empty one and the mistake if there is none.
pub fn required<T: Default>(field: &str, value: Option<T>, mistakes: &mut FieldMistakes) -> T {
    value.unwrap_or_else(|| {
        mistakes.note(field, "is required");
        T::default()
    })
}

/// Requires a request id: empty, or 1 to 64 printable ASCII characters without spaces.
pub fn check_request_id(id: &str, mistakes: &mut FieldMistakes) {
    if id.len() > 64 || !id.chars().all(|c| c.is_ascii_graphic()) {
        mistakes.note("request_id", "must have 1 to 64 printable ASCII characters without spaces, or be empty");
    }
}

/// A span from the wire; a negative one is a mistake.
pub fn from_duration(field: &str, span: &prost_types::Duration, mistakes: &mut FieldMistakes) -> Duration {
    match Duration::try_from(*span) {
        Ok(span) => span,
        Err(_) => {
            mistakes.note(field, "must not be negative");
            Duration::ZERO
        }
    }
}

/// The id in a resource name such as `teams/acme`, or the mistake.
pub fn name_in<T: FromStr>(field: &str, collection: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<T>
where
    T::Err: Display,
{
    match name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')) {
        Some(id) => mistakes.parse(field, id),
        None => {
            mistakes.note(field, format!("must be a name such as '{collection}/…'"));
            None
        }
    }
}

/// A number within `range`, or 0 for `default`.
pub fn number_or(
    field: &str,
    value: i32,
    range: RangeInclusive<u32>,
    default: u32,
    mistakes: &mut FieldMistakes,
) -> u32 {
    match u32::try_from(value) {
        Ok(0) => default,
        Ok(number) if range.contains(&number) => number,
        _ => {
            mistakes.note(field, format!("must be {} to {}, or 0 for the default", range.start(), range.end()));
            default
        }
    }
}

/// The owner's reserve: 0 to 90 percent, or none.
pub fn reserve_percent(field: &str, value: Option<i32>, mistakes: &mut FieldMistakes) -> Option<u8> {
    let value = value?;
    let percent = u8::try_from(value).ok().filter(|percent| *percent <= 90);
    if percent.is_none() {
        mistakes.note(field, "must be 0 to 90 percent, or unset");
    }
    percent
}

/// The purposes of a list; none may be unspecified.
pub fn purposes(field: &str, values: &[i32], mistakes: &mut FieldMistakes) -> Purposes {
    let known = values.iter().filter_map(|value| {
        let known: Option<Purpose> = purpose(*value);
        if known.is_none() {
            mistakes.note(field, "must hold known purposes only");
        }
        known
    });
    known.collect()
}

/// The networks of a list of names, and whether `networks/-` is among them.
pub fn networks(field: &str, names: &[String], mistakes: &mut FieldMistakes) -> (Vec<NetworkId>, bool) {
    let all = names.iter().any(|name| name == "networks/-");
    let named = names.iter().filter(|name| *name != "networks/-");
    let mut networks: Vec<NetworkId> = named.filter_map(|name| name_in(field, "networks", name, mistakes)).collect();
    networks.sort();
    networks.dedup();
    (networks, all)
}

/// The two ids in a name such as `teams/acme/tokens/tok_…`, or the mistake.
pub fn child_in<A: FromStr, B: FromStr>(
    field: &str,
    collections: [&str; 2],
    name: &str,
    mistakes: &mut FieldMistakes,
) -> Option<(A, B)>
where
    A::Err: Display,
    B::Err: Display,
{
    let parts: Vec<_> = name.split('/').collect();
    match parts[..] {
        [outer, parent, inner, child] if [outer, inner] == collections => {
            let parent = mistakes.parse(field, parent);
            let child = mistakes.parse(field, child);
            parent.zip(child)
        }
        _ => {
            let [outer, inner] = collections;
            mistakes.note(field, format!("must be a name such as '{outer}/…/{inner}/…'"));
            None
        }
    }
}

/// The team of a parent, or `None` within for `teams/-`: all.
pub fn team_or_all(field: &str, name: &str, mistakes: &mut FieldMistakes) -> Option<Option<TeamId>> {
    if name == "teams/-" {
        return Some(None);
    }
    name_in(field, "teams", name, mistakes).map(Some)
}

/// The paths of a mask: at least one, each of them known, a map's (`facts`) with a key behind a dot, too.
pub fn mask(
    mask: Option<&prost_types::FieldMask>,
    known: &[&str],
    maps: &[&str],
    mistakes: &mut FieldMistakes,
) -> Vec<String> {
    let paths = mask.map(|mask| mask.paths.clone()).unwrap_or_default();
    let of_map = |path: &str| path.split_once('.').is_some_and(|(map, key)| maps.contains(&map) && !key.is_empty());
    for path in paths.iter().filter(|path| !known.contains(&path.as_str()) && !of_map(path)) {
        mistakes.note("update_mask", format!("'{path}' can't be changed; what can is {}", known.join(", ")));
    }
    if paths.is_empty() {
        mistakes.note("update_mask", format!("must name what to change: {}", known.join(", ")));
    }
    paths
}

/// Facts: names of at most 64 characters with numbers that are not negative.
pub fn facts(
    field: &str,
    facts: &std::collections::BTreeMap<String, i64>,
    mistakes: &mut FieldMistakes,
) -> std::collections::BTreeMap<String, u64> {
    let mut read = std::collections::BTreeMap::new();
    for (name, value) in facts {
        match u64::try_from(*value) {
            Ok(value) if !name.is_empty() && name.len() <= 64 => {
                read.insert(name.clone(), value);
            }
            Ok(_) => mistakes.note(field, "must have names of 1 to 64 characters"),
            Err(_) => mistakes.note(field, format!("'{name}' must not be negative")),
        }
    }
    read
}

/// The purposes on the wire.
pub fn from_purposes(purposes: Purposes) -> Vec<i32> {
    purposes.iter().map(|purpose| crate::grpc::convert::from_purpose(purpose) as i32).collect()
}

/// A count on the wire; saturates.
pub fn count(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

/// A small count on the wire; saturates.
pub fn small(value: impl TryInto<i32>) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

/// The status filter of a list.
pub fn token_status(value: i32, mistakes: &mut FieldMistakes) -> Option<crate::domain::token::Status> {
    use crate::domain::token::Status;
    match pb::TokenStatus::try_from(value) {
        Ok(pb::TokenStatus::Unspecified) => None,
        Ok(pb::TokenStatus::Expired) => Some(Status::Expired),
        Ok(pb::TokenStatus::Expiring) => Some(Status::Expiring),
        Ok(pb::TokenStatus::Valid) => Some(Status::Valid),
        Ok(pb::TokenStatus::NoExpiry) => Some(Status::NoExpiry),
        Err(_) => {
            mistakes.note("status", "is not known");
            None
        }
    }
}
