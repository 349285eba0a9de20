//! What people are told, on a whole broker whose clock stands still.

mod incidents;
mod push;
mod receivers;

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::ids::{EventId, MemberId, TokenId};
use crate::base::secret::Secret;
use crate::config::{Config, Heard, MailTo};
use crate::domain::audit::STATE_FOUND;
use crate::domain::incident::{Detected, IncidentKind, Outcome, Progress, SeenIn};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::notice::{
    Channel, Choice, DestinationKind, Fact, Kind, MOST_SUBSCRIPTIONS, NoticeSettings, PushSubscription, QuietHours,
    SETTLES_WITHIN, Untrue, of_change,
};
use crate::domain::profile::Profile;
use crate::domain::token::{Clocks, Reason, Token};
use crate::outbound::mail::{FakeMail, Mail};
use crate::outbound::post::{DeliveryError, FakePost};
use crate::service::Caller;
use crate::service::notices::{
    CreateDestination, DestinationError, MarkRead, NoticeError, PushError, Subscribe, UpdateDestination, UpdateSettings,
};
use crate::service::watched::{HOLD, ROUND, Watched, acme};
use crate::store::{IncidentFilter, MemberChange, MetaName, OutboxState, TokenChange, Trail};

const DAY: Duration = Duration::from_secs(86_400);

/// A broker that mails its operators.
struct Told {
    watched: Watched,
    mails: Arc<FakeMail>,
    posts: Arc<FakePost>,
}

impl Told {
    async fn start() -> Told {
        Told::hearing(Heard::All).await
    }

    async fn hearing(events: Heard) -> Told {
        let (mails, posts) = (Arc::new(FakeMail::default()), Arc::new(FakePost::default()));
        let set = |config: &mut Config| {
            config.http.public_url = Some("https://tokens.example.com".parse().unwrap());
            config.alerts.mails.push(MailTo { address: "ops@example.com".to_owned(), events });
        };
        let watched = Watched::start(set).await;
        watched.broker.notices.mail_by(mails.clone());
        assert!(watched.broker.notices.post.set(posts.clone()).is_ok());
        Told { watched, mails, posts }
    }

    /// Stops the broker and starts it again on the same data.
    async fn restart(&mut self) {
        self.watched.restart().await;
        self.watched.broker.notices.mail_by(self.mails.clone());
        assert!(self.watched.broker.notices.post.set(self.posts.clone()).is_ok());
    }

    /// Lets that much time pass in steps of an hour; looks, tells and sends after each.
    async fn pass(&mut self, span: Duration) {
        for _ in 0..span.as_secs() / 3600 {
            self.watched.clock.advance(Duration::from_secs(3600));
            self.work().await;
        }
    }

    async fn work(&self) {
        self.watched.broker.look_at_expiries().await.unwrap();
        self.watched.broker.tell_events().await.unwrap();
        self.watched.broker.deliver_due().await.unwrap();
    }

    fn subjects(&self) -> Vec<String> {
        self.mails.sent().into_iter().map(|Mail { subject, .. }| subject).collect()
    }

    async fn invalidate(&self, token: TokenId, reason: Reason) {
        self.watched.broker.invalidate_token(&Caller::Broker, &acme(), token, reason, "").await.unwrap();
    }

    /// The broker finds out that a token is dead, as it does by a report.
    async fn find_dead(&self, token: TokenId, reason: Reason) {
        let (broker, now) = (&self.watched.broker, self.watched.clock.now());
        let before = broker.store.find_token(token).await.unwrap().unwrap().token;
        let after = Token { state: before.state.invalidate(reason, now), ..before.clone() };
        broker.engine.change_token_state(&before.network, token, |_| after.state);
        let audit = broker.audit(&Caller::Broker, STATE_FOUND, token.to_string(), String::new());
        let change = TokenChange {
            expected_version: before.version,
            expected_state: before.state,
            trail: Trail::from(audit).telling(of_change(before.state, &after, now)),
            token: after,
            secrets: None,
            revocation: None,
            alerts: Vec::new(),
        };
        broker.store.change_token(change).await.unwrap();
    }

