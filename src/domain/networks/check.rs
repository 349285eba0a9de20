//! Whether what was read of a network makes sense. Every check notes its mistakes and goes on, so that one look shows
//! them all.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::time::Duration;

use super::document::{Document, Place};
use super::model::{
    Amount, Cost, CreditClass, Dialect, Endpoint, ErrorRule, HeaderRule, LimitRule, Network, OAuth, Operation, Renewal,
    TokenKind, Window,
};
use crate::base::ids::KindId;

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// Checks all of `network` and notes each mistake in `document`. Where the text was not read in full, names that
/// are not found are passed over, since they may stand in the part that is missing.
pub(super) fn check(network: &Network, complete: bool, document: &mut Document<'_>) {
    let mut checker = Checker { network, complete, document };
    let root = Place::default();
    checker.header(&root);
    checker.each(&network.kinds, &root.key("kinds"), Checker::kind);
    checker.each(&network.classes, &root.key("classes"), Checker::class);
    checker.each(&network.operations, &root.key("operations"), Checker::operation);
    checker.each(&network.headers, &root.key("headers"), Checker::usage_header);
    checker.each(&network.errors, &root.key("errors"), Checker::error);
    checker.repeated(network.kinds.iter().map(|kind| &kind.id), &root.key("kinds"));
    checker.repeated(network.classes.iter().map(|class| &class.id), &root.key("classes"));
    checker.repeated(network.operations.iter().map(|operation| &operation.id), &root.key("operations"));
    checker.same_errors(&root.key("errors"));
    for (at, rule) in network.retention.iter().enumerate() {
        checker.positive(rule.after, &root.key("retention").at(at).key("after"));
    }
}

struct Checker<'c, 't> {
    network: &'c Network,
    complete: bool,
    document: &'c mut Document<'t>,
}

