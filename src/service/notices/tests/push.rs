//! Browsers that are told by push messages.

use super::*;

/// The keys of a browser, from RFC 8291.
const P256DH: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

impl Told {
    async fn subscribe(&self, member: &Member, endpoint: &str) -> Result<PushSubscription, PushError> {
        let [endpoint, p256dh, auth] = [endpoint, P256DH, AUTH].map(|text| Secret::new(text.to_owned()));
        let ask = Subscribe { display_name: "phone".to_owned(), endpoint, p256dh, auth };
        self.watched.broker.subscribe_push(&Caller::Broker, &acme(), member.id, ask).await
    }

    async fn browsers(&self, member: &Member) -> Vec<String> {
        let found = self.watched.broker.list_push(&acme(), member.id).await.unwrap();
        found.into_iter().map(|subscription| subscription.shown).collect()
    }

    fn pushed(&self) -> Vec<String> {
        self.posts.attempts().into_iter().map(|posted| posted.url).collect()
    }
}

#[tokio::test]
async fn a_browser_hears_until_its_push_service_does_not_know_it() {
    let mut told = Told::start().await;
    let (owner, member) = (told.member(1, Role::Owner).await, told.member(2, Role::Member).await);
    for host in ["one", "two"] {
        told.subscribe(&owner, &format!("https://{host}.example.com/a")).await.unwrap();
    }
    told.subscribe(&member, "https://three.example.com/a").await.unwrap();
    let token = told.watched.add_granted_token("somebody").await.token;
    told.posts.fail_next(DeliveryError::Status { status: 404, retry_after: None });
    told.posts.fail_next(DeliveryError::Gone(410));
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.work().await;
    let mut pushed = told.pushed();
    pushed.sort();
    assert_eq!(
        pushed,
        ["https://one.example.com/a", "https://two.example.com/a"],
        "it does not concern the other member"
    );
    assert_eq!(told.browsers(&owner).await, Vec::<String>::new());
    assert_eq!(told.browsers(&member).await, ["three.example.com"]);
    assert_eq!((told.in_state(OutboxState::Dead).await, told.in_state(OutboxState::Dropped).await), (0, 2));
}

#[tokio::test]
async fn a_member_chooses_what_its_browsers_hear() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    told.subscribe(&owner, "https://one.example.com/a").await.unwrap();
    let off = Choice { kind: Kind::TokenInvalid, channel: Channel::WebPush, profile: None, on: false };
    told.choose(&owner, NoticeSettings { choices: vec![off], ..NoticeSettings::default() }).await;
    let token = told.watched.add_granted_token("somebody").await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.work().await;
    assert_eq!(told.pushed(), Vec::<String>::new());
    assert!(told.mails.sent().iter().any(|mail| mail.to == "member1@example.com"), "mail is chosen apart");
}

#[tokio::test]
async fn what_can_be_no_browser_is_refused() {
    let told = Told::start().await;
    let member = told.member(1, Role::Owner).await;
    for bad in ["http://push.example.com/", "https://10.0.0.1/a", "https://[::1]/", "mailto:ada@example.com", ""] {
        let refused = told.subscribe(&member, bad).await;
        assert!(matches!(refused, Err(PushError::Endpoint(_))), "{bad}");
    }
    for browser in 0..MOST_SUBSCRIPTIONS {
        told.subscribe(&member, &format!("https://push.example.com/{browser}")).await.unwrap();
    }
    let more = told.subscribe(&member, "https://push.example.com/more").await;
    assert!(matches!(more, Err(PushError::TooMany)));
    told.subscribe(&member, "https://push.example.com/0").await.unwrap();
}

#[tokio::test]
async fn the_push_key_and_the_browsers_outlive_a_rotation() {
    let mut told = Told::start().await;
    let (broker, owner) = (told.watched.broker.clone(), told.member(1, Role::Owner).await);
    told.subscribe(&owner, "https://one.example.com/a").await.unwrap();
    let key = broker.show_push_key().await.unwrap();
    broker.rotate_sealing_key(&Caller::Broker).await.unwrap();
    let before = broker.store.find_meta(MetaName::PushKey).await.unwrap();
    broker.reseal_push().await.unwrap();
    assert_ne!(broker.store.find_meta(MetaName::PushKey).await.unwrap(), before);
    let sealed = broker.store.all_push(None, 9).await.unwrap();
    assert!(sealed.iter().all(|stored| broker.vault.is_of_newest_own(&stored.sealed)));
    assert_eq!(broker.show_push_key().await.unwrap(), key);
    let token = told.watched.add_granted_token("somebody").await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.work().await;
    assert_eq!(told.pushed(), ["https://one.example.com/a"]);
}