    /// A member of the team, as it is once it has joined.
    async fn member(&self, n: u128, role: Role) -> Member {
        let member = Member {
            id: MemberId::from_u128(n),
            team: acme(),
            display_name: String::new(),
            mail: format!("member{n}@example.com").parse().unwrap(),
            role,
            time_zone: "Europe/Vienna".parse().unwrap(),
            language: "en".parse().unwrap(),
            state: MemberState::Active { since: self.watched.clock.now() },
            persons: std::collections::BTreeMap::new(),
            created_at: self.watched.clock.now(),
            version: 1,
        };
        let trail = self.watched.broker.audit(&Caller::Broker, "member.join", member.name(), String::new()).into();
        let change = MemberChange::of(member.clone(), trail);
        self.watched.broker.store.insert_member(change).await.unwrap();
        member
    }

    async fn choose(&self, member: &Member, settings: NoticeSettings) {
        let (choices, quiet) = (Some(settings.choices), Some(settings.quiet));
        let change = UpdateSettings { choices, quiet, ..UpdateSettings::default() };
        self.watched.broker.update_notice_settings(&Caller::Broker, &acme(), member.id, change).await.unwrap();
    }

    /// Lets a member want quiet for so many minutes from now on, at any time of the day.
    async fn sleeps(&self, member: &Member, minutes: u16) {
        let local = jiff::Timestamp::from_microsecond(self.watched.clock.now().micros()).unwrap();
        let local = local.to_zoned(member.time_zone.zone());
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let quiet = Some(QuietHours { from: (minute + 1440 - 60) % 1440, until: (minute + minutes) % 1440 });
        self.choose(member, NoticeSettings { quiet, ..NoticeSettings::default() }).await;
    }

    /// Adds a destination to the team.
    async fn destination(&self, kind: DestinationKind, target: &str, secrets: &[&str]) -> Result<(), DestinationError> {
        let ask = CreateDestination {
            team: acme(),
            display_name: String::new(),
            kind,
            target: Secret::new(target.to_owned()),
            secrets: secrets.iter().map(|text| Secret::new((*text).to_owned())).collect(),
            events: None,
        };
        self.watched.broker.create_destination(&Caller::Broker, ask).await.map(|_| ())
    }

    /// Who got mail, each address once for each mail.
    fn mailed(&self) -> Vec<String> {
        let mut mailed: Vec<_> = self.mails.sent().into_iter().map(|mail| mail.to).collect();
        mailed.retain(|to| to != "ops@example.com");
        mailed.sort();
        mailed
    }

    /// The subjects of the mails that a member got.
    fn mailed_to(&self, member: &Member) -> Vec<String> {
        let mails = self.mails.sent().into_iter().filter(|mail| mail.to == member.mail.as_str());
        mails.map(|mail| mail.subject).collect()
    }

    async fn in_state(&self, state: OutboxState) -> usize {
        self.watched.broker.store.list_outbox(state, None, 10_000).await.unwrap().len()
    }
}

#[tokio::test]
async fn an_end_is_told_7_3_1_and_0_days_ahead_once_each() {
    let mut told = Told::start().await;
    let end = told.watched.clock.now() + DAY * 30;
    told.watched.add_token(Clocks { access_expires_at: Some(end), ..Clocks::default() }).await;
    told.pass(DAY * 20).await;
    assert_eq!(told.subjects(), Vec::<String>::new());
    told.pass(DAY * 30).await;
    let subjects = told.subjects();
    let ends: Vec<&str> = subjects.iter().filter_map(|subject| subject.split("\" ").nth(1)).collect();
    assert_eq!(ends, ["ends within 7 days", "ends within 3 days", "ends within 1 day", "has expired"], "{subjects:?}");
}

