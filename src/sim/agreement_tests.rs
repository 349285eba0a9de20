//! What the judge sends and what the broker reads are written apart; here they meet. For every network that is built in, each refusal
//! that the simulation can send has the right class, and each usage header says what the judge's books say.

use super::fault::Spoilt;
use super::http_answer::HttpAnswer;
use super::simulation::{Answer as Decided, Ruling};
use super::token::Denial;
use super::whole_catalogue_tests::{Stage, caller_of, expected_class, limits};
use crate::base::clock::Timestamp;
use crate::domain::networks::{
    Answer, Catalogue, Dialect, ErrorClass, Network, Owner, Reading, Usage as Read, Verified, classify, read_usage,
};

/// What the broker makes of an answer.
fn class_of(network: &Network, http: &HttpAnswer) -> ErrorClass {
    let content = [("content-type".to_owned(), http.content_type.to_owned())];
    let headers = [&content[..], &http.headers].concat();
    classify(network, &Answer { status: http.status, headers: &headers, body: http.body.as_bytes() }).class
}

fn decided(ruling: Ruling, spoilt: Option<Spoilt>) -> Decided {
    Decided { at: Timestamp::EPOCH, ruling, usage: Vec::new(), spoilt, delay_millis: 0 }
}

#[test]
fn every_call_over_a_limit_is_understood_as_one() {
    for network in Catalogue::embedded().iter() {
        for (limit, rule) in limits(network) {
            let class = network.class(limit.class.as_str()).unwrap();
            for operation in &network.operations {
                let Some(cost) = operation.costs.iter().find(|cost| cost.class == class.id) else { continue };
                let Some(kind) = caller_of(network, operation, Some(&rule)) else { continue };
                let stage = Stage::set(network);
                let peek = Stage::set(network).call(&kind, operation, "probe");
                let allowed = peek.usage.iter().find(|usage| usage.limit == limit).unwrap().allowed;
                stage.leave(&limit, &rule, &kind, allowed, cost.units);
                stage.call(&kind, operation, "one");
                let http = HttpAnswer::of(network, Some(operation), &stage.call(&kind, operation, "another")).unwrap();
                let expected = expected_class(network, &rule, class.unit, operation);
                let seen = class_of(network, &http);
                assert!(expected.contains(&seen), "{} {limit:?}: {seen:?} of {http:?}", network.id);
            }
        }
    }
}

#[test]
fn every_other_refusal_is_understood() {
    use ErrorClass as Class;
    let of_token = [Class::TokenInvalid, Class::TokenExpired, Class::TokenRevoked, Class::PasswordChanged];
    let of_call = [Class::ResourceDenied, Class::WrongTokenKind, Class::BadRequest, Class::AppLevel, Class::Transient];
    for network in Catalogue::embedded().iter() {
        for denial in Denial::ALL {
            let http = HttpAnswer::of(network, None, &decided(Ruling::Denied(denial), None)).unwrap();
            let seen = class_of(network, &http);
            let fits = match denial {
                Denial::TokenUnknown | Denial::TokensReset => {
                    [Class::TokenInvalid, Class::TokenExpired].contains(&seen)
                }
                Denial::TokenExpired | Denial::TokenRevoked | Denial::PasswordChanged => of_token.contains(&seen),
                Denial::PersonLocked => {
                    seen == Class::UserCheckpoint || of_token.contains(&seen) || of_call.contains(&seen)
                }
                Denial::ScopeMissing => seen == Class::PermissionLost || of_call.contains(&seen),
                // A network with one kind of token never says this.
                Denial::WrongKind => network.kinds.len() == 1 || of_call.contains(&seen),
                Denial::NoSuchOperation => of_call.contains(&seen),
            };
            assert!(fits, "{} {denial:?}: {seen:?} of {http:?}", network.id);
        }
    }
}

#[test]
fn what_the_weather_does_to_an_answer_ends_no_token() {
    for network in Catalogue::embedded().iter() {
        let spoilt = (500..=599).map(Spoilt::ServerError).chain([502, 503].map(Spoilt::Html));
        for spoilt in spoilt {
            let http = HttpAnswer::of(network, None, &decided(Ruling::NotCounted, Some(spoilt))).unwrap();
            assert_eq!(class_of(network, &http), ErrorClass::Transient, "{} {spoilt:?}: {http:?}", network.id);
        }
    }
}

#[test]
fn every_usage_header_is_read_as_the_books_have_it() {
    for network in Catalogue::embedded().iter() {
        let confirmed = network.headers.iter().filter(|rule| rule.verified != Verified::Unverified);
        let usual = confirmed.filter(|rule| rule.dialect != Dialect::RetryAfter).count();
        let mut read = 0;
        for operation in &network.operations {
            for kind in network.kinds.iter().filter(|kind| operation.allows(&kind.id)) {
                let stage = Stage::set(network);
                for _ in 0..3 {
                    let answer = stage.call(&kind.id, operation, "key");
                    let http = HttpAnswer::of(network, Some(operation), &answer).unwrap();
                    let readings = read_usage(network, &http.headers, answer.at);
                    read += readings.len();
                    for reading in &readings {
                        assert!(is_in_the_books(&answer, reading), "{} {http:?}: {reading:?}", network.id);
                    }
                }
            }
        }
        assert!(usual == 0 || read > 0, "{}: nothing was read", network.id);
    }
}

/// Whether some account that the call touched stands as the reading says.
fn is_in_the_books(answer: &Decided, reading: &Reading) -> bool {
    answer.usage.iter().any(|usage| {
        // X and GitHub write alike for persons and for the app: the catalogue reads each for both.
        let owner = usage.owner == reading.owner || [usage.owner, reading.owner].contains(&Owner::App);
        let class = reading.class.as_ref().is_none_or(|class| *class == usage.limit.class);
        let window = reading.window.is_none_or(|window| usage.window.length() == Some(window));
        let is = |said: Option<u64>, count: u64| said.is_none_or(|said| said == count);
        let says = match reading.usage {
            Read::Count { limit, remaining, used } => {
                is(limit, usage.allowed) && is(remaining, usage.remaining()) && is(used, usage.used)
            }
            Read::Percent(percent) => u64::from(percent) == usage.percent(),
            Read::Blocked => usage.remaining() == 0 || !answer.is_admitted(),
        };
        let resets =
            reading.resets_at.is_none_or(|at| at >= usage.resets_at && at.since(usage.resets_at).as_secs() <= 60);
        owner && class && window && says && resets
    })
}
