//! Revocations on a whole broker whose networks answer as they are told.

use zeroize::Zeroizing;

use super::*;
use crate::base::ids::{TeamId, TokenId};
use crate::base::secret::Secret;
use crate::domain::networks::Purpose;
use crate::domain::token::Reason;
use crate::outbound::http::{NetworkAnswer, NoAnswer};
use crate::service::apps::{UpdateApp, default_app};
use crate::service::testing::{TestBroker, ask, x_token};
use crate::service::tokens::{AddToken, UNKNOWN_PERSON};
use crate::text::Text;

struct Bench {
    test: TestBroker,
    team: TeamId,
    token: TokenId,
}

async fn bench() -> Bench {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let client = UpdateApp {
        client_id: Some("app".to_owned()),
        client_secret: Some(Some(Secret::new("client-secret".to_owned()))),
        ..UpdateApp::default()
    };
    test.broker.update_app(&test.admin, &"x".parse().unwrap(), &default_app(), client).await.unwrap();
    let token = test.token(&team, "ann").await;
    Bench { test, team, token }
}

impl Bench {
    async fn revoke(&self) {
        self.test.broker.revoke_token(&self.test.admin, &self.team, self.token, "").await.unwrap();
    }

    fn answer(&self, status: u16, body: &str) {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        self.test.endpoint.answer_next(Ok(NetworkAnswer { status, headers: Vec::new(), body }));
    }

    async fn told(&self) -> String {
        Text::english().tell_of(&self.test.broker.revoke_due().await.unwrap())
    }