#[tokio::test]
async fn after_a_downtime_only_the_most_urgent_is_told() {
    let mut told = Told::start().await;
    let end = told.watched.clock.now() + DAY * 10;
    told.watched.add_token(Clocks { access_expires_at: Some(end), ..Clocks::default() }).await;
    // The events are found and told, but nothing can be sent for days.
    for _ in 0..9 {
        told.watched.clock.advance(DAY);
        told.watched.broker.look_at_expiries().await.unwrap();
        told.watched.broker.tell_events().await.unwrap();
    }
    told.work().await;
    let subjects = told.subjects();
    assert!(subjects.len() == 1 && subjects[0].ends_with("ends within 1 day"), "{subjects:?}");
    assert_eq!(told.in_state(OutboxState::Dropped).await, 2);
}

#[tokio::test]
async fn what_is_over_when_it_would_be_told_is_not_told() {
    let mut told = Told::start().await;
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.watched.broker.tell_events().await.unwrap();
    told.watched.broker.revoke_token(&Caller::Broker, &acme(), token.id, "").await.unwrap();
    told.work().await;
    assert_eq!(told.subjects(), Vec::<String>::new());
    let dropped = told.watched.broker.store.list_outbox(OutboxState::Dropped, None, 10).await.unwrap();
    assert_eq!(dropped[0].last_error.as_deref(), Some("the token is gone"));
}

#[tokio::test]
async fn a_mail_says_which_token_why_and_what_to_do() {
    let mut told = Told::start().await;
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::RevokedByPerson).await;
    told.work().await;
    let mail = told.mails.sent().remove(0);
    assert_eq!(mail.to, "ops@example.com");
    for part in
        ["does not work any more", "The person removed the app", "If that was not meant, reconnect the account."]
    {
        assert!(mail.text.contains(part) && mail.html.contains(part), "{part}: {}", mail.text);
    }
}

#[tokio::test]
async fn operators_hear_of_damaged_secrets_whatever_they_chose() {
    let mut told = Told::hearing(Heard::Alerts).await;
    let lost = told.watched.add_token(Clocks::default()).await.token;
    let damaged = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(lost.id, Reason::PasswordChanged).await;
    told.invalidate(damaged.id, Reason::SecretDamaged).await;
    told.work().await;
    let mails = told.mails.sent();
    assert_eq!(mails.len(), 1, "{:?}", told.subjects());
    assert!(mails[0].text.contains("have an operator look at the store"), "{}", mails[0].text);
}

#[tokio::test]
async fn many_facts_make_few_mails() {
    let mut told = Told::start().await;
    let mut tokens = Vec::new();
    for _ in 0..60 {
        tokens.push(told.watched.add_token(Clocks::default()).await.token.id);
    }
    for token in tokens {
        told.invalidate(token, Reason::PasswordChanged).await;
    }
    told.work().await;
    let mails = told.mails.sent();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.ends_with(", and 59 more notices"), "{}", mails[0].subject);
    assert!(mails[0].text.contains("And 10 more."), "{}", mails[0].text);
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn owners_and_who_granted_a_token_hear_of_it_and_nobody_else() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    told.member(2, Role::Manager).await;
    told.member(3, Role::Member).await;
    let token = told.watched.add_granted_token("member3@example.com").await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.work().await;
    assert_eq!(told.mailed(), ["member1@example.com", "member3@example.com"]);
    let shop = Profile {
        owner: Some(MemberId::from_u128(4)),
        ..Profile::unnamed(acme(), "net".parse().unwrap(), "shop".to_owned())
    };
    told.member(4, Role::Member).await;
    told.watched.broker.directory.put_profile(shop);
    let off = Choice { kind: Kind::TokenInvalid, channel: Channel::Mail, profile: None, on: false };
    told.choose(&owner, NoticeSettings { choices: vec![off], ..NoticeSettings::default() }).await;
    let token = told.watched.add_token_for("shop").await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.work().await;
    assert_eq!(told.mailed(), ["member1@example.com", "member3@example.com", "member4@example.com"]);
    let token = told.watched.add_granted_token("member2@example.com").await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.work().await;
    let all = ["member1@example.com", "member2@example.com", "member3@example.com", "member4@example.com"];
    assert_eq!(told.mailed(), all);
}

