//! Reads what a network tells of whose a token is. Foreign text: bounded, without control characters, and never believed to be there.

use std::collections::HashMap;

use serde_json::Value;

use super::classify::{parse, value_at};
use super::model::{AccountLookup, GrantedLookup, NameLookup, NextPage, ProfilesLookup, Purposes};
use crate::base::secret::Secret;

/// An id that is longer is none, in characters.
const LONGEST_ID: usize = 256;
/// A name is cut here, in characters.
const LONGEST_NAME: usize = 128;
/// Profiles of one answer that are looked at.
const MOST_PROFILES: usize = 1_000;
/// Roles of one profile that are looked at.
const MOST_ROLES: usize = 32;

/// The account that gave consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAccount {
    /// Its id at the network.
    pub id: String,
    /// Its name for people; may be empty.
    pub name: String,
    /// Whether the network says that accounts of this type can't be used.
    pub is_unusable: bool,
}

/// One profile that a person may act for.
pub struct FoundProfile {
    /// Its id at the network.
    pub id: String,
    /// Its name for people; may be empty.
    pub name: String,
    /// A token of its own.
    pub token: Option<Secret>,
    /// The id of the person, where the list tells it.
    pub person: Option<String>,
    /// The person's roles there.
    pub roles: Vec<String>,
}

/// Each profile once, in the order in which they came: a network may name one several times, with another role of the person each time.
pub fn united(found: Vec<FoundProfile>) -> Vec<FoundProfile> {
    let mut profiles: Vec<FoundProfile> = Vec::with_capacity(found.len());
    let mut places: HashMap<String, usize> = HashMap::new();
    for one in found {
        let place = *places.entry(one.id.clone()).or_insert(profiles.len());
        let Some(earlier) = profiles.get_mut(place) else {
            profiles.push(one);
            continue;
        };
        if earlier.name.is_empty() {
            earlier.name = one.name;
        }
        earlier.token = earlier.token.take().or(one.token);
        earlier.person = earlier.person.take().or(one.person);
        for role in one.roles {
            if earlier.roles.len() < MOST_ROLES && !earlier.roles.contains(&role) {
                earlier.roles.push(role);
            }
        }
    }
    profiles
}

impl AccountLookup {
    /// The account in an answer; `None`: there is none in it.
    pub fn read(&self, body: &[u8]) -> Option<FoundAccount> {
        let body = parse(body)?;
        let id = id_at(&body, &self.id)?;
        let fits = |usable: &super::model::UsableTypes| {
            let kind = value_at(&body, &usable.at).and_then(Value::as_str).unwrap_or_default();
            usable.any.iter().any(|one| one.eq_ignore_ascii_case(kind))
        };
        let is_unusable = self.usable.as_ref().is_some_and(|usable| !fits(usable));
        Some(FoundAccount { id, name: name_at(&body, self.name.as_deref()), is_unusable })
    }
}

impl ProfilesLookup {
    /// The profiles in the answer for a page, and by what the next page is asked for; `None`: this is no list. `page`: by what this one was asked
    /// for; `None`: it is the first.
    pub fn read(&self, body: &[u8], page: Option<&str>) -> Option<(Vec<FoundProfile>, Option<String>)> {
        let body = parse(body)?;
        let items = match value_at(&body, &self.items) {
            Some(Value::Array(items)) => items.as_slice(),
            // An object without its list is a list of nothing.
            None if body.is_object() => &[],
            _ => return None,
        };
        let next = match &self.next {
            Some(NextPage::Mark { at, .. }) => id_at(&body, at),
            Some(NextPage::Count { step, .. }) => {
                let begun: usize = page.and_then(|page| page.parse().ok()).unwrap_or(0);
                (items.len() >= step.get()).then(|| begun.saturating_add(step.get()).to_string())
            }
            None => None,
        };
        Some((items.iter().take(MOST_PROFILES).filter_map(|item| self.profile(item)).collect(), next))
    }

