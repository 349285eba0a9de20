//! The table of tokens: what it says where it is empty, and where one comes back to from what is done there.

use axum::http::StatusCode;

use crate::base::ids::TokenId;
use crate::domain::member::Role;
use crate::service::testing::x_token;
use crate::service::tokens::AddToken;
use crate::web::console::testing::Scene;

#[tokio::test]
async fn a_page_behind_the_last_token_leads_to_the_first_and_tells_what_was_done() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let mut tokens: Vec<TokenId> = Vec::new();
    for nth in 0..51 {
        tokens.push(scene.test.token(&scene.team, &format!("person-{nth}")).await);
    }
    tokens.sort();
    let behind = owner.get(&format!("/tokens?network=x&q=person&after={}&trail=x", tokens[50])).await;
    assert_eq!((behind.status, behind.header("location")), (StatusCode::SEE_OTHER, "/tokens?network=x&q=person"));
    let second = format!("/tokens?after={}", tokens[49]);
    assert!(owner.get(&second).await.body.contains(&format!("/tokens/{}\"", tokens[50])));
    let back: String = url::form_urlencoded::byte_serialize(second.as_bytes()).collect();
    let revoked = owner.post(&format!("/tokens/{}/revoke", tokens[50]), &format!("word=revoke&back={back}")).await;
    assert_eq!(revoked.header("location"), format!("{second}&done=revoked&count=1"));
    let led = owner.get(revoked.header("location")).await;
    assert_eq!(led.header("location"), "/tokens?done=revoked&count=1");
    let first = owner.get(led.header("location")).await.body;
    assert!(first.contains("It is given back to the network") && !first.contains("No tokens yet"), "{first}");
    let none = owner.get(&format!("/tokens?q=nothing&after={}", tokens[3])).await;
    assert_eq!(none.header("location"), "/tokens?q=nothing");
    assert_eq!(owner.get("/tokens?q=nothing").await.status, StatusCode::OK);
    scene.stop().await;
}

#[tokio::test]
async fn only_a_team_that_never_had_a_token_is_asked_to_connect_its_first_one() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    assert!(owner.get("/tokens").await.body.contains("No tokens yet"));
    let token = scene.test.token(&scene.team, "4711").await;
    scene.broker().revoke_token(scene.admin(), &scene.team, token, "").await.unwrap();
    let left = owner.get("/tokens").await.body;
    assert!(left.contains("No token is left") && !left.contains("No tokens yet"), "{left}");
    assert!(left.contains("href=\"/tokens?status=revoked\"") && left.contains("href=\"/connect/start\""), "{left}");
    scene.stop().await;
}

#[tokio::test]
async fn what_is_done_to_a_row_leads_back_to_the_list_as_it_was_filtered() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let given = AddToken { label: "Zenith".to_owned(), ..x_token("4711") };
    let token = scene.broker().add_token(scene.admin(), &scene.team, given).await.unwrap().token.id;
    let list = owner.get("/tokens?network=x&q=Zenith").await;
    assert_eq!(list.value_of("back").replace("&#38;", "&"), "/tokens?network=x&q=Zenith");
    let paused = owner.post(&format!("/tokens/{token}/pause"), "back=%2Ftokens%3Fnetwork%3Dx%26q%3DZenith").await;
    assert_eq!(paused.header("location"), "/tokens?network=x&q=Zenith&done=paused&count=1");
    let told = owner.get(paused.header("location")).await.body;
    assert!(told.contains("Paused. No collector gets it") && told.contains("<bdi>Zenith</bdi>"), "{told}");
    for (back, expected) in [
        ("", format!("/tokens/{token}?done=resumed&count=1")),
        ("back=%2F%2Fevil.example%2Ftokens", "/tokens?done=resumed&count=1".to_owned()),
    ] {
        let resumed = owner.post(&format!("/tokens/{token}/resume"), back).await;
        assert_eq!(resumed.header("location"), expected, "{back}");
        scene.broker().pause_token(scene.admin(), &scene.team, token, "").await.unwrap();
    }
    scene.stop().await;
}

#[tokio::test]
async fn all_tokens_of_a_network_can_be_renewed_where_there_are_any() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    scene.test.token(&scene.team, "4711").await;
    for (network, offered) in [("x", true), ("youtube", false)] {
        let list = owner.get(&format!("/tokens?network={network}")).await.body;
        assert_eq!(list.contains("Try renewing all of"), offered, "{network}");
    }
    scene.stop().await;
}
