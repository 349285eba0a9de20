//! Where the whole team is told: receivers that are away, gone or damaged.

use super::*;

#[tokio::test]
async fn a_team_is_told_in_its_chats_and_by_its_webhooks() {
    let mut told = Told::start().await;
    told.destination(DestinationKind::Slack, "https://hooks.example/slack", &[]).await.unwrap();
    told.destination(DestinationKind::Teams, "https://hooks.example/teams", &[]).await.unwrap();
    told.destination(DestinationKind::Webhook, "https://hooks.example/webhook", &[SECRET]).await.unwrap();
    told.destination(DestinationKind::Mail, "all@example.com", &[]).await.unwrap();
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::RevokedByPerson).await;
    told.work().await;
    assert_eq!(told.mailed(), ["all@example.com"]);
    let posts = told.posts.attempts();
    let body = |end: &str| -> serde_json::Value {
        let post = posts.iter().find(|post| post.url.ends_with(end)).unwrap();
        serde_json::from_slice(&post.body).unwrap()
    };
    assert_eq!(posts.len(), 3);
    assert!(body("slack")["text"].as_str().unwrap().contains("does not work any more"));
    assert_eq!(body("teams")["attachments"][0]["content"]["type"], "AdaptiveCard");
    assert_eq!(body("webhook")["type"], "token_invalid");
    let webhook = posts.iter().find(|post| post.url.ends_with("webhook")).unwrap();
    let headers: http::HeaderMap =
        webhook.headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&webhook.body, &headers).unwrap();
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_until_somebody_changes_or_tries_it() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    told.destination(DestinationKind::Webhook, "https://hooks.example/webhook", &[SECRET]).await.unwrap();
    let broker = told.watched.broker.clone();
    let destination = async || broker.list_destinations(&acme()).await.unwrap().remove(0).destination;
    let id = destination().await.id;
    let attempts = async |told: &mut Told| {
        for _ in 0..2 {
            let token = told.watched.add_token(Clocks::default()).await.token;
            told.invalidate(token.id, Reason::PasswordChanged).await;
        }
        told.pass(Duration::from_secs(3600)).await;
        told.posts.attempts().len()
    };
    told.posts.fail_next(DeliveryError::Gone(410));
    assert_eq!(attempts(&mut told).await, 1, "what waits is not posted any more");
    assert!(destination().await.gone_since.is_some());
    assert_eq!(attempts(&mut told).await, 1);
    let said = told.mailed_to(&owner).into_iter().filter(|subject| subject.contains("hooks.example"));
    assert_eq!(said.collect::<Vec<_>>(), ["Nothing is sent to \"hooks.example\" any more"], "once");
    broker.send_test_notice(&Caller::Broker, &acme(), id).await.unwrap();
    assert_eq!(destination().await.gone_since, None);
    assert_eq!(attempts(&mut told).await, 4, "the test, and two more");
    told.posts.fail_next(DeliveryError::Gone(410));
    assert_eq!(attempts(&mut told).await, 5);
    let renamed = UpdateDestination { display_name: Some("All".to_owned()), ..UpdateDestination::default() };
    broker.update_destination(&Caller::Broker, &acme(), id, renamed).await.unwrap();
    assert_eq!(attempts(&mut told).await, 7);
}

#[tokio::test]
async fn who_may_mend_a_destination_hears_that_it_is_gone_and_nobody_else() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    let manager = told.member(2, Role::Manager).await;
    let member = told.member(3, Role::Member).await;
    let on = Choice { kind: Kind::OutOfOrder, channel: Channel::Mail, profile: None, on: true };
    told.choose(&member, NoticeSettings { choices: vec![on], ..NoticeSettings::default() }).await;
    told.destination(DestinationKind::Webhook, "https://hooks.example/webhook", &[SECRET]).await.unwrap();
    told.posts.fail_next(DeliveryError::Gone(410));
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.pass(Duration::from_secs(2 * 3600)).await;
    for (who, hears) in [(&owner, true), (&manager, true), (&member, false)] {
        let mails = told.mailed_to(who).into_iter().filter(|subject| subject.starts_with("Nothing is sent to"));
        assert_eq!(mails.count(), usize::from(hears), "{:?}", who.role);
        let page = told.watched.broker.list_notices(&acme(), who.id, false, None, 10).await.unwrap();
        let seen = page.notices.iter().any(|notice| notice.event.fact.kind() == Kind::OutOfOrder);
        assert_eq!(seen, hears, "{:?}", who.role);
    }
}

