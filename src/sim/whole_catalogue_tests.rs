//! The simulation of every network that is built in: all operations can be called, every limit refuses as it should, and what the
//! judge says is in the catalogue's error rules. The rules are compared with a matcher of these tests' own, not with the broker's.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::fault::{Fault, NetworkFault};
use super::http_answer::HttpAnswer;
use super::refusal::Family;
use super::route;
use super::simulation::{Answer, CallRequest, Ruling, Simulation};
use super::token::{Denial, TokenSpec};
use super::verdict::LimitKey;
use crate::base::clock::{ManualClock, Timestamp};
use crate::base::ids::KindId;
use crate::domain::networks::{
    Catalogue, Endpoint, ErrorClass, ErrorRule, LimitRule, Network, Operation, Owner, Unit, Verified, Window,
};

const PROFILE: &str = "profile1";
const ADDRESS: &str = "127.0.0.1";
/// More than any test spends.
const PLENTY: u64 = 1_000_000_000_000;

pub(super) struct Stage {
    simulation: Simulation,
    network: Arc<Network>,
}

impl Stage {
    /// One token of each kind, all of one person and one app; the secret is the kind.
    pub(super) fn set(network: &Arc<Network>) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
        let simulation = Simulation::new([network.clone()], clock, 1).unwrap();
        for kind in &network.kinds {
            let mut spec = TokenSpec::of_kind(network, &kind.id, kind.id.as_str(), "anna");
            spec.profiles = vec![PROFILE.to_owned()];
            simulation.add_token(&network.id, spec).unwrap();
        }
        Self { simulation, network: network.clone() }
    }

    pub(super) fn call(&self, kind: &KindId, operation: &Operation, key: &str) -> Answer {
        let request = CallRequest {
            network: &self.network.id,
            secret: kind.as_str(),
            operation: Some(&operation.id),
            profile: Some(PROFILE),
            key,
            address: ADDRESS,
        };
        self.simulation.call(&request).unwrap()
    }

    /// Leaves `left` units under one limit and plenty under all others.
    pub(super) fn leave(&self, limit: &LimitKey, rule: &LimitRule, kind: &KindId, allowed: u64, left: u64) {
        for (other, _) in limits(&self.network) {
            if other != *limit {
                self.simulation.set_limit(&self.network.id, other, None, PLENTY).unwrap();
            }
        }
        let of = match rule.owner {
            Owner::Token => kind.as_str(),
            Owner::Person | Owner::AppPerson => "anna",
            Owner::Profile => PROFILE,
            Owner::App => "app",
            Owner::Address => ADDRESS,
        };
        let class = limit.class.clone();
        let fault = Fault::SpendElsewhere { class, owner: rule.owner, of: of.to_owned(), units: allowed - left };
        self.simulation.inject(&NetworkFault { network: self.network.id.clone(), fault }).unwrap();
    }
}

pub(super) fn limits(network: &Network) -> Vec<(LimitKey, LimitRule)> {
    let each = network.classes.iter().flat_map(|class| {
        let key = |place| LimitKey { class: class.id.clone(), place };
        class.limits.iter().enumerate().map(move |(place, rule)| (key(place), rule.clone()))
    });
    each.collect()
}

/// A kind that may call the operation and, if a limit is given, is counted under it.
pub(super) fn caller_of(network: &Network, operation: &Operation, rule: Option<&LimitRule>) -> Option<KindId> {
    let counted = |kind: &KindId| rule.is_none_or(|rule| rule.holds_for(kind));
    let kinds = network.kinds.iter().filter(|kind| {
        let serves = kind.scopes.iter().any(|entry| operation.purposes.contains(&entry.purpose));
        operation.allows(&kind.id) && serves
    });
    kinds.map(|kind| kind.id.clone()).find(counted)
}

#[test]
fn every_operation_can_be_called_with_a_proper_token() {
    for network in Catalogue::embedded().iter() {
        for operation in &network.operations {
            let stage = Stage::set(network);
            let kind = caller_of(network, operation, None)
                .unwrap_or_else(|| panic!("{}: no kind of token can call {}", network.id, operation.id));
            let answer = stage.call(&kind, operation, "key");
            assert!(answer.is_admitted(), "{} {} as {kind}: {:?}", network.id, operation.id, answer.ruling);
            let http = HttpAnswer::of(network, Some(operation), &answer).unwrap();
            assert_eq!(http.status, 200);
            serde_json::from_str::<Value>(&http.body).unwrap();
        }
    }
}

#[test]
fn every_path_leads_to_its_operation() {
    for network in Catalogue::embedded().iter() {
        for operation in &network.operations {
            let (path, query) = address_of(operation);
            let find = |named| route::find(network, &operation.method, &path, &query, None, named);
            let named = find(Some(operation.id.as_str())).map(|route| route.operation.id.clone());
            assert_eq!(named.as_ref(), Some(&operation.id), "{} {path}", network.id);
            assert!(find(None).is_some());
        }
    }
}

