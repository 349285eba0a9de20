//! What comes of consent: what does not suffice, what is chosen, and what two consents of one account make.

use super::{Answer, Browser, Stage, ask};
use crate::base::ids::NetworkId;
use crate::domain::connection::{Granter, ProblemKind, Stage as Progress};
use crate::domain::networks::{Purpose, Purposes};
use crate::domain::token::{Reason, TokenState};
use crate::service::connect::StartConnection;
use crate::service::tokens::{AddToken, UpdateToken};

/// Tries to connect as `person`; what went wrong, and the page.
async fn problem(stage: &Stage, wanted: StartConnection, person: &str, more: &[(&str, &str)]) -> (ProblemKind, Answer) {
    let (connection, link) = stage.start(wanted).await;
    let page = Browser::at(stage).consent(&link, person, more).await;
    (stage.look(&connection).await.problem.unwrap_or_else(|| panic!("{}", page.text)).kind(), page)
}

#[tokio::test]
async fn what_does_not_suffice_is_said_with_what_to_do() {
    let stage = Stage::set().await;
    let pages = || ask("facebook", "page", Purpose::CollectStatistics);
    let at_instagram = || ask("instagram", "instagram_login", Purpose::CollectStatistics);
    let cases = [
        (
            ask("x", "user", Purpose::CollectContent),
            "person-1",
            "users.read",
            ProblemKind::ScopesDeclined,
            "users.read",
        ),
        (pages(), "person-1", "read_insights", ProblemKind::ScopesDeclined, "read_insights"),
        (
            at_instagram(),
            "person-1",
            "instagram_business_manage_insights",
            ProblemKind::ScopesDeclined,
            "manage_insights",
        ),
        (
            at_instagram(),
            "flat-1",
            "instagram_business_manage_insights",
            ProblemKind::ScopesDeclined,
            "manage_insights",
        ),
        (pages(), "lonely-1", "", ProblemKind::PermissionMissing, "A task on the Page"),
        (
            ask("linkedin", "user", Purpose::CollectStatistics),
            "lonely-1",
            "",
            ProblemKind::PermissionMissing,
            "Super Admin",
        ),
        (
            ask("instagram", "instagram_login", Purpose::CollectContent),
            "personal-1",
            "",
            ProblemKind::AccountUnusable,
            "professional account",
        ),
        (ask("tiktok", "user", Purpose::CollectContent), "ads-1", "", ProblemKind::AccountUnusable, "ads manager"),
    ];
    for (wanted, person, declined, expected, text) in cases {
        let name = format!("{} {person}", wanted.network);
        let more: &[(&str, &str)] = if declined.is_empty() { &[] } else { &[("decline", declined)] };
        let (kind, page) = problem(&stage, wanted, person, more).await;
        assert_eq!(kind, expected, "{name}: {}", page.text);
        assert!(page.text.contains(text) && page.text.contains("continue to"), "{name} {text}: {}", page.text);
    }
    assert_eq!(stage.test.broker.list_tokens(&Default::default(), None, 100).await.unwrap().0.len(), 0);
    stage.stop().await;
}

#[tokio::test]
async fn a_person_of_facebook_who_declined_once_is_asked_again() {
    let stage = Stage::set().await;
    for (network, kind, scope) in [
        ("facebook", "page", "read_insights"),
        ("facebook", "user", "read_insights"),
        ("instagram", "facebook_login", "instagram_manage_insights"),
    ] {
        let wanted = || ask(network, kind, Purpose::CollectStatistics);
        let person = format!("person-{kind}");
        let (declined, page) = problem(&stage, wanted(), &person, &[("decline", scope)]).await;
        assert_eq!(declined, ProblemKind::ScopesDeclined, "{}", page.text);
        let tokens = stage.connect(&stage.team, wanted(), &person).await;
        assert!(stage.token(tokens[0]).await.token.scopes.iter().any(|held| held == scope), "{network} {kind}");
    }
    stage.stop().await;
}

