//! Whose a token is, as each simulated network tells it: the account, its pages or channels, and which permissions were given. Written from
//! the networks' documentation and not from the catalogue's look-ups, so that the two check each other.
//!
//! At Bluesky the identity document of a person, and who grants its tokens, are told to everybody.
//!
//! A person has three profiles where a network has lists: one with all rights, one to read only, one without any. The beginning of a person's
//! id makes an exception: `lonely-…` has no profile, `agency-…` has [`MANY`], `personal-…` is no professional account, `ads-…` has none at
//! TikTok, `wordy-…` has a name of [`WORDY`] letters.

use serde_json::{Value, json};

use super::refusal::Family;
use super::simulation::Simulation;
use super::token::TokenSpec;
use crate::base::ids::KindId;
use crate::domain::networks::Network;

/// Items of a list that is continued.
const PAGE: usize = 2;
/// Items of a list of LinkedIn, unless `count` asks for another number.
const PAGE_OF_LINKEDIN: usize = 10;
/// Profiles of somebody who has more of them than one answer of a network holds.
const MANY: usize = 120;
/// What somebody may do with all rights.
const EVERYTHING: &[&str] = &["ANALYZE", "CREATE_CONTENT", "MODERATE"];
/// Letters of a name that is longer than anybody should show.
const WORDY: usize = 5_000;

/// What is asked, by the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Account,
    Profiles,
    Permissions,
    /// What a company page is called.
    Organization,
    /// What is left of each limit; it costs nothing.
    Limits,
}

fn question(family: Family, path: &str) -> Option<Question> {
    let ends = |end: &str| path.trim_matches('/').ends_with(end);
    let known: &[(Family, &str, Question)] = &[
        (Family::Graph, "me/accounts", Question::Profiles),
        (Family::Graph, "me/permissions", Question::Permissions),
        (Family::Graph, "me", Question::Account),
        (Family::X, "users/me", Question::Account),
        (Family::Google, "v1/userinfo", Question::Account),
        (Family::Google, "channels", Question::Profiles),
        (Family::Google, "accounts/-/locations", Question::Profiles),
        (Family::LinkedIn, "organizationAcls", Question::Profiles),
        (Family::Pinterest, "user_account", Question::Account),
        (Family::TikTok, "user/info", Question::Account),
        (Family::Reddit, "api/v1/me", Question::Account),
        (Family::Tumblr, "user/info", Question::Account),
        (Family::Bluesky, "com.atproto.server.getSession", Question::Account),
        (Family::Mastodon, "accounts/verify_credentials", Question::Account),
        (Family::GitHub, "user", Question::Account),
        (Family::GitHub, "rate_limit", Question::Limits),
        (Family::Other, "me", Question::Account),
    ];
    if family == Family::LinkedIn && path.contains("organizations/") {
        return Some(Question::Organization);
    }
    known.iter().find(|(of, end, _)| *of == family && ends(end)).map(|(_, _, question)| *question)
}

/// Whether a path asks whose a token is.
pub(super) fn asks(network: &Network, path: &str) -> bool {
    question(Family::of(network), path).is_some()
}

/// The answer for the holder of a token that is alive; `None`: this path asks for something else.
pub(super) fn told(
    simulation: &Simulation,
    network: &Network,
    path: &str,
    query: &[(String, String)],
    token: &TokenSpec,
) -> Option<Value> {
    let family = Family::of(network);
    Some(match question(family, path)? {
        // The scope of OpenID Connect is asked for as any other.
        Question::Account if family == Family::Google && !token.scopes.iter().any(|scope| scope == "openid") => {
            return None;
        }
        Question::Account => account(family, token),
        Question::Organization => {
            let id = path.rsplit('/').next().unwrap_or_default();
            json!({ "id": id, "localizedName": format!("Company {id}") })
        }
        Question::Limits => json!({ "resources": {}, "rate": {} }),
        Question::Permissions => permissions(simulation, network, token),
        Question::Profiles => profiles(simulation, network, query, token),
    })
}

fn account(family: Family, token: &TokenSpec) -> Value {
    let id = &token.person;
    let name = if id.starts_with("wordy-") { "W".repeat(WORDY) } else { format!("Name of {id}") };
    let kind = if id.starts_with("personal-") { "PERSONAL" } else { "BUSINESS" };
    match family {
        Family::Graph => json!({ "id": id, "name": name, "user_id": id, "username": id, "account_type": kind }),
        Family::X => json!({ "data": { "id": id, "username": id, "name": name } }),
        Family::TikTok if id.starts_with("ads-") => json!({ "data": {}, "error": { "code": "ok", "message": "" } }),
        Family::TikTok => {
            json!({ "data": { "user": { "open_id": id, "display_name": name } }, "error": { "code": "ok", "message": "" } })
        }
        Family::Google => json!({ "sub": id }),
        Family::Bluesky => json!({ "did": did_of(id), "handle": format!("{id}.example"), "active": true }),
        Family::Pinterest => json!({ "username": id, "account_type": kind }),
        Family::Tumblr => {
            json!({ "meta": { "status": 200, "msg": "OK" }, "response": { "user": { "name": id, "blogs": [] } } })
        }
        Family::Mastodon => json!({ "id": id, "username": id, "acct": id }),
        Family::GitHub => json!({ "login": id, "id": id }),
        _ => json!({ "id": id, "name": id }),
    }
}

/// The identifier of a person's account at Bluesky.
pub(super) fn did_of(person: &str) -> String {
    let id: String = person.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    format!("did:plc:{id}")
}

