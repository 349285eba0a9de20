//! Whether what a file says makes sense as a whole: names that are there, amounts that allow something, rules that can
//! be reached. Everything that is wrong is noted; nothing is changed. Error rules are looked at in `check_errors`.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::check_errors;
use super::document::{Document, Place};
use super::lookup::PROBE_OPERATION;
use super::model::{
    Amount, ClientAuth, Cost, CreditClass, Dialect, HeaderRule, LimitRule, Network, OAuth, OAuthQuirk, Operation,
    Renewal, TokenKind, Unit, Window,
};
use crate::base::ids::{ClassId, KindId};

/// Notes everything that makes no sense in `network`. Unless the file was read `complete`ly, names that are missing
/// are not noted: what they name may stand in a part that could not be read.
pub(super) fn check(network: &Network, complete: bool, document: &mut Document<'_>) {
    let mut check = Check { network, complete, document };
    let root = Place::default();
    check.base(&root.key("api_base"), &network.api_base);
    if network.display_name.trim().is_empty() {
        check.document.note(&root.key("display_name"), "is empty: write the name as people know it");
    }
    check.request_headers(&root.key("request_headers"));
    check.lists(&root);
    check.kinds(&root.key("kinds"));
    check.classes(&root.key("classes"));
    check.operations(&root.key("operations"));
    check.headers(&root.key("headers"));
    for (at, retention) in network.retention.iter().enumerate() {
        let place = root.key("retention").at(at);
        check.some_text(&place.key("rule"), &retention.rule);
        check.some_time(&place.key("after"), retention.after);
    }
    check.requirements(&root.key("requirements"));
    check.histories(&root.key("history"));
    check_errors::check(network, check.document);
}

struct Check<'c, 't> {
    network: &'c Network,
    complete: bool,
    document: &'c mut Document<'t>,
}

impl Check<'_, '_> {
    fn some_text(&mut self, place: &Place, text: &str) {
        if text.trim().is_empty() {
            self.document.note(place, "is empty: write a sentence for people");
        }
    }