#[tokio::test]
async fn a_target_that_can_not_be_is_refused() {
    let told = Told::start().await;
    let url = "https://hooks.example/x";
    let cases: [(DestinationKind, &str, &[&str], &str); 13] = [
        (DestinationKind::Mail, "all@example.com\nBcc: x@example.com", &[], "line breaks"),
        (DestinationKind::Mail, "nobody", &[], "mail address"),
        (DestinationKind::Slack, "http://hooks.example/x", &[], "https"),
        (DestinationKind::Slack, "https://ann:pw@hooks.example/x", &[], "not usable"),
        (DestinationKind::Teams, "nonsense", &[], "not usable"),
        (DestinationKind::Teams, "https://169.254.169.254/latest", &[], "not public"),
        (DestinationKind::Webhook, "https://[::ffff:10.0.0.1]/x", &[SECRET], "not public"),
        (DestinationKind::Webhook, "ftp://hooks.example/x", &[SECRET], "not usable"),
        (DestinationKind::Webhook, url, &[], "one signing secret"),
        (DestinationKind::Webhook, url, &[SECRET, SECRET, SECRET], "one signing secret"),
        (DestinationKind::Webhook, url, &["whsec_c2hvcnQ="], "24 to 64 bytes"),
        (DestinationKind::Webhook, url, &["secret"], "24 to 64 bytes"),
        (DestinationKind::Mail, "all@example.com", &[SECRET], "one signing secret"),
    ];
    for (kind, target, secrets, why) in cases {
        let error = told.destination(kind, target, secrets).await.unwrap_err().to_string();
        assert!(error.contains(why), "{target:?} {secrets:?}: {error}");
        assert!(!error.contains("pw@") && !error.contains("Bcc"), "{error}");
    }
    assert_eq!(told.watched.broker.list_destinations(&acme()).await.unwrap(), []);
}

#[tokio::test]
async fn a_receiver_that_answers_500_for_days_gets_what_still_holds_and_then_is_given_up() {
    given_up(|| DeliveryError::Status { status: 500, retry_after: None }, "answered 500").await;
}

#[tokio::test]
async fn so_is_one_that_hangs_for_days() {
    given_up(|| DeliveryError::Timeout, "did not answer in time").await;
}

async fn given_up(error: impl Fn() -> DeliveryError, says: &str) {
    let mut told = Told::start().await;
    told.destination(DestinationKind::Slack, "https://hooks.example/slack", &[]).await.unwrap();
    for _ in 0..1_000 {
        told.posts.fail_next(error());
    }
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.pass(DAY * 4).await;
    let dead = told.watched.broker.list_dead_letters(None, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].last_error.as_ref().is_some_and(|error| error.contains(says)), "{dead:?}");
    let attempts = told.posts.attempts().len();
    assert!((72..=300).contains(&attempts), "it is time that ends them: {attempts}");
    let bodies: std::collections::BTreeSet<_> = told.posts.attempts().into_iter().map(|post| post.body).collect();
    assert_eq!(bodies.len(), 1, "each attempt says the same, and has the same id");
    told.posts.be_down(false);
    told.watched.broker.replay_dead_letter(&Caller::Broker, dead[0].id).await.unwrap();
    while told.in_state(OutboxState::Pending).await > 0 {
        told.pass(Duration::from_secs(3600)).await;
    }
    assert_eq!(told.watched.broker.list_dead_letters(None, 10).await.unwrap(), []);
    let unknown = told.watched.broker.purge_dead_letter(&Caller::Broker, dead[0].id).await;
    assert!(unknown.is_err_and(|error| error.to_string().contains("given up")));
}

/// Receivers that do not answer for 71 hours, while a token ends each hour; then all that waits is sent. Returns the tokens, and whether what is
/// told of each still holds by then: every other one is revoked.
async fn away_for_days(told: &mut Told) -> Vec<(TokenId, bool)> {
    let mut tokens = Vec::new();
    told.posts.be_down(true);
    for hour in 0..71 {
        let token = told.watched.add_token(Clocks::default()).await.token;
        told.invalidate(token.id, Reason::PasswordChanged).await;
        tokens.push((token.id, hour % 2 == 0));
        told.pass(Duration::from_secs(3600)).await;
    }
    for (token, _) in tokens.iter().filter(|(_, kept)| !kept) {
        told.watched.broker.revoke_token(&Caller::Broker, &acme(), *token, "").await.unwrap();
    }
    told.posts.be_down(false);
    told.pass(Duration::from_secs(3600)).await;
    assert_eq!(told.in_state(OutboxState::Dead).await, 0, "nothing is given up in that time");
    assert_eq!(told.in_state(OutboxState::Pending).await, 0);
    tokens
}

