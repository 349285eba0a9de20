//! What people are told of tokens that are renewed, as it arrives: each trouble once, its end once, and nothing of what nobody noticed.

use super::*;
use crate::domain::incident::{Detected, IncidentKind, Outcome as Closing, Progress, SeenIn};
use crate::domain::notice::DestinationKind;
use crate::outbound::post::FakePost;
use crate::service::notices::CreateDestination;
use crate::store::{IncidentFilter, TokenChange, Trail};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A broker with a token at X that ends in two hours, and a receiver of all that its team is told.
struct Stage {
    test: TestBroker,
    team: TeamId,
    token: TokenId,
    posts: Arc<FakePost>,
}

impl Stage {
    async fn set() -> Self {
        Self::of(TestBroker::start().await).await
    }

    async fn of(test: TestBroker) -> Self {
        let (test, team, token) = with_token(test).await;
        let posts = Arc::new(FakePost::default());
        test.broker.notices.post_through(posts.clone());
        let ask = CreateDestination {
            team: team.clone(),
            display_name: String::new(),
            kind: DestinationKind::Webhook,
            target: Secret::new("https://hooks.example/told".to_owned()),
            secrets: vec![Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())],
            events: Some(crate::domain::notice::Kind::ALL.into_iter().collect()),
        };
        test.broker.create_destination(&test.admin, ask).await.unwrap();
        Self { test, team, token, posts }
    }

    /// What is due is renewed, looked at, told and sent.
    async fn work(&self) {
        renew_due(&self.test).await;
        self.find().await;
        self.test.broker.deliver_due().await.unwrap();
    }

    /// What is due is looked at and told, but nothing can be sent.
    async fn find(&self) {
        self.test.broker.look_at_expiries().await.unwrap();
        self.test.broker.tell_events().await.unwrap();
    }

    /// Lets that much time pass, in minutes that are not quite even.
    async fn pass(&self, span: Duration) {
        for _ in 0..span.as_secs() / 60 {
            self.test.clock.advance(MINUTE + Duration::from_micros(137));
            self.work().await;
        }
    }

    /// The network answers again, as often as it may be asked.
    fn network_is_back(&self) {
        for _ in 0..20 {
            self.test.endpoint.answer_next(answer(200, GOOD));
        }
    }

    async fn invalidate(&self, reason: Reason) {
        self.test.broker.invalidate_token(&self.test.admin, &self.team, self.token, reason, "").await.unwrap();
        self.test.broker.hasten_renewal(&stored(&self.test, self.token).await.token).await.unwrap();
    }

    /// The bodies that arrived, one for each notice.
    fn arrived(&self) -> Vec<serde_json::Value> {
        let bodies = self.posts.attempts().into_iter().map(|post| serde_json::from_slice(&post.body).unwrap());
        bodies
            .flat_map(|body: serde_json::Value| match &body["data"]["events"] {
                serde_json::Value::Array(events) => events.clone(),
                _ => vec![body],
            })
            .collect()
    }

    /// The kinds of what arrived, with the days of ends.
    fn told(&self) -> Vec<String> {
        let name = |body: serde_json::Value| match body["data"]["within_days"].as_u64() {
            Some(days) => format!("{} {days}", body["type"].as_str().unwrap()),
            None => body["type"].as_str().unwrap().to_owned(),
        };
        self.arrived().into_iter().map(name).collect()
    }
}

#[tokio::test]
async fn an_outage_that_outlives_a_token_is_told_in_time_at_the_end_and_when_it_is_over() {
    let stage = Stage::set().await;
    stage.pass(119 * MINUTE).await;
    assert_eq!(stage.told(), ["token_expiring 1"], "before the end, and when it is no passing trouble");
    let arrived = stage.arrived().remove(0);
    let why = arrived["data"]["why"].as_str().unwrap();
    assert!(why.starts_with("Renewing it has not gone well"), "{why}");
    stage.pass(3 * HOUR).await;
    assert_eq!(stage.told(), ["token_expiring 1", "token_expired"]);
    stage.network_is_back();
    stage.pass(HOUR).await;
    assert_eq!(stage.told(), ["token_expiring 1", "token_expired", "token_renewed"]);
    stage.pass(5 * HOUR).await;
    assert_eq!(stage.told().len(), 3, "renewals that go well are no news: {:?}", stage.told());
    stage.test.stop().await;
}

#[tokio::test]
async fn trouble_that_ends_in_time_is_told_once_each_time() {
    let stage = Stage::set().await;
    let mut told = Vec::new();
    for _ in 0..2 {
        stage.pass(115 * MINUTE).await;
        told.push("token_expiring 1");
        assert_eq!(stage.told(), told);
        stage.test.endpoint.answer_next(answer(200, GOOD));
        stage.pass(17 * MINUTE).await;
        told.push("token_renewed");
        assert_eq!(stage.told(), told);
    }
    stage.test.stop().await;
}

