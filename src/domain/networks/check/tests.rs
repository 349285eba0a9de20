//! The check against catalogues with one mistake each.

use crate::domain::networks::{Catalogue, CatalogueErrors, Mistake};

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
    match Catalogue::load(&[("small.toml".to_owned(), text.to_owned())]) {
        Ok(_) => Vec::new(),
        Err(CatalogueErrors(mistakes)) => mistakes,
    }
}

/// A list of profiles for the last kind, whose rest is found like that.
fn next_page(next: &str) -> String {
    let list = r#"request = "GET https://api.small.example/v1/pages"
items = "data"
id = "id"
token = "token"
verified = "unverified""#;
    format!("\n[kinds.profiles]\n{list}\nnext = {next}\n\n[[classes]]")
}

#[test]
fn the_small_network_is_right() {
    let paged = |next: &str| SMALL.replacen("\n[[classes]]", &next_page(next), 1);
    assert_eq!(mistakes(&paged("{ parameter = \"after\", at = \"next\" }")), []);
    assert_eq!(mistakes(&paged("{ parameter = \"start\", step = 10 }")), []);
    assert_eq!(mistakes(SMALL), []);
}

#[test]
fn each_mistake_is_found_at_its_line_and_key() {
    let [neither, both, idle] = ["", ", at = \"next\", step = 10", ", step = 0"]
        .map(|rest| next_page(&format!("{{ parameter = \"start\"{rest} }}")));
    let cases = [
        ("\"Small\"", "\" \"", "display_name", "is empty"),
        ("https://api.small.example/v1\"\ne", "api.small.example\"\ne", "api_base", "can't be called"),
        ("https://api.small.example/v1\"\ne", "https://api.small.example/\"\ne", "api_base", "must not end"),
        (
            "errors = [\n",
            "request_headers = { \"a b\" = \"1\" }\nerrors = [\n",
            "request_headers.a b",
            "no name of a header",
        ),
        ("errors = [\n", "request_headers = { Host = \"a\" }\nerrors = [\n", "request_headers.Host", "writes itself"),
        ("errors = [\n", "request_headers = { V = \"\\n\" }\nerrors = [\n", "request_headers.V", "on one line"),
        ("\ncode = [\"error.code\"]", "\ncode = []", "errors[0].code", "does not say where"),
        ("http = 401", "http = 40", "errors[0].http", "no HTTP status"),
        ("http = 401, code = \"7\"", "subcode = \"7\"", "errors[0].subcode", "does not say where"),
        ("http = 401, code = \"7\"", "message = \"seven\"", "errors[0].message", "does not say where"),
        ("http = 401, code = \"7\", ", "", "errors[0]", "asks for nothing"),
        ("http = 401, code = \"7\"", "code = \"200\", code_to = 299", "errors[1]", "can't be reached"),
        ("code_to = 299", "code_to = 199", "errors[1].code_to", "above 'code'"),
        ("code = \"200\", code_to", "code = \"a\", code_to", "errors[1].code_to", "above 'code'"),
        ("x-limit-", "X-Limit-", "headers[0].name", "lower case"),
        ("class = \"calls\", verified", "class = \"cals\", verified", "headers[0].class", "no class 'cals'"),
        ("owner = \"app\", window = \"1h\"", "owner = \"token\"", "headers[0].owner", "no limit is on the account"),
        ("window = \"1h\"", "window = \"2h\"", "headers[0].window", "no limit of this owner"),
        ("access_validity = \"60d\"", "access_validity = \"0s\"", "kinds[0].access_validity", "no time at all"),
        (
            "access_validity = \"60d\"",
            "access_validity = \"60 moons\"",
            "kinds[0].access_validity",
            "unknown time unit",
        ),
        ("renew_url", "revoke_url", "kinds[0].renewal", "does not say where"),
        ("https://small.example/token", "small/token", "kinds[0].oauth.token_url", "can't be called"),
        ("pkce = \"required\"", "pkce = \"required\"\npkcs = 1", "kinds[0].oauth.pkcs", "unknown field"),
        ("pkce = \"required\"", "pkce = \"maybe\"", "kinds[0].oauth.pkce", "unknown variant"),
        ("scope_separator = \" \"", "scope_separator = \"\"", "kinds[0].oauth.scope_separator", "is empty"),
        ("GET https://api", "https://api", "kinds[0].probe.request", "must be a method"),
        ("costs = [{ class = \"calls\"", "costs = [{ class = \"cals\"", "kinds[0].probe.costs.cals", "no class 'cals'"),
        (
            "costs = [{ class = \"calls\"",
            "costs = [{ class = \"calls\", units = 1 }, { class = \"calls\"",
            "kinds[0].probe.costs.calls",
            "is there twice",
        ),
        ("from = \"user\"", "from = \"person\"", "kinds[1].renewal.from", "no kind 'person'"),
        ("from = \"user\"", "from = \"page\"", "kinds[1].renewal.from", "leads back to the kind"),
        ("id = \"page\"", "id = \"user\"", "kinds[1].id", "is there twice"),
        (
            "kinds = [\"user\"], window",
            "kinds = [\"person\"], window",
            "classes[0].limits[0].kinds",
            "no kind 'person'",
        ),
        ("length = \"1h\"", "length = \"0s\"", "classes[0].limits[0].window.length", "no time at all"),
        ("amount = 10", "amount = 0", "classes[0].limits[0].amount", "is 0"),
        ("amount = 10", "amount = 10, unknown = 1", "classes[0].limits[0]", "exactly one"),
        ("amount = 10, ", "", "classes[0].limits[0]", "exactly one"),
        ("zone = \"UTC\"", "zone = \"Europe/Utopia\"", "classes[0].limits[1].window.zone", "no time zone"),
        ("factor = 48", "factor = 0", "classes[0].limits[2].formula.factor", "is 0"),
        ("\"collect_content\"]", "\"collect_content\", \"publish\"]", "operations[0].purposes[1]", "has scopes"),
        ("purposes = [\"collect_content\"]", "purposes = []", "operations[0].purposes", "is empty"),
        ("costs = { calls = 1 }", "costs = { cals = 1 }", "operations[0].costs.cals", "no class 'cals'"),
        ("costs = { calls = 1 }", "costs = { calls = 0 }", "operations[0].costs.calls", "is 0"),
        ("costs = { calls = 1 }", "costs = { calls = 11 }", "operations[0].costs.calls", "could never be made"),
        ("costs = { calls = 1 }", "costs = {}", "operations[0].costs", "is empty"),
        ("method = \"GET\"", "method = \"FETCH\"", "operations[0].method", "is no method"),
        ("https://small.example/token", "http://small.example/token", "kinds[0].oauth.token_url", "begin with https"),
        ("https://small.example/token", "https://a:b@small.example/", "kinds[0].oauth.token_url", "must not hold"),
        ("https://small.example/token", "https://small.example/#a", "kinds[0].oauth.token_url", "must not hold"),
        ("\"basic\"", "\"oauth1\"", "kinds[0].oauth.request_token_url", "is missing"),
        ("\"basic\"", "\"basic\"\nquirks = [\"revoke_by_delete\"]", "kinds[0].oauth.revoke_url", "is missing"),
        ("\"basic\"", "\"basic\"\nexchange_grant_type = \"a\"", "kinds[0].oauth.exchange_url", "is missing"),
        ("unit = \"calls\"", "unit = \"keys\"", "classes[0].limits[0].window.rule", "go together"),
        ("about = \"Calls.\"", "about = \" \"", "classes[0].about", "is empty"),
        ("\"error.code\"", "\"error..code\"", "error_body.code[0]", "joined by dots"),
        ("path = \"/posts\"", "path = \"posts\"", "operations[0].path", "can't be called"),
        ("\n[[classes]]", neither.as_str(), "kinds[1].profiles.next", "exactly one of 'at' and 'step'"),
        ("\n[[classes]]", both.as_str(), "kinds[1].profiles.next", "exactly one of 'at' and 'step'"),
        ("\n[[classes]]", idle.as_str(), "kinds[1].profiles.next.step", "nonzero"),
        ("id = \"page\"", "id = \"page\"\napi_base = \"page.example\"", "kinds[1].api_base", "can't be called"),
        ("id = \"page\"", "id = \"page\"\napi_base = \"https://page.example/\"", "kinds[1].api_base", "must not end"),
        (
            "id = \"page\"",
            "id = \"page\"\nunverified = [\"oauth.pkce\"]",
            "kinds[1].unverified[0]",
            "no key of this kind",
        ),
        (
            "\n[[classes]]",
            "\n[[classes]]\nid = \"idle\"\nunit = \"calls\"\nabout = \"Idle.\"\nlimits = [{ owner = \"app\", window = { rule = \"budget\" }, amount = 1, verified = \"unverified\" }]\n[[classes]]",
            "classes[0].id",
            "no operation draws from it",
        ),
        (
            "\n[[operations]]",
            "\n[[retention]]\nrule = \"\"\nverified = \"unverified\"\n[[operations]]",
            "retention[0].rule",
            "is empty",
        ),
        ("amount = 10", "amount = -10", "classes[0].limits[0].amount", "expected u64"),
        ("costs = { calls = 1 }", "costs = { calls = 1.5 }", "operations[0].costs.calls", "expected u64"),
        (
            "\"rolling\", length",
            "\"rolling\", phase = \"clock\", length",
            "classes[0].limits[2].window",
            "unknown field",
        ),
        ("owner = \"profile\"", "owner = \"page\"", "classes[0].limits[2].owner", "unknown variant"),
        ("id = \"posts.list\"", "id = \"Posts List\"", "operations[0].id", ""),
    ];
    let mut missed = Vec::new();
    for (from, to, key, message) in cases {
        assert!(SMALL.contains(from), "{from}");
        let text = SMALL.replacen(from, to, 1);
        let found = mistakes(&text);
        let hit = found.iter().find(|mistake| mistake.key == key && mistake.message.contains(message));
        let line = hit.and_then(|mistake| mistake.line);
        if !line.is_some_and(|line| (1..=text.lines().count()).contains(&line)) {
            missed.push(format!("{to} at {key}: {message}\n  but {found:?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_class_without_a_limit_for_a_kind_that_pays_is_refused() {
    let text = SMALL
        .replace("  { owner = \"app\", window", "  { owner = \"app\", kinds = [\"page\"], window")
        .replace("  { owner = \"profile\", window", "  { owner = \"profile\", kinds = [\"page\"], window")
        .replacen("kinds = [\"user\"], window", "kinds = [\"page\"], window", 1);
    let found = mistakes(&text);
    assert!(found.iter().any(|mistake| mistake.message.contains("holds for the kind 'user'")), "{found:#?}");
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

#[test]
fn what_stands_twice_or_never_has_its_turn_is_refused() {
    let spoiled = |from: &str, to: &str| {
        assert!(SMALL.contains(from), "{from}");
        mistakes(&SMALL.replacen(from, to, 1)).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let header = SMALL.lines().find(|line| line.contains("triple_epoch")).unwrap();
    let found = spoiled(header, &format!("{header}\n{header}"));
    assert_eq!(found, ["small.toml:9: headers[1]: says the same as an earlier rule: keep one of them"]);

    let limit = SMALL.lines().find(|line| line.contains("rolling")).unwrap();
    let of_users = limit.replace("\"profile\"", "\"profile\", kinds = [\"user\"]");
    let found = spoiled(limit, &format!("{limit}\n{of_users}"));
    assert_eq!(found, ["small.toml:49: classes[0].limits[3]: counts the same as an earlier limit: keep the lower one"]);

    let rule = |matcher: &str| format!("{{ {matcher}, class = \"ok\", verified = \"unverified\" }},");
    let rules = ["message = \"day\"", "message = \"member DAY\"", "message = \"hour\""].map(rule).join("\n");
    let found = spoiled("errors = [", &format!("errors = [\n{rules}"));
    assert!(found[1].contains("errors[1]: can't be reached: errors[0] matches"), "{found:?}");
    let unreachable = found.iter().filter(|mistake| mistake.contains("can't be reached"));
    assert_eq!(unreachable.count(), 1, "{found:?}");
}

#[test]
fn a_network_without_its_lists_is_refused() {
    let found = mistakes("display_name = 'Empty'\napi_base = 'https://empty.example'\n");
    let keys: Vec<&str> = found.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["classes", "kinds", "operations"]);
}

#[test]
fn this_machine_may_be_called_without_tls() {
    for host in ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"] {
        assert_eq!(
            mistakes(&SMALL.replace("https://api.small.example/v1\"\ne", &format!("{host}\"\ne"))),
            [],
            "{host}"
        );
    }
}