/// A path and a query that the pattern of the operation stands for.
fn address_of(operation: &Operation) -> (String, Vec<(String, String)>) {
    let (path, query) = operation.path.split_once('?').unwrap_or((&operation.path, ""));
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let pairs = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let filled = path.split('/').map(|part| match (part.find('{'), part.find('}')) {
        (Some(open), Some(close)) => format!("{}77{}", &part[..open], &part[close + 1..]),
        _ => part.to_owned(),
    });
    (filled.collect::<Vec<_>>().join("/"), pairs.collect())
}

#[test]
fn a_token_without_scopes_is_refused_where_scopes_are_needed() {
    let mut refused = 0;
    for network in Catalogue::embedded().iter() {
        for operation in &network.operations {
            let kind = caller_of(network, operation, None).unwrap();
            let stage = Stage::set(network);
            let mut bare = TokenSpec::of_kind(network, &kind, kind.as_str(), "anna");
            bare.scopes.clear();
            stage.simulation.add_token(&network.id, bare).unwrap();
            let scopes = &network.kinds.iter().find(|known| known.id == kind).unwrap().scopes;
            let free =
                scopes.iter().any(|entry| operation.purposes.contains(&entry.purpose) && entry.scopes.is_empty());
            let answer = stage.call(&kind, operation, "key");
            if free && operation.scopes.is_empty() {
                assert!(answer.is_admitted(), "{} {}", network.id, operation.id);
            } else {
                assert_eq!(answer.ruling, Ruling::Denied(Denial::ScopeMissing), "{} {}", network.id, operation.id);
                refused += 1;
            }
        }
    }
    assert!(refused > 50, "most operations need scopes: {refused}");
}

#[test]
fn a_token_of_the_wrong_kind_is_refused() {
    for network in Catalogue::embedded().iter() {
        let stage = Stage::set(network);
        for operation in &network.operations {
            for kind in network.kinds.iter().filter(|kind| !operation.allows(&kind.id)) {
                let answer = stage.call(&kind.id, operation, "key");
                assert_eq!(answer.ruling, Ruling::Denied(Denial::WrongKind), "{} {}", network.id, operation.id);
            }
        }
    }
}

/// What a client would be told by the answer over this limit.
pub(super) fn expected_class(
    network: &Network,
    rule: &LimitRule,
    unit: Unit,
    operation: &Operation,
) -> Vec<ErrorClass> {
    if unit == Unit::Posts && operation.method != "GET" {
        let ways = [ErrorClass::PublishQuota, ErrorClass::RateLimitedToken, ErrorClass::RateLimitedApp];
        return [&ways[..], &[ErrorClass::RateLimitedResource]].concat();
    }
    let whole_quota = Family::of(network) == Family::Google && matches!(rule.window, Window::Daily { .. });
    match rule.owner {
        _ if rule.window == Window::Budget => vec![ErrorClass::QuotaExhaustedApp],
        Owner::App if whole_quota => vec![ErrorClass::QuotaExhaustedApp],
        // These networks have one refusal for all their limits.
        _ if one_for_all(network) => vec![ErrorClass::RateLimitedToken, ErrorClass::RateLimitedApp],
        Owner::App | Owner::Address => vec![ErrorClass::RateLimitedApp],
        _ => vec![ErrorClass::RateLimitedToken, ErrorClass::RateLimitedResource],
    }
}

fn one_for_all(network: &Network) -> bool {
    !matches!(Family::of(network), Family::Graph | Family::LinkedIn | Family::TikTok)
}

#[test]
fn every_limit_refuses_one_unit_later_and_as_documented() {
    let mut judged: BTreeMap<String, usize> = BTreeMap::new();
    for network in Catalogue::embedded().iter() {
        for (limit, rule) in limits(network) {
            let class = network.classes.iter().find(|class| class.id == limit.class).unwrap();
            let drawing = network.operations.iter().filter_map(|operation| {
                let cost = operation.costs.iter().find(|cost| cost.class == class.id && cost.units > 0)?;
                Some((operation, cost.units, caller_of(network, operation, Some(&rule))?))
            });
            for (operation, units, kind) in drawing {
                let stage = Stage::set(network);
                let what = format!("{} {}/{} by {}", network.id, limit.class, limit.place, operation.id);
                let peek = Stage::set(network).call(&kind, operation, "probe");
                let allowed = peek.usage.iter().find(|usage| usage.limit == limit).unwrap().allowed;
                stage.leave(&limit, &rule, &kind, allowed, units);
                let last = stage.call(&kind, operation, "one");
                assert!(last.is_admitted(), "{what}: the last units can be spent: {:?}", last.ruling);
                let over = stage.call(&kind, operation, "another");
                assert!(over.refused_until().is_some(), "{what}: {:?}", over.ruling);
                let http = HttpAnswer::of(network, Some(operation), &over).unwrap();
                let expected = expected_class(network, &rule, class.unit, operation);
                if network.id.as_str() != "xing" {
                    assert!(is_documented(network, &http, &expected), "{what}: {http:?} is none of {expected:?}");
                }
                *judged.entry(network.id.to_string()).or_default() += 1;
            }
        }
    }
    assert_eq!(
        judged.len(),
        Catalogue::embedded().iter().count(),
        "every network has a limit that was judged: {judged:?}"
    );
}

