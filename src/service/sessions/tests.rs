//! Signing in, joining and staying, on a whole broker.

use std::time::Duration;

use super::*;
use crate::base::ids::TeamId;
use crate::config::Config;
use crate::domain::member::{Member, PasswordRefused, Role};
use crate::service::Forbidden;
use crate::service::members::{InviteMember, MemberError, UpdateMember};
use crate::service::teams::CreateTeam;
use crate::service::testing::TestBroker;
use crate::store::MemberChange;

const PASSWORD: &str = "violet tractor humming sideways";

fn browser() -> Browser {
    Browser { address: [192, 0, 2, 77].into(), agent: "Mozilla".to_owned() }
}

async fn invited(test: &TestBroker, team: &TeamId, mail: &str, role: Role) -> Secret {
    let ask = InviteMember {
        team: team.clone(),
        mail: mail.parse().unwrap(),
        display_name: String::new(),
        role,
        time_zone: Default::default(),
        language: Default::default(),
    };
    test.broker.invite_member(&test.admin, ask).await.unwrap().secret
}

fn join(secret: &Secret, password: &str) -> Join {
    let (secret, password) = (Secret::new(secret.expose().to_owned()), Secret::new(password.to_owned()));
    Join { secret, password, display_name: "Ada".to_owned(), browser: browser() }
}

fn ask(mail: &str, team: Option<&TeamId>, password: &str) -> SignIn {
    SignIn {
        mail: mail.to_owned(),
        team: team.map(TeamId::to_string).unwrap_or_default(),
        password: Secret::new(password.to_owned()),
        browser: browser(),
    }
}

async fn named(test: &TestBroker, id: &str, name: &str) -> TeamId {
    let (id, display_name): (TeamId, _) = (id.parse().unwrap(), name.to_owned());
    let ask = CreateTeam { id: id.clone(), display_name, weight: 100, reserve_percent: None };
    test.broker.create_team(&test.admin, ask).await.unwrap();
    id
}

/// The session of who was let in at once.
async fn signed_in(test: &TestBroker, ask: SignIn) -> StartedSession {
    match test.broker.sign_in(ask).await.unwrap() {
        SignedIn::Begun(begun) => *begun,
        SignedIn::WhichTeam(choice) => panic!("asked for one of {:?}", choice.teams),
    }
}

/// What is asked of who is in several teams.
async fn asked(test: &TestBroker, ask: SignIn) -> TeamChoice {
    match test.broker.sign_in(ask).await.unwrap() {
        SignedIn::WhichTeam(choice) => choice,
        SignedIn::Begun(begun) => panic!("signed in to {}", begun.member.team),
    }
}

async fn joined(test: &TestBroker, team: &TeamId, mail: &str, role: Role) -> StartedSession {
    let secret = invited(test, team, mail, role).await;
    test.broker.join(join(&secret, PASSWORD)).await.unwrap()
}

async fn stays(test: &TestBroker, begun: &StartedSession) -> bool {
    test.broker.find_stay(begun.secret.expose()).await.unwrap().is_some()
}

#[tokio::test]
async fn a_person_joins_once_by_a_link_and_signs_in_with_a_password() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let secret = invited(&test, &team, "ada@example.com", Role::Owner).await;
    let to = test.broker.look_at_invitation(&secret, &browser()).await.unwrap();
    assert_eq!((to.member.mail.as_str(), to.team_name.as_str()), ("ada@example.com", "acme"));
    let early = test.broker.sign_in(ask("ada@example.com", None, PASSWORD)).await.map(|_| ());
    assert!(matches!(early, Err(SignInError::Wrong)), "who did not join has no password");
    let weak = test.broker.join(join(&secret, "password1234")).await.map(|_| ());
    assert!(matches!(weak, Err(JoinError::Password(PasswordRefused::Guessable))), "the link is still good: {weak:?}");
    let about = test.broker.join(join(&secret, "hello ada@example.com hello")).await.map(|_| ());
    assert!(matches!(about, Err(JoinError::Password(PasswordRefused::AboutYou))));
    let begun = test.broker.join(join(&secret, PASSWORD)).await.unwrap();
    assert_eq!((begun.member.display_name.as_str(), begun.member.is_active()), ("Ada", true));
    let again = test.broker.join(join(&secret, PASSWORD)).await.map(|_| ());
    assert!(matches!(again, Err(JoinError::Link)), "it is used up");
    let back = signed_in(&test, ask(" Ada@Example.com ", None, PASSWORD)).await;
    assert!(!back.secret.matches(begun.secret.expose().as_bytes()), "each sign-in has a secret of its own");
    let stay = test.broker.find_stay(back.secret.expose()).await.unwrap().unwrap();
    assert_eq!((stay.member.id, stay.session.origin.as_str()), (begun.member.id, "192.0.2.0/24"));
    assert!(test.broker.find_stay(secret.expose()).await.unwrap().is_none(), "a link is no session");
    test.stop().await;
}

