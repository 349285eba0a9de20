//! A grant's life at the simulated networks, and what the broker's classifier makes of each refusal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::base::clock::ManualClock;
use crate::domain::networks::{Answer, Catalogue, ErrorClass, Rotation, classify_renewal};
use crate::sim::{Fault, NetworkFault};

struct Stage {
    simulation: Simulation,
    clock: Arc<ManualClock>,
    network: Arc<Network>,
}

impl Stage {
    fn set(id: &str) -> Self {
        let network = Catalogue::embedded().network(id).unwrap().clone();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
        let simulation = Simulation::new([network.clone()], clock.clone(), 1).unwrap();
        Self { simulation, clock, network }
    }

    fn ask(&self, purpose: Purpose, parameters: &[(&str, &str)]) -> HttpAnswer {
        let kind = &self.network.kinds[0];
        let parameters: Vec<(String, String)> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let ask = Ask {
            purpose,
            kind,
            parameters: &parameters,
            authorization: Some("Basic YXBwOnNlY3JldA=="),
            method: "POST",
            url: "http://127.0.0.1/net/token",
            proof: None,
            wants_page: false,
        };
        answer(&self.simulation, &self.network, &ask).0.unwrap()
    }

    fn token(&self, parameters: &[(&str, &str)]) -> HttpAnswer {
        let id = self.network.kinds[0].oauth.as_ref().unwrap().client_id_parameter.clone();
        let shown = [(id.as_str(), "app"), ("client_secret", "s"), ("redirect_uri", "http://127.0.0.1/back")];
        self.ask(Purpose::Token, &[&shown[..], parameters].concat())
    }

    /// The query that comes back from the authorization endpoint.
    fn consent(&self, parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
        let id = self.network.kinds[0].oauth.as_ref().unwrap().client_id_parameter.clone();
        let usual = [(id.as_str(), "app"), ("redirect_uri", "http://127.0.0.1/back"), ("state", "s&t")];
        let answer = self.ask(Purpose::Authorize, &[&usual[..], parameters].concat());
        assert_eq!(answer.status, 302);
        let location = url::Url::parse(&answer.headers[0].1).unwrap();
        location.query_pairs().into_owned().collect()
    }

    /// A token by the authorization code, also where it comes in a list.
    fn granted(&self) -> Value {
        let code = self.consent(&[("code_challenge", "v"), ("login_hint", "person-7")])["code"]
            .trim_end_matches("#_")
            .to_owned();
        let issued =
            body(&self.token(&[("grant_type", "authorization_code"), ("code", &code), ("code_verifier", "v")]));
        issued.pointer("/data/0").cloned().unwrap_or(issued)
    }

    fn refresh(&self, refresh: &str) -> HttpAnswer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)])
    }

    fn class(&self, answer: &HttpAnswer) -> ErrorClass {
        let answer = Answer { status: answer.status, headers: &answer.headers, body: answer.body.as_bytes() };
        classify_renewal(&self.network, &answer).class
    }

    fn rotation(&self) -> Option<Rotation> {
        match &self.network.kinds[0].renewal {
            Renewal::RefreshToken { rotation, .. } => Some(*rotation),
            _ => None,
        }
    }
}