#[tokio::test]
async fn all_pages_are_offered_to_who_has_more_than_one_answer_holds() {
    let stage = Stage::set().await;
    let (connection, link) = stage.start(ask("linkedin", "user", Purpose::CollectStatistics)).await;
    let page = Browser::at(&stage).consent(&link, "agency-1", &[]).await;
    let Progress::Choosing(found) = stage.look(&connection).await.stage else { panic!("{}", page.text) };
    assert_eq!(found.connectable().count(), 120);
    for number in 1..=120 {
        let shown = format!("value=\"urn:li:organization:agency-1-{number}\"");
        assert!(page.text.contains(&shown), "{shown}: {}", page.text);
    }
    stage.stop().await;
}

#[tokio::test]
async fn of_several_pages_the_person_chooses_and_each_has_its_own_token() {
    for keep in [true, false] {
        let stage = Stage::set_with(&format!("keep_user_tokens = {keep}")).await;
        let (connection, link) = stage.start(ask("facebook", "page", Purpose::CollectStatistics)).await;
        let browser = Browser::at(&stage);
        let page = browser.consent(&link, "person-1", &[]).await;
        for part in ["Name of person-1", "Page profile-1", "Page profile-1-read", "ANALYZE for “Numbers”"] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        let choose = format!("/connect/{}/choose", connection.id);
        assert_eq!(browser.post(&choose, &[]).await.status, 422, "nothing is chosen");
        assert_eq!(browser.post(&choose, &[("profile", "profile-1-none")]).await.status, 422, "a role is missing");
        assert_eq!(browser.post(&choose, &[("profile", "profile-9")]).await.status, 422, "not this person's");
        let stranger = Browser::at(&stage);
        assert_eq!(stranger.post(&choose, &[("profile", "profile-1")]).await.status, 403);
        let done = browser.post(&choose, &[("profile", "profile-1"), ("profile", "profile-1-read")]).await;
        assert_eq!(done.location(), format!("/connect/{}", connection.id));
        assert!(browser.get(&done.location()).await.text.contains("You can close this window"));
        let Progress::Connected { tokens, .. } = stage.look(&connection).await.stage else { panic!("not connected") };
        let mut held = Vec::new();
        for token in tokens {
            let token = stage.token(token).await.token;
            held.push(format!("{} {} {}", token.kind, token.person, token.profiles.join("+")));
        }
        let pages = ["page person-1 profile-1", "page person-1 profile-1-read"];
        let user = keep.then_some("user person-1 ");
        assert_eq!(held, pages.into_iter().chain(user).collect::<Vec<_>>());
        assert_eq!(browser.post(&choose, &[("profile", "profile-1")]).await.status, 410, "it is over");
        stage.stop().await;
    }
}

#[tokio::test]
async fn the_same_account_twice_is_one_token_in_a_team_and_another_in_another_team() {
    let stage = Stage::set().await;
    let by = |member: &str| StartConnection {
        granter: Granter::Named(member.to_owned()),
        ..ask("x", "user", Purpose::CollectContent)
    };
    let first = stage.connect(&stage.team, by("ann@acme.example"), "person-1").await;
    let before = stage.token(first[0]).await;
    let again = stage.connect(&stage.team, by("bob@acme.example"), "person-1").await;
    assert_eq!(again, first, "one record, whoever gave consent");
    let after = stage.token(first[0]).await;
    assert_eq!((after.token.version, after.token.granted_by.as_str()), (before.token.version + 1, "bob@acme.example"));
    assert_ne!(after.sealed_access, before.sealed_access);
    let other = stage.test.team("zenith").await;
    let theirs = stage.connect(&other, by(""), "person-1").await;
    assert_ne!(theirs, first);
    // Both draw from the person's account at the network.
    let buckets = |team, token| stage.test.broker.show_token(team, token);
    let (ours, theirs) = (buckets(&stage.team, first[0]).await.unwrap(), buckets(&other, theirs[0]).await.unwrap());
    assert_eq!(ours.0.token.person, theirs.0.token.person);
    let collector = stage.test.collector(&stage.team, "one").await;
    let caller = stage.test.caller(collector.id);
    let asked = crate::service::testing::ask(&stage.team, 5);
    stage.test.broker.acquire_lease(&caller, asked).await.unwrap();
    let (_, after) = buckets(&other, theirs.0.token.id).await.unwrap();
    assert!(after.iter().any(|bucket| bucket.outstanding + bucket.spent >= 5), "{after:?}");
    stage.stop().await;
}