#[tokio::test]
async fn a_leaked_password_is_refused_and_one_that_cannot_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("hashes");
    // The SHA-1 hash of [`PASSWORD`], between two others.
    let of_password = "97C89CD6BA4ED296002A68C944DCF2EA28AEA91F";
    std::fs::write(&list, format!("{}:1\r\n{of_password}:3\r\n{}:1\r\n", "0".repeat(40), "F".repeat(40))).unwrap();
    let text = format!("[sign_in]\nbreached_passwords_file = {list:?}");
    let test = TestBroker::start_with(Config::read("test.toml", &text, [], &[], |_| Vec::new()).unwrap()).await;
    let team = test.team("acme").await;
    let secret = invited(&test, &team, "ada@example.com", Role::Owner).await;
    let leaked = test.broker.join(join(&secret, PASSWORD)).await.map(|_| ());
    assert!(matches!(leaked, Err(JoinError::Password(PasswordRefused::Breached))), "{leaked:?}");
    std::fs::remove_file(&list).unwrap();
    let unread = test.broker.join(join(&secret, "another good long passphrase")).await.map(|_| ());
    assert!(matches!(unread, Err(JoinError::BreachedPasswords(_))), "what can't be checked is not taken: {unread:?}");
    std::fs::write(&list, format!("{}:1\r\n", "0".repeat(40))).unwrap();
    test.broker.join(join(&secret, PASSWORD)).await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn of_two_who_follow_one_link_at_once_one_joins() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let secret = invited(&test, &team, "ada@example.com", Role::Owner).await;
    let (one, other) = tokio::join!(
        test.broker.join(join(&secret, PASSWORD)),
        test.broker.join(join(&secret, "another good long passphrase"))
    );
    assert_eq!([one.is_ok(), other.is_ok()].into_iter().filter(|joined| *joined).count(), 1);
    test.stop().await;
}

#[tokio::test]
async fn a_link_ends_with_its_time_and_when_it_is_replaced_or_withdrawn() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let old = invited(&test, &team, "ada@example.com", Role::Owner).await;
    let member = test.broker.look_at_invitation(&old, &browser()).await.unwrap().member;
    let new = test.broker.resend_invitation(&test.admin, &team, member.id).await.unwrap().secret;
    let looked = test.broker.look_at_invitation(&old, &browser()).await;
    assert!(matches!(looked, Err(JoinError::Link)));
    test.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let late = test.broker.join(join(&new, PASSWORD)).await.map(|_| ());
    assert!(matches!(late, Err(JoinError::Link)));
    let last = test.broker.resend_invitation(&test.admin, &team, member.id).await.unwrap().secret;
    test.broker.withdraw_invitation(&test.admin, &team, member.id, "").await.unwrap();
    assert!(matches!(test.broker.join(join(&last, PASSWORD)).await.map(|_| ()), Err(JoinError::Link)));
    test.stop().await;
}