fn body(answer: &HttpAnswer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// The networks whose first kind of token is granted by OAuth 2 to who shows a secret; keys are judged in `possession`.
fn granting() -> Vec<Stage> {
    let catalogue = Catalogue::embedded();
    let grants = |network: &&Arc<Network>| {
        let oauth = network.kinds[0].oauth.as_ref();
        oauth.is_some_and(|oauth| {
            oauth.authorize_url.is_some() && matches!(oauth.client_auth, ClientAuth::Basic | ClientAuth::Post)
        })
    };
    catalogue.iter().filter(grants).map(|network| Stage::set(network.id.as_str())).collect()
}

#[test]
fn each_network_grants_a_token_that_lives() {
    for stage in granting() {
        let issued = stage.granted();
        let secret = issued["access_token"].as_str().unwrap_or_else(|| panic!("{}: {issued}", stage.network.id));
        let alive = stage.simulation.alive(&stage.network.id, secret).unwrap();
        assert_eq!((alive.person.as_str(), alive.profiles[0].as_str()), ("person-7", "profile-7"));
        let refresh = issued["refresh_token"].is_string();
        assert_eq!(refresh, stage.rotation().is_some(), "{}: {issued}", stage.network.id);
    }
}

#[test]
fn refresh_tokens_stay_rotate_or_work_once() {
    for stage in granting() {
        let Some(rotation) = stage.rotation() else { continue };
        let first = stage.granted();
        let refresh = first["refresh_token"].as_str().unwrap();
        let renewed = stage.refresh(refresh);
        assert_eq!(stage.class(&renewed), ErrorClass::Ok, "{}", stage.network.id);
        let renewed = body(&renewed);
        assert_ne!(renewed["access_token"], first["access_token"]);
        assert_eq!(renewed["refresh_token"] == first["refresh_token"], rotation == Rotation::Static);
        let again = stage.refresh(refresh);
        if rotation == Rotation::Static {
            assert_eq!(stage.class(&again), ErrorClass::Ok);
            continue;
        }
        let refused = [ErrorClass::RefreshRejected, ErrorClass::TokenInvalid];
        assert!(refused.contains(&stage.class(&again)), "{}: {again:?}", stage.network.id);
        let alive = stage.simulation.alive(&stage.network.id, renewed["access_token"].as_str().unwrap());
        assert_eq!(alive.is_some(), rotation != Rotation::SingleUse, "{}: used twice", stage.network.id);
    }
}

/// Whether a renewal that was answered so is believed to be dead.
fn refused_for_good(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::RefreshRejected | ErrorClass::TokenInvalid | ErrorClass::TokenRevoked)
}

#[test]
fn a_dead_grant_is_refused_as_one_and_a_lost_reply_is_not() {
    for stage in granting().into_iter().filter(|stage| stage.rotation().is_some()) {
        let issued = stage.granted();
        let refresh = issued["refresh_token"].as_str().unwrap();
        let inject = |fault| {
            stage.simulation.inject(&NetworkFault { network: stage.network.id.clone(), fault }).unwrap();
        };
        inject(Fault::HtmlPages { share: 1.0, status: 503, counted: false });
        assert_eq!(stage.class(&stage.refresh(refresh)), ErrorClass::Transient);
        inject(Fault::HtmlPages { share: 1.0, status: 429, counted: false });
        let throttled = stage.class(&stage.refresh(refresh));
        assert!(!refused_for_good(throttled), "{}: {throttled:?}", stage.network.id);
        inject(Fault::Calm);
        inject(Fault::ExpireToken { secret: issued["access_token"].as_str().unwrap().to_owned() });
        let renewed = body(&stage.refresh(refresh));
        assert!(renewed["access_token"].is_string(), "{}: also after the access token died", stage.network.id);
        inject(Fault::ChangePassword { person: "person-7".to_owned() });
        let dead = stage.refresh(renewed["refresh_token"].as_str().unwrap());
        assert!(refused_for_good(stage.class(&dead)), "{}: {dead:?}", stage.network.id);
    }
}

#[test]
fn tokens_that_renew_themselves_must_be_alive_and_old_enough() {
    for (id, parameter) in
        [("threads", "access_token"), ("instagram", "access_token"), ("facebook", "fb_exchange_token")]
    {
        let stage = Stage::set(id);
        let Renewal::SelfRenewing { grant_type, min_age } = stage.network.kinds[0].renewal.clone() else {
            panic!("{id}")
        };
        let exchange = stage.network.kinds[0].oauth.as_ref().unwrap().exchange_grant_type.clone().unwrap();
        let short = stage.granted();
        let issued = stage.simulation.alive(&stage.network.id, short["access_token"].as_str().unwrap()).unwrap();
        let hour = Some(stage.simulation.now() + Duration::from_secs(3600));
        assert_eq!(issued.expires_at, hour, "{id}: the first token must be exchanged");
        let exchanged =
            body(&stage.token(&[("grant_type", &exchange), (parameter, short["access_token"].as_str().unwrap())]));
        assert_eq!(exchanged["expires_in"], 60 * 86_400, "{id}");
        let renew = |token: &Value| {
            stage.token(&[("grant_type", &grant_type), (parameter, token["access_token"].as_str().unwrap())])
        };
        let young = renew(&exchanged);
        assert_eq!(young.status == 200, min_age.is_zero(), "{id}: {young:?}");
        let current = if min_age.is_zero() { body(&young) } else { exchanged };
        stage.clock.advance(Duration::from_secs(86_400));
        let renewed = body(&renew(&current));
        stage.clock.advance(Duration::from_secs(60 * 86_400));
        let late = renew(&renewed);
        assert_eq!(late.status, 400, "{id}: an expired token can't be renewed");
        assert!([ErrorClass::TokenExpired, ErrorClass::TokenInvalid].contains(&stage.class(&late)), "{id}: {late:?}");
    }
}

