//! What is told of incidents, and to whom.

use super::*;

impl Told {
    /// Ten minutes after the beginning of an outage, which one of two owners sleeps through.
    async fn in_an_outage() -> (Told, Member, Member) {
        let mut told = Told::start().await;
        let (awake, sleeper) = (told.member(1, Role::Owner).await, told.member(2, Role::Owner).await);
        told.sleeps(&sleeper, 240).await;
        told.watched.add_token(Clocks::default()).await;
        told.watched.clock.advance(Duration::from_secs(60));
        told.incident(IncidentKind::ProviderOutage).await;
        told.watched.clock.advance(Duration::from_secs(600));
        (told, awake, sleeper)
    }

    /// Lets all persons of the network be in an incident of a kind, which is told.
    async fn incident(&self, kind: IncidentKind) {
        let (broker, now) = (&self.watched.broker, self.watched.clock.now());
        let progress = Progress::begin(Detected { kind, started_at: now, persons: 9 }, SeenIn::Calls, now);
        broker.engine.restore_incident(&"net".parse().unwrap(), &"default".parse().unwrap(), progress, &[]);
        broker.watch_incidents().await.unwrap();
        self.work().await;
    }

    /// Ends the incident that is open.
    async fn end_incident(&self, outcome: Outcome) {
        let broker = &self.watched.broker;
        let incident = broker.store.list_incidents(IncidentFilter::default(), 1).await.unwrap().remove(0);
        broker.close_incident(&Caller::Broker, incident.id, outcome, "").await.unwrap();
        broker.watch_incidents().await.unwrap();
        self.work().await;
    }
}

#[tokio::test]
async fn an_incident_takes_the_place_of_what_is_said_of_its_tokens() {
    let mut told = Told::start().await;
    told.member(1, Role::Owner).await;
    let broker = told.watched.broker.clone();
    // Said of a token that nothing explains, a notice waits a little, since a renewal may heal it.
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(told.watched.add_token(Clocks::default()).await.token.id);
    }
    told.watched.clock.advance(Duration::from_secs(60));
    let started_at = told.watched.clock.now();
    told.find_dead(tokens[0], Reason::NotAccepted).await;
    told.work().await;
    assert_eq!(told.subjects(), Vec::<String>::new());
    let found = Detected { kind: IncidentKind::NetworkReset, started_at, persons: 9 };
    let progress = Progress::begin(found, SeenIn::Calls, started_at);
    broker.engine.restore_incident(&"net".parse().unwrap(), &"default".parse().unwrap(), progress, &[]);
    told.find_dead(tokens[1], Reason::NotAccepted).await;
    broker.watch_incidents().await.unwrap();
    told.watched.clock.advance(SETTLES_WITHIN);
    told.work().await;
    let opened = ["Many Net tokens fail at once"; 2];
    assert_eq!(told.subjects(), opened, "one to the operators, and one to the owner");
    let dropped = broker.store.list_outbox(OutboxState::Dropped, None, 10).await.unwrap();
    assert!(dropped.len() >= 2, "{dropped:?}");
    assert!(dropped.iter().all(|row| row.last_error.as_deref() == Some("it is part of an incident")), "{dropped:?}");
    let incident = broker.store.list_incidents(IncidentFilter::default(), 1).await.unwrap().remove(0);
    broker.close_incident(&Caller::Broker, incident.id, Outcome::Lost, "").await.unwrap();
    broker.watch_incidents().await.unwrap();
    told.pass(Duration::from_secs(7200)).await;
    let (over, lost) = ("The incident at Net is over: its tokens are lost", "2 Net tokens do not work any more");
    let mut subjects = told.subjects().split_off(2);
    // Each destination has its own lane: which one is first is chance.
    subjects.sort_unstable();
    assert_eq!(subjects, [lost, lost, over], "the owner hears of it by the tokens");
    // What happens later is said of each again.
    told.invalidate(tokens[2], Reason::PasswordChanged).await;
    told.work().await;
    assert_eq!(told.subjects().len(), 7);
}

#[tokio::test]
async fn a_loss_that_canaries_prove_is_told_to_who_can_mend_it_while_the_incident_is_open() {
    let mut told = Told::start().await;
    told.member(1, Role::Owner).await;
    told.member(2, Role::Member).await;
    let broker = told.watched.broker.clone();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(told.watched.add_granted_token("member2@example.com").await.token.id);
    }
    told.watched.clock.advance(Duration::from_secs(60));
    let started_at = told.watched.clock.now();
    let found = Detected { kind: IncidentKind::NetworkReset, started_at, persons: 9 };
    let mut progress = Progress::begin(found, SeenIn::Calls, started_at);
    let (network, app) = ("net".parse().unwrap(), "default".parse().unwrap());
    broker.engine.restore_incident(&network, &app, progress, &[]);
    for token in &tokens[..2] {
        told.find_dead(*token, Reason::NotAccepted).await;
    }
    broker.watch_incidents().await.unwrap();
    progress.recovery.final_refusals = 3;
    broker.engine.restore_incident(&network, &app, progress, &[]);
    broker.watch_incidents().await.unwrap();
    told.watched.clock.advance(Duration::from_secs(1200));
    told.work().await;
    let incidents = broker.store.list_incidents(IncidentFilter::default(), 10).await.unwrap();
    assert!(incidents.len() == 1 && incidents[0].closed.is_none(), "{incidents:?}");
    let mails: Vec<_> = told.mails.sent().into_iter().filter(|mail| mail.to == "member2@example.com").collect();
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(mail.subject, "2 Net tokens do not work any more");
    for part in
        ["reset its tokens", "Reconnect the accounts", "https://tokens.example.com/tokens?status=dead&network=net"]
    {
        assert!(mail.text.contains(part), "{part}: {}", mail.text);
    }
}