#[tokio::test]
async fn owners_hear_by_mail_that_somebody_else_connected_an_account() {
    let mut told = Told::start().await;
    told.member(1, Role::Owner).await;
    let night = told.member(2, Role::Owner).await;
    told.sleeps(&night, 90).await;
    told.member(3, Role::Manager).await;
    told.member(4, Role::Member).await;
    for granter in ["member4@example.com", "member1@example.com"] {
        let token = told.watched.add_granted_token(granter).await.token.id;
        let fact = Fact::TokenConnected { network: "net".parse().unwrap(), token, healed: false };
        let connected = crate::service::tell::event(told.watched.clock.now(), Some(acme()), fact, token.to_string());
        told.watched.broker.store.append_events(vec![connected]).await.unwrap();
        told.work().await;
    }
    assert_eq!(told.mailed(), ["member1@example.com"], "not of its own connection, nor in the other's night");
    told.pass(Duration::from_secs(7200)).await;
    assert_eq!(told.mailed(), ["member1@example.com", "member2@example.com"], "both in one, in its morning");
}

#[tokio::test]
async fn quiet_hours_end_with_one_mail_about_the_night() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    told.sleeps(&owner, 240).await;
    for _ in 0..3 {
        let token = told.watched.add_token(Clocks::default()).await.token;
        told.invalidate(token.id, Reason::PasswordChanged).await;
        told.pass(Duration::from_secs(3600)).await;
    }
    assert_eq!(told.mailed(), Vec::<String>::new());
    told.pass(Duration::from_secs(3600)).await;
    assert_eq!(told.mailed(), ["member1@example.com"]);
    let mail = told.mails.sent().into_iter().find(|mail| mail.to == "member1@example.com").unwrap();
    assert!(mail.subject.ends_with("and 2 more notices"), "{}", mail.subject);
}

#[tokio::test]
async fn the_last_hour_of_quiet_ends_with_one_mail_too() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    told.sleeps(&owner, 40).await;
    for _ in 0..4 {
        let token = told.watched.add_token(Clocks::default()).await.token;
        told.invalidate(token.id, Reason::PasswordChanged).await;
        told.work().await;
    }
    assert_eq!(told.mailed(), Vec::<String>::new());
    told.pass(Duration::from_secs(3600)).await;
    assert_eq!(told.mailed(), ["member1@example.com"]);
}

#[tokio::test]
async fn what_could_not_be_sent_before_quiet_hours_waits_for_their_end() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.mails.be_down(true);
    told.work().await;
    told.sleeps(&owner, 240).await;
    told.mails.be_down(false);
    told.pass(Duration::from_secs(3 * 3600)).await;
    assert_eq!(told.mailed(), Vec::<String>::new());
    told.pass(Duration::from_secs(2 * 3600)).await;
    assert_eq!(told.mailed(), ["member1@example.com"]);
}

#[tokio::test]
async fn a_receiver_that_is_back_after_a_day_hears_within_the_hour() {
    let mut told = Told::start().await;
    told.member(1, Role::Owner).await;
    told.mails.be_down(true);
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.pass(DAY).await;
    told.mails.be_down(false);
    told.pass(Duration::from_secs(3600)).await;
    assert_eq!(told.mailed(), ["member1@example.com"]);
}