/// The identity document of an account, where `path` asks for one. Whose identifier begins with `elsewhere` lives on a server of others.
pub(super) fn document(network: &Network, path: &str, url: &str) -> Option<Value> {
    let did = path.strip_prefix("did:plc:").filter(|_| Family::of(network) == Family::Bluesky)?;
    let base = url.strip_suffix(path)?.trim_end_matches('/');
    let server = if did.starts_with("elsewhere") { format!("{base}/elsewhere") } else { base.to_owned() };
    Some(json!({
        "id": path,
        "alsoKnownAs": [format!("at://{did}.example")],
        "service": [{ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": server }],
    }))
}

/// Who grants the tokens of a server below `base`.
pub(super) fn resource(base: &str, server: &str) -> Value {
    let issuer = match server.split_once('/') {
        Some(_) => "https://others.example".to_owned(),
        None => format!("{base}/{server}"),
    };
    json!({ "resource": format!("{base}/{server}"), "authorization_servers": [issuer] })
}

fn permissions(simulation: &Simulation, network: &Network, token: &TokenSpec) -> Value {
    let granted = token.scopes.iter().map(|scope| json!({ "permission": scope, "status": "granted" }));
    let declined = simulation.declined(&network.id, &token.person);
    let declined = declined.iter().map(|scope| json!({ "permission": scope, "status": "declined" }));
    json!({ "data": granted.chain(declined).collect::<Vec<_>>() })
}

/// The ids of a person's profiles, and what the person may do there: everything, reading, nothing.
fn profiles_of(person: &str) -> Vec<(String, &'static [&'static str])> {
    if person.starts_with("lonely-") {
        return Vec::new();
    }
    if person.starts_with("agency-") {
        return (1..=MANY).map(|number| (format!("{person}-{number}"), EVERYTHING)).collect();
    }
    let first = person.replace("person", "profile");
    vec![
        (first.clone(), EVERYTHING),
        (format!("{first}-read"), &["ANALYZE"]),
        (format!("{first}-none"), &["ADVERTISE"]),
    ]
}

fn profiles(simulation: &Simulation, network: &Network, query: &[(String, String)], token: &TokenSpec) -> Value {
    let given = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let all = profiles_of(&token.person);
    let from = ["after", "pageToken"].iter().find_map(|name| given(name)?.parse().ok()).unwrap_or(0).min(all.len());
    let end = (from + PAGE).min(all.len());
    let (page, next) = (&all[from..end], (end < all.len()).then(|| end.to_string()));
    match Family::of(network) {
        Family::Graph => {
            let item = |(id, tasks): &(String, &[&str])| {
                let page_token = page_token(simulation, network, token, id);
                let account = json!({ "id": id, "username": format!("name of {id}") });
                json!({ "id": id, "name": format!("Page {id}"), "access_token": page_token, "tasks": tasks, "instagram_business_account": account })
            };
            let paging = next.map_or(json!({}), |next| json!({ "cursors": { "after": next }, "next": "more" }));
            json!({ "data": page.iter().map(item).collect::<Vec<_>>(), "paging": paging })
        }
        Family::LinkedIn => {
            let role = |tasks: &[&str]| match tasks.len() {
                1 if tasks[0] == "ADVERTISE" => "DIRECT_SPONSORED_CONTENT_POSTER",
                1 => "ANALYST",
                _ => "ADMINISTRATOR",
            };
            let item = |id: &String, role: &str| {
                json!({ "organization": format!("urn:li:organization:{id}"), "role": role, "state": "APPROVED",
                    "roleAssignee": format!("urn:li:person:{}", token.person) })
            };
            // Each role stands by itself: who may do everything is also named among those who may do less.
            let lesser = all.iter().filter(|(_, tasks)| tasks.len() > 1);
            let lesser = lesser.map(|(id, _)| item(id, "DIRECT_SPONSORED_CONTENT_POSTER"));
            let each = all.iter().map(|(id, tasks)| item(id, role(tasks)));
            let number = |name: &str, usual: usize| given(name).and_then(|text| text.parse().ok()).unwrap_or(usual);
            let (start, count) = (number("start", 0), number("count", PAGE_OF_LINKEDIN));
            let elements: Vec<Value> = lesser.chain(each).skip(start).take(count).collect();
            json!({ "elements": elements, "paging": { "start": start, "count": count, "links": [] } })
        }
        _ if network.id.as_str() == "youtube" => {
            // A consent is for one channel.
            let item =
                |(id, _): &(String, &[&str])| json!({ "id": id, "snippet": { "title": format!("Channel {id}") } });
            json!({ "items": all.iter().take(1).map(item).collect::<Vec<_>>() })
        }
        _ => {
            let item = |(id, _): &(String, &[&str])| json!({ "name": format!("locations/{id}"), "title": format!("Shop {id}") });
            let mut body = json!({ "locations": page.iter().map(item).collect::<Vec<_>>() });
            if let Some(next) = next {
                body["nextPageToken"] = json!(next);
            }
            body
        }
    }
}

/// The token of a page: the same for the same person, and alive as long as the person's is.
fn page_token(simulation: &Simulation, network: &Network, token: &TokenSpec, page: &str) -> String {
    let secret = format!("sim-page-{}-{page}", token.secret);
    let kind: Option<KindId> = network.kinds.iter().map(|kind| kind.id.clone()).find(|id| id.as_str() == "page");
    if let Some(kind) = kind
        && simulation.alive(&network.id, &secret).is_none()
    {
        let mut spec = TokenSpec { secret: secret.clone(), kind, profiles: vec![page.to_owned()], ..token.clone() };
        (spec.refresh_secret, spec.expires_at) = (None, None);
        // A network that is served exists.
        let _ = simulation.add_token(&network.id, spec);
    }
    secret
}
