//! The judge judged: one thing wrong at a time.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const URL: &str = "https://net.example/token";
const CLIENT: &str = "https://b.example/c";

struct Key(EcdsaKeyPair);

impl Key {
    fn make() -> Self {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref()).unwrap())
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.0.public_key().as_ref()[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn checked(possession: &mut Possession, proof: &str, token: Option<&str>, now: Timestamp) -> Result<String, Unproved> {
    possession.check_proof(&Request { proof: Some(proof), method: "POST", url: URL, token }, now)
}

#[test]
fn a_proof_is_taken_once_and_names_its_key() {
    let (key, mut possession) = (Key::make(), Possession::new(1));
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk() });
    let nonce = possession.nonce(NOW);
    let claims = json!({ "jti": "0123456789abcdef", "htm": "POST", "htu": URL, "iat": NOW.secs(), "nonce": nonce });
    let proof = key.sign(&header, &claims);
    assert_eq!(checked(&mut possession, &proof, None, NOW), Ok(thumbprint(&key.jwk()).unwrap()));
    let again = checked(&mut possession, &proof, None, NOW);
    assert_eq!(again, Err(Unproved::Wrong("it was used before")));
    let later = NOW + NONCE_LIFE * 2;
    assert_eq!(checked(&mut possession, &proof, None, later), Err(Unproved::Nonce), "its nonce went stale");
    let request = Request { proof: None, method: "POST", url: URL, token: None };
    assert_eq!(possession.check_proof(&request, NOW), Err(Unproved::Wrong("a proof is missing")));
}

#[test]
fn one_thing_wrong_is_enough() {
    let (key, other, mut possession) = (Key::make(), Key::make(), Possession::new(1));
    let nonce = possession.nonce(NOW);
    let header = || json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk() });
    let ath = URL_SAFE_NO_PAD.encode(digest(&SHA256, b"access"));
    let mut nth = 0;
    let mut claims = |name: &str, value: Value| {
        nth += 1;
        let mut claims = json!({
            "jti": format!("0123456789abcdef{nth}"), "htm": "POST", "htu": URL, "iat": NOW.secs(), "nonce": nonce, "ath": ath,
        });
        claims[name] = value;
        claims
    };
    let good = key.sign(&header(), &claims("more", json!(1)));
    assert!(checked(&mut possession, &good, Some("access"), NOW).is_ok());
    let wrong_claims = [
        ("htm", json!("GET"), Unproved::Wrong("the proof is for another request")),
        ("htu", json!("https://net.example/token?a=b"), Unproved::Wrong("the proof is for another request")),
        ("iat", json!(NOW.secs() - 61), Unproved::Wrong("the proof is too old, or of the future")),
        ("iat", json!(NOW.secs() + 61), Unproved::Wrong("the proof is too old, or of the future")),
        ("iat", json!("now"), Unproved::Wrong("the proof is too old, or of the future")),
        ("nonce", json!("another"), Unproved::Nonce),
        ("nonce", json!(null), Unproved::Nonce),
        ("ath", json!("another"), Unproved::Wrong("the proof is for another access token")),
        ("jti", json!("short"), Unproved::Wrong("it has no id")),
    ];
    for (name, value, expected) in wrong_claims {
        let proof = key.sign(&header(), &claims(name, value.clone()));
        assert_eq!(checked(&mut possession, &proof, Some("access"), NOW), Err(expected), "{name} {value}");
    }
    for (name, value) in [("typ", json!("JWT")), ("alg", json!("none")), ("jwk", other.jwk()), ("jwk", json!(null))] {
        let mut header = header();
        header[name] = value.clone();
        let proof = key.sign(&header, &claims("more", json!(1)));
        assert!(checked(&mut possession, &proof, Some("access"), NOW).is_err(), "{name} {value}");
    }
    let bare = key.sign(&header(), &claims("more", json!(1)));
    let expected = Unproved::Wrong("the proof is for another access token");
    assert_eq!(checked(&mut possession, &bare, None, NOW), Err(expected), "at a server that was shown no token");
    assert_eq!(checked(&mut possession, "no.jwt", None, NOW), Err(Unproved::Wrong("the proof is no JWT")));
}

fn document(key: &Key) -> Value {
    let mut jwk = key.jwk();
    jwk["kid"] = json!("k1");
    json!({
        "client_id": CLIENT, "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
        "dpop_bound_access_tokens": true, "response_types": ["code"], "grant_types": ["authorization_code", "refresh_token"],
        "scope": "atproto", "redirect_uris": ["https://b.example/back"], "jwks": { "keys": [jwk] },
    })
}

#[test]
fn an_assertion_is_of_a_known_client_for_this_server_and_once() {
    let (key, other, mut possession) = (Key::make(), Key::make(), Possession::new(1));
    let header = json!({ "alg": "ES256", "kid": "k1" });
    let mut nth = 0;
    let mut claims = |name: &str, value: Value| {
        nth += 1;
        let exp = NOW.secs() + 60;
        let mut claims = json!({ "iss": CLIENT, "sub": CLIENT, "aud": "https://net.example", "exp": exp, "jti": format!("0123456789abcdef{nth}") });
        claims[name] = value;
        claims
    };
    let check = |possession: &mut Possession, assertion: &str| {
        possession.check_assertion(assertion, CLIENT, "https://net.example", NOW)
    };
    let good = key.sign(&header, &claims("more", json!(1)));
    assert_eq!(check(&mut possession, &good), Err(Unproved::Wrong("the client is not known")));
    possession.know_client(&document(&key)).unwrap();
    assert_eq!(check(&mut possession, &good), Ok(()));
    assert_eq!(check(&mut possession, &good), Err(Unproved::Wrong("it was used before")));
    for (name, value) in [
        ("iss", json!("another")),
        ("sub", json!("another")),
        ("aud", json!("https://net.example/token")),
        ("exp", json!(NOW.secs())),
        ("exp", json!(NOW.secs() + 3600)),
        ("jti", json!(null)),
    ] {
        let assertion = key.sign(&header, &claims(name, value.clone()));
        assert!(check(&mut possession, &assertion).is_err(), "{name} {value}");
    }
    let foreign = other.sign(&header, &claims("more", json!(1)));
    assert!(check(&mut possession, &foreign).is_err(), "another's key");
    let unnamed = key.sign(&json!({ "alg": "ES256" }), &claims("more", json!(1)));
    assert!(check(&mut possession, &unnamed).is_err(), "no key is named");
}

#[test]
fn a_document_must_tell_everything_and_no_private_key() {
    let (key, mut possession) = (Key::make(), Possession::new(1));
    for (name, value) in [
        ("client_id", json!(null)),
        ("token_endpoint_auth_method", json!("none")),
        ("token_endpoint_auth_signing_alg", json!("RS256")),
        ("dpop_bound_access_tokens", json!(false)),
        ("response_types", json!([])),
        ("grant_types", json!(["authorization_code"])),
        ("jwks", json!({ "keys": [] })),
        ("jwks", json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "a", "y": "b" }] })),
    ] {
        let mut document = document(&key);
        document[name] = value.clone();
        assert!(possession.know_client(&document).is_err(), "{name} {value}");
    }
    let mut private = document(&key);
    private["jwks"]["keys"][0]["d"] = json!("secret");
    assert!(possession.know_client(&private).is_err());
}