    async fn standing(&self) -> StoredRevocation {
        self.test.broker.store.find_revocation(self.token).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_revoked_token_is_given_back_and_its_secrets_destroyed() {
    let bench = bench().await;
    bench.revoke().await;
    let queued = bench.standing().await;
    assert_eq!((queued.standing, bench.test.endpoint.asked()), (Standing::Pending, 0), "no network is waited for");
    let sealed = queued.sealed_access.unwrap();
    assert!(!sealed.windows(6).any(|part| part == b"access"));
    let collector = bench.test.collector(&bench.team, "one").await;
    let refused = bench.test.broker.acquire_lease(&bench.test.caller(collector.id), ask(&bench.team, 1)).await;
    assert!(refused.is_err());
    let test = bench.test.restart().await;
    let bench = Bench { test, ..bench };
    bench.answer(200, "{}");
    assert_eq!(bench.told().await, "1 tried, 1 done");
    let over = bench.standing().await;
    assert_eq!((over.standing, over.sealed_access, over.sealed_refresh), (Standing::Done, None, None));
    assert_eq!(bench.told().await, "None was due");
    bench.revoke().await;
    assert_eq!(bench.test.endpoint.asked(), 1, "it is given back once");
    bench.test.stop().await;
}

#[tokio::test]
async fn a_network_that_is_down_is_told_later_and_not_for_ever() {
    let bench = bench().await;
    bench.revoke().await;
    bench.test.endpoint.answer_next(Err(NoAnswer::Lost));
    assert_eq!(bench.told().await, "1 tried, 0 done");
    assert_eq!(bench.standing().await.standing, Standing::Pending);
    for _ in 0..20 {
        bench.test.clock.advance(Duration::from_secs(13 * 3600));
        bench.answer(503, "<html>");
        bench.told().await;
    }
    let over = bench.standing().await;
    assert_eq!((over.standing, over.sealed_access), (Standing::GivenUp, None));
    assert!(over.message.contains("503"), "{}", over.message);
    bench.test.stop().await;
}

#[tokio::test]
async fn the_network_is_told_for_whatever_reason_a_token_did_not_work_any_more() {
    let mut bench = bench().await;
    for (n, reason) in Reason::ALL.into_iter().enumerate() {
        bench.token = bench.test.token(&bench.team, &format!("person {n}")).await;
        bench.test.broker.invalidate_token(&bench.test.admin, &bench.team, bench.token, reason, "").await.unwrap();
        bench.revoke().await;
        // A network that knows nothing of it says so.
        bench.answer(if n % 2 == 0 { 200 } else { 400 }, r#"{"error":"invalid_grant"}"#);
        bench.told().await;
        let over = bench.standing().await;
        assert_eq!((over.standing, bench.test.endpoint.asked()), (Standing::Done, n + 1), "{reason:?}");
    }
    bench.test.stop().await;
}

#[tokio::test]
async fn it_is_said_why_a_network_is_not_told() {
    let bench = bench().await;
    let bob = bench.test.token(&bench.team, "bob").await;
    bench.test.sql("UPDATE token SET sealed_access = x'00' WHERE person = 'bob'").await;
    let add = async |network: &str, kind: &str| {
        let found = bench.test.broker.catalogue.network(network).unwrap().kind(kind).unwrap();
        let given = AddToken {
            network: network.to_owned(),
            kind: kind.to_owned(),
            scopes: found.scopes_for(Purpose::Validate).unwrap().to_vec(),
            refresh: None,
            ..x_token("ann")
        };
        bench.test.broker.add_token(&bench.test.admin, &bench.team, given).await.unwrap().token.id
    };
    let cases = [
        (bob, Standing::GivenUp, "does not open"),
        (add("threads", "user").await, Standing::GivenUp, "can't be told"),
        (add("facebook", "page").await, Standing::Shared, "derived"),
    ];
    for (token, standing, why) in cases {
        bench.test.broker.revoke_token(&bench.test.admin, &bench.team, token, "").await.unwrap();
        let over = bench.test.broker.store.find_revocation(token).await.unwrap().unwrap();
        assert_eq!((over.standing, over.ended_at.is_some(), over.sealed_access), (standing, true, None), "{why}");
        assert!(over.message.contains(why), "{}", over.message);
    }
    assert_eq!(bench.told().await, "None was due");
    bench.test.stop().await;
}

#[tokio::test]
async fn what_an_operator_can_mend_is_tried_again() {
    let bench = bench().await;
    bench.revoke().await;
    bench.test.sql("UPDATE app SET sealed_secret = x'00' WHERE network = 'x'").await;
    let bench = Bench { test: bench.test.restart().await, ..bench };
    assert_eq!(bench.told().await, "1 tried, 0 done");
    let waits = bench.standing().await;
    assert_eq!((waits.standing, waits.failures, waits.sealed_access.is_some()), (Standing::Pending, 1, true));
    assert!(waits.message.contains("client secret"), "{}", waits.message);
    let of_client = async |client_id: &str| {
        let said = UpdateApp {
            client_id: Some(client_id.to_owned()),
            client_secret: Some(Some(Secret::new("another-secret".to_owned()))),
            ..UpdateApp::default()
        };
        bench.test.broker.update_app(&bench.test.admin, &"x".parse().unwrap(), &default_app(), said).await.unwrap();
        bench.test.clock.advance(Duration::from_secs(3600));
    };
    of_client("").await;
    assert_eq!(bench.told().await, "1 tried, 0 done");
    assert_eq!(
        (bench.standing().await.failures, bench.test.endpoint.asked()),
        (2, 0),
        "nothing is known of the client"
    );
    of_client("app").await;
    bench.answer(200, "{}");
    assert_eq!(bench.told().await, "1 tried, 1 done");
    assert_eq!(bench.standing().await.standing, Standing::Done);
    bench.test.stop().await;
}

#[tokio::test]
async fn a_revocation_whose_own_secret_does_not_open_is_given_up() {
    let bench = bench().await;
    bench.revoke().await;
    bench.test.sql("UPDATE revocation SET sealed_access = x'00'").await;
    assert_eq!(bench.told().await, "1 tried, 1 done");
    assert_eq!((bench.standing().await.standing, bench.test.endpoint.asked()), (Standing::GivenUp, 0));
    bench.test.stop().await;
}

#[tokio::test]
async fn of_an_account_that_is_not_known_no_token_ends_with_another() {
    // Two channels of one Google account, which YouTube does not name; or of which one was named meanwhile.
    given_back_with_the_last_of([format!("{UNKNOWN_PERSON}UC-one"), format!("{UNKNOWN_PERSON}UC-two")]).await;
    given_back_with_the_last_of(["7".to_owned(), format!("{UNKNOWN_PERSON}UC-two")]).await;
}

/// Two tokens of an app at YouTube, of which it is not known whether they are one person's.
async fn given_back_with_the_last_of(persons: [String; 2]) {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let client = UpdateApp { client_id: Some("app".to_owned()), ..UpdateApp::default() };
    test.broker.update_app(&test.admin, &"youtube".parse().unwrap(), &default_app(), client).await.unwrap();
    let mut tokens = Vec::new();
    for (channel, person) in ["UC-one", "UC-two"].into_iter().zip(persons) {
        let given = AddToken {
            network: "youtube".to_owned(),
            profile: channel.to_owned(),
            scopes: vec!["https://www.googleapis.com/auth/youtube.readonly".to_owned()],
            access: Secret::new(format!("access-of-{channel}")),
            refresh: Some(Secret::new(format!("refresh-of-{channel}"))),
            ..x_token(&person)
        };
        tokens.push(test.broker.add_token(&test.admin, &team, given).await.unwrap().token);
    }
    let mut standings = Vec::new();
    for token in &tokens {
        let body = Zeroizing::new(b"{}".to_vec());
        test.endpoint.answer_next(Ok(NetworkAnswer { status: 200, headers: Vec::new(), body }));
        test.broker.revoke_token(&test.admin, &team, token.id, "").await.unwrap();
        test.broker.revoke_due().await.unwrap();
        let over = test.broker.store.find_revocation(token.id).await.unwrap().unwrap();
        standings.push((over.standing, test.endpoint.asked()));
    }
    assert_eq!(standings, [(Standing::Shared, 0), (Standing::Done, 1)], "the network is told with the last of them");
    test.stop().await;
}

#[tokio::test]
async fn a_grant_that_tokens_of_another_network_hang_on_is_given_back_with_the_last_of_them_and_with_a_proof() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let mut tokens = Vec::new();
    for (network, kind) in [("instagram", "facebook_login"), ("facebook", "user")] {
        let said = UpdateApp {
            client_id: Some("app".to_owned()),
            client_secret: Some(Some(Secret::new("client-secret".to_owned()))),
            ..UpdateApp::default()
        };
        test.broker.update_app(&test.admin, &network.parse().unwrap(), &default_app(), said).await.unwrap();
        let found = test.broker.catalogue.network(network).unwrap().kind(kind).unwrap();
        let given = AddToken {
            network: network.to_owned(),
            kind: kind.to_owned(),
            scopes: found.scopes_for(Purpose::Validate).unwrap().to_vec(),
            refresh: None,
            ..x_token("ann")
        };
        tokens.push(test.broker.add_token(&test.admin, &team, given).await.unwrap().token.id);
    }
    let mut standings = Vec::new();
    for token in tokens {
        let body = Zeroizing::new(b"{}".to_vec());
        test.endpoint.answer_next(Ok(NetworkAnswer { status: 200, headers: Vec::new(), body }));
        test.broker.revoke_token(&test.admin, &team, token, "").await.unwrap();
        test.broker.revoke_due().await.unwrap();
        let over = test.broker.store.find_revocation(token).await.unwrap().unwrap();
        standings.push((over.standing, test.endpoint.asked()));
    }
    assert_eq!(standings, [(Standing::Shared, 0), (Standing::Done, 1)], "one delete ends the whole grant");
    let address = test.endpoint.last_address();
    assert!(address.contains("/ann/permissions?appsecret_proof="), "{address}");
    test.stop().await;
}

/// A person's token at Facebook and two that are derived from it, with what stood at the end of revoking them in an order, in parts of which
/// the network is told in between.
async fn given_back(order: &[&[usize]]) -> Vec<(Standing, usize)> {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let said = UpdateApp {
        client_id: Some("app".to_owned()),
        client_secret: Some(Some(Secret::new("client-secret".to_owned()))),
        ..UpdateApp::default()
    };
    test.broker.update_app(&test.admin, &"facebook".parse().unwrap(), &default_app(), said).await.unwrap();
    let mut tokens = Vec::new();
    for (kind, profile) in [("user", ""), ("page", "one"), ("page", "two")] {
        let given = AddToken {
            network: "facebook".to_owned(),
            kind: kind.to_owned(),
            profile: profile.to_owned(),
            scopes: Vec::new(),
            access: Secret::new(format!("access of {kind} {profile}")),
            refresh: None,
            ..x_token("ann")
        };
        tokens.push(test.broker.add_token(&test.admin, &team, given).await.unwrap().token.id);
    }
    let body = Zeroizing::new(b"{}".to_vec());
    test.endpoint.answer_next(Ok(NetworkAnswer { status: 200, headers: Vec::new(), body }));
    let mut standings = Vec::new();
    for part in order {
        for token in *part {
            test.broker.revoke_token(&test.admin, &team, tokens[*token], "").await.unwrap();
        }
        test.broker.revoke_due().await.unwrap();
        // Longer than a try in vain may go on.
        test.clock.advance(Duration::from_secs(5 * 24 * 3600));
        test.broker.revoke_due().await.unwrap();
        if let Some(found) = test.broker.store.find_revocation(tokens[0]).await.unwrap() {
            standings.push((found.standing, test.endpoint.asked()));
        }
    }
    test.stop().await;
    standings
}

#[tokio::test]
async fn a_grant_is_given_back_after_the_last_token_that_was_derived_from_it_in_whatever_order() {
    let (waits, done) = ((Standing::Pending, 0), (Standing::Done, 1));
    assert_eq!(given_back(&[&[0], &[1], &[2]]).await, [waits, waits, done], "it keeps its secret until then");
    assert_eq!(given_back(&[&[1], &[2], &[0]]).await, [done]);
    assert_eq!(given_back(&[&[1], &[0], &[2]]).await, [waits, done]);
    assert_eq!(given_back(&[&[0, 1, 2]]).await, [done], "all at once");
    assert_eq!(given_back(&[&[2, 1, 0]]).await, [done]);
}