#[tokio::test]
async fn an_end_that_comes_near_in_an_incident_is_told_after_it() {
    let mut told = Told::start().await;
    let broker = told.watched.broker.clone();
    let end = told.watched.clock.now() + DAY * 8;
    told.watched.add_token(Clocks { access_expires_at: Some(end), ..Clocks::default() }).await;
    told.watched.clock.advance(Duration::from_secs(60));
    let started_at = told.watched.clock.now();
    let progress = Progress::begin(
        Detected { kind: IncidentKind::ProviderOutage, started_at, persons: 9 },
        SeenIn::Calls,
        started_at,
    );
    broker.engine.restore_incident(&"net".parse().unwrap(), &"default".parse().unwrap(), progress, &[]);
    broker.watch_incidents().await.unwrap();
    told.pass(DAY * 2).await;
    assert_eq!(told.subjects(), ["Net is down"]);
    let incident = broker.store.list_incidents(IncidentFilter::default(), 1).await.unwrap().remove(0);
    broker.close_incident(&Caller::Broker, incident.id, Outcome::Recovered, "").await.unwrap();
    broker.watch_incidents().await.unwrap();
    told.pass(Duration::from_secs(7200)).await;
    let subjects = told.subjects();
    assert!(subjects.iter().any(|subject| subject.ends_with("ends within 7 days")), "{subjects:?}");
}

#[tokio::test]
async fn the_end_of_an_incident_is_told_to_whom_its_beginning_was_told() {
    let (mut told, awake, sleeper) = Told::in_an_outage().await;
    told.end_incident(Outcome::Recovered).await;
    told.pass(Duration::from_secs(6 * 3600)).await;
    let over = "The incident at Net is over: its tokens are let through again";
    assert_eq!(told.mailed_to(&awake), ["Net is down", over]);
    assert_eq!(told.mailed_to(&sleeper), Vec::<String>::new(), "it slept over all of it");
}

#[tokio::test]
async fn a_loss_is_told_also_to_whom_its_beginning_was_not_told() {
    let mut told = Told::start().await;
    told.destination(DestinationKind::Webhook, "https://hooks.example/webhook", &[SECRET]).await.unwrap();
    told.watched.add_token(Clocks::default()).await;
    for outcome in [Outcome::Recovered, Outcome::Lost] {
        told.watched.clock.advance(Duration::from_secs(600));
        told.posts.be_down(true);
        told.incident(IncidentKind::NetworkReset).await;
        told.watched.clock.advance(Duration::from_secs(600));
        told.end_incident(outcome).await;
        told.posts.be_down(false);
        told.pass(Duration::from_secs(2 * 3600)).await;
    }
    let bodies = told.posts.arrived().into_iter().map(|post| serde_json::from_slice(&post.body).unwrap());
    let said: Vec<serde_json::Value> =
        bodies.filter(|body: &serde_json::Value| body["type"] == "incident_closed").collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["data"]["lost"], "platform_reset");
}

#[tokio::test]
async fn what_an_incident_was_taken_for_is_told_to_whom_that_was_told() {
    let (mut told, awake, sleeper) = Told::in_an_outage().await;
    told.incident(IncidentKind::NetworkReset).await;
    told.pass(Duration::from_secs(5 * 3600)).await;
    let reset = "Many Net tokens fail at once";
    assert_eq!(told.mailed_to(&awake), ["Net is down", reset]);
    assert_eq!(told.mailed_to(&sleeper), [reset]);
    let of = |member: &Member| {
        told.mails.sent().into_iter().rfind(|mail| mail.to == member.mail.as_str()).map(|mail| mail.text).unwrap()
    };
    assert!(of(&awake).contains("Until now it was taken for"), "{}", of(&awake));
    assert!(!of(&sleeper).contains("Until now it was taken for"), "{}", of(&sleeper));
    // It heard what it was found to be, so it hears that it is over.
    told.end_incident(Outcome::Recovered).await;
    assert_eq!(told.mailed_to(&sleeper).len(), 2, "{:?}", told.subjects());
}