    fn profile(&self, item: &Value) -> Option<FoundProfile> {
        let token = self.token.as_ref().and_then(|place| value_at(item, place)?.as_str());
        let clean = |text: &&str| !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        Some(FoundProfile {
            id: id_at(item, &self.id)?,
            name: name_at(item, self.name.as_deref()),
            token: token.filter(clean).map(|text| Secret::new(text.to_owned())),
            person: self.person.as_ref().and_then(|place| id_at(item, place)),
            roles: self.roles.as_ref().and_then(|place| value_at(item, place)).map(texts).unwrap_or_default(),
        })
    }

    /// The purposes among `wanted` for which a person with these roles lacks one, each with those of which one would do.
    pub fn lacking<'a>(&'a self, wanted: Purposes, roles: &[String]) -> Vec<&'a super::model::PurposeRoles> {
        let lacks = |need: &&super::model::PurposeRoles| !need.any.iter().any(|role| roles.contains(role));
        self.needs.iter().filter(|need| wanted.contains(need.purpose)).filter(lacks).collect()
    }
}

impl NameLookup {
    /// The request for the profile of that id.
    pub fn request_for(&self, id: &str) -> String {
        let last = id.rsplit(':').next().unwrap_or(id);
        let part: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
        self.request.replace("{id}", &part)
    }

    /// The name in an answer; empty: there is none.
    pub fn read(&self, body: &[u8]) -> String {
        parse(body).map(|body| name_at(&body, Some(&self.name))).unwrap_or_default()
    }
}

impl GrantedLookup {
    /// The scopes that were granted; `None`: this is no such list.
    pub fn read(&self, body: &[u8]) -> Option<Vec<String>> {
        let body = parse(body)?;
        let items = value_at(&body, &self.items)?.as_array()?;
        let is_granted = |item: &&Value| value_at(item, &self.status).and_then(Value::as_str) == Some(&self.granted);
        Some(items.iter().take(MOST_PROFILES).filter(is_granted).filter_map(|item| id_at(item, &self.scope)).collect())
    }
}

/// A text, or a number as a text, that could be an id.
fn id_at(value: &Value, place: &str) -> Option<String> {
    let text = match value_at(value, place)? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let fits = !text.is_empty() && text.chars().count() <= LONGEST_ID && !text.chars().any(char::is_control);
    fits.then_some(text)
}

