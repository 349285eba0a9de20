//! The table of evidence, class by class, and whose failure a failure is.

use std::time::Duration;

use super::*;
use crate::base::clock::Timestamp;
use crate::base::ids::CollectorId;

/// What each class means by a call, a probe, a renewal by refresh token and one of the access token by itself.
fn table() -> Vec<(ErrorClass, [Evidence; 4])> {
    use ErrorClass as Class;
    use Evidence::{AppRefused, Blocked, Doubt, Ended, Limited, Nothing, PermissionLost, Request, Works};
    let alike = |evidence| [evidence; 4];
    vec![
        (Class::Ok, alike(Works)),
        (Class::Transient, alike(Nothing)),
        (Class::TokenExpired, [Ended(Reason::Expired), Ended(Reason::Expired), Nothing, Ended(Reason::Expired)]),
        (Class::TokenRevoked, alike(Ended(Reason::RevokedByPerson))),
        (Class::PasswordChanged, alike(Ended(Reason::PasswordChanged))),
        (Class::TokenInvalid, alike(Doubt)),
        (Class::PermissionLost, alike(PermissionLost)),
        (Class::ResourceDenied, alike(Request)),
        (Class::WrongTokenKind, alike(Request)),
        (Class::UserCheckpoint, alike(Ended(Reason::PersonBlocked))),
        (Class::BlockedPolicy, alike(Blocked)),
        (Class::RateLimitedToken, alike(Limited(Account::Token))),
        (Class::RateLimitedResource, alike(Limited(Account::Profile))),
        (Class::RateLimitedApp, alike(Limited(Account::App))),
        (Class::QuotaExhaustedApp, alike(Limited(Account::App))),
        (Class::PublishQuota, alike(Limited(Account::Profile))),
        (Class::AppLevel, alike(AppRefused)),
        (Class::BadRequest, alike(Request)),
        (Class::RefreshRejected, [Doubt, Doubt, Ended(Reason::RefreshRejected), Ended(Reason::RefreshRejected)]),
        (Class::RetryWithNonce, alike(Nothing)),
    ]
}

#[test]
fn every_class_means_one_thing_by_every_source() {
    let table = table();
    for class in ErrorClass::ALL {
        let found: Vec<_> = table.iter().filter(|(listed, _)| *listed == class).collect();
        let [(_, meant)] = found[..] else { panic!("{class:?} is listed {} times", found.len()) };
        for (source, meant) in Source::ALL.into_iter().zip(meant) {
            assert_eq!(Evidence::of(class, source), *meant, "{class:?} by {source:?}");
        }
    }
    assert_eq!(table.len(), ErrorClass::ALL.len());
}

const fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

const fn by(collector: u128) -> Option<CollectorId> {
    Some(CollectorId::from_u128(collector))
}

fn fails(evidence: &mut AppEvidence, person: u32, collector: u128, secs: i64) -> Blame {
    evidence.fail(Failed { person, by: by(collector), at: at(secs) })
}

#[test]
fn a_second_persons_failure_is_the_apps_until_one_works() {
    let mut evidence = AppEvidence::default();
    assert_eq!(fails(&mut evidence, 1, 1, 0), Blame::Token);
    assert_eq!(fails(&mut evidence, 1, 1, 1), Blame::Token, "another token of the same person");
    assert_eq!(fails(&mut evidence, 2, 2, 2), Blame::Shared);
    assert_eq!(fails(&mut evidence, 1, 3, 3), Blame::Shared, "the first one again");
    evidence.work(3, by(4), at(4));
    assert_eq!(fails(&mut evidence, 4, 5, 5), Blame::Token);
}

#[test]
fn a_broken_collector_ends_one_token_at_most_however_well_the_others_fare() {
    let mut evidence = AppEvidence::default();
    let blames = (0..50).map(|person| {
        evidence.work(1000, by(2), at(i64::from(person)));
        fails(&mut evidence, person, 1, i64::from(person))
    });
    let ended = blames.filter(|blame| *blame == Blame::Token).count();
    assert_eq!(ended, 1);
    evidence.work(1000, by(1), at(60));
    assert_eq!(fails(&mut evidence, 100, 1, 61), Blame::Token, "it works again");
}

#[test]
fn old_failures_speak_no_more_and_few_are_kept() {
    let mut evidence = AppEvidence::default();
    for person in 0..100_000 {
        fails(&mut evidence, person, u128::from(person), 0);
    }
    assert!(format!("{evidence:?}").len() < 4_000);
    assert!(!evidence.is_over(at(3599)));
    assert!(evidence.is_over(at(0) + Duration::from_secs(3600)));
    assert_eq!(fails(&mut evidence, 7, 7, 3600), Blame::Token);
}
