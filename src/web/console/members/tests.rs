//! The pages of members: how they come, are changed and leave.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::domain::member::Role;
use crate::domain::team::KeyHolder;
use crate::outbound::mail::FakeMail;
use crate::service::keys::CreateKey;
use crate::service::members::UpdateMember;
use crate::web::console::testing::{Browser, HOSTILE, Scene};

const PERSON: &str = "mail=bob%40example.com&display_name=Bob&role=member&time_zone=Europe%2FVienna";

#[tokio::test]
async fn a_person_is_invited_and_the_link_is_shown_once() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    assert!(owner.get("/members/invite").await.body.contains("value=\"manager\""));
    let made = owner.post("/members/invite", PERSON).await;
    assert_eq!(made.status, StatusCode::OK);
    let link = made.body.split("<pre id=\"link\" tabindex=\"0\">").nth(1).unwrap().split('<').next().unwrap();
    assert!(link.starts_with("https://tokens.example/join?invitation=tbi_"), "{link}");
    let list = owner.get("/members?state=invited").await;
    assert!(list.body.contains("bob@example.com") && list.body.contains("The link works until"), "{}", list.body);
    assert!(!list.body.contains("tbi_"));
    let again = owner.post("/members/invite", PERSON).await;
    assert!(again.status == StatusCode::CONFLICT && again.body.contains("nother member"), "{}", again.body);
    assert!(!again.body.contains("tbi_"));
    let bob = list.body.split("href=\"/members/mem_").nth(1).unwrap().split('"').next().unwrap();
    let resent = owner.post(&format!("/members/mem_{bob}/resend"), "").await;
    assert!(resent.body.contains("tbi_") && !resent.body.contains(link), "the one before is out");
    let withdrawn = owner.post(&format!("/members/mem_{bob}/withdraw"), "").await;
    assert_eq!(withdrawn.header("location"), format!("/members/mem_{bob}?done=link-withdrawn"));
    assert!(owner.get("/members?state=invited").await.body.contains("The link is over"));
    scene.stop().await;
}

