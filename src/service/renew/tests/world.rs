//! Renewals against the simulated networks, over HTTP: they judge what the broker does with refresh tokens.

use std::net::SocketAddr;
use std::sync::Mutex;

use tokio::net::TcpListener;

use super::*;
use crate::base::ids::KindId;
use crate::base::tasks::Tasks;
use crate::domain::networks::{Renewal, Rotation};
use crate::outbound::authorities::Authorities;
use crate::outbound::http::{HttpClient, TIMEOUT};
use crate::service::testing::{catalogue_of, connect_bound, set_client_key};
use crate::sim::{CallRequest, Denial, Fault, NetworkFault, Ruling, Simulation, TokenSpec, Unwired, serve_on};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A broker among simulated networks, with a token of each kind that can be renewed.
struct Stage {
    test: TestBroker,
    team: TeamId,
    simulation: Arc<Simulation>,
    /// Serves the simulation.
    serving: Tasks,
    tokens: Vec<Held>,
}

/// A token, and who granted it at the simulated network.
struct Held {
    token: TokenId,
    network: Arc<Network>,
    kind: KindId,
    person: String,
}

impl Held {
    fn kind(&self) -> &TokenKind {
        self.network.kind(self.kind.as_str()).unwrap()
    }
}

impl Stage {
    /// Sets the stage with the tokens that `wanted` picks.
    async fn set(wanted: impl Fn(&Network, &TokenKind) -> bool) -> Self {
        Self::set_by(wanted, |_, _| Arc::new(HttpClient::new(&Authorities::default()).unwrap())).await
    }

    /// The same, with the broker asking the networks, which are as if behind an address, by what `by` makes.
    async fn set_by(
        wanted: impl Fn(&Network, &TokenKind) -> bool,
        by: impl FnOnce(&Arc<Simulation>, SocketAddr) -> Arc<dyn NetworkClient>,
    ) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let simulated = Catalogue::embedded();
        let simulation = Arc::new(Simulation::new(simulated.iter().cloned(), clock.clone(), 5).unwrap());
        let serving = Tasks::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = serve_on(listener, simulation.clone(), &serving).unwrap();
        let world = World { catalogue: catalogue_of(&simulation, address), endpoint: by(&simulation, address) };
        let test = TestBroker::start_in(world, Config::default(), clock).await;
        let team = test.team("acme").await;
        let mut stage = Self { test, team, simulation, serving, tokens: Vec::new() };
        for network in simulated.iter() {
            let kinds = network.kinds.iter().filter(|kind| is_renewable(kind, TokenState::Live, true));
            let kinds: Vec<_> = kinds.filter(|kind| wanted(network, kind)).collect();
            if network.takes_client_keys() && !kinds.is_empty() {
                set_client_key(&stage.test, &stage.simulation, &network.id).await;
            } else if !kinds.is_empty() {
                set_client(&stage.test, network.id.as_str()).await;
            }
            for kind in kinds {
                stage.add(network, kind).await;
            }
        }
        stage
    }

    /// A person grants a token, which is given to the broker.
    async fn add(&mut self, network: &Arc<Network>, kind: &TokenKind) {
        let person = format!("person-{}-{}", network.id, kind.id);
        if kind.is_bound() {
            let connected =
                connect_bound(&self.test, &self.simulation, &self.team, (&network.id, kind), &person, None).await;
            let token = connected.unwrap();
            return self.tokens.push(Held { token, network: network.clone(), kind: kind.id.clone(), person });
        }
        let (access, refresh) = (format!("access-{person}"), format!("refresh-{person}"));
        let refreshed = matches!(kind.renewal, Renewal::RefreshToken { .. });
        let ends = kind.access_validity.map(|life| START + life);
        let mut spec = TokenSpec::of_kind(network, &kind.id, &access, &person);
        spec.refresh_secret = refreshed.then(|| refresh.clone());
        spec.expires_at = ends;
        let refresh_ends = kind.refresh_validity.filter(|_| refreshed).map(|life| START + life);
        let given = AddToken {
            network: network.id.to_string(),
            kind: kind.id.to_string(),
            scopes: spec.scopes.clone(),
            clocks: Clocks { access_expires_at: ends, refresh_expires_at: refresh_ends, ..Clocks::default() },
            access: Secret::new(access),
            refresh: refreshed.then(|| Secret::new(refresh)),
            ..x_token(&person)
        };
        self.simulation.add_token(&network.id, spec).unwrap();
        let token = self.test.broker.add_token(&self.test.admin, &self.team, given).await.unwrap().token.id;
        self.tokens.push(Held { token, network: network.clone(), kind: kind.id.clone(), person });
    }

    /// Lets time pass until `end`, renewing whatever becomes due.
    async fn live_until(&self, end: Timestamp) {
        loop {
            let mut next = end;
            for held in &self.tokens {
                next = next.min(stored(&self.test, held.token).await.renewal.due_at.unwrap_or(end));
            }
            if next >= end {
                break;
            }
            self.test.clock.set(next);
            renew_due(&self.test).await;
        }
        self.test.clock.set(end);
    }

    /// Whether the network serves calls with the access token that the broker has.
    async fn is_served(&self, held: &Held) -> bool {
        let (secret, _) = opened(&self.test, &stored(&self.test, held.token).await);
        let operation = held.network.operations.iter().find(|operation| operation.allows(&held.kind)).unwrap();
        let call = CallRequest {
            network: &held.network.id,
            secret: &secret,
            operation: Some(&operation.id),
            profile: None,
            key: "",
            address: "",
        };
        let alive = [Denial::ScopeMissing, Denial::WrongKind, Denial::NoSuchOperation];
        match self.simulation.call(&call).unwrap().ruling {
            Ruling::Denied(denial) => alive.contains(&denial),
            Ruling::Judged(_) | Ruling::NotCounted => true,
        }
    }

    fn fault(&self, held: &Held, fault: Fault) {
        self.simulation.inject(&NetworkFault { network: held.network.id.clone(), fault }).unwrap();
    }

    /// Lets the next renewal of a token fall due, and what is due be renewed.
    async fn next_renewal(&self, held: &Held) -> Result<(), Option<Timestamp>> {
        let before = stored(&self.test, held.token).await;
        self.test.clock.set(before.renewal.due_at.ok_or(None)?);
        renew_due(&self.test).await;
        let after = stored(&self.test, held.token).await;
        if after.token.version > before.token.version { Ok(()) } else { Err(after.renewal.due_at) }
    }

    async fn stop(self) {
        self.test.stop().await;
        self.serving.stop();
        assert!(self.serving.join(Duration::from_secs(10)).await);
    }
}