#[tokio::test]
async fn trouble_that_nobody_was_told_of_is_over_without_a_word() {
    let stage = Stage::set().await;
    // Renewals fail for some minutes, more often than it takes to be trouble.
    while stored(&stage.test, stage.token).await.renewal.failures < 5 {
        stage.pass(MINUTE).await;
    }
    stage.network_is_back();
    stage.pass(10 * MINUTE).await;
    assert_eq!(stored(&stage.test, stage.token).await.token.version, 2);
    // A report says that it is expired; a renewal heals that at once.
    stage.invalidate(Reason::Expired).await;
    stage.pass(5 * MINUTE).await;
    assert_eq!(stored(&stage.test, stage.token).await.token.state, TokenState::Live);
    // It is in doubt for hours, which is told to nobody either.
    let before = stored(&stage.test, stage.token).await.token;
    let suspect = Token { state: TokenState::Suspect { since: stage.test.clock.now() }, ..before.clone() };
    let change = TokenChange {
        expected_version: before.version,
        expected_state: before.state,
        token: suspect,
        secrets: None,
        trail: Trail::from(stage.test.broker.audit(&stage.test.admin, "token.state", "a".to_owned(), String::new())),
        revocation: None,
        alerts: Vec::new(),
    };
    stage.test.broker.store.change_token(change).await.unwrap();
    stage.pass(3 * HOUR).await;
    let healed = stored(&stage.test, stage.token).await.token;
    assert_eq!((healed.state, healed.version > before.version), (TokenState::Live, true));
    assert_eq!(stage.told(), Vec::<String>::new());
    stage.test.stop().await;
}

#[tokio::test]
async fn a_token_that_was_called_dead_and_is_renewed_works_again() {
    let stage = Stage::set().await;
    stage.pass(MINUTE).await;
    stage.invalidate(Reason::NotAccepted).await;
    stage.pass(10 * MINUTE).await;
    assert_eq!(stage.told(), ["token_invalid"]);
    stage.network_is_back();
    stage.pass(20 * MINUTE).await;
    assert_eq!(stage.told(), ["token_invalid", "token_renewed"]);
    // What was told of earlier secrets is no reason to tell that later ones work.
    stage.pass(HOUR).await;
    stage.invalidate(Reason::NotAccepted).await;
    stage.pass(HOUR).await;
    assert_eq!(stage.told().len(), 2, "{:?}", stage.told());
    stage.test.stop().await;
}

#[tokio::test]
async fn who_did_not_hear_of_the_trouble_does_not_hear_of_its_end() {
    let stage = Stage::set().await;
    // The trouble is found and told, but the receiver can't be reached until it is over.
    for _ in 0..6 * 60 {
        stage.test.clock.advance(MINUTE);
        renew_due(&stage.test).await;
        stage.find().await;
    }
    stage.network_is_back();
    for _ in 0..20 {
        stage.test.clock.advance(MINUTE);
        renew_due(&stage.test).await;
        stage.find().await;
    }
    stage.pass(HOUR).await;
    assert_eq!(stored(&stage.test, stage.token).await.token.state, TokenState::Live);
    assert_eq!(stage.told(), Vec::<String>::new());
    stage.test.stop().await;
}

#[tokio::test]
async fn what_falls_due_in_an_incident_is_told_after_it() {
    let stage = Stage::of(TestBroker::start().await).await;
    let (test, team) = (&stage.test, &stage.team);
    let clocks = Clocks { consented_at: Some(START), refresh_expires_at: Some(START + 32 * DAY), ..Clocks::default() };
    let scopes = ["r_organization_social", "rw_organization_admin"].map(str::to_owned).to_vec();
    let linkedin = AddToken { network: "linkedin".to_owned(), scopes, clocks, ..x_token("bea") };
    test.broker.add_token(&test.admin, team, linkedin).await.unwrap();
    let scopes = vec!["https://www.googleapis.com/auth/youtube.readonly".to_owned()];
    let youtube = AddToken { network: "youtube".to_owned(), scopes, ..x_token("cid") };
    let youtube = test.broker.add_token(&test.admin, team, youtube).await.unwrap().token.id;
    test.broker.revoke_token(&test.admin, team, stage.token, "").await.unwrap();
    let days = async |days: u32| {
        for _ in 0..days {
            test.clock.advance(DAY);
            test.broker.watch_tokens().await.unwrap();
            stage.find().await;
            test.broker.deliver_due().await.unwrap();
        }
    };
    test.clock.advance(HOUR);
    test.broker.invalidate_token(&test.admin, team, youtube, Reason::PasswordChanged, "").await.unwrap();
    days(1).await;
    let told = ["token_invalid", "retention_clock"];
    assert_eq!(stage.told(), told);
    for network in ["linkedin", "youtube"] {
        let found = Detected { kind: IncidentKind::ProviderOutage, started_at: test.clock.now(), persons: 9 };
        let progress = Progress::begin(found, SeenIn::Calls, test.clock.now());
        test.broker.engine.restore_incident(&network.parse().unwrap(), &default_app(), progress, &[]);
    }
    test.broker.watch_incidents().await.unwrap();
    let open = IncidentFilter { open: Some(true), ..IncidentFilter::default() };
    let open = test.broker.store.list_incidents(open, 9).await.unwrap();
    let [incident] = &open[..] else { panic!("of one no token is left: {open:?}") };
    days(3).await;
    let meanwhile = stage.told().split_off(told.len());
    let of_tokens = |kind: &&String| !["incident_opened", "retention_clock"].contains(&kind.as_str());
    assert_eq!(meanwhile.iter().find(of_tokens), None, "nobody hears of its tokens: {meanwhile:?}");
    test.broker.close_incident(&test.admin, incident.id, Closing::Recovered, "").await.unwrap();
    test.broker.watch_incidents().await.unwrap();
    days(1).await;
    let mut after = stage.told().split_off(told.len());
    after.sort();
    assert_eq!(after, ["incident_closed", "incident_opened", "needs_reconnecting", "retention_clock"]);
    stage.test.stop().await;
}

