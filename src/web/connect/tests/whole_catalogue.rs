//! Every network of the catalogue that has a code flow.

use super::{Stage, ask};
use crate::domain::connection::consent_of;
use crate::domain::networks::{Purpose, Renewal};
use crate::domain::token::TokenState;

#[tokio::test]
async fn every_network_with_a_code_flow_is_connected_and_its_token_is_leased() {
    let stage = Stage::set().await;
    let (catalogue, mut connected) = (stage.test.broker.catalogue.clone(), Vec::new());
    for network in catalogue.iter() {
        for kind in network.kinds.iter().filter(|kind| consent_of(network, kind).is_ok()) {
            let reads = [Purpose::CollectContent, Purpose::CollectStatistics, Purpose::Publish];
            let purpose = reads.into_iter().find(|purpose| kind.scopes_for(*purpose).is_some()).unwrap();
            let person = format!("person-{}-{}", network.id, kind.id);
            let wanted = ask(network.id.as_str(), kind.id.as_str(), purpose);
            let tokens = stage.connect(&stage.team, wanted, &person).await;
            let stored = stage.token(tokens[0]).await;
            let token = &stored.token;
            assert_eq!((token.state, &token.kind), (TokenState::Live, &kind.id), "{}", network.id);
            assert_eq!(stored.sealed_refresh.is_some(), matches!(kind.renewal, Renewal::RefreshToken { .. }));
            assert!(token.clocks.access_expires_at.is_some() || kind.access_validity.is_none(), "{}", network.id);
            assert!(token.purposes.contains(purpose) && !token.person.is_empty());
            connected.push(format!("{}/{}", network.id, kind.id));
        }
    }
    let expected = [
        "bluesky/user",
        "facebook/page",
        "facebook/user",
        "github/oauth_app",
        "github/user",
        "google_business/user",
        "instagram/facebook_login",
        "instagram/instagram_login",
        "instagram/page",
        "linkedin/user",
        "mastodon/user",
        "pinterest/user",
        "reddit/user",
        "threads/user",
        "tiktok/user",
        "tumblr/user",
        "x/user",
        "youtube/user",
    ];
    connected.sort();
    assert_eq!(connected, expected);
    stage.stop().await;
}