impl<'c> Checker<'c, '_> {
    fn each<T>(&mut self, items: &'c [T], place: &Place, check: fn(&mut Self, &'c T, &Place)) {
        for (at, item) in items.iter().enumerate() {
            check(self, item, &place.at(at));
        }
    }

    fn note(&mut self, place: &Place, message: impl Into<String>) {
        self.document.note(place, message);
    }

    fn note_if(&mut self, wrong: bool, place: &Place, message: &str) {
        if wrong {
            self.note(place, message);
        }
    }

    fn header(&mut self, root: &Place) {
        self.note_if(self.network.display_name.trim().is_empty(), &root.key("display_name"), "is empty");
        self.url(&self.network.api_base, &root.key("api_base"));
        self.note_if(self.network.api_base.ends_with('/'), &root.key("api_base"), "must not end in '/'");
        self.note_if(
            self.complete && self.network.kinds.is_empty(),
            &root.key("kinds"),
            "there must be a kind of token",
        );
    }

    fn kind(&mut self, kind: &'c TokenKind, place: &Place) {
        self.note_if(kind.about.trim().is_empty(), &place.key("about"), "is empty");
        self.positive(kind.access_validity, &place.key("access_validity"));
        self.positive(kind.refresh_validity, &place.key("refresh_validity"));
        self.positive(kind.data_access_validity, &place.key("data_access_validity"));
        if let Some(oauth) = &kind.oauth {
            self.oauth(oauth, &place.key("oauth"));
        }
        let mut purposes = BTreeSet::new();
        for (at, needed) in kind.scopes.iter().enumerate() {
            let twice = !purposes.insert(needed.purpose);
            self.note_if(twice, &place.key("scopes").at(at).key("purpose"), "stands twice");
        }
        self.renewal(kind, place);
        if let Some(probe) = &kind.probe {
            let place = place.key("probe");
            let (method, url) = probe.request.split_once(' ').unwrap_or(("", &probe.request));
            self.note_if(!METHODS.contains(&method), &place.key("request"), "must be a method, a space and a URL");
            self.url(url, &place.key("request"));
            for (at, cost) in probe.costs.iter().enumerate() {
                self.cost(cost, std::slice::from_ref(kind), &place.key("costs").at(at));
            }
        }
    }

    fn renewal(&mut self, kind: &TokenKind, place: &Place) {
        let oauth = kind.oauth.as_ref();
        match &kind.renewal {
            Renewal::RefreshToken { .. } => {
                self.note_if(
                    oauth.is_none(),
                    &place.key("renewal"),
                    "a refresh token needs 'oauth' with its token_url",
                );
            }
            Renewal::SelfRenewing { grant_type, .. } => {
                let nowhere = oauth.is_none_or(|oauth| oauth.renew_url.is_none());
                self.note_if(nowhere, &place.key("renewal"), "a token that renews itself needs oauth.renew_url");
                self.note_if(grant_type.is_empty(), &place.key("renewal"), "grant_type is empty");
            }
            Renewal::Derived { from } => {
                self.known_kind(from, &place.key("renewal").key("from"));
                self.note_if(
                    *from == kind.id,
                    &place.key("renewal").key("from"),
                    "a kind can't be derived from itself",
                );
            }
            Renewal::Nothing => {}
        }
    }

    fn oauth(&mut self, oauth: &OAuth, place: &Place) {
        self.url(&oauth.authorize_url, &place.key("authorize_url"));
        self.url(&oauth.token_url, &place.key("token_url"));
        let others = [
            ("request_token_url", &oauth.request_token_url),
            ("revoke_url", &oauth.revoke_url),
            ("introspect_url", &oauth.introspect_url),
            ("exchange_url", &oauth.exchange_url),
            ("renew_url", &oauth.renew_url),
        ];
        for (key, url) in others {
            if let Some(url) = url {
                self.url(url, &place.key(key));
            }
        }
        let halved = oauth.exchange_url.is_some() != oauth.exchange_grant_type.is_some();
        self.note_if(halved, place, "exchange_url and exchange_grant_type come together");
        self.note_if(oauth.scope_separator.is_empty(), &place.key("scope_separator"), "is empty");
        self.note_if(oauth.client_id_parameter.is_empty(), &place.key("client_id_parameter"), "is empty");
        self.positive(oauth.code_validity, &place.key("code_validity"));
    }

    fn class(&mut self, class: &'c CreditClass, place: &Place) {
        self.note_if(class.about.trim().is_empty(), &place.key("about"), "is empty");
        self.note_if(self.complete && class.limits.is_empty(), &place.key("limits"), "there must be a limit");
        self.each(&class.limits, &place.key("limits"), Checker::limit);
        let mut seen = Vec::new();
        for (at, limit) in class.limits.iter().enumerate() {
            let limit = (limit.owner, &limit.window, &limit.kinds);
            self.note_if(
                seen.contains(&limit),
                &place.key("limits").at(at),
                "stands twice: same owner, window and kinds",
            );
            seen.push(limit);
        }
    }

    fn limit(&mut self, limit: &'c LimitRule, place: &Place) {
        for (at, kind) in limit.kinds.iter().enumerate() {
            self.known_kind(kind, &place.key("kinds").at(at));
        }
        self.positive(limit.window.length(), &place.key("window"));
        if let Window::Daily { zone } = &limit.window
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            self.note(&place.key("window").key("zone"), format!("'{zone}' is no time zone; expected an IANA name"));
        }
        match &limit.amount {
            Amount::Number(amount) => self.note_if(*amount == 0, &place.key("amount"), "must be more than 0"),
            Amount::Unknown { start } => self.note_if(*start == 0, &place.key("unknown"), "must be more than 0"),
            Amount::Formula { factor, fact, at_least, start } => {
                let place = place.key("formula");
                self.note_if(*factor == 0, &place.key("factor"), "must be more than 0");
                self.note_if(*at_least == 0, &place.key("at_least"), "must be more than 0");
                self.note_if(*start == 0, &place.key("start"), "must be more than 0");
                self.note_if(fact.trim().is_empty(), &place.key("fact"), "is empty");
            }
        }
    }

    fn operation(&mut self, operation: &'c Operation, place: &Place) {
        self.note_if(operation.about.trim().is_empty(), &place.key("about"), "is empty");
        self.note_if(!METHODS.contains(&operation.method.as_str()), &place.key("method"), "is no HTTP method");
        if !operation.path.starts_with('/') {
            self.url(&operation.path, &place.key("path"));
        }
        for (at, kind) in operation.kinds.iter().enumerate() {
            self.known_kind(kind, &place.key("kinds").at(at));
        }
        self.note_if(operation.purposes.is_empty(), &place.key("purposes"), "there must be a purpose");
        let kinds: Vec<_> = self.network.kinds.iter().filter(|kind| operation.allows(&kind.id)).collect();
        for (at, purpose) in operation.purposes.iter().enumerate() {
            let served = kinds.iter().any(|kind| kind.scopes_for(*purpose).is_some());
            let wrong = self.complete && !served;
            self.note_if(wrong, &place.key("purposes").at(at), "no kind that may call it has scopes for this purpose");
        }
        self.note_if(self.complete && operation.costs.is_empty(), &place.key("costs"), "there must be a cost");
        let callers: Vec<TokenKind> = kinds
            .into_iter()
            .filter(|kind| operation.purposes.iter().any(|purpose| kind.scopes_for(*purpose).is_some()))
            .cloned()
            .collect();
        for cost in &operation.costs {
            self.cost(cost, &callers, &place.key("costs").key(cost.class.as_str()));
        }
    }

    /// A cost must be payable, and for every kind that may pay it there must be a limit: none is never "no limit".
    fn cost(&mut self, cost: &Cost, kinds: &[TokenKind], place: &Place) {
        self.note_if(cost.units == 0, place, "must be more than 0 units");
        let Some(class) = self.network.class(cost.class.as_str()) else {
            self.unknown("credit class", &cost.class, place);
            return;
        };
        for kind in kinds {
            let unlimited = self.complete && class.limits_for(kind).next().is_none();
            if unlimited {
                self.note(place, format!("the class '{}' has no limit for tokens of kind '{}'", class.id, kind.id));
            }
        }
        let least = class.limits.iter().map(|limit| limit.amount.units(Some(0))).min().unwrap_or(u64::MAX);
        self.note_if(cost.units > least, place, "is more than the class's limit: such a call could never be made");
    }

    fn usage_header(&mut self, header: &'c HeaderRule, place: &Place) {
        let name = &header.name;
        let odd = name.is_empty() || name.chars().any(|c| !c.is_ascii_graphic() || c.is_ascii_uppercase() || c == ':');
        self.note_if(odd, &place.key("name"), "must be a header's name in lower case");
        self.positive(header.window, &place.key("window"));
        let class = header.class.as_ref().map(|id| (id, self.network.class(id.as_str())));
        if let Some((id, None)) = class {
            self.unknown("credit class", id, &place.key("class"));
            return;
        }
        if header.dialect == Dialect::RetryAfter {
            return;
        }
        let of_class = class.and_then(|(_, class)| class);
        let classes = self.network.classes.iter().filter(|other| of_class.is_none_or(|class| class.id == other.id));
        let limits = classes.flat_map(|class| &class.limits).filter(|limit| limit.owner == header.owner);
        let windows: Vec<_> = limits.map(|limit| limit.window.length()).collect();
        self.note_if(self.complete && windows.is_empty(), &place.key("owner"), "no limit is on that owner's account");
        let elsewhere = self.complete && header.window.is_some() && !windows.contains(&header.window);
        self.note_if(elsewhere && !windows.is_empty(), &place.key("window"), "no limit of that owner has this window");
    }

    fn error(&mut self, rule: &'c ErrorRule, place: &Place) {
        let matchers = [
            rule.code.is_some(),
            rule.subcode.is_some(),
            rule.message.is_some(),
            rule.header.is_some(),
            rule.http.is_some(),
        ];
        self.note_if(
            !matchers.contains(&true),
            place,
            "would match every answer: give http, code, subcode, message or header",
        );
        let http = rule.http.is_some_and(|http| !(100..600).contains(&http));
        self.note_if(http, &place.key("http"), "is no HTTP status");
        self.range(rule.code.as_deref(), rule.code_to, &place.key("code_to"));
        self.range(rule.subcode.as_deref(), rule.subcode_to, &place.key("subcode_to"));
        let body = &self.network.error_body;
        let read = !body.code.is_empty() || body.challenge || rule.at == Endpoint::Authorize;
        self.note_if(rule.code.is_some() && !read, &place.key("code"), "is never read: error_body.code is empty");
        self.note_if(
            rule.subcode.is_some() && body.subcode.is_empty(),
            &place.key("subcode"),
            "is never read: error_body.subcode is empty",
        );
        self.note_if(
            rule.message.is_some() && body.message.is_empty(),
            &place.key("message"),
            "is never read: error_body.message is empty",
        );
        let texts = [&rule.code, &rule.subcode, &rule.message, &rule.header];
        let empty = texts.into_iter().flatten().any(|text| text.trim().is_empty());
        self.note_if(empty, place, "a code, subcode, message or header is empty");
    }

    fn range(&mut self, from: Option<&str>, to: Option<u32>, place: &Place) {
        let Some(to) = to else { return };
        let from = from.and_then(|from| from.parse::<u32>().ok());
        self.note_if(from.is_none(), place, "a range must begin at a number");
        self.note_if(from.is_some_and(|from| from >= to), place, "must be more than the range's begin");
    }

    /// Two rules that match the same answers: the second is never reached.
    fn same_errors(&mut self, place: &Place) {
        let rules = self.network.errors.iter().map(|rule| {
            let numbers = (rule.http, rule.code_to, rule.subcode_to);
            let texts = [&rule.code, &rule.subcode, &rule.message, &rule.header];
            (rule.at, numbers, texts.map(|text| text.as_ref().map(|text| text.to_ascii_lowercase())))
        });
        let mut seen = HashSet::new();
        for (at, rule) in rules.enumerate() {
            let again = !seen.insert(rule);
            self.note_if(again, &place.at(at), "is never reached: an earlier rule matches the same answers");
        }
    }

    fn repeated<'i, T: Display + Eq + Hash + 'i>(&mut self, ids: impl Iterator<Item = &'i T>, place: &Place) {
        let mut seen = HashSet::new();
        for (at, id) in ids.enumerate() {
            if !seen.insert(id) {
                self.note(&place.at(at).key("id"), format!("'{id}' stands twice"));
            }
        }
    }

    fn known_kind(&mut self, kind: &KindId, place: &Place) {
        if self.network.kind(kind.as_str()).is_none() {
            self.unknown("kind of token", kind, place);
        }
    }

    fn unknown(&mut self, what: &str, name: &impl Display, place: &Place) {
        if self.complete {
            self.note(place, format!("there is no {what} '{name}' in this file"));
        }
    }

    fn positive(&mut self, span: Option<Duration>, place: &Place) {
        self.note_if(span.is_some_and(|span| span.is_zero()), place, "must be more than 0");
    }

    /// A URL may hold `{name}` where a part varies.
    fn url(&mut self, text: &str, place: &Place) {
        let filled = text.replace(['{', '}'], "");
        let good = url::Url::parse(&filled).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        });
        let quoted: String = text.chars().take(120).collect();
        if !good || filled.contains(char::is_whitespace) {
            self.note(place, format!("'{quoted}' is no URL; expected https://…"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::networks::{Catalogue, Mistake, Mistakes};

    /// A whole network in few lines: each test spoils one thing of it.
    const SMALL: &str = r#"display_name = "Small"
api_base = "https://api.small.example/v1"
errors = [
  { http = 401, code = "7", class = "token_invalid", verified = "unverified" },
  { code = "200", code_to = 299, class = "permission_lost", verified = "unverified" },
]
headers = [
  { dialect = "triple_epoch", name = "x-limit-", owner = "app", window = "1h", class = "calls", verified = "unverified" },
]

[error_body]
code = ["error.code"]

[[kinds]]
id = "user"
about = "A person's token."
access_validity = "60d"
renewal = { family = "self_renewing", min_age = "24h", grant_type = "renew" }
scopes = [{ purpose = "collect_content", scopes = ["read"] }]
verified = "unverified"

[kinds.oauth]
authorize_url = "https://small.example/authorize"
token_url = "https://small.example/token"
renew_url = "https://small.example/renew"
pkce = "required"
client_auth = "basic"
scope_separator = " "

[kinds.probe]
request = "GET https://api.small.example/v1/me"
costs = [{ class = "calls", units = 1 }]
verified = "unverified"

[[kinds]]
id = "page"
about = "A page's token."
renewal = { family = "derived", from = "user" }
verified = "unverified"

[[classes]]
id = "calls"
unit = "calls"
about = "Calls."
limits = [
  { owner = "app", kinds = ["user"], window = { rule = "fixed", length = "1h", phase = "network" }, amount = 10, verified = "unverified" },
  { owner = "app", window = { rule = "daily", zone = "UTC" }, unknown = 10, verified = "unverified" },
  { owner = "profile", window = { rule = "rolling", length = "24h" }, formula = { factor = 48, fact = "fans", at_least = 1, start = 48 }, verified = "unverified" },
]

[[operations]]
id = "posts.list"
about = "Read posts."
method = "GET"
path = "/posts"
purposes = ["collect_content"]
costs = { calls = 1 }
verified = "unverified"
"#;

    fn mistakes(text: &str) -> Vec<Mistake> {
        match Catalogue::load(Some(&[("small.toml".to_owned(), text.to_owned())])) {
            Ok(_) => Vec::new(),
            Err(Mistakes(mistakes)) => mistakes,
        }
    }

    #[test]
    fn the_small_network_is_right() {
        assert_eq!(mistakes(SMALL), []);
    }

    #[test]
    fn each_mistake_is_found_at_its_line_and_key() {
        let cases = [
            ("\"Small\"", "\" \"", "display_name", "is empty"),
            ("https://api.small.example/v1\"\ne", "api.small.example\"\ne", "api_base", "is no URL"),
            ("https://api.small.example/v1\"\ne", "https://api.small.example/\"\ne", "api_base", "must not end"),
            ("\ncode = [\"error.code\"]", "\ncode = []", "errors[0].code", "is never read"),
            ("http = 401", "http = 40", "errors[0].http", "no HTTP status"),
            ("http = 401, code = \"7\"", "subcode = \"7\"", "errors[0].subcode", "is never read"),
            ("http = 401, code = \"7\"", "message = \"seven\"", "errors[0].message", "is never read"),
            ("http = 401, code = \"7\", ", "", "errors[0]", "would match every answer"),
            ("http = 401, code = \"7\"", "code = \"200\", code_to = 299", "errors[1]", "is never reached"),
            ("code_to = 299", "code_to = 199", "errors[1].code_to", "more than the range's begin"),
            ("code = \"200\", code_to", "code = \"a\", code_to", "errors[1].code_to", "must begin at a number"),
            ("x-limit-", "X-Limit-", "headers[0].name", "lower case"),
            ("class = \"calls\", verified", "class = \"cals\", verified", "headers[0].class", "no credit class 'cals'"),
            ("owner = \"app\", window = \"1h\"", "owner = \"token\"", "headers[0].owner", "no limit is on that owner"),
            ("window = \"1h\"", "window = \"2h\"", "headers[0].window", "no limit of that owner"),
            ("access_validity = \"60d\"", "access_validity = \"0s\"", "kinds[0].access_validity", "more than 0"),
            (
                "access_validity = \"60d\"",
                "access_validity = \"60 moons\"",
                "kinds[0].access_validity",
                "unknown time unit",
            ),
            ("renew_url", "revoke_url", "kinds[0].renewal", "needs oauth.renew_url"),
            ("https://small.example/token", "small/token", "kinds[0].oauth.token_url", "is no URL"),
            ("pkce = \"required\"", "pkce = \"required\"\npkcs = 1", "kinds[0].oauth.pkcs", "unknown field"),
            ("pkce = \"required\"", "pkce = \"maybe\"", "kinds[0].oauth.pkce", "unknown variant"),
            ("scope_separator = \" \"", "scope_separator = \"\"", "kinds[0].oauth.scope_separator", "is empty"),
            ("GET https://api", "https://api", "kinds[0].probe.request", "must be a method"),
            (
                "costs = [{ class = \"calls\"",
                "costs = [{ class = \"cals\"",
                "kinds[0].probe.costs[0]",
                "no credit class",
            ),
            ("from = \"user\"", "from = \"person\"", "kinds[1].renewal.from", "no kind of token 'person'"),
            ("from = \"user\"", "from = \"page\"", "kinds[1].renewal.from", "derived from itself"),
            ("id = \"page\"", "id = \"user\"", "kinds[1].id", "stands twice"),
            (
                "kinds = [\"user\"], window",
                "kinds = [\"person\"], window",
                "classes[0].limits[0].kinds[0]",
                "no kind of token",
            ),
            ("length = \"1h\"", "length = \"0s\"", "classes[0].limits[0].window", "more than 0"),
            ("amount = 10", "amount = 0", "classes[0].limits[0].amount", "more than 0"),
            ("amount = 10", "amount = 10, unknown = 1", "classes[0].limits[0]", "exactly one"),
            ("amount = 10, ", "", "classes[0].limits[0]", "exactly one"),
            ("zone = \"UTC\"", "zone = \"Europe/Utopia\"", "classes[0].limits[1].window.zone", "no time zone"),
            ("factor = 48", "factor = 0", "classes[0].limits[2].formula.factor", "more than 0"),
            ("\"collect_content\"]", "\"collect_content\", \"publish\"]", "operations[0].purposes[1]", "has scopes"),
            ("purposes = [\"collect_content\"]", "purposes = []", "operations[0].purposes", "must be a purpose"),
            ("costs = { calls = 1 }", "costs = { cals = 1 }", "operations[0].costs.cals", "no credit class 'cals'"),
            ("costs = { calls = 1 }", "costs = { calls = 0 }", "operations[0].costs.calls", "more than 0 units"),
            ("costs = { calls = 1 }", "costs = { calls = 11 }", "operations[0].costs.calls", "could never be made"),
            ("costs = { calls = 1 }", "costs = {}", "operations[0].costs", "must be a cost"),
            ("method = \"GET\"", "method = \"FETCH\"", "operations[0].method", "no HTTP method"),
            ("path = \"/posts\"", "path = \"posts\"", "operations[0].path", "is no URL"),
        ];
        for (from, to, key, message) in cases {
            assert!(SMALL.contains(from), "{from}");
            let text = SMALL.replacen(from, to, 1);
            let found = mistakes(&text);
            let hit = found.iter().find(|mistake| mistake.key == key && mistake.message.contains(message));
            let line = hit.unwrap_or_else(|| panic!("{to}: {found:#?}")).line;
            assert!(line.is_some_and(|line| line >= 1 && line <= text.lines().count()), "{to}: {line:?}");
        }
    }

    #[test]
    fn a_class_without_a_limit_for_a_kind_that_pays_is_refused() {
        let text = SMALL
            .replace("  { owner = \"app\", window", "  { owner = \"app\", kinds = [\"page\"], window")
            .replace("  { owner = \"profile\", window", "  { owner = \"profile\", kinds = [\"page\"], window")
            .replacen("kinds = [\"user\"], window", "kinds = [\"page\"], window", 1);
        let found = mistakes(&text);
        assert!(
            found.iter().any(|mistake| mistake.message.contains("no limit for tokens of kind 'user'")),
            "{found:#?}"
        );
    }

    #[test]
    fn mistakes_of_form_and_of_sense_come_together() {
        let text = SMALL
            .replace("access_validity = \"60d\"", "access_validty = \"60d\"")
            .replace("https://small.example/token", "nowhere")
            .replace("owner = \"app\", kinds", "owner = \"nobody\", kinds")
            .replace("zone = \"UTC\"", "zone = \"Utopia\"");
        let found = mistakes(&text);
        let keys: Vec<_> = found.iter().map(|mistake| (mistake.line.unwrap(), mistake.key.as_str())).collect();
        let expected = [
            (17, "kinds[0].access_validty"),
            (24, "kinds[0].oauth.token_url"),
            (46, "classes[0].limits[0].owner"),
            (47, "classes[0].limits[1].window.zone"),
        ];
        assert_eq!(keys, expected, "{found:#?}");
    }

    #[test]
    fn a_text_that_lacks_any_line_is_read_or_refused_with_a_place() {
        let lines: Vec<_> = SMALL.lines().collect();
        let without = |gone: usize| [&lines[..gone], &lines[gone + 1..]].concat().join("\n");
        let found: Vec<_> = (0..lines.len()).map(|gone| mistakes(&without(gone))).collect();
        for mistake in found.iter().flatten() {
            assert!(mistake.line.is_some(), "{mistake}");
        }
        assert!(found.iter().filter(|mistakes| !mistakes.is_empty()).count() > lines.len() / 2);
    }
}