#[tokio::test]
async fn reconnecting_heals_the_same_token_and_keeps_its_settings() {
    let stage = Stage::set().await;
    let (broker, admin) = (&stage.test.broker, &stage.test.admin);
    let token = stage.connect(&stage.team, ask("x", "user", Purpose::CollectContent), "person-1").await[0];
    let settings =
        UpdateToken { label: Some("Ours".to_owned()), reserve_percent: Some(Some(30)), ..UpdateToken::default() };
    broker.update_token(admin, &stage.team, token, &settings).await.unwrap();
    broker.invalidate_token(admin, &stage.team, token, Reason::PasswordChanged, "").await.unwrap();
    let died = broker.now();
    stage.test.clock.advance(std::time::Duration::from_secs(3600));
    let mut dead_spans = broker.watch.watch_dead_spans();
    let heal = |allow_other_account| StartConnection { token: Some(token), allow_other_account, ..Default::default() };
    let (kind, page) = problem(&stage, heal(false), "person-2", &[]).await;
    assert_eq!(kind, ProblemKind::OtherAccount);
    assert!(page.text.contains("Sign in at X as Ours"), "{}", page.text);
    assert_eq!(stage.connect(&stage.team, heal(false), "person-1").await, [token]);
    let healed = stage.token(token).await.token;
    assert_eq!((healed.state, healed.label.as_str()), (TokenState::Live, "Ours"));
    assert_eq!(healed.reserve_percent, Some(30));
    assert_eq!(healed.purposes, [Purpose::CollectContent].into_iter().collect::<Purposes>());
    let told = dead_spans.try_recv().expect("streams are told of the dead span");
    assert_eq!((told.token, told.span.from, told.span.until), (token, died, broker.now()));
    let listed = broker.list_dead_spans(admin, &stage.team, Default::default(), 10).await.unwrap();
    assert_eq!(listed, [(*told).clone()]);
    let nowhere = crate::store::DeadSpanFilter { network: Some("nowhere".parse().unwrap()), ..Default::default() };
    assert!(broker.list_dead_spans(admin, &stage.team, nowhere, 10).await.is_err(), "an unknown network is a mistake");
    assert_eq!(stage.connect(&stage.team, heal(true), "person-2").await, [token], "if it is said so");
    assert_eq!(stage.token(token).await.token.person, "person-2");
    broker.revoke_token(admin, &stage.team, token, "").await.unwrap();
    assert!(broker.start_connection(admin, &stage.team, heal(false)).await.is_err(), "never lives again");
    stage.stop().await;
}

#[tokio::test]
async fn who_reconnects_with_another_account_is_told_which_one_came_and_which_is_wanted() {
    let stage = Stage::set().await;
    let begin = "This is another account than the one that is to be reconnected:";
    let cases = [
        (
            ask("youtube", "user", Purpose::CollectContent),
            "Channel profile-2 gave consent. Sign in at YouTube with an account that can act for “Channel profile-1”,",
        ),
        (
            ask("linkedin", "user", Purpose::CollectContent),
            "urn:li:person:person-2 gave consent. Sign in at LinkedIn with an account that can act for “Company profile-1”,",
        ),
        (
            ask("facebook", "page", Purpose::CollectStatistics),
            "Name of person-2 (person-2) gave consent. Sign in at Facebook with an account that can act for “Page profile-1”,",
        ),
        (ask("x", "user", Purpose::CollectContent), "Sign in at X as "),
    ];
    for (wanted, told) in cases {
        let token = stage.connect(&stage.team, wanted, "person-1").await[0];
        let heal = StartConnection { token: Some(token), ..StartConnection::default() };
        let (kind, page) = problem(&stage, heal, "person-2", &[]).await;
        assert_eq!(kind, ProblemKind::OtherAccount);
        for part in [begin, told, "then begin again."] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
    }
    stage.stop().await;
}