#[test]
fn the_authorization_endpoint_keeps_the_networks_rules() {
    let x = Stage::set("x");
    let back = x.consent(&[]);
    assert_eq!((back["error"].as_str(), back["state"].as_str()), ("invalid_request", "s&t"), "PKCE is required");
    let back = x.consent(&[("code_challenge", "c"), ("scope", "tweet.read everything")]);
    assert_eq!(back["error"], "invalid_scope");
    let code = x.consent(&[("code_challenge", "right"), ("scope", "tweet.read users.read")])["code"].clone();
    let redeem = |verifier| x.token(&[("code", &code), ("code_verifier", verifier)]);
    assert_eq!(redeem("wrong").status, 400);
    assert_eq!(redeem("right").status, 400, "a code is redeemed once, rightly or not");
    let code = x.consent(&[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), ("scope", "tweet.read")])
        ["code"]
        .clone();
    let issued = body(&x.token(&[("code", &code), ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")]));
    assert_eq!(issued["scope"], "tweet.read");
    assert!(issued["refresh_token"].is_null(), "without offline.access there is none");
    let code = x.consent(&[("code_challenge", "c")])["code"].clone();
    x.clock.advance(Duration::from_secs(30));
    assert_eq!(x.token(&[("code", &code), ("code_verifier", "c")]).status, 400, "a code of X lives for 30 seconds");
    let without = Ask {
        purpose: Purpose::Token,
        kind: &x.network.kinds[0],
        parameters: &[],
        authorization: None,
        method: "POST",
        url: "http://127.0.0.1/net/token",
        proof: None,
        wants_page: false,
    };
    assert_eq!(answer(&x.simulation, &x.network, &without).0.unwrap().status, 401);
}

#[test]
fn facebook_asks_for_what_was_declined_only_where_it_is_told_to_ask_again() {
    let stage = Stage::set("facebook");
    let granted = |more: &[(&str, &str)]| {
        let asked = [("code_challenge", "v"), ("login_hint", "person-7"), ("scope", "pages_show_list,read_insights")];
        let code = stage.consent(&[&asked[..], more].concat())["code"].clone();
        let issued =
            body(&stage.token(&[("grant_type", "authorization_code"), ("code", &code), ("code_verifier", "v")]));
        let secret = issued["access_token"].as_str().unwrap_or_else(|| panic!("{issued}"));
        stage.simulation.alive(&stage.network.id, secret).unwrap().scopes
    };
    assert_eq!(granted(&[("decline", "read_insights")]), ["pages_show_list"]);
    assert_eq!(granted(&[]), ["pages_show_list"], "what was declined stays so");
    assert_eq!(granted(&[("auth_type", "rerequest")]), ["pages_show_list", "read_insights"]);
    assert_eq!(granted(&[]), ["pages_show_list", "read_insights"], "what was granted, too");
}

#[test]
fn revoked_tokens_are_seen_as_such() {
    for stage in granting() {
        let issued = stage.granted();
        let secret = issued["access_token"].as_str().unwrap();
        let is_alive = || {
            let (status, seen) = seen(&stage.simulation, &stage.network, secret);
            status == 200 && seen["active"] != json!(false) && seen.pointer("/data/is_valid") != Some(&json!(false))
        };
        assert!(is_alive(), "{}", stage.network.id);
        let answer = stage.ask(Purpose::Revoke, &[("token", secret)]);
        assert!((200..300).contains(&answer.status));
        let unknown = stage.ask(Purpose::Revoke, &[("token", "nobody's")]);
        assert_eq!(unknown.status, answer.status, "it is given up already");
        assert!(!is_alive(), "{}", stage.network.id);
    }
}

#[test]
fn every_endpoint_that_is_told_is_found() {
    for network in Catalogue::embedded().iter() {
        for kind in &network.kinds {
            for (what, url) in served(network, kind, "") {
                let path = url.replace(['{', '}'], "").trim_matches('/').to_owned();
                let found = ["GET", "POST", "DELETE"].iter().any(|method| endpoint(network, method, &path).is_some());
                assert!(found, "{} {what} {url}", network.id);
            }
        }
    }
    let xing = Catalogue::embedded().network("xing").unwrap().clone();
    assert!(served(&xing, &xing.kinds[0], "").is_empty(), "signed requests are not simulated");
}