#[tokio::test]
async fn an_alert_is_mailed_and_its_end_to_whom_it_was_told() {
    let mut told = Told::start().await;
    told.member(1, Role::Owner).await;
    let sleeper = told.member(2, Role::Owner).await;
    told.sleeps(&sleeper, 240).await;
    told.watched.rounds("search", 16, HOLD + ROUND).await;
    told.work().await;
    assert_eq!(told.mailed(), ["member1@example.com"]);
    let mail = told.mails.sent().into_iter().find(|mail| mail.to == "member1@example.com").unwrap();
    assert_eq!(mail.subject, "No usable Net token");
    for said in [
        "your team has none connected",
        "Connect an account of this network.",
        "https://tokens.example.com/load/net/search",
    ] {
        assert!(mail.text.contains(said), "{said}: {}", mail.text);
    }
    told.watched.clock.advance(ROUND);
    told.watched.add_tokens(6).await;
    told.watched.broker.watch_loads().await.unwrap();
    told.work().await;
    let last = told.mails.sent().pop().unwrap().subject;
    assert_eq!((told.mailed().len(), last.as_str()), (2, "Net tokens are there again"));
    told.pass(Duration::from_secs(6 * 3600)).await;
    let expected = ["member1@example.com", "member1@example.com"];
    assert_eq!(told.mailed(), expected, "who slept over all of it hears of neither");
}

#[tokio::test]
async fn a_load_that_is_the_apps_asks_nobody_for_accounts() {
    let mut told = Told::start().await;
    told.member(1, Role::Owner).await;
    told.watched.add_tokens(2).await;
    told.watched.rounds("read", 16, Duration::from_secs(300)).await;
    told.work().await;
    let mails = told.mails.sent();
    let mail = mails.iter().find(|mail| mail.subject.starts_with("Token load too high")).unwrap();
    assert!(mail.text.contains("more accounts do not help") && !mail.text.contains("Connect more"), "{}", mail.text);
}

#[tokio::test]
async fn who_left_the_team_gets_nothing_that_waits() {
    let mut told = Told::start().await;
    let owner = told.member(1, Role::Owner).await;
    told.member(2, Role::Owner).await;
    let token = told.watched.add_token(Clocks::default()).await.token;
    told.invalidate(token.id, Reason::PasswordChanged).await;
    told.watched.broker.tell_events().await.unwrap();
    let left = Member { state: owner.state.leave(told.watched.clock.now()), version: 2, ..owner };
    let trail = told.watched.broker.audit(&Caller::Broker, "member.leave", left.name(), String::new()).into();
    let change = MemberChange::of(left, trail);
    told.watched.broker.store.change_member(change).await.unwrap();
    told.work().await;
    assert_eq!(told.mailed(), ["member2@example.com"]);
}

#[tokio::test]
async fn a_loss_is_one_mail_for_each_who_can_mend_it_and_leads_there() {
    let mut told = Told::start().await;
    told.member(1, Role::Owner).await;
    told.member(2, Role::Member).await;
    told.member(3, Role::Member).await;
    let mut tokens = Vec::new();
    for nth in 0..70 {
        let granter = if nth == 0 { "member3@example.com" } else { "member2@example.com" };
        tokens.push(told.watched.add_granted_token(granter).await.token.id);
    }
    for token in &tokens {
        told.invalidate(*token, Reason::PlatformReset).await;
        told.work().await;
    }
    for _ in 0..20 {
        told.watched.clock.advance(Duration::from_secs(60));
        told.work().await;
    }
    assert_eq!(told.mailed(), ["member1@example.com", "member2@example.com", "member3@example.com"]);
    let of = |to: &str| told.mails.sent().into_iter().find(|mail| mail.to == to).unwrap();
    let (owner, many, one) = (of("member1@example.com"), of("member2@example.com"), of("member3@example.com"));
    assert_eq!(owner.subject, "70 Net tokens do not work any more");
    assert_eq!(many.subject, "69 Net tokens do not work any more");
    assert!(many.text.contains("https://tokens.example.com/tokens?status=dead&network=net"), "{}", many.text);
    assert!(one.text.contains(&format!("https://tokens.example.com/tokens/{}", tokens[0])), "{}", one.text);
}