#[tokio::test]
async fn two_consents_of_one_google_account_are_one_record_also_where_it_was_not_known_before() {
    let stage = Stage::set().await;
    let wanted = || ask("google_business", "user", Purpose::CollectContent);
    let by = async |profile: &str| {
        let (connection, link) = stage.start(wanted()).await;
        let browser = Browser::at(&stage);
        browser.consent(&link, "person-1", &[]).await;
        let done = browser.post(&format!("/connect/{}/choose", connection.id), &[("profile", profile)]).await;
        assert_eq!(done.status, 303, "{}", done.text);
        let Progress::Connected { tokens, .. } = stage.look(&connection).await.stage else { panic!("{}", done.text) };
        tokens[0]
    };
    let known_by_its_profile = AddToken {
        network: "google_business".to_owned(),
        profile: "locations/profile-1".to_owned(),
        scopes: vec!["https://www.googleapis.com/auth/business.manage".to_owned()],
        person: String::new(),
        ..crate::service::testing::x_token("")
    };
    let test = &stage.test;
    let held = test.broker.add_token(&test.admin, &stage.team, known_by_its_profile).await.unwrap().token.id;
    assert_eq!(by("locations/profile-1").await, held, "it is of the same grant");
    assert_eq!(stage.token(held).await.token.person, "person-1");
    assert_eq!(by("locations/profile-1-read").await, held, "one grant is one record");
    assert_eq!(stage.token(held).await.token.profiles, ["locations/profile-1-read", "locations/profile-1"]);
    stage.stop().await;
}

#[tokio::test]
async fn a_new_consent_takes_no_profile_away_that_the_person_still_has() {
    let stage = Stage::set().await;
    let (first, second) = ("urn:li:organization:profile-1", "urn:li:organization:profile-1-read");
    let wanted = || ask("linkedin", "user", Purpose::CollectContent);
    let by = async |profile: &str| {
        let (connection, link) = stage.start(wanted()).await;
        let browser = Browser::at(&stage);
        let page = browser.consent(&link, "person-1", &[]).await;
        let done = browser.post(&format!("/connect/{}/choose", connection.id), &[("profile", profile)]).await;
        assert_eq!(done.status, 303, "{}", done.text);
        let Progress::Connected { tokens, .. } = stage.look(&connection).await.stage else { panic!("{}", page.text) };
        (tokens[0], page)
    };
    let (token, page) = by(first).await;
    assert!(!page.text.contains("stays so"), "{}", page.text);
    let (again, page) = by(second).await;
    assert_eq!(again, token, "one grant is one record");
    let shown = page.text.split(&format!("value=\"{first}\"")).nth(1).unwrap();
    assert!(shown.starts_with(" checked disabled>") && page.text.contains("stays so"), "{}", page.text);
    assert_eq!(stage.token(token).await.token.profiles, [second, first]);
    // Nor does healing one of two: what is ticked beside it stays as it was.
    let heal = StartConnection { token: Some(token), ..StartConnection::default() };
    let (connection, link) = stage.start(heal).await;
    let browser = Browser::at(&stage);
    browser.consent(&link, "person-1", &[]).await;
    browser.post(&format!("/connect/{}/choose", connection.id), &[("profile", first)]).await;
    assert_eq!(stage.token(token).await.token.profiles, [first, second]);
    stage.stop().await;
}

#[tokio::test]
async fn a_page_that_another_ones_token_speaks_for_is_connected_anew_and_not_healed_twice() {
    let stage = Stage::set().await;
    let pages = || ask("facebook", "page", Purpose::CollectStatistics);
    let own = |profile: &str, person: &str| AddToken {
        network: "facebook".to_owned(),
        kind: "page".to_owned(),
        profile: profile.to_owned(),
        ..crate::service::testing::x_token(person)
    };
    let scopes: Vec<String> = ["pages_read_engagement", "pages_show_list", "read_insights"].map(str::to_owned).into();
    let purposes = pages().purposes;
    let bobs = AddToken { scopes, purposes, refresh: None, ..own("profile-1", "bob") };
    let bobs = stage.test.broker.add_token(&stage.test.admin, &stage.team, bobs).await.unwrap().token.id;
    let anns = stage.connect(&stage.team, pages(), "person-1").await;
    let heal = StartConnection { token: Some(bobs), ..StartConnection::default() };
    let (connection, link) = stage.start(heal).await;
    let browser = Browser::at(&stage);
    browser.consent(&link, "person-1", &[]).await;
    let choose = format!("/connect/{}/choose", connection.id);
    let refused = browser.post(&choose, &[("profile", "profile-1")]).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let held = format!("href=\"/tokens/{}\"", anns[0]);
    assert!(refused.text.contains("holds this very token") && refused.text.contains(&held), "{}", refused.text);
    assert!(matches!(stage.look(&connection).await.stage, Progress::Choosing(_)), "nothing was done");
    stage.stop().await;
}

