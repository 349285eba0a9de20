//! Who gives consent, and to what: the text, the purposes, and whose connection it is.

use super::{Answer, Browser, Stage, ask};
use crate::domain::connection::{Granter, Stage as Progress};
use crate::domain::consent::NEWEST;
use crate::domain::member::Role;
use crate::domain::networks::Purpose;
use crate::service::AcquireLease;
use crate::service::connect::StartConnection;

fn x() -> StartConnection {
    ask("x", "user", Purpose::CollectContent)
}

/// The way of a member who starts by itself, up to the page that asks for consent; its link.
async fn started(browser: &Browser, form: &[(&str, &str)]) -> String {
    let form = [&[("network", "x"), ("kind", "user"), ("purpose", "collect_content")], form].concat();
    let sent = browser.post("/connect/start", &form).await;
    assert_eq!(sent.status, 303, "{}", sent.text);
    sent.location()
}

/// From the page that asks for consent to the end; the last page.
async fn finish(browser: &Browser, link: &str, person: &str) -> Answer {
    let page = browser.consent(link, person, &[]).await;
    let choose =
        page.text.split("action=\"").find(|rest| rest.contains("/choose\"")).unwrap_or_else(|| panic!("{}", page.text));
    let done = browser.post(choose.split('"').next().unwrap(), &[]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    browser.get(&done.location()).await
}

#[tokio::test]
async fn a_lease_is_for_what_was_agreed_to_in_the_browser_and_for_nothing_else() {
    let stage = Stage::set().await;
    let (_, link) = stage.start(x()).await;
    let page = Browser::at(&stage).get(&link).await;
    for part in ["and for nothing else", "stays yours", "Reading posts", "Agree and continue"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let not_for = page.text.split("What it is not for").nth(1).unwrap();
    assert!(not_for.contains("Writing posts") && !not_for.contains("still works"), "every token is checked: {not_for}");
    let token = stage.connect(&stage.team, x(), "person-1").await[0];
    let broker = &stage.test.broker;
    let agreed = broker.show_consent(&stage.team, token).await.unwrap();
    assert_eq!((agreed.history.len(), agreed.now.text_version.as_str(), agreed.now.member), (1, NEWEST, None));
    assert_eq!(agreed.now.purposes, [Purpose::CollectContent].into_iter().collect());
    let collector = stage.test.collector(&stage.team, "one").await;
    let caller = stage.test.caller(collector.id);
    let wanted = |purpose| AcquireLease { purpose, ..crate::service::testing::ask(&stage.team, 1) };
    broker.acquire_lease(&caller, wanted(Purpose::CollectContent)).await.unwrap();
    let refused = broker.acquire_lease(&caller, wanted(Purpose::Publish)).await.err().map(|error| error.to_string());
    assert!(refused.is_some(), "the person agreed to reading only");
    stage.connect(&stage.team, x(), "person-1").await;
    assert_eq!(broker.show_consent(&stage.team, token).await.unwrap().history.len(), 2, "each agreement is a record");
    stage.stop().await;
}

#[tokio::test]
async fn who_agrees_to_an_old_text_reads_the_new_one_first() {
    let stage = Stage::set().await;
    let (connection, link) = stage.start(x()).await;
    let browser = Browser::at(&stage);
    for old in ["", "2019-01"] {
        let page = browser.post(&link, &[("text_version", old)]).await;
        assert!(page.status == 200 && page.text.contains("Read it again"), "{} {}", page.status, page.text);
        assert_eq!(page.hidden("text_version"), NEWEST);
    }
    assert_eq!(stage.look(&connection).await.stage, Progress::Offered);
    let (broker, admin) = (&stage.test.broker, &stage.test.admin);
    browser.consent(&link, "person-1", &[]).await;
    let wrong = broker.complete_connection(admin, &stage.team, connection.id, &[], "2019-01").await;
    assert!(wrong.unwrap_err().to_string().contains(NEWEST), "it says which text was agreed to");
    broker.complete_connection(admin, &stage.team, connection.id, &[], NEWEST).await.unwrap();
    stage.stop().await;
}

#[tokio::test]
async fn a_members_connection_goes_on_only_where_that_member_is_signed_in() {
    let stage = Stage::set().await;
    let (ada, bob) =
        (stage.member("ada@acme.example", Role::Member).await, stage.member("bob@acme.example", Role::Owner).await);
    let browser = Browser::of_member(&stage, &ada);
    let link = started(&browser, &[]).await;
    let elsewhere = Browser::at(&stage).get(&link).await;
    assert_eq!(elsewhere.status, 403);
    assert!(elsewhere.text.contains("/sign-in?next=%2Fconnect%2Flinks%2F"), "{}", elsewhere.text);
    let others = Browser::of_member(&stage, &bob);
    let not_theirs = others.get(&link).await.text;
    assert!(not_theirs.contains("another member&#39;s") && not_theirs.contains("href=\"/tokens\""), "{not_theirs}");
    assert_eq!(others.post(&link, &[("text_version", NEWEST)]).await.status, 403);
    let back = browser.agree(&browser.go_on(&link).await, "person-1", &[]).await;
    browser.sign_out();
    assert_eq!(browser.get(&back).await.status, 403);
    browser.sign_in(&bob);
    assert_eq!(browser.get(&back).await.status, 403);
    browser.sign_in(&ada);
    let page = browser.arrive(&back).await;
    assert!(page.text.contains("Is this right?"), "nothing was used up: {}", page.text);
    stage.stop().await;
}

#[tokio::test]
async fn what_a_member_connects_is_its_own() {
    let stage = Stage::set().await;
    let ada = stage.member("ada@acme.example", Role::Member).await;
    let browser = Browser::of_member(&stage, &ada);
    let link = started(&browser, &[]).await;
    assert!(browser.get(&link).await.text.contains("You are signed in as <bdi>ada"));
    let page = browser.consent(&link, "person-1", &[]).await;
    let choose = page.text.split("action=\"").find(|rest| rest.contains("/choose\"")).unwrap();
    let done = browser.post(choose.split('"').next().unwrap(), &[]).await;
    assert_eq!(done.location(), "/tokens?done=connected&count=1", "back to the tokens");
    let connection = stage.test.broker.list_connections(&Default::default(), None, 1).await.unwrap().0.remove(0);
    assert_eq!(connection.granter, Granter::Member(ada.member.id));
    let Progress::Connected { tokens, .. } = connection.stage else { panic!("{connection:?}") };
    let token = stage.token(tokens[0]).await.token;
    let member = stage.test.broker.show_member(&stage.team, ada.member.id).await.unwrap().member;
    assert!(member.granted(&token) && member.has_account(&token.network, &token.person));
    let agreed = stage.test.broker.show_consent(&stage.team, token.id).await.unwrap().now;
    assert_eq!(agreed.member, Some(member.id));
    stage.stop().await;
}

/// The connect link that a member makes for a colleague.
async fn link_for(browser: &Browser, colleague: &str) -> String {
    let form = [
        ("network", "x"),
        ("kind", "user"),
        ("purpose", "collect_content"),
        ("for", "colleague"),
        ("colleague", colleague),
    ];
    let page = browser.post("/connect/start", &form).await;
    page.text.split("<pre id=\"link\" tabindex=\"0\">").nth(1).unwrap().split("</pre>").next().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_for_a_colleague_is_bound_to_whoever_follows_it() {
    let stage = Stage::set().await;
    let (ada, bob) =
        (stage.member("ada@acme.example", Role::Member).await, stage.member("bob@acme.example", Role::Member).await);
    let link = link_for(&Browser::of_member(&stage, &ada), "Bob").await;
    let browser = Browser::of_member(&stage, &bob);
    finish(&browser, &link, "person-1").await;
    let connection = stage.test.broker.list_connections(&Default::default(), None, 1).await.unwrap().0.remove(0);
    assert_eq!(connection.granter, Granter::Member(bob.member.id));
    let link = link_for(&Browser::of_member(&stage, &ada), "Bob").await;
    finish(&Browser::at(&stage), &link, "person-2").await;
    let connection = stage.test.broker.list_connections(&Default::default(), None, 1).await.unwrap().0.remove(0);
    assert_eq!(connection.granter, Granter::Named("Bob".to_owned()), "nobody is signed in there");
    stage.stop().await;
}

#[tokio::test]
async fn a_link_that_names_a_member_proves_nothing_of_who_follows_it() {
    let stage = Stage::set().await;
    let (ada, bob) =
        (stage.member("ada@acme.example", Role::Member).await, stage.member("bob@acme.example", Role::Member).await);
    let link = link_for(&Browser::of_member(&stage, &bob), "ada@acme.example").await;
    finish(&Browser::at(&stage), &link, "person-1").await;
    let connection = stage.test.broker.list_connections(&Default::default(), None, 1).await.unwrap().0.remove(0);
    let Progress::Connected { tokens, .. } = connection.stage else { panic!("{connection:?}") };
    let agreed = stage.test.broker.show_consent(&stage.team, tokens[0]).await.unwrap().now;
    assert_eq!(agreed.member, None, "Ada was not there");
    let token = stage.token(tokens[0]).await.token;
    let ada = stage.test.broker.show_member(&stage.team, ada.member.id).await.unwrap().member;
    assert!(!ada.has_account(&token.network, &token.person), "nor is the account hers");
    assert_eq!(token.granted_by, "ada@acme.example", "the name stays as it was given");
    stage.stop().await;
}

#[tokio::test]
async fn a_member_starts_what_its_role_allows() {
    let stage = Stage::set().await;
    let token = stage.connect(&stage.team, x(), "person-1").await[0];
    let (ada, bob) =
        (stage.member("ada@acme.example", Role::Member).await, stage.member("bob@acme.example", Role::Manager).await);
    let nobody = Browser::at(&stage);
    let sent = nobody.get(&format!("/teams/acme/tokens/{token}")).await.location();
    let asked = nobody.get(&sent).await;
    assert_eq!((asked.status, asked.location()), (303, format!("/sign-in?next=%2Fconnect%2Fstart%3Ftoken%3D{token}")));
    let heal = [("token", token.to_string())];
    let heal: Vec<_> = heal.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let kept = nobody.post("/connect/start", &heal).await;
    assert!(kept.status == 401 && kept.text.contains("kept_form") && kept.text.contains(heal[0].1), "{}", kept.text);
    let asked = Browser::of_member(&stage, &ada).get(&format!("/connect/start?token={token}")).await;
    assert!(asked.status == 403 && asked.text.contains("may not renew"), "{} {}", asked.status, asked.text);
    assert!(asked.text.contains("href=\"/tokens\">To the tokens</a>"), "it goes on from there: {}", asked.text);
    let refused = Browser::of_member(&stage, &ada).post("/connect/start", &heal).await;
    assert!(refused.status == 403 && refused.text.contains("may not renew"), "{} {}", refused.status, refused.text);
    let browser = Browser::of_member(&stage, &bob);
    assert!(browser.get(&format!("/connect/start?token={token}")).await.text.contains("Reconnect"));
    let healing = browser.post("/connect/start", &heal).await.location();
    finish(&browser, &healing, "person-1").await;
    assert_eq!(stage.token(token).await.token.granted_by, bob.member.id.to_string());
    let offered = browser.get("/connect/start").await;
    assert!(offered.text.contains("/connect/start?network=x&amp;kind=user"), "{}", offered.text);
    let purposes = browser.get("/connect/start?network=x&kind=user").await;
    assert!(purposes.text.contains("value=\"collect_content\" checked"), "{}", purposes.text);
    let unknown = format!("/connect/start?token={}", crate::base::ids::TokenId::from_u128(7));
    let wrong = [
        ("/connect/start?network=x&kind=none", 409, "An operator must look"),
        ("/connect/start?network=none", 409, "An operator must look"),
        ("/connect/start?token=tok_1", 404, "Unknown link"),
        ("/connect/start?token=tok_1", 404, "href=\"/tokens\""),
        (&unknown, 404, "href=\"/connect/start\""),
    ];
    for (path, status, text) in wrong {
        let page = browser.get(path).await;
        assert!(page.status == status && page.text.contains(text), "{path}: {} {}", page.status, page.text);
    }
    stage.test.broker.revoke_token(&stage.test.admin, &stage.team, token, "").await.unwrap();
    let page = browser.post("/connect/start", &heal).await;
    assert!(page.status == 410 && page.text.contains("href=\"/connect/start\""), "{} {}", page.status, page.text);
    assert_eq!(browser.post("/connect/start", &[("network", "x"), ("kind", "user")]).await.status, 422, "for what?");
    stage.stop().await;
}

#[tokio::test]
async fn who_is_to_send_a_link_finds_that_chosen_whichever_kind_it_is() {
    let stage = Stage::set().await;
    let eve = stage.member("eve@acme.example", Role::Member).await;
    let (nobody, browser) = (Browser::at(&stage), Browser::of_member(&stage, &eve));
    let start = "/connect/start?network=x&for=colleague";
    let asked = nobody.get(start).await.location();
    assert_eq!(asked, "/sign-in?next=%2Fconnect%2Fstart%3Fnetwork%3Dx%26kind%3D%26for%3Dcolleague", "signed in first");
    let kinds = browser.get("/connect/start?network=x&kind=&for=colleague").await.text;
    assert!(kinds.contains("href=\"/connect/start?network=x&amp;kind=user&amp;for=colleague\""), "{kinds}");
    let (me, colleague) = ("value=\"me\"", "value=\"colleague\"");
    for (path, chosen, other) in [
        ("/connect/start?network=x&kind=user&for=colleague", colleague, me),
        ("/connect/start?network=x&kind=user", me, colleague),
        ("/connect/start?network=x&kind=user&for=somebody", me, colleague),
    ] {
        let page = browser.get(path).await.text;
        assert!(page.contains(&format!("{chosen} checked>")) && page.contains(&format!("{other}>")), "{path}: {page}");
    }
    stage.stop().await;
}