/// A grant whose remaining life the network tells with each renewal, in whole seconds, on a clock that has microseconds.
#[tokio::test]
async fn a_grant_that_is_renewed_in_its_last_days_is_told_of_each_threshold_once() {
    let clock = Arc::new(ManualClock::at(START + Duration::from_micros(654_321)));
    let stage = Stage::of(TestBroker::start_by(Config::default(), clock).await).await;
    let test = &stage.test;
    test.broker.revoke_token(&test.admin, &stage.team, stage.token, "").await.unwrap();
    set_client(test, "linkedin").await;
    let end = test.clock.now() + 33 * DAY + HOUR / 2;
    let clocks = Clocks {
        access_expires_at: Some(end),
        refresh_expires_at: Some(end),
        consented_at: Some(test.clock.now()),
        ..Clocks::default()
    };
    let scopes = ["r_organization_social", "rw_organization_admin"].map(str::to_owned).to_vec();
    let given = AddToken { network: "linkedin".to_owned(), scopes, clocks, ..x_token("bea") };
    let token = test.broker.add_token(&test.admin, &stage.team, given).await.unwrap().token.id;
    for hour in 0..35 * 24_u32 {
        test.clock.advance(HOUR + Duration::from_micros(99_991));
        let left = end.since(test.clock.now()).as_secs();
        if hour % 3 == 0 && left > 0 {
            let body = format!(
                r#"{{"access_token":"access-{hour}","expires_in":{left},"refresh_token":"kept","refresh_token_expires_in":{left}}}"#
            );
            test.endpoint.answer_next(answer(200, &body));
            test.broker.renew_token(&test.admin, &stage.team, token).await.unwrap();
        }
        test.broker.watch_tokens().await.unwrap();
        stage.work().await;
    }
    let expected = ["needs_reconnecting", "token_expiring 7", "token_expiring 3", "token_expiring 1", "token_expired"];
    assert_eq!(stage.told(), expected);
    assert!(stored(test, token).await.token.version > 200);
    stage.test.stop().await;
}

#[tokio::test]
async fn a_scope_that_is_missing_is_told_once_however_often_the_token_is_renewed() {
    let required = concat!(
        "\n[[requirements]]\nscopes = [\"new.read\"]\nabout = \"Posts are read with it.\"\n",
        "verified = \"documented\"\n"
    );
    let text = format!("{}{required}", Catalogue::built_in("x.toml").unwrap());
    let endpoint = Arc::new(crate::outbound::http::FakeClient::default());
    let catalogue = Catalogue::load(&[("x.toml".to_owned(), text)]).unwrap();
    let world = World { catalogue, endpoint: endpoint.clone() };
    let clock = Arc::new(ManualClock::at(START));
    let mut test = TestBroker::start_in(world, Config::default(), clock).await;
    test.endpoint = endpoint;
    let stage = Stage::of(test).await;
    for _ in 0..20 {
        stage.test.endpoint.answer_next(answer(200, GOOD));
        stage.test.broker.renew_token(&stage.test.admin, &stage.team, stage.token).await.unwrap();
        stage.test.broker.watch_tokens().await.unwrap();
        stage.pass(2 * MINUTE).await;
    }
    assert_eq!(stored(&stage.test, stage.token).await.token.version, 21);
    assert_eq!(stage.told(), ["needs_reconnecting"]);
    stage.test.stop().await;
}