#[tokio::test]
async fn what_ends_without_tokens_destroys_and_gives_back_what_it_held() {
    let stage = Stage::set_with("link_lifetime = \"1h\"").await;
    let alive = |before: usize| stage.simulation.tokens(&"youtube".parse().unwrap()).len() - before;
    for lapses in [false, true] {
        let before = alive(0);
        let (connection, link) = stage.start(ask("x", "user", Purpose::CollectContent)).await;
        let browser = Browser::at(&stage);
        browser.consent(&link, "person-1", &[]).await;
        let issued = stage.simulation.tokens(&"x".parse().unwrap()).pop().unwrap();
        if lapses {
            stage.test.clock.advance(std::time::Duration::from_secs(3600));
            stage.test.broker.end_overdue_connections().await.unwrap();
        } else {
            assert_eq!(browser.post(&format!("/connect/{}/cancel", connection.id), &[]).await.status, 303);
        }
        let ended = stage.test.broker.store.find_connection(connection.id).await.unwrap().unwrap();
        assert!(ended.connection.stage.is_end() && ended.sealed.is_none());
        stage.test.broker.revoke_due().await.unwrap();
        assert!(!stage.simulation.is_alive(&"x".parse().unwrap(), &issued.secret), "it was revoked");
        assert_eq!(alive(before), 0);
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_grant_is_not_given_back_that_a_token_lives_on() {
    let stage = Stage::set().await;
    let network: NetworkId = "youtube".parse().unwrap();
    let wanted = || ask("youtube", "user", Purpose::CollectContent);
    let token = stage.connect(&stage.team, wanted(), "person-1").await[0];
    let (connection, link) = stage.start(wanted()).await;
    let browser = Browser::at(&stage);
    browser.consent(&link, "person-1", &[]).await;
    let issued = stage.simulation.tokens(&network);
    browser.post(&format!("/connect/{}/cancel", connection.id), &[]).await;
    stage.test.broker.revoke_due().await.unwrap();
    let alive = issued.iter().filter(|one| stage.simulation.is_alive(&network, &one.secret)).count();
    assert_eq!(alive, issued.len());
    assert_eq!(stage.token(token).await.token.state, TokenState::Live);
    stage.stop().await;
}

#[tokio::test]
async fn another_account_does_not_heal_a_token_whose_profile_the_network_does_not_list() {
    let stage = Stage::set().await;
    let given = AddToken { profile: "shop".to_owned(), ..crate::service::testing::x_token("person-1") };
    let token = stage.test.broker.add_token(&stage.test.admin, &stage.team, given).await.unwrap().token.id;
    let heal = StartConnection { token: Some(token), ..StartConnection::default() };
    let (kind, page) = problem(&stage, heal.clone(), "person-2", &[]).await;
    assert_eq!(kind, ProblemKind::OtherAccount);
    assert!(page.text.contains("Sign in at X as person-1,"), "who signs in is what counts: {}", page.text);
    assert_eq!(stage.connect(&stage.team, heal, "person-1").await, [token]);
    stage.stop().await;
}

#[tokio::test]
async fn the_browser_goes_back_only_where_it_may() {
    let stage = Stage::set_with("return_urls = [\"https://app.example/tokens\"]").await;
    let to = |url: &str| StartConnection { return_url: url.to_owned(), ..ask("x", "user", Purpose::CollectContent) };
    for refused in ["https://evil.example/", "https://app.example/other", "javascript:alert(1)", "/tokens"] {
        let started = stage.test.broker.start_connection(&stage.test.admin, &stage.team, to(refused)).await;
        assert!(started.is_err(), "{refused}");
    }
    let (connection, link) = stage.start(to("https://app.example/tokens?x=1")).await;
    let browser = Browser::at(&stage);
    browser.consent(&link, "person-1", &[]).await;
    let done = browser.post(&format!("/connect/{}/choose", connection.id), &[]).await;
    assert_eq!((done.status, done.away().as_str()), (200, "https://app.example/tokens?x=1"));
    stage.stop().await;
}

#[tokio::test]
async fn a_consent_that_does_not_suffice_is_given_back_unless_a_token_lives_on_it() {
    let stage = Stage::set().await;
    let tiktok: NetworkId = "tiktok".parse().unwrap();
    let wanted = || ask("tiktok", "user", Purpose::CollectContent);
    let token = stage.connect(&stage.team, wanted(), "person-1").await[0];
    let heal = StartConnection { token: Some(token), ..StartConnection::default() };
    let (kind, _) = problem(&stage, heal, "person-2", &[]).await;
    assert_eq!(kind, ProblemKind::OtherAccount);
    let alive = |person: &str| {
        let issued = stage.simulation.tokens(&tiktok).into_iter().filter(|one| one.person == person);
        issued.filter(|one| stage.simulation.is_alive(&tiktok, &one.secret)).count()
    };
    assert!(alive("person-2") > 0 && alive("person-1") > 0);
    stage.test.broker.revoke_due().await.unwrap();
    assert_eq!(alive("person-2"), 0, "nobody keeps it");
    let before = alive("person-1");
    let declined = problem(&stage, wanted(), "person-1", &[("decline", "video.list")]).await;
    assert_eq!(declined.0, ProblemKind::ScopesDeclined);
    stage.test.broker.revoke_due().await.unwrap();
    assert!(alive("person-1") >= before, "the network knows one grant only, on which the token lives");
    assert_eq!(stage.token(token).await.token.state, TokenState::Live);
    stage.stop().await;
}

#[tokio::test]
async fn tokens_of_pages_are_derived_anew_when_the_token_they_came_from_is() {
    let stage = Stage::set_with("keep_user_tokens = true").await;
    let (broker, admin) = (&stage.test.broker, &stage.test.admin);
    let page_of = || ask("facebook", "page", Purpose::CollectStatistics);
    let tokens = stage.connect(&stage.team, page_of(), "person-1").await;
    let (page, user) = (tokens[0], tokens[tokens.len() - 1]);
    let (before, parent) = (stage.token(page).await, stage.token(user).await);
    assert_eq!((before.token.kind.as_str(), before.renewal.due_at), ("page", None), "it came with its own secret");
    assert_eq!(parent.token.kind.as_str(), "user");
    broker.invalidate_token(admin, &stage.team, page, Reason::PasswordChanged, "").await.unwrap();
    stage.test.clock.advance(std::time::Duration::from_secs(24 * 3600));
    broker.renew_token(admin, &stage.team, user).await.unwrap();
    assert_eq!(stage.token(page).await.renewal.due_at, Some(broker.now()), "with the parent's new secret");
    broker.renew_token(admin, &stage.team, page).await.unwrap();
    let derived = stage.token(page).await;
    assert_ne!(derived.sealed_access, before.sealed_access);
    assert_eq!((derived.token.state, derived.renewal.due_at), (TokenState::Live, None));
    // The person connects again, and chooses one page: the other ones follow the token that they come from.
    let again = StartConnection { token: Some(page), ..StartConnection::default() };
    assert_eq!(stage.connect(&stage.team, again, "person-1").await, [page, user]);
    let due: Vec<_> = {
        let mut due = Vec::new();
        for token in tokens[..tokens.len() - 1].iter().copied() {
            due.push(stage.token(token).await.renewal.due_at.is_some());
        }
        due
    };
    assert_eq!(due, [false, true]);
    broker.revoke_token(admin, &stage.team, user, "").await.unwrap();
    assert!(broker.renew_token(admin, &stage.team, page).await.is_err(), "there is nothing to derive it from");
    stage.stop().await;
}