#[tokio::test]
async fn who_is_refused_learns_nothing_about_addresses() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    joined(&test, &team, "ada@example.com", Role::Owner).await;
    invited(&test, &team, "bob@example.com", Role::Member).await;
    let mut said = Vec::new();
    for (mail, password) in [
        ("ada@example.com", "wrong wrong wrong"),
        ("bob@example.com", PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("no address\n", PASSWORD),
    ] {
        let refused = test.broker.sign_in(ask(mail, None, password)).await.map(|_| ()).unwrap_err();
        assert!(matches!(refused, SignInError::Wrong), "{mail}");
        said.push(refused.to_string());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    test.stop().await;
}

#[tokio::test]
async fn who_is_in_several_teams_is_asked_which_after_the_right_password() {
    let test = TestBroker::start().await;
    let (acme, zenith) = (test.team("acme").await, named(&test, "zenith", "Zenith Österreich").await);
    let nord = test.team("nord").await;
    joined(&test, &acme, "ada@example.com", Role::Owner).await;
    test.clock.advance(Duration::from_secs(1));
    joined(&test, &zenith, "ada@example.com", Role::Owner).await;
    // Whoever invites an address may set a password for it: that opens no other team.
    let secret = invited(&test, &nord, "ada@example.com", Role::Owner).await;
    test.broker.join(join(&secret, "another good long passphrase")).await.unwrap();

    let wrong = test.broker.sign_in(ask("ada@example.com", None, "wrong wrong wrong")).await.map(|_| ());
    assert!(matches!(wrong, Err(SignInError::Wrong)));
    let foreign = test.broker.sign_in(ask("ada@example.com", None, "another good long passphrase")).await.map(|_| ());
    assert!(matches!(foreign, Err(SignInError::Wrong)), "the password of the oldest membership decides");
    let choice = asked(&test, ask("ada@example.com", None, PASSWORD)).await;
    assert_eq!(choice.teams, [acme.clone(), zenith.clone()]);
    let choose = |choice: &TeamChoice, team: &TeamId| {
        test.broker.choose_team(choice.proof.expose().to_owned(), team.clone(), browser())
    };
    assert_eq!(choose(&choice, &zenith).await.unwrap().member.team, zenith);
    let again = choose(&choice, &zenith).await.map(|_| ());
    assert!(matches!(again, Err(SignInError::NotChosen)), "it is good for once");
    let choice = asked(&test, ask("ada@example.com", None, PASSWORD)).await;
    assert!(choose(&choice, &nord).await.is_err(), "it was not proved for that team");
    let choice = asked(&test, ask("ada@example.com", None, PASSWORD)).await;
    test.clock.advance(Duration::from_secs(600));
    assert!(choose(&choice, &acme).await.is_err(), "it is too late");

    for team in ["zenith", " ZENITH ", "zenith österreich", "Zenith ÖSTERREICH"] {
        let named = SignIn { team: team.to_owned(), ..ask("ada@example.com", None, PASSWORD) };
        assert_eq!(signed_in(&test, named).await.member.team, zenith, "{team}");
    }
    let named = SignIn { team: "nowhere".to_owned(), ..ask("ada@example.com", None, PASSWORD) };
    assert!(matches!(test.broker.sign_in(named).await.map(|_| ()), Err(SignInError::Wrong)));
    test.stop().await;
}

#[tokio::test]
async fn a_choice_of_a_team_ends_with_the_password_that_it_was_proved_by() {
    let test = TestBroker::start().await;
    let mut last = None;
    for team in ["acme", "zenith"] {
        last = Some(joined(&test, &test.team(team).await, "ada@example.com", Role::Owner).await.member);
    }
    let last = last.unwrap();
    let choice = asked(&test, ask("ada@example.com", None, PASSWORD)).await;
    let link = test.broker.resend_invitation(&test.admin, &last.team, last.id).await.unwrap().secret;
    test.broker.join(join(&link, "another good long passphrase")).await.unwrap();
    let chosen = test.broker.choose_team(choice.proof.expose().to_owned(), last.team, browser()).await.map(|_| ());
    assert!(matches!(chosen, Err(SignInError::NotChosen)), "{chosen:?}");
    test.stop().await;
}

#[tokio::test]
async fn tries_are_limited_by_address_and_by_member() {
    let mut config = Config::default();
    config.sign_in.tries_per_member = 2;
    config.sign_in.tries_per_address = 4;
    let test = TestBroker::start_with(config).await;
    let team = test.team("acme").await;
    joined(&test, &team, "ada@example.com", Role::Owner).await;
    test.clock.advance(Duration::from_secs(60));
    for _ in 0..2 {
        assert!(test.broker.sign_in(ask("ada@example.com", None, "wrong wrong")).await.is_err());
    }
    let third = test.broker.sign_in(ask("ada@example.com", None, PASSWORD)).await.map(|_| ());
    let Err(SignInError::TooOften(wait)) = third else { panic!("{third:?}") };
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(30), "{wait:?}");
    assert!(matches!(test.broker.sign_in(ask("bob@example.com", None, "x")).await, Err(SignInError::Wrong)));
    let from_there = test.broker.sign_in(ask("eve@example.com", None, "x")).await.map(|_| ());
    assert!(matches!(from_there, Err(SignInError::TooOften(_))), "the address has had its four");
    test.clock.advance(Duration::from_secs(60));
    signed_in(&test, ask("ada@example.com", None, PASSWORD)).await;
    test.stop().await;
}