fn rotation(kind: &TokenKind) -> Option<Rotation> {
    match kind.renewal {
        Renewal::RefreshToken { rotation, .. } => Some(rotation),
        _ => None,
    }
}

/// Lives on with the kinds of which `wanted` is true, over `span`, and has the networks judge.
async fn all_live_for(span: Duration, wanted: impl Fn(Duration) -> bool, kinds: usize) {
    let stage = Stage::set(|_, kind| kind.access_validity.is_some_and(&wanted)).await;
    assert_eq!(stage.tokens.len(), kinds);
    stage.live_until(START + span).await;
    for held in &stage.tokens {
        assert!(stage.is_served(held).await, "{} {}", held.network.id, held.kind);
        let stored = stored(&stage.test, held.token).await;
        assert_eq!((stored.token.state, stored.renewal.failures), (TokenState::Live, 0), "{}", held.network.id);
    }
    stage.stop().await;
}

#[tokio::test]
async fn tokens_of_hours_and_days_live_for_a_month() {
    all_live_for(30 * DAY, |life| life > 2 * HOUR, 8).await;
}

/// Forty times their life and more.
#[tokio::test]
async fn tokens_of_an_hour_live_for_days() {
    all_live_for(3 * DAY, |life| life <= 2 * HOUR, 6).await;
}

/// A self-renewing token of 60 days, and a grant of a year.
#[tokio::test]
async fn long_lived_tokens_live_for_ten_months() {
    let long = |kind: &TokenKind| kind.access_validity.is_some_and(|life| life > 20 * DAY);
    let stage = Stage::set(|_, kind| long(kind)).await;
    stage.live_until(START + 300 * DAY).await;
    for held in &stage.tokens {
        assert!(stage.is_served(held).await, "{} {}", held.network.id, held.kind);
    }
    stage.stop().await;
}