    fn request_headers(&mut self, place: &Place) {
        for (name, value) in &self.network.request_headers {
            let in_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            let in_value = |c: char| c.is_ascii_graphic() || c == ' ';
            let place = place.key(name);
            if name.is_empty() || !name.chars().all(in_name) {
                self.document.note(&place, "is no name of a header");
            } else if OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                self.document.note(&place, "is a header that the broker writes itself");
            }
            if value.trim().is_empty() || !value.chars().all(in_value) {
                self.document.note(&place, "must be a text of ASCII on one line");
            }
        }
    }

    fn requirements(&mut self, root: &Place) {
        for (at, rule) in self.network.requirements.iter().enumerate() {
            let place = root.at(at);
            self.some_text(&place.key("about"), &rule.about);
            if rule.scopes.is_empty() {
                self.document.note(&place.key("scopes"), "is empty: name the scopes that are required");
            }
            let unknown = rule.kinds.iter().find(|kind| self.network.kind(kind.as_str()).is_none());
            if let Some(kind) = unknown.filter(|_| self.complete) {
                self.document.note(&place.key("kinds"), format!("names '{kind}', which is no kind of this network"));
            }
        }
    }

    fn histories(&mut self, root: &Place) {
        for (at, rule) in self.network.history.iter().enumerate() {
            let place = root.at(at);
            self.some_time(&place.key("reaches"), Some(rule.reaches));
            if self.complete && self.network.operation_index(rule.operation.as_str()).is_none() {
                let message = format!("names '{}', which is no operation of this network", rule.operation);
                self.document.note(&place.key("operation"), message);
            }
        }
    }

    /// Lists that must not be empty, and ids that must differ.
    fn lists(&mut self, root: &Place) {
        let network = self.network;
        let kinds: Vec<&str> = network.kinds.iter().map(|kind| kind.id.as_str()).collect();
        let classes: Vec<&str> = network.classes.iter().map(|class| class.id.as_str()).collect();
        let operations: Vec<&str> = network.operations.iter().map(|operation| operation.id.as_str()).collect();
        for (name, ids) in [("kinds", kinds), ("classes", classes), ("operations", operations)] {
            let place = root.key(name);
            if ids.is_empty() && self.complete {
                self.document.note(&place, "is empty: a network without them can't be used");
            }
            let mut seen = BTreeSet::new();
            for (at, id) in ids.into_iter().enumerate() {
                if !seen.insert(id) {
                    self.document.note(&place.at(at).key("id"), format!("'{id}' is there twice: give each its own id"));
                }
            }
        }
    }

    fn kinds(&mut self, place: &Place) {
        for (at, kind) in self.network.kinds.iter().enumerate() {
            let place = place.at(at);
            self.some_text(&place.key("name"), &kind.name);
            self.some_text(&place.key("about"), &kind.about);
            let mut purposes = BTreeSet::new();
            for (at, needed) in kind.scopes.iter().enumerate() {
                if !purposes.insert(needed.purpose) {
                    let purpose = needed.purpose.as_str();
                    let message = format!("'{purpose}' is there twice: keep one list of its scopes");
                    self.document.note(&place.key("scopes").at(at).key("purpose"), message);
                }
            }
            if let Some(base) = &kind.api_base {
                self.base(&place.key("api_base"), base);
            }
            for (at, key) in kind.unverified.iter().enumerate() {
                if !self.document.has(&key.split('.').fold(place.clone(), |above, step| above.key(step))) {
                    let message = format!("'{key}' is no key of this kind: name one that is written here");
                    self.document.note(&place.key("unverified").at(at), message);
                }
            }
            self.some_time(&place.key("access_validity"), kind.access_validity);
            self.some_time(&place.key("refresh_validity"), kind.refresh_validity);
            self.some_time(&place.key("data_access_validity"), kind.data_access_validity);
            if let Some(oauth) = &kind.oauth {
                self.oauth(&place.key("oauth"), oauth);
            }
            self.renewal(&place.key("renewal"), kind);
            if let Some(probe) = &kind.probe {
                let place = place.key("probe");
                self.request(&place.key("request"), &probe.request);
                self.costs(&place.key("costs"), &probe.costs);
                self.known_kinds(&place.key("counted_as"), probe.counted_as.as_slice());
            }
            self.lookups(&place, kind);
        }
    }

    fn lookups(&mut self, place: &Place, kind: &TokenKind) {
        let requests = [
            ("account", kind.account.as_ref().map(|lookup| &lookup.request)),
            ("profiles", kind.profiles.as_ref().map(|lookup| &lookup.request)),
            ("granted", kind.granted.as_ref().map(|lookup| &lookup.request)),
        ];
        for (key, request) in requests.into_iter().filter_map(|(key, request)| Some((key, request?))) {
            let place = place.key(key).key("request");
            match request.strip_prefix("GET ") {
                Some(url) => self.url(&place, url),
                None => self.document.note(&place, "must be a GET and a URL, as \"GET https://api.example.com/me\""),
            }
        }
        if let Some(named) = kind.profiles.as_ref().and_then(|lookup| lookup.named_by.as_ref()) {
            let place = place.key("profiles").key("named_by").key("request");
            match named.request.strip_prefix("GET ").filter(|url| url.contains("{id}")) {
                Some(url) => self.url(&place, url),
                None => {
                    self.document.note(&place, "must be a GET and a URL with '{id}', where the profile's id stands")
                }
            }
        }
        let own_token = kind.profiles.as_ref().is_some_and(|lookup| lookup.token.is_some());
        if own_token != (kind.profiles.is_some() && matches!(kind.renewal, Renewal::Derived { .. })) {
            let message =
                "must be there for a kind that is derived, and for no other: its token comes with its profile";
            self.document.note(&place.key("profiles").key("token"), message);
        }
    }

    fn oauth(&mut self, place: &Place, oauth: &OAuth) {
        let urls = [
            ("authorize_url", oauth.authorize_url.as_ref()),
            ("token_url", Some(&oauth.token_url)),
            ("request_token_url", oauth.request_token_url.as_ref()),
            ("revoke_url", oauth.revoke_url.as_ref()),
            ("introspect_url", oauth.introspect_url.as_ref()),
            ("exchange_url", oauth.exchange_url.as_ref()),
            ("renew_url", oauth.renew_url.as_ref()),
            ("pushed_url", oauth.pushed_url.as_ref()),
            ("did_directory", oauth.did_directory.as_ref()),
        ];
        for (key, url) in urls {
            if let Some(url) = url {
                self.url(&place.key(key), url);
            }
        }
        self.some_time(&place.key("code_validity"), oauth.code_validity);
        let needs = [
            ("request_token_url", oauth.client_auth == ClientAuth::OAuth1, oauth.request_token_url.is_some()),
            ("revoke_url", oauth.quirks.contains(&OAuthQuirk::RevokeByDelete), oauth.revoke_url.is_some()),
            ("authorize_url", oauth.pushed_url.is_some(), oauth.authorize_url.is_some()),
            ("issuer", oauth.did_directory.is_some(), oauth.issuer.is_some()),
            ("exchange_url", oauth.exchange_grant_type.is_some(), oauth.exchange_url.is_some()),
            ("exchange_grant_type", oauth.exchange_url.is_some(), oauth.exchange_grant_type.is_some()),
        ];
        for (key, needed, there) in needs {
            if needed && !there {
                self.document.note(&place.key(key), "is missing: another key of this table needs it");
            }
        }
        if oauth.did_directory.as_ref().is_some_and(|url| !url.contains("{did}")) {
            self.document.note(&place.key("did_directory"), "must hold '{did}', where the account's identifier stands");
        }
        if oauth.scope_separator.is_empty() {
            self.document.note(&place.key("scope_separator"), "is empty: write ' ' or ','");
        }
    }

    fn renewal(&mut self, place: &Place, kind: &TokenKind) {
        match &kind.renewal {
            Renewal::Derived { from } => {
                if !ends_in_a_grant(self.network, kind) {
                    self.document
                        .note(&place.key("from"), "leads back to the kind itself: name one that a person grants");
                }
                self.known_kinds(&place.key("from"), std::slice::from_ref(from));
            }
            Renewal::SelfRenewing { .. } if kind.oauth.as_ref().is_none_or(|oauth| oauth.renew_url.is_none()) => {
                self.document.note(place, "renews itself, but 'oauth.renew_url' does not say where");
            }
            Renewal::RefreshToken { .. } if kind.oauth.is_none() => {
                self.document.note(place, "has a refresh token, but 'oauth' does not say where it is used");
            }
            Renewal::SelfRenewing { .. } | Renewal::RefreshToken { .. } | Renewal::Nothing => {}
        }
    }

    fn classes(&mut self, place: &Place) {
        for (at, class) in self.network.classes.iter().enumerate() {
            self.some_text(&place.at(at).key("about"), &class.about);
            if self.complete && !self.is_drawn_from(class) {
                self.document
                    .note(&place.at(at).key("id"), "no operation draws from it: leave it out, or name it in a cost");
            }
            if class.limits.is_empty() && self.complete {
                let message = "is empty: write what is known, or 'unknown' with a safe value";
                self.document.note(&place.at(at).key("limits"), message);
            }
            let place = place.at(at).key("limits");
            for (at, limit) in class.limits.iter().enumerate() {
                self.limit(&place.at(at), class, limit);
                if class.limits[..at].iter().any(|earlier| counts_the_same(earlier, limit)) {
                    self.document.note(&place.at(at), "counts the same as an earlier limit: keep the lower one");
                }
            }
        }
    }

    fn is_drawn_from(&self, class: &CreditClass) -> bool {
        let mut costs = self.network.operations.iter().flat_map(|operation| &operation.costs);
        costs.any(|cost| cost.class == class.id)
    }

    fn limit(&mut self, place: &Place, class: &CreditClass, limit: &LimitRule) {
        self.known_kinds(&place.key("kinds"), &limit.kinds);
        let window = place.key("window");
        match &limit.window {
            Window::Fixed { length, .. } | Window::Rolling { length } | Window::Distinct { length } => {
                self.some_time(&window.key("length"), Some(*length));
            }
            Window::Paced { per } => self.some_time(&window.key("per"), Some(*per)),
            Window::Daily { zone } => {
                if TimeZone::get(zone).is_err() {
                    let message = format!("'{zone}' is no time zone: write an IANA name such as 'America/Los_Angeles'");
                    self.document.note(&window.key("zone"), message);
                }
            }
            Window::Budget => {}
        }
        if matches!(limit.window, Window::Distinct { .. }) != (class.unit == Unit::Keys) {
            self.document.note(&window.key("rule"), "'distinct' and the unit 'keys' go together: change one of them");
        }
        let amounts = match &limit.amount {
            Amount::Number(number) => vec![("amount", *number)],
            Amount::Unknown { start } => vec![("unknown", *start)],
            Amount::Formula { factor, at_least, start, .. } => {
                vec![("formula.factor", *factor), ("formula.at_least", *at_least), ("formula.start", *start)]
            }
        };
        for (key, amount) in amounts {
            if amount == 0 {
                let place = key.split('.').fold(place.clone(), |place, key| place.key(key));
                self.document.note(&place, "is 0: nothing could ever be called");
            }
        }
    }

    fn operations(&mut self, place: &Place) {
        for (at, operation) in self.network.operations.iter().enumerate() {
            let place = place.at(at);
            self.some_text(&place.key("about"), &operation.about);
            if operation.id.as_str() == PROBE_OPERATION {
                self.document.note(&place.key("id"), "is what the broker calls its own checks: choose another");
            }
            if !METHODS.contains(&operation.method.as_str()) {
                let message = format!("'{}' is no method: write one of {}", operation.method, METHODS.join(", "));
                self.document.note(&place.key("method"), message);
            }
            if !operation.path.starts_with('/') {
                self.url(&place.key("path"), &operation.path);
            }
            self.known_kinds(&place.key("kinds"), &operation.kinds);
            if operation.costs.is_empty() {
                self.document.note(&place.key("costs"), "is empty: nothing would limit the calls");
            }
            self.costs(&place.key("costs"), &operation.costs);
            if self.complete {
                self.purposes(&place.key("purposes"), operation);
                self.limits_of(&place.key("costs"), operation);
            }
        }
    }

    fn purposes(&mut self, place: &Place, operation: &Operation) {
        if operation.purposes.is_empty() {
            self.document.note(place, "is empty: nobody could ask for it");
        }
        for (at, purpose) in operation.purposes.iter().enumerate() {
            let mut kinds = self.network.kinds.iter().filter(|kind| operation.allows(&kind.id));
            if !kinds.any(|kind| kind.scopes_for(*purpose).is_some()) {
                let message = format!("no kind that may call it has scopes for '{}'", purpose.as_str());
                self.document.note(&place.at(at), message);
            }
        }
    }

    /// Unknown configuration is never "no limit": each kind that may call must be limited in each class.
    fn limits_of(&mut self, place: &Place, operation: &Operation) {
        for cost in &operation.costs {
            let Some(class) = self.network.class(cost.class.as_str()) else { continue };
            for kind in self.network.kinds.iter().filter(|kind| operation.allows(&kind.id)) {
                let serves = operation.purposes.iter().any(|purpose| kind.scopes_for(*purpose).is_some());
                if serves && !class.limits.is_empty() && !class.limits.iter().any(|limit| limit.holds_for(&kind.id)) {
                    let message = format!("no limit of this class holds for the kind '{}'", kind.id);
                    self.document.note(&place.key(cost.class.as_str()), message);
                }
            }
        }
    }

    fn costs(&mut self, place: &Place, costs: &[Cost]) {
        for (at, cost) in costs.iter().enumerate() {
            let place = place.key(cost.class.as_str());
            if costs[..at].iter().any(|earlier| earlier.class == cost.class) {
                self.document.note(&place, "is there twice: add the units up");
            }
            self.known_class(&place, &cost.class);
            let Some(class) = self.network.class(cost.class.as_str()) else { continue };
            let keys = class.unit == Unit::Keys;
            let least = class.limits.iter().map(|limit| limit.amount.units(Some(0))).min();
            if least.is_some_and(|least| least > 0 && cost.units > least) {
                self.document.note(&place, "is more than a limit of this class: such a call could never be made");
            }
            if cost.units == 0 {
                self.document.note(&place, "is 0: leave it out, or write what a call costs");
            } else if keys && cost.units != 1 {
                self.document.note(&place, "must be 1: each different key is charged once");
            }
        }
    }

    fn headers(&mut self, place: &Place) {
        let headers = &self.network.headers;
        for (at, header) in headers.iter().enumerate() {
            let place = place.at(at);
            let written_well = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            if header.name.is_empty() || !header.name.chars().all(written_well) {
                self.document.note(&place.key("name"), "must be the header's name in lower case");
            }
            self.some_time(&place.key("window"), header.window);
            if let Some(class) = &header.class {
                self.known_class(&place.key("class"), class);
            }
            self.counted_by(&place, header);
            if headers[..at].iter().any(|earlier| speaks_of_the_same(earlier, header)) {
                self.document.note(&place, "says the same as an earlier rule: keep one of them");
            }
        }
    }

    /// Some limit must be on the account that a header speaks of, or else nobody would listen to it.
    fn counted_by(&mut self, place: &Place, header: &HeaderRule) {
        let unknown = header.class.as_ref().is_some_and(|class| self.network.class(class.as_str()).is_none());
        if header.dialect == Dialect::RetryAfter || !self.complete || unknown {
            return;
        }
        let speaks_of = |class: &&CreditClass| header.class.as_ref().is_none_or(|named| class.id == *named);
        let limits = self.network.classes.iter().filter(speaks_of).flat_map(|class| &class.limits);
        let windows: Vec<_> =
            limits.filter(|limit| limit.owner == header.owner).map(|limit| limit.window.length()).collect();
        if windows.is_empty() {
            self.document.note(&place.key("owner"), "no limit is on the account of this owner");
        } else if header.window.is_some() && !windows.contains(&header.window) {
            self.document.note(&place.key("window"), "no limit of this owner has this window");
        }
    }

    fn known_kinds(&mut self, place: &Place, kinds: &[KindId]) {
        for kind in kinds.iter().filter(|kind| self.network.kind(kind.as_str()).is_none()) {
            if self.complete {
                self.document.note(place, format!("there is no kind '{kind}' in this file"));
            }
        }
    }

    fn known_class(&mut self, place: &Place, class: &ClassId) {
        if self.complete && self.network.class(class.as_str()).is_none() {
            self.document.note(place, format!("there is no class '{class}' in this file"));
        }
    }

    fn some_time(&mut self, place: &Place, span: Option<Duration>) {
        if span == Some(Duration::ZERO) {
            self.document.note(place, "is no time at all: leave it out, or write a span such as \"15min\"");
        }
    }

    fn request(&mut self, place: &Place, request: &str) {
        match request.split_once(' ') {
            Some((method, url)) if METHODS.contains(&method) => self.url(place, url),
            _ => self.document.note(place, "must be a method and a URL, as \"GET https://api.example.com/me\""),
        }
    }

    fn base(&mut self, place: &Place, text: &str) {
        self.url(place, text);
        if text.ends_with('/') {
            self.document.note(place, "must not end with '/': paths begin with it");
        }
    }

    fn url(&mut self, place: &Place, text: &str) {
        if let Err(why) = check_url(text) {
            self.document.note(place, format!("'{text}' can't be called: {why}"));
        }
    }
}

