//! The fields of one row: what they are called, and the token that they make.
//!
//! Invariant: what is wrong is told without repeating any value.

use prost::Message;
use serde_json::Value;

use super::super::names::{top, under};
use super::super::times::{parse_time, to_wire};
use super::super::words::Word;
use super::rows::{MOST_ROW_BYTES, Row, Unreadable};
use crate::grpc::pb;

const TITLES: [&str; 18] = [
    "network",
    "kind",
    "access_token",
    "refresh_token",
    "token_secret",
    "app",
    "person",
    "profile",
    "display_name",
    "granted_by",
    "scopes",
    "purposes",
    "access_expire_time",
    "refresh_expire_time",
    "data_access_expire_time",
    "consent_time",
    "max_concurrent_leases",
    "reserve_percent",
];
/// The fields that every row needs.
pub const NEEDED: [&str; 3] = ["network", "kind", "access_token"];
/// What the names of facts begin with.
pub const FACT: &str = "facts.";

/// Whether a field is called so.
pub fn is_title(title: &str) -> bool {
    TITLES.contains(&title) || title.strip_prefix(FACT).is_some_and(|fact| !fact.is_empty())
}

/// The value of a field.
#[derive(Clone)]
pub enum Field {
    /// As it is.
    Text(String),
    /// Several.
    List(Vec<String>),
}

/// The value of a field in JSON; none if it can't be one.
pub fn field_of(value: &Value) -> Option<Field> {
    match value {
        Value::String(text) => Some(Field::Text(text.trim().to_owned())),
        Value::Number(number) => Some(Field::Text(number.to_string())),
        Value::Array(parts) => {
            parts.iter().map(|part| part.as_str().map(str::to_owned)).collect::<Option<_>>().map(Field::List)
        }
        _ => None,
    }
}

/// Makes the token and checks that what is needed is there. What the fields mean is the broker's to judge.
pub fn token_of_fields(row: i64, fields: Vec<(&str, Field)>) -> Row {
    let mut token = pb::Token { clocks: Some(pb::TokenClocks::default()), ..pb::Token::default() };
    let mut secrets = pb::TokenSecrets::default();
    for (title, field) in fields {
        let set = match field {
            Field::Text(text) if text.is_empty() => Ok(()),
            Field::Text(text) if text.contains('\n') => {
                Err("holds a line break; is a closing quote missing?".to_owned())
            }
            Field::Text(text) => set_text(&mut token, &mut secrets, title, text),
            Field::List(parts) => set_list(&mut token, title, &parts),
        };
        set.map_err(|message| Unreadable { row, field: title.to_owned(), message })?;
    }
    let needed = [("network", &token.network), ("kind", &token.kind), ("access_token", &secrets.access_token)];
    if let Some((field, _)) = needed.into_iter().find(|(_, value)| value.is_empty()) {
        return Err(Unreadable { row, field: field.to_owned(), message: "is missing".to_owned() });
    }
    if !token.app.is_empty() {
        token.app = under(&token.network, "apps", &token.app);
    }
    let import_row = pb::ImportRow { row, token: Some(token), secrets: Some(secrets) };
    if import_row.encoded_len() > MOST_ROW_BYTES {
        let message = format!("is longer than {} KiB", MOST_ROW_BYTES / 1024);
        return Err(Unreadable { row, field: String::new(), message });
    }
    Ok(import_row)
}

fn set_text(token: &mut pb::Token, secrets: &mut pb::TokenSecrets, title: &str, text: String) -> Result<(), String> {
    let clocks = token.clocks.get_or_insert_default();
    match title {
        "network" => token.network = top("networks", &text),
        "kind" => token.kind = text,
        "access_token" => secrets.access_token = text,
        "refresh_token" => secrets.refresh_token = text,
        "token_secret" => secrets.token_secret = text,
        "app" => token.app = text,
        "person" => token.person = text,
        "profile" => token.profile = text,
        "display_name" => token.display_name = text,
        "granted_by" => token.granted_by = text,
        "access_expire_time" => clocks.access_expire_time = Some(time(&text)?),
        "refresh_expire_time" => clocks.refresh_expire_time = Some(time(&text)?),
        "data_access_expire_time" => clocks.data_access_expire_time = Some(time(&text)?),
        "consent_time" => clocks.consent_time = Some(time(&text)?),
        "max_concurrent_leases" => token.max_concurrent_leases = number(&text)?,
        "reserve_percent" => token.reserve_percent = Some(number(&text)?),
        "scopes" | "purposes" => {
            let parts: Vec<_> = text.split([';', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
            set_list(token, title, &parts)?;
        }
        fact => {
            let fact = fact.strip_prefix(FACT).ok_or("is not known")?;
            token.facts.insert(fact.to_owned(), number(&text)?);
        }
    }
    Ok(())
}

fn set_list(token: &mut pb::Token, title: &str, parts: &[String]) -> Result<(), String> {
    match title {
        "scopes" => token.scopes = parts.to_vec(),
        "purposes" => {
            let purposes = parts.iter().map(|part| pb::Purpose::of(part).map(i32::from));
            let known: Vec<_> = pb::Purpose::all().into_iter().map(Word::word).collect();
            let wrong = || format!("holds a purpose that is not known; these are: {}", known.join(", "));
            token.purposes = purposes.collect::<Option<_>>().ok_or_else(wrong)?;
        }
        _ => return Err("must be one value, not an array".to_owned()),
    }
    Ok(())
}

fn time(text: &str) -> Result<prost_types::Timestamp, String> {
    parse_time(text).map(to_wire).map_err(|_| "must be a time such as 2026-01-31T10:00:00Z or 2026-01-31".to_owned())
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "must be a whole number".to_owned())
}