#[tokio::test]
async fn wrong_input_is_said_and_stays_in_the_form() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    for (form, said) in [
        ("mail=nonsense&display_name=Bob&role=member&time_zone=UTC", "The mail address"),
        ("mail=b%40example.com&display_name=%22%3E%3Cscript%3Ealert(1)&role=member&time_zone=Mars", "The time zone"),
        ("", "The mail address"),
    ] {
        let page = owner.post("/members/invite", form).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.body.contains(said), "{form}: {}", page.body);
        assert!(!page.body.contains("<script>alert"), "{form}");
    }
    let own = format!("/members/{}", owner.member);
    for (form, status) in [
        ("mail=nonsense", StatusCode::UNPROCESSABLE_ENTITY),
        ("time_zone=Mars", StatusCode::UNPROCESSABLE_ENTITY),
        ("role=emperor", StatusCode::UNPROCESSABLE_ENTITY),
        ("role=member", StatusCode::CONFLICT),
        ("display_name=Countess", StatusCode::SEE_OTHER),
    ] {
        assert_eq!(owner.post(&own, form).await.status, status, "{form}");
    }
    assert!(owner.get(&own).await.body.contains("Countess"));
    assert_eq!(owner.post(&format!("{own}/end-session"), "session=1").await.status, StatusCode::BAD_REQUEST);
    for path in ["/members/nonsense", "/members/mem_00000000000000000000000000000001/remove"] {
        assert_eq!(owner.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn a_member_has_another_address_once_the_link_was_opened_that_was_sent_there() {
    let scene = Scene::start().await;
    let eve = scene.member("Eve", Role::Member).await;
    let own = format!("/members/{}", eve.member);
    let silent = eve.post(&own, "mail=ceo%40example.com&display_name=Evelyn").await;
    assert!(
        silent.status == StatusCode::UNPROCESSABLE_ENTITY && silent.body.contains("sends no mail"),
        "{}",
        silent.body
    );
    let mails = Arc::new(FakeMail::default());
    scene.broker().notices.mail_by(mails.clone());
    let asked = eve.post(&own, "mail=ceo%40example.com").await;
    assert_eq!(asked.header("location"), format!("{own}?done=mail-asked"), "{}", asked.body);
    let page = eve.get(&own).await.body;
    assert!(page.contains("ceo@example.com") && page.contains("value=\"eve") && page.contains("Evelyn"), "{page}");
    assert!(!page.contains("tbm_"), "only who reads the mail has the link");
    let text = mails.sent()[0].text.clone();
    let link = text.split("https://tokens.example").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let nobody = Browser::of_nobody(&scene);
    let offered = nobody.get(&link).await;
    assert!(offered.status == StatusCode::OK && offered.body.contains("ceo@example.com"), "{}", offered.body);
    let proof = offered.value_of("proof");
    let proved = nobody.post("/mail", &format!("proof={proof}")).await;
    assert!(proved.status == StatusCode::OK && proved.body.contains("is confirmed"), "{}", proved.body);
    assert_eq!(nobody.post("/mail", &format!("proof={proof}")).await.status, StatusCode::GONE);
    assert_eq!(eve.get(&own).await.status, StatusCode::SEE_OTHER, "all sessions end");
    let member = scene.broker().show_member(&scene.team, eve.member).await.unwrap().member;
    assert_eq!(member.mail.as_str(), "ceo@example.com");
    scene.stop().await;
}

/// What each role may do to a member, as the status of each POST, and what of it the member's page offers.
#[tokio::test]
async fn a_member_chooses_a_new_password_by_itself() {
    let scene = Scene::start().await;
    let bob = scene.member("Bob", Role::Member).await;
    let account = bob.get("/account").await.body;
    assert!(account.contains("action=\"/members/password\""), "{account}");
    assert!(account.contains(&format!("href=\"/members/{}\"", bob.member)), "{account}");
    let sent = bob.post("/members/password", "").await;
    let link = sent.header("location");
    let invitation = link.split_once("/join?invitation=").unwrap().1;
    let chosen = format!("invitation={invitation}&display_name=Bob&password=quartz-lantern-orbit-93");
    assert_eq!(bob.post("/join", &chosen).await.status, StatusCode::SEE_OTHER);
    assert_eq!(bob.get("/account").await.status, StatusCode::SEE_OTHER, "the sessions of the old password are over");
    scene.stop().await;
}

#[tokio::test]
async fn each_role_may_what_the_table_says() {
    let scene = Scene::start().await;
    scene.member("Root", Role::Owner).await;
    let cases = [
        (Role::Owner, [200, 303, 303, 303, 200], true),
        (Role::Manager, [200, 403, 303, 403, 200], true),
        (Role::Member, [403, 403, 403, 403, 403], false),
    ];
    for (role, expected, invites) in cases {
        let browser = scene.member(role.as_str(), role).await;
        let other = scene.member(&format!("Bob of {}", role.as_str()), Role::Member).await;
        let of = format!("/members/{}", other.member);
        let page = browser.get(&of).await;
        assert_eq!(page.status, StatusCode::OK, "{role:?}");
        let offers = [format!("{of}/resend"), format!("action=\"{of}\""), format!("{of}/remove")];
        let offered = offers.map(|offer| page.body.contains(&offer));
        assert_eq!(offered, [invites, role == Role::Owner, role == Role::Owner], "{role:?}");
        assert_eq!(browser.get("/members/invite").await.status.as_u16(), expected[0], "{role:?}");
        let session = other.get(&format!("/members/{}", other.member)).await;
        assert!(session.body.contains("This one"), "{}", session.body);
        let statuses = [
            browser.get("/members/invite").await.status.as_u16(),
            browser.post(&of, "display_name=Bobby").await.status.as_u16(),
            browser.post(&format!("{of}/withdraw"), "").await.status.as_u16(),
            browser.post(&of, "role=manager").await.status.as_u16(),
            browser.get(&format!("/members/{}", browser.member)).await.status.as_u16(),
        ];
        let own_page = [200; 1];
        assert_eq!(statuses[..4], expected[..4], "{role:?}");
        assert_eq!(statuses[4..], own_page, "{role:?}");
    }
    scene.stop().await;
}

#[tokio::test]
async fn a_member_leaves_once_its_address_was_typed_and_the_report_says_what_was_done() {
    let scene = Scene::start().await;
    let owner = scene.member("Ada", Role::Owner).await;
    let eve = scene.member("Eve", Role::Manager).await;
    let change = UpdateMember { display_name: Some(HOSTILE.to_owned()), ..UpdateMember::default() };
    scene.broker().update_member(scene.admin(), &scene.team, eve.member, &change).await.unwrap();
    let (worker, kept) = (scene.test.collector(&scene.team, "worker").await, "first-key");
    let holder = KeyHolder::Collector(scene.team.clone(), worker.id);
    let ask = CreateKey { display_name: kept.to_owned(), ..CreateKey::of(holder) };
    let (key, _) = scene.broker().create_key(&eve.caller().await, ask).await.unwrap();
    let of = format!("/members/{}/remove", eve.member);
    let asked = owner.get(&of).await;
    asked.must_be_tame();
    assert!(asked.body.contains(kept), "its keys are named: {}", asked.body);
    let mail = scene.broker().show_member(&scene.team, eve.member).await.unwrap().member.mail;
    for wrong in ["", "mail=eve", "mail=ada%40example.com&keep_keys=1"] {
        assert_eq!(owner.post(&of, wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert_eq!(eve.get("/members").await.status, StatusCode::OK, "nothing was done");
    let form = format!("mail={}&comment=gone", mail.as_str().replace('@', "%40"));
    let done = owner.post(&of, &form).await;
    let report = format!("/members/{}/departure", eve.member);
    assert_eq!(done.header("location"), report);
    let page = owner.get(&report).await;
    page.must_be_tame();
    assert!(page.body.contains("All is done") && page.body.contains("Keys that were revoked"), "{}", page.body);
    assert!(scene.broker().directory.key(key.id).unwrap().revoked_at.is_some());
    assert_eq!(eve.get("/members").await.status, StatusCode::SEE_OTHER, "its session ended");
    let left = owner.get("/members?state=left").await;
    left.must_be_tame();
    assert!(owner.get(&format!("/members/{}", eve.member)).await.body.contains(&report));
    let member = scene.member("Mo", Role::Member).await;
    assert_eq!(member.get(&report).await.status, StatusCode::FORBIDDEN);
    scene.stop().await;
}

#[tokio::test]
async fn nobody_reaches_a_member_of_another_team() {
    let scene = Scene::start().await;
    let eve = scene.member("Eve", Role::Member).await;
    let zoe = scene.stranger().await;
    assert!(!zoe.get("/members").await.body.contains("Eve"));
    let of = format!("/members/{}", eve.member);
    for path in [of.clone(), format!("{of}/remove"), format!("{of}/departure")] {
        assert_eq!(zoe.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(Browser::of_nobody(&scene).get(&path).await.status, StatusCode::SEE_OTHER, "{path}");
    }
    for path in ["", "/resend", "/withdraw", "/remove", "/end-session"] {
        let form = "session=ses_00000000000000000000000000000001&mail=eve%40example.com";
        assert_eq!(zoe.post(&format!("{of}{path}"), form).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(eve.get("/members").await.status, StatusCode::OK);
    scene.stop().await;
}