#[tokio::test]
async fn a_chat_that_was_away_for_days_gets_one_digest_of_what_still_holds() {
    let mut told = Told::start().await;
    told.destination(DestinationKind::Slack, "https://hooks.example/slack", &[]).await.unwrap();
    let tokens = away_for_days(&mut told).await;
    let arrived = told.posts.arrived();
    assert_eq!(arrived.len(), 2, "the one that was tried, and all others together");
    let said = String::from_utf8_lossy(&arrived[1].body).into_owned();
    let places: Vec<Option<usize>> = tokens[1..].iter().map(|(token, _)| said.find(&token.to_string())).collect();
    let told_of: Vec<usize> = places.iter().flatten().copied().collect();
    assert!(told_of.is_sorted() && told_of.len() == 10, "a chat shows ten, the oldest first: {said}");
    for ((_, kept), place) in tokens[1..].iter().zip(&places) {
        assert!(*kept || place.is_none(), "what is over is not told");
    }
    // Of 71 every other was kept; one of them was in the message that was tried.
    assert!(said.contains("25 more"), "{said}");
}

#[tokio::test]
async fn a_machine_that_was_away_for_days_gets_each_fact_that_still_holds() {
    let mut told = Told::start().await;
    told.destination(DestinationKind::Webhook, "https://hooks.example/webhook", &[SECRET]).await.unwrap();
    let tokens = away_for_days(&mut told).await;
    let bodies =
        told.posts.arrived().into_iter().map(|post| serde_json::from_slice::<serde_json::Value>(&post.body).unwrap());
    let told_of: Vec<String> =
        bodies.map(|body| body["data"]["token"].as_str().unwrap_or("several").to_owned()).collect();
    let kept = tokens.iter().filter(|(_, kept)| *kept).map(|(token, _)| token.to_string());
    assert_eq!(told_of, kept.collect::<Vec<_>>());
}

#[tokio::test]
async fn what_waits_for_a_damaged_destination_arrives_once_it_is_set_anew() {
    let mut told = Told::start().await;
    told.destination(DestinationKind::Slack, "https://hooks.example/slack", &[]).await.unwrap();
    let broker = told.watched.broker.clone();
    let id = broker.list_destinations(&acme()).await.unwrap().remove(0).destination.id;
    let mut stored = broker.store.find_destination(id).await.unwrap().unwrap();
    stored.destination.version += 1;
    stored.sealed_target.pop();
    let audit = broker.audit(&Caller::Broker, "test", String::new(), String::new());
    broker.store.change_destination(stored, audit.into()).await.unwrap();
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.work().await;
    let waits = broker.store.list_outbox(OutboxState::Pending, None, 10).await.unwrap();
    assert!(
        waits.iter().any(|row| row.last_error.as_ref().is_some_and(|why| why.contains("set its target"))),
        "{waits:?}"
    );
    assert_eq!(told.in_state(OutboxState::Dropped).await, 0);
    let target = Some(Secret::new("https://hooks.example/new".to_owned()));
    broker
        .update_destination(&Caller::Broker, &acme(), id, UpdateDestination { target, ..UpdateDestination::default() })
        .await
        .unwrap();
    told.pass(Duration::from_secs(3600)).await;
    assert_eq!(told.posts.arrived().len(), 1);
}

#[tokio::test]
async fn that_a_destination_is_damaged_is_not_told_once_it_was_set_anew_or_deleted() {
    let mut told = Told::start().await;
    told.destination(DestinationKind::Slack, "https://hooks.example/slack", &[]).await.unwrap();
    let broker = told.watched.broker.clone();
    let id = broker.list_destinations(&acme()).await.unwrap().remove(0).destination.id;
    let damage = async || {
        let mut stored = broker.store.find_destination(id).await.unwrap().unwrap();
        stored.destination.version += 1;
        stored.sealed_target.pop();
        let audit = broker.audit(&Caller::Broker, "test", String::new(), String::new());
        broker.store.change_destination(stored, audit.into()).await.unwrap();
        broker.reseal().await.unwrap();
        broker.tell_events().await.unwrap();
    };
    let set_anew = async || {
        let target = Some(Secret::new("https://hooks.example/new".to_owned()));
        let anew = UpdateDestination { target, ..UpdateDestination::default() };
        broker.update_destination(&Caller::Broker, &acme(), id, anew).await.unwrap();
    };
    let mails = |told: &Told| told.subjects().iter().filter(|subject| subject.ends_with("is damaged")).count();
    damage().await;
    told.pass(Duration::from_secs(3600)).await;
    assert_eq!(mails(&told), 1);
    set_anew().await;
    damage().await;
    set_anew().await;
    told.pass(Duration::from_secs(3600)).await;
    damage().await;
    broker.delete_destination(&Caller::Broker, &acme(), id).await.unwrap();
    told.pass(Duration::from_secs(3600)).await;
    assert_eq!(mails(&told), 1);
    let dropped = broker.store.list_outbox(OutboxState::Dropped, None, 10).await.unwrap();
    let why: Vec<_> = dropped.iter().map(|message| message.last_error.as_deref()).collect();
    assert_eq!(why, [Some("it is over"); 2]);
}