#[tokio::test]
async fn who_signs_in_to_a_team_of_its_own_between_guesses_at_another_guesses_no_more_often() {
    let mut config = Config::default();
    config.sign_in.tries_per_member = 3;
    let test = TestBroker::start_with(config).await;
    let (acme, nord) = (test.team("acme").await, test.team("nord").await);
    joined(&test, &acme, "ada@example.com", Role::Owner).await;
    let secret = invited(&test, &nord, "ada@example.com", Role::Owner).await;
    let of_nord = "another good long passphrase";
    test.broker.join(join(&secret, of_nord)).await.unwrap();
    let mut wrong = 0;
    let refused = loop {
        match test.broker.sign_in(ask("ada@example.com", Some(&acme), "wrong wrong")).await.map(|_| ()) {
            Err(SignInError::Wrong) => wrong += 1,
            other => break other,
        }
        let _ = test.broker.sign_in(ask("ada@example.com", Some(&nord), of_nord)).await;
    };
    assert!(matches!(refused, Err(SignInError::TooOften(_))), "{refused:?}");
    assert_eq!(wrong, 3);
    test.clock.advance(Duration::from_secs(60));
    for _ in 0..6 {
        assert_eq!(signed_in(&test, ask("ada@example.com", Some(&nord), of_nord)).await.member.team, nord);
    }
    test.stop().await;
}

#[tokio::test]
async fn a_session_ends_unused_in_any_case_and_by_a_change() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let idle = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let limits = test.broker.desk.limits();
    test.clock.advance(limits.idle);
    assert!(!stays(&test, &idle).await);
    let used = signed_in(&test, ask("ada@example.com", None, PASSWORD)).await;
    let pause = limits.idle / 2;
    let mut stayed = Duration::ZERO;
    while stayed + pause < limits.whole {
        test.clock.advance(pause);
        stayed += pause;
        assert!(stays(&test, &used).await, "after {stayed:?}");
    }
    test.clock.advance(pause);
    assert!(!stays(&test, &used).await, "however much it is used");
    assert_eq!(test.broker.prune_sessions(100).await.unwrap(), 1, "what was over a while ago goes");
    let last = signed_in(&test, ask("ada@example.com", None, PASSWORD)).await;
    let moved = UpdateMember { mail: Some("ada@example.org".parse().unwrap()), ..UpdateMember::default() };
    test.broker.update_member(&test.admin, &team, last.member.id, &moved).await.unwrap();
    assert!(!stays(&test, &last).await, "who has another address signs in again");
    test.stop().await;
}

#[tokio::test]
async fn sessions_are_ended_by_their_member_and_by_owners() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let owner = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let member = joined(&test, &team, "bob@example.com", Role::Member).await;
    let other = signed_in(&test, ask("bob@example.com", None, PASSWORD)).await;
    let caller =
        async |begun: &StartedSession| test.broker.find_stay(begun.secret.expose()).await.unwrap().unwrap().caller();
    let (ada, bob) = (caller(&owner).await, caller(&member).await);
    let listed = test.broker.list_sessions(&bob, (&team, member.member.id), None, 10).await.unwrap();
    assert_eq!(listed.0.iter().map(|view| view.session.id).collect::<Vec<_>>(), [other.session.id, member.session.id]);
    let foreign = test.broker.list_sessions(&bob, (&team, owner.member.id), None, 10).await;
    assert!(matches!(foreign, Err(MemberError::Forbidden(Forbidden::Action { .. }))));
    let refused = test.broker.end_session(&bob, &team, owner.member.id, owner.session.id).await;
    assert!(matches!(refused, Err(MemberError::Forbidden(_))));
    test.broker.end_session(&bob, &team, member.member.id, other.session.id).await.unwrap();
    assert!(!stays(&test, &other).await && stays(&test, &member).await);
    test.broker.end_session(&ada, &team, member.member.id, member.session.id).await.unwrap();
    test.broker.end_session(&ada, &team, member.member.id, member.session.id).await.unwrap();
    assert!(!stays(&test, &member).await, "twice is no error");
    test.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_all_sessions() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let before = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let link = test.broker.resend_invitation(&test.admin, &team, before.member.id).await.unwrap().secret;
    let after = test.broker.join(join(&link, "another good long passphrase")).await.unwrap();
    assert!(!stays(&test, &before).await && stays(&test, &after).await);
    assert!(test.broker.sign_in(ask("ada@example.com", None, PASSWORD)).await.is_err());
    signed_in(&test, ask("ada@example.com", None, "another good long passphrase")).await;
    test.stop().await;
}