fn name_at(value: &Value, place: Option<&str>) -> String {
    let text = place.and_then(|place| value_at(value, place)).and_then(Value::as_str).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.chars().take(LONGEST_ID).collect()],
        Value::Array(items) => items.iter().take(MOST_ROLES).flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::networks::{Catalogue, Purpose};

    #[test]
    fn pages_are_read_with_tokens_and_tasks() {
        let catalogue = Catalogue::embedded();
        let lookup = catalogue.network("facebook").unwrap().kind("page").unwrap().profiles.clone().unwrap();
        let body = json!({
            "data": [
                { "id": "7", "name": "A\u{7}page", "access_token": "EAA", "tasks": ["ANALYZE"] },
                { "id": 8, "name": "B" },
                { "name": "without an id" },
                "nothing",
            ],
            "paging": { "cursors": { "after": "mark" } },
        });
        let (profiles, next) = lookup.read(body.to_string().as_bytes(), None).unwrap();
        let seen: Vec<_> = profiles.iter().map(|one| (&*one.id, &*one.name, one.token.is_some())).collect();
        assert_eq!(seen, [("7", "Apage", true), ("8", "B", false)]);
        assert_eq!(next.as_deref(), Some("mark"));
        let wanted: Purposes = [Purpose::CollectStatistics, Purpose::Publish].into_iter().collect();
        let lacking: Vec<_> = lookup.lacking(wanted, &profiles[0].roles).iter().map(|need| need.purpose).collect();
        assert_eq!(lacking, [Purpose::Publish]);
        assert!(lookup.read(b"<html>", None).is_none());
        assert!(lookup.read(br#"{"data":7}"#, None).is_none());
    }

    #[test]
    fn a_profile_that_is_named_once_for_each_role_is_one() {
        let catalogue = Catalogue::embedded();
        let lookup = catalogue.network("linkedin").unwrap().kind("user").unwrap().profiles.clone().unwrap();
        let roles =
            [("1", "DIRECT_SPONSORED_CONTENT_POSTER"), ("2", "ANALYST"), ("1", "ADMINISTRATOR"), ("2", "ANALYST")];
        let item = |(id, role): &(&str, &str)| json!({ "organization": id, "role": role, "roleAssignee": "ann" });
        let body = json!({ "elements": roles.iter().map(item).collect::<Vec<_>>() });
        let profiles = united(lookup.read(body.to_string().as_bytes(), None).unwrap().0);
        let seen: Vec<_> = profiles.iter().map(|one| (&*one.id, one.roles.join(" "))).collect();
        let both = "DIRECT_SPONSORED_CONTENT_POSTER ADMINISTRATOR".to_owned();
        assert_eq!(seen, [("1", both), ("2", "ANALYST".to_owned())]);
        let wanted: Purposes = [Purpose::CollectStatistics].into_iter().collect();
        assert!(lookup.lacking(wanted, &profiles[0].roles).is_empty(), "one role that suffices is enough");
        assert!(!lookup.lacking(wanted, &profiles[1].roles).is_empty());
    }

    #[test]
    fn a_list_that_is_counted_goes_on_until_a_page_is_not_full() {
        let catalogue = Catalogue::embedded();
        let lookup = catalogue.network("linkedin").unwrap().kind("user").unwrap().profiles.clone().unwrap();
        let next = |roles: usize, page: Option<&str>| {
            // What can't be read is an element nevertheless.
            let body = json!({ "elements": vec![json!({ "role": "ADMINISTRATOR" }); roles] });
            lookup.read(body.to_string().as_bytes(), page).unwrap().1
        };
        assert_eq!(next(100, None).as_deref(), Some("100"));
        assert_eq!(next(100, Some("100")).as_deref(), Some("200"));
        assert_eq!((next(99, None), next(0, Some("200"))), (None, None));
        assert!(lookup.request.contains("count=100"), "as many as a step has");
    }

    #[test]
    fn a_profile_is_asked_for_its_name_by_the_end_of_its_id() {
        let catalogue = Catalogue::embedded();
        let lookup = catalogue.network("linkedin").unwrap().kind("user").unwrap().profiles.clone().unwrap();
        let named = lookup.named_by.unwrap();
        assert_eq!(named.request_for("urn:li:organization:7"), "GET https://api.linkedin.com/rest/organizations/7");
        assert!(named.request_for("a/../b?c").ends_with("/organizations/a%2F..%2Fb%3Fc"));
        assert_eq!(named.read(br#"{"localizedName":"Seven"}"#), "Seven");
        assert_eq!((named.read(b"{}"), named.read(b"<html>")), (String::new(), String::new()));
    }

    #[test]
    fn an_account_of_another_type_can_not_be_used() {
        let catalogue = Catalogue::embedded();
        let lookup = catalogue.network("instagram").unwrap().kind("instagram_login").unwrap().account.clone().unwrap();
        let account = |kind: &str| {
            lookup.read(json!({ "user_id": "1", "username": "ann", "account_type": kind }).to_string().as_bytes())
        };
        assert!(!account("Business").unwrap().is_unusable && !account("MEDIA_CREATOR").unwrap().is_unusable);
        assert!(account("PERSONAL").unwrap().is_unusable && account("").unwrap().is_unusable);
        assert_eq!(lookup.read(br#"{"error":{}}"#), None);
    }

    #[test]
    fn only_what_was_granted_counts() {
        let catalogue = Catalogue::embedded();
        let lookup = catalogue.network("facebook").unwrap().kind("user").unwrap().granted.clone().unwrap();
        let body = br#"{"data":[{"permission":"a","status":"granted"},{"permission":"b","status":"declined"}]}"#;
        assert_eq!(lookup.read(body).unwrap(), ["a"]);
        assert_eq!(lookup.read(b"{}"), None);
    }
}