/// Headers that no file of the catalogue may write: they say who asks, or how the request is sent.
const OWN_HEADERS: [&str; 11] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dpop",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A URL, in which `{name}` stands for a part that varies. Tokens travel there, so only to this machine without TLS.
fn check_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(&text.replace(['{', '}'], ""))
        .map_err(|error| format!("{error}; write a whole URL such as 'https://api.example.com/v1'"))?;
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => return Err("it names no host".to_owned()),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        _ => return Err("it must begin with https://".to_owned()),
    }
    if url.username() != "" || url.password().is_some() || url.fragment().is_some() {
        return Err("it must not hold a user, a password or a fragment".to_owned());
    }
    Ok(())
}

/// Whether two limits debit the same account over the same span for some kind of token.
fn counts_the_same(one: &LimitRule, other: &LimitRule) -> bool {
    let all = one.kinds.is_empty() || other.kinds.is_empty();
    let kinds = all || one.kinds.iter().any(|kind| other.kinds.contains(kind));
    kinds && one.owner == other.owner && one.window == other.window
}

/// Whether a kind that is made of another one leads to a kind that is not, or to an unknown one.
fn ends_in_a_grant(network: &Network, kind: &TokenKind) -> bool {
    let made_from = |kind: &&TokenKind| match &kind.renewal {
        Renewal::Derived { from } => network.kind(from.as_str()),
        Renewal::RefreshToken { .. } | Renewal::SelfRenewing { .. } | Renewal::Nothing => None,
    };
    std::iter::successors(Some(kind), made_from).take(network.kinds.len() + 1).count() <= network.kinds.len()
}

fn speaks_of_the_same(one: &HeaderRule, other: &HeaderRule) -> bool {
    one.dialect == other.dialect
        && one.name == other.name
        && one.owner == other.owner
        && one.window == other.window
        && one.class == other.class
}

#[cfg(test)]
mod tests;