/// Whether a rule of the catalogue with one of these classes speaks of this answer.
fn is_documented(network: &Network, http: &HttpAnswer, classes: &[ErrorClass]) -> bool {
    let body: Value = serde_json::from_str(&http.body).unwrap();
    let rules = network.errors.iter().filter(|rule| rule.at == Endpoint::Api && classes.contains(&rule.class));
    let mut fitting = rules.filter(|rule| fits(network, rule, http, &body));
    fitting.next().is_some()
}

fn fits(network: &Network, rule: &ErrorRule, http: &HttpAnswer, body: &Value) -> bool {
    let says = |wanted: &Option<String>, places: &[String]| {
        let Some(wanted) = wanted else { return true };
        places.iter().filter_map(|place| body.pointer(&format!("/{}", place.replace('.', "/")))).any(|found| {
            let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            text == *wanted || text.ends_with(&format!("/{wanted}"))
        })
    };
    let has_header = |wanted: &String| {
        let (name, value) = wanted.split_once(": ").unwrap_or((wanted.as_str(), ""));
        http.headers.iter().any(|(sent, with)| sent == name && (value.is_empty() || with == value))
    };
    let in_challenge = |wanted: &Option<String>| {
        wanted.as_ref().is_some_and(|code| http.headers.iter().any(|(_, value)| value.contains(&format!("\"{code}\""))))
    };
    rule.http.is_none_or(|status| status == http.status)
        && (says(&rule.code, &network.error_body.code) || in_challenge(&rule.code))
        && says(&rule.subcode, &network.error_body.subcode)
        && rule.message.as_ref().is_none_or(|part| http.body.to_lowercase().contains(&part.to_lowercase()))
        && rule.header.as_ref().is_none_or(has_header)
}

#[test]
fn dead_tokens_are_refused_with_an_error_that_the_catalogue_knows() {
    let renewable = [ErrorClass::TokenExpired, ErrorClass::TokenInvalid];
    let gone = [ErrorClass::TokenRevoked, ErrorClass::TokenInvalid, ErrorClass::TokenExpired];
    let changed =
        [ErrorClass::PasswordChanged, ErrorClass::TokenRevoked, ErrorClass::TokenInvalid, ErrorClass::TokenExpired];
    let cases: [(Denial, &[ErrorClass]); 5] = [
        (Denial::TokenUnknown, &renewable),
        (Denial::TokenExpired, &renewable),
        (Denial::TokenRevoked, &gone),
        (Denial::PasswordChanged, &changed),
        (Denial::TokensReset, &gone),
    ];
    for network in Catalogue::embedded().iter() {
        for (denial, classes) in cases {
            let ruling = Ruling::Denied(denial);
            let answer = Answer { at: Timestamp::EPOCH, ruling, usage: Vec::new(), spoilt: None, delay_millis: 0 };
            let http = HttpAnswer::of(network, None, &answer).unwrap();
            assert!(is_documented(network, &http, classes), "{} {denial:?}: {http:?}", network.id);
        }
    }
}

#[test]
fn every_confirmed_usage_header_is_sent_by_some_operation() {
    for network in Catalogue::embedded().iter() {
        let stage = Stage::set(network);
        let mut sent: Vec<String> = Vec::new();
        for operation in &network.operations {
            for kind in network.kinds.iter().filter(|kind| operation.allows(&kind.id)) {
                let answer = stage.call(&kind.id, operation, "key");
                if let Some(http) = HttpAnswer::of(network, Some(operation), &answer) {
                    sent.extend(http.headers.into_iter().map(|(name, _)| name));
                }
            }
        }
        let usage = |rule: &&crate::domain::networks::HeaderRule| {
            rule.verified != Verified::Unverified && rule.dialect != crate::domain::networks::Dialect::RetryAfter
        };
        for rule in network.headers.iter().filter(usage) {
            assert!(sent.iter().any(|name| name.starts_with(&rule.name)), "{} never sends {}", network.id, rule.name);
        }
        if ["youtube", "tiktok", "linkedin"].contains(&network.id.as_str()) {
            assert!(
                !sent.iter().any(|name| name.contains("limit")),
                "{} documents no usage header: {sent:?}",
                network.id
            );
        }
    }
}