#[tokio::test]
async fn no_page_and_no_error_of_a_server_ends_a_token() {
    let stage = Stage::set(|_, kind| kind.access_validity.is_some()).await;
    for held in &stage.tokens {
        stage.fault(held, Fault::HtmlPages { share: 0.5, status: 503, counted: false });
        stage.fault(held, Fault::ServerErrors { share: 0.5, status: 500, counted: false });
    }
    stage.live_until(START + DAY / 2).await;
    for held in &stage.tokens {
        stage.fault(held, Fault::Calm);
    }
    // One that lives for a quarter of an hour may have ended meanwhile: the longest pause after it lives again.
    stage.live_until(START + DAY / 2 + Duration::from_secs(15 * 60)).await;
    for held in &stage.tokens {
        assert!(stage.is_served(held).await, "{} {}", held.network.id, held.kind);
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_page_that_says_too_many_requests_ends_no_token_and_costs_no_grant() {
    let stage = Stage::set(|_, kind| kind.access_validity.is_some()).await;
    // The soonest first: the clock leaps, and must leap over no token's end that is still to come.
    let mut in_turn = Vec::new();
    for held in &stage.tokens {
        in_turn.push((stored(&stage.test, held.token).await.renewal.due_at, held));
    }
    in_turn.sort_by_key(|(due_at, _)| *due_at);
    for (_, held) in in_turn {
        stage.fault(held, Fault::HtmlPages { share: 1.0, status: 429, counted: false });
        let tried = stage.next_renewal(held).await;
        assert!(tried.is_err_and(|retry| retry.is_some()), "{}: {tried:?}", held.network.id);
        let after = stored(&stage.test, held.token).await;
        // One that is tried again at once has failed twice by now.
        assert!(after.token.state == TokenState::Live && after.renewal.failures > 0, "{}: {after:?}", held.network.id);
        stage.fault(held, Fault::Calm);
        stage.next_renewal(held).await.unwrap_or_else(|retry| panic!("{} {retry:?}", held.network.id));
        assert!(stage.is_served(held).await, "{} {}", held.network.id, held.kind);
    }
    stage.stop().await;
}

/// The way to networks that answer late: it waits as long as the real one, on a clock that runs only while nothing else is done. It judges who
/// shows which refresh token when.
struct Late {
    networks: Unwired,
    one: tokio::sync::Mutex<()>,
    under_way: Mutex<Vec<String>>,
    shown: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl NetworkClient for Late {
    async fn ask(&self, request: &NetworkRequest) -> Result<NetworkAnswer, NoAnswer> {
        let request = request.written();
        let form: Vec<(String, String)> = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let refresh = form.into_iter().find(|(name, _)| name == "refresh_token").map(|(_, value)| value);
        if let Some(refresh) = &refresh {
            let mut under_way = self.under_way.lock().unwrap();
            assert!(!under_way.contains(refresh), "a refresh token is shown by two at once");
            under_way.push(refresh.clone());
            self.shown.lock().unwrap().push(refresh.clone());
        }
        // Others may ask while this one is on its way.
        tokio::task::yield_now().await;
        let one = self.one.lock().await;
        tokio::time::pause();
        let answer = tokio::time::timeout(TIMEOUT, self.networks.answer(request)).await;
        tokio::time::resume();
        drop(one);
        self.under_way.lock().unwrap().retain(|other| Some(other) != refresh.as_ref());
        let response = answer.ok().flatten().ok_or(NoAnswer::Lost)?;
        let body = Zeroizing::new(response.body().to_vec());
        Ok(NetworkAnswer { status: response.status().as_u16(), headers: Vec::new(), body })
    }
}

#[tokio::test]
async fn an_answer_that_comes_after_the_wait_for_it_is_as_good_as_lost() {
    for (network, stays) in [("youtube", true), ("x", false)] {
        let late: Arc<std::sync::OnceLock<Arc<Late>>> = Arc::default();
        let wire = late.clone();
        let stage = Stage::set_by(
            |of, _| of.id.as_str() == network,
            move |simulation, address| {
                let networks = Unwired::new(simulation.clone(), address);
                wire.get_or_init(|| {
                    Arc::new(Late {
                        networks,
                        one: Default::default(),
                        under_way: Mutex::default(),
                        shown: Mutex::default(),
                    })
                })
                .clone()
            },
        )
        .await;
        let (held, shown) = (&stage.tokens[0], || late.get().unwrap().shown.lock().unwrap().clone());
        let end = stored(&stage.test, held.token).await.token.clocks.access_expires_at.unwrap();
        stage.fault(held, Fault::Delays { share: 1.0, millis: 60_000 });
        let retry = stage.next_renewal(held).await.unwrap_err().unwrap();
        let begun = stored(&stage.test, held.token).await;
        assert_eq!((begun.token.state, begun.renewal.begun_at.is_some()), (TokenState::Live, true), "{network}");
        assert_eq!(shown().len(), 1);
        stage.fault(held, Fault::Calm);
        if stays {
            assert!(retry.since(stage.test.clock.now()) <= Duration::from_secs(1), "within any grace");
            stage.next_renewal(held).await.unwrap();
            assert!(stage.is_served(held).await);
            assert_eq!(shown().len(), 2);
        } else {
            // It was renewed meanwhile, and works once: the access token serves as long as it may, then it is tried once more.
            assert_eq!(retry, end - Duration::from_secs(600));
            stage.live_until(end - Duration::from_secs(601)).await;
            let waiting = stored(&stage.test, held.token).await.token.state;
            assert_eq!((shown().len(), waiting), (1, TokenState::Live));
            stage.live_until(end + DAY).await;
            let dead = stored(&stage.test, held.token).await.token.state;
            assert!(matches!(dead, TokenState::Invalid { reason: Reason::RefreshRejected, .. }), "{dead:?}");
            assert_eq!(shown().iter().filter(|refresh| **refresh == shown()[0]).count(), shown().len());
        }
        stage.stop().await;
    }
}

#[tokio::test]
async fn a_lost_answer_costs_nothing_where_refresh_tokens_stay() {
    let stage = Stage::set(|_, kind| rotation(kind) == Some(Rotation::Static)).await;
    for held in &stage.tokens {
        stage.fault(held, Fault::DropReplies { share: 1.0 });
        let retry = stage.next_renewal(held).await.unwrap_err().unwrap();
        let begun = stored(&stage.test, held.token).await.renewal;
        assert_eq!((begun.failures, begun.begun_at.is_some()), (1, true), "{}", held.network.id);
        assert!(retry.since(stage.test.clock.now()) <= Duration::from_secs(1));
        stage.fault(held, Fault::Calm);
        stage.next_renewal(held).await.unwrap();
        assert!(stage.is_served(held).await, "{}", held.network.id);
    }
    stage.stop().await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_at_once_where_they_rotate() {
    let stage = Stage::set(|network, _| network.id.as_str() == "tiktok").await;
    let held = &stage.tokens[0];
    stage.fault(held, Fault::DropReplies { share: 1.0 });
    let retry = stage.next_renewal(held).await.unwrap_err().unwrap();
    assert!(retry.since(stage.test.clock.now()) <= Duration::from_secs(1), "within any grace");
    stage.fault(held, Fault::Calm);
    // This network has no grace: the grant is lost, and that is said for the right reason.
    assert_eq!(stage.next_renewal(held).await, Err(None));
    let dead = stored(&stage.test, held.token).await.token.state;
    assert!(matches!(dead, TokenState::Invalid { reason: Reason::RefreshRejected, .. }), "{dead:?}");
    stage.stop().await;
}

#[tokio::test]
async fn what_works_once_is_not_shown_again_while_the_access_token_serves() {
    for lost in [Fault::DropReplies { share: 1.0 }, Fault::HtmlPages { share: 1.0, status: 503, counted: false }] {
        let stage = Stage::set(|network, _| network.id.as_str() == "x").await;
        let held = &stage.tokens[0];
        let was_renewed = matches!(lost, Fault::DropReplies { .. });
        stage.fault(held, lost);
        let end = stored(&stage.test, held.token).await.token.clocks.access_expires_at.unwrap();
        let retry = stage.next_renewal(held).await.unwrap_err();
        assert_eq!(retry, Some(end - Duration::from_secs(600)));
        stage.fault(held, Fault::Calm);
        let last_call = stage.next_renewal(held).await;
        assert!(stage.test.clock.now() < end);
        if !was_renewed {
            last_call.unwrap();
            assert!(stage.is_served(held).await);
            stage.stop().await;
            continue;
        }
        // It was renewed, and the answer is lost: the refusal is believed once the access token is over, too.
        assert_eq!(stored(&stage.test, held.token).await.token.state, TokenState::Live);
        stage.live_until(end + DAY).await;
        let dead = stored(&stage.test, held.token).await.token.state;
        assert!(matches!(dead, TokenState::Invalid { reason: Reason::RefreshRejected, .. }), "{dead:?}");
        stage.stop().await;
    }
}

#[tokio::test]
async fn a_dead_grant_is_found_out_and_nobody_else_is_blamed() {
    let stage = Stage::set(|_, kind| rotation(kind).is_some() && kind.access_validity.is_some()).await;
    for held in &stage.tokens {
        stage.fault(held, Fault::ChangePassword { person: held.person.clone() });
    }
    stage.live_until(START + 45 * DAY).await;
    for held in &stage.tokens {
        let state = stored(&stage.test, held.token).await.token.state;
        // LinkedIn's grants of 60 days are over the day after tomorrow, and its refusal is in doubt until then.
        let long = held.kind().access_validity.unwrap() > 45 * DAY;
        let dead = matches!(state, TokenState::Invalid { reason: Reason::RefreshRejected, .. });
        assert!(dead || (long && state == TokenState::Live), "{} {state:?}", held.network.id);
    }
    stage.stop().await;
}