#[tokio::test]
async fn a_member_reads_its_notices_in_the_app() {
    let mut told = Told::start().await;
    let member = told.member(3, Role::Member).await;
    let mut watching = told.watched.broker.notices.watch();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let token = told.watched.add_granted_token("member3@example.com").await.token;
        told.invalidate(token.id, Reason::PasswordChanged).await;
        tokens.push(token.id);
    }
    told.work().await;
    assert!(watching.try_recv().is_ok_and(|event| event.fact.token() == Some(tokens[0])));
    let broker = told.watched.broker.clone();
    let list = async |before: Option<EventId>| broker.list_notices(&acme(), member.id, false, before, 2).await.unwrap();
    let page = list(None).await;
    let seen: Vec<_> = page.notices.iter().map(|notice| notice.event.fact.token().unwrap()).collect();
    assert_eq!(seen, [tokens[2], tokens[1]], "the newest first");
    let rest = list(page.before).await;
    assert_eq!((rest.notices.len(), rest.before), (1, None));
    let read = MarkRead { through: None, events: vec![page.notices[1].event.id] };
    broker.mark_notices_read(&Caller::Broker, &acme(), member.id, read).await.unwrap();
    let marks: Vec<bool> = list(None).await.notices.iter().map(|notice| notice.read).collect();
    assert_eq!(marks, [false, true]);
    let unread = broker.list_notices(&acme(), member.id, true, None, 10).await.unwrap().notices;
    assert_eq!(
        unread.iter().map(|notice| notice.event.fact.token().unwrap()).collect::<Vec<_>>(),
        [tokens[2], tokens[0]]
    );
    // Nothing that is yet to come can be called read.
    let later = MarkRead { through: Some(EventId::generate()), events: vec![] };
    let unknown = broker.mark_notices_read(&Caller::Broker, &acme(), member.id, later).await;
    assert!(matches!(unknown, Err(NoticeError::NotFound(_))));
    broker.revoke_token(&Caller::Broker, &acme(), tokens[2], "").await.unwrap();
    assert_eq!(list(None).await.notices[0].over, Some(Untrue::Gone));
    let first = broker.tokens_at_risk(&acme(), member.id, None, 1).await.unwrap();
    let rest = broker.tokens_at_risk(&acme(), member.id, first.after, 10).await.unwrap();
    let at_risk = [first.tokens, rest.tokens].concat();
    assert_eq!(at_risk.iter().map(|view| view.token.id).collect::<Vec<_>>(), [tokens[0], tokens[1]]);
    assert_eq!(rest.after, None);
    let off = Choice { kind: Kind::TokenInvalid, channel: Channel::InApp, profile: None, on: false };
    told.choose(&member, NoticeSettings { choices: vec![off], ..NoticeSettings::default() }).await;
    assert_eq!(list(None).await.notices, []);
}

#[tokio::test]
async fn a_broker_that_was_down_for_days_tells_only_what_is_most_urgent() {
    let mut told = Told::start().await;
    let end = told.watched.clock.now() + DAY * 10;
    told.watched.add_token(Clocks { access_expires_at: Some(end), ..Clocks::default() }).await;
    told.pass(DAY).await;
    told.watched.clock.advance(DAY * 8 + Duration::from_secs(3600));
    told.restart().await;
    told.work().await;
    let subjects = told.subjects();
    assert!(subjects.len() == 1 && subjects[0].ends_with("ends within 1 day"), "{subjects:?}");
    told.watched.clock.advance(DAY * 5);
    told.restart().await;
    told.pass(Duration::from_secs(7200)).await;
    let subjects = told.subjects();
    assert!(subjects.len() == 2 && subjects[1].ends_with("has expired"), "{subjects:?}");
}

#[tokio::test]
async fn what_ended_by_its_clock_has_its_time_to_delete_told() {
    let mut told = Told::start().await;
    let end = told.watched.clock.now() + Duration::from_secs(3600);
    told.watched.add_token(Clocks { access_expires_at: Some(end), ..Clocks::default() }).await;
    told.pass(Duration::from_secs(2 * 3600)).await;
    told.watched.broker.watch_tokens().await.unwrap();
    told.work().await;
    let mail = told.mails.sent().pop().unwrap();
    assert!(mail.subject.ends_with("must be deleted unless it is reconnected"), "{:?}", told.subjects());
    assert!(mail.text.contains("Everything is deleted 7 days after the last valid token."), "{}", mail.text);
}
