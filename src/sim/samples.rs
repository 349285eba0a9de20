//! Small networks for the tests of this folder, made by hand, so that a test sees every number that it relies on.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::networks::*;

/// A limit over all kinds.
pub(super) fn limit(owner: Owner, window: Window, amount: u64) -> LimitRule {
    LimitRule { owner, kinds: Vec::new(), window, amount: Amount::Number(amount), verified: Verified::Documented }
}

/// Windows that begin with the clock, so that a test knows where they end.
pub(super) fn fixed(seconds: u64) -> Window {
    Window::Fixed { length: Duration::from_secs(seconds), phase: Phase::Clock }
}

pub(super) fn rolling(seconds: u64) -> Window {
    Window::Rolling { length: Duration::from_secs(seconds) }
}

pub(super) fn class(id: &str, unit: Unit, limits: Vec<LimitRule>) -> CreditClass {
    CreditClass { id: id.parse().unwrap(), unit, about: String::new(), limits }
}

/// An operation `get.{classes}` at `/{first class}` that costs one unit of each class.
pub(super) fn operation(method: &str, path: &str, costs: &[(&str, u64)]) -> Operation {
    let cost = |(class, units): &(&str, u64)| Cost { class: class.parse().unwrap(), units: *units };
    Operation {
        id: format!("{}.{}", method.to_lowercase(), costs[0].0).parse().unwrap(),
        about: String::new(),
        method: method.to_owned(),
        path: path.to_owned(),
        purposes: vec![Purpose::CollectContent],
        scopes: Vec::new(),
        kinds: Vec::new(),
        costs: costs.iter().map(cost).collect(),
        verified: Verified::Documented,
    }
}

pub(super) fn kind(id: &str) -> TokenKind {
    TokenKind {
        id: id.parse().unwrap(),
        name: String::new(),
        summary: String::new(),
        about: String::new(),
        api_base: None,
        oauth: None,
        scopes: vec![PurposeScopes { purpose: Purpose::CollectContent, scopes: vec!["read".to_owned()] }],
        access_validity: None,
        refresh_validity: None,
        refresh_slides: false,
        data_access_validity: None,
        renewal: Renewal::Nothing,
        bindings: Vec::new(),
        native_permission: None,
        probe: None,
        account: None,
        profiles: None,
        granted: None,
        verified: Verified::Documented,
        unverified: Vec::new(),
    }
}

pub(super) fn header(dialect: Dialect, name: &str, owner: Owner) -> HeaderRule {
    HeaderRule { dialect, name: name.to_owned(), owner, window: None, class: None, verified: Verified::Documented }
}

/// A network with the kinds `user` and `page`, and one `GET /{class}/{id}` operation per class.
pub(super) fn network(id: &str, classes: Vec<CreditClass>, headers: Vec<HeaderRule>) -> Network {
    let operations = classes
        .iter()
        .map(|class| operation("GET", &format!("/{}/{{id}}", class.id), &[(class.id.as_str(), 1)]))
        .collect();
    Network {
        id: id.parse().unwrap(),
        display_name: id.to_owned(),
        api_base: "https://api.example.org".to_owned(),
        kinds: vec![kind("user"), kind("page")],
        classes,
        operations,
        headers,
        request_headers: BTreeMap::new(),
        error_body: ErrorBody::default(),
        errors: Vec::new(),
        retention: Vec::new(),
        requirements: Vec::new(),
        history: Vec::new(),
    }
}