#[tokio::test]
async fn who_is_judged_by_the_old_password_does_not_get_in_after_the_new_one() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let begun = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let desk = &test.broker.desk;
    let new = desk.hash(|hasher| hasher.hash(&Secret::new("another good long passphrase".to_owned()))).await.unwrap();
    let (free, threads) = (desk.line.available_permits(), desk.threads.available_permits());
    let gate = desk.threads.acquire_many(u32::try_from(threads).unwrap()).await.unwrap();
    let changed = async {
        // Its password was read by now, and waits to be hashed.
        while desk.line.available_permits() == free {
            tokio::task::yield_now().await;
        }
        let member = test.broker.stored_member(&team, begun.member.id).await.unwrap();
        let member = Member { version: member.version + 1, ..member };
        let audit = test.broker.member_audit(&test.admin, "member.set_password", &member, String::new());
        let change = MemberChange {
            password: Some(new.unwrap()),
            ends_sessions: true,
            ..MemberChange::of(member, audit.into())
        };
        test.broker.store.change_member(change).await.unwrap();
        drop(gate);
    };
    let (old, ()) = tokio::join!(test.broker.sign_in(ask("ada@example.com", None, PASSWORD)), changed);
    assert!(matches!(old.map(|_| ()), Err(SignInError::Wrong)));
    assert_eq!(test.broker.store.list_sessions(begun.member.id, None, 10).await.unwrap(), []);
    test.broker.sign_in(ask("ada@example.com", None, "another good long passphrase")).await.unwrap();
    test.stop().await;
}

#[tokio::test]
async fn who_signs_in_while_something_else_of_the_member_is_changed_gets_in() {
    let test = TestBroker::start().await;
    let team = test.team("acme").await;
    let begun = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let read = test.broker.stored_member(&team, begun.member.id).await.unwrap();
    let named = UpdateMember { display_name: Some("Ada L.".to_owned()), ..UpdateMember::default() };
    test.broker.update_member(&test.admin, &team, read.id, &named).await.unwrap();
    let of_before = test.broker.begin_session(read, &browser(), test.broker.now(), "session.begin").await.unwrap();
    assert!(of_before.is_none(), "it was judged by what is not so any more");
    test.broker.sign_in(ask("ada@example.com", None, PASSWORD)).await.unwrap();
    test.stop().await;
}

/// A try from another place.
fn ask_from(place: u8, mail: &str, password: &str) -> SignIn {
    let browser = Browser { address: [198, 51, 100, place].into(), ..browser() };
    SignIn { browser, ..ask(mail, None, password) }
}

#[tokio::test]
async fn a_stranger_who_tries_locks_no_member_out() {
    let mut config = Config::default();
    config.sign_in.tries_per_member = 1;
    let test = TestBroker::start_with(config).await;
    let team = test.team("acme").await;
    let begun = joined(&test, &team, "ada@example.com", Role::Owner).await;
    let tried = async |place, password| test.broker.sign_in(ask_from(place, "ada@example.com", password)).await;
    assert!(matches!(tried(1, "wrong wrong").await, Err(SignInError::Wrong)));
    assert!(matches!(tried(1, PASSWORD).await, Err(SignInError::TooOften(_))), "from there it was tried");
    for _ in 0..3 {
        tried(2, PASSWORD).await.expect("elsewhere it was not, and only wrong tries count");
    }
    let mut wrong = 0;
    for place in 3..40 {
        wrong += usize::from(matches!(tried(place, "wrong wrong").await, Err(SignInError::Wrong)));
    }
    assert_eq!(wrong, MAIL_SHARES - 4, "from many places it is slow, too");
    let stay = test.broker.find_stay(begun.secret.expose()).await.unwrap().unwrap();
    let confirm = async |password: &str| {
        let password = Secret::new(password.to_owned());
        test.broker.confirm_session(&stay, password, &Browser { address: [198, 51, 100, 1].into(), ..browser() }).await
    };
    confirm(PASSWORD).await.expect("who is signed in confirms");
    assert!(matches!(confirm("wrong wrong").await, Err(SignInError::Wrong)));
    assert!(matches!(confirm(PASSWORD).await, Err(SignInError::TooOften(_))), "that is slow, too");
    test.stop().await;
}
