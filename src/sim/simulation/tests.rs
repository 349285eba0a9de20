//! Tokens, faults and limits of simulated networks, without HTTP.

use std::time::Duration;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::ids::ClassId;
use crate::domain::networks::{Owner, Unit};
use crate::sim::NetworkReport;
use crate::sim::samples::{class, fixed, kind, limit, network};

struct Stage {
    simulation: Simulation,
    clock: Arc<ManualClock>,
    network: NetworkId,
    operation: OperationId,
}

impl Stage {
    /// A network with 5 calls a minute for each person and 8 for the app. Tokens: `a1` and `a2` of anna, `b1` of ben.
    fn set(id: &str, seed: u64) -> Self {
        let limits = vec![limit(Owner::Person, fixed(60), 5), limit(Owner::App, fixed(60), 8)];
        let sample = Arc::new(network(id, vec![class("calls", Unit::QuotaUnits, limits)], Vec::new()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_700_000_000)));
        let simulation = Simulation::new([sample.clone()], clock.clone(), seed).unwrap();
        for (secret, person) in [("a1", "anna"), ("a2", "anna"), ("b1", "ben")] {
            simulation.add_token(&sample.id, token(&sample, secret, person)).unwrap();
        }
        Self { simulation, clock, network: sample.id.clone(), operation: sample.operations[0].id.clone() }
    }

    fn call(&self, secret: &str) -> Answer {
        self.ask(secret, Some(&self.operation))
    }

    fn ask(&self, secret: &str, operation: Option<&OperationId>) -> Answer {
        let request =
            CallRequest { network: &self.network, secret, operation, profile: None, key: "", address: "127.0.0.1" };
        self.simulation.call(&request).unwrap()
    }

    fn inject(&self, fault: Fault) -> Result<(), FaultError> {
        self.simulation.inject(&NetworkFault { network: self.network.clone(), fault })
    }

    fn report(&self) -> NetworkReport {
        self.simulation.report().networks.remove(0)
    }
}

fn token(network: &Network, secret: &str, person: &str) -> TokenSpec {
    TokenSpec::of_kind(network, &kind("user").id, secret, person)
}

fn denial(answer: &Answer) -> Option<Denial> {
    match answer.ruling {
        Ruling::Denied(denial) => Some(denial),
        _ => None,
    }
}

#[test]
fn faults_of_tokens_hit_whom_they_name() {
    let secret = || "a1".to_owned();
    let person = || "anna".to_owned();
    let cases = [
        (Fault::ResetTokens, [Some(Denial::TokensReset); 3]),
        (
            Fault::ChangePassword { person: person() },
            [Some(Denial::PasswordChanged), Some(Denial::PasswordChanged), None],
        ),
        (Fault::RevokeToken { secret: secret() }, [Some(Denial::TokenRevoked), None, None]),
        (Fault::ExpireToken { secret: secret() }, [Some(Denial::TokenExpired), None, None]),
        (Fault::LockPerson { person: person() }, [Some(Denial::PersonLocked), Some(Denial::PersonLocked), None]),
    ];
    for (fault, expected) in cases {
        let stage = Stage::set("x", 1);
        stage.inject(fault.clone()).unwrap();
        let seen = ["a1", "a2", "b1"].map(|secret| denial(&stage.call(secret)));
        assert_eq!(seen, expected, "{fault:?}");
        assert_eq!(stage.report().token_refused, seen.iter().flatten().count() as u64);
    }
}

#[test]
fn a_grant_ends_also_while_its_access_token_is_forgotten() {
    let stage = Stage::set("x", 1);
    stage.inject(Fault::ExpireToken { secret: "a1".to_owned() }).unwrap();
    assert!(stage.simulation.is_intact(&stage.network, "a1"), "a renewal brings it back");
    stage.inject(Fault::ResetTokens).unwrap();
    assert_eq!(denial(&stage.call("a1")), Some(Denial::TokensReset));
    assert!(!stage.simulation.is_intact(&stage.network, "a1"));
    stage.inject(Fault::ExpireToken { secret: "a1".to_owned() }).unwrap();
    assert_eq!(denial(&stage.call("a1")), Some(Denial::TokensReset), "what ended the grant stays");
}

#[test]
fn an_unlocked_person_and_a_renewed_token_work_again() {
    let stage = Stage::set("x", 1);
    stage.inject(Fault::LockPerson { person: "anna".to_owned() }).unwrap();
    stage.inject(Fault::UnlockPerson { person: "anna".to_owned() }).unwrap();
    assert!(stage.call("a1").is_admitted());
    stage.inject(Fault::ResetTokens).unwrap();
    stage.simulation.renew_token(&stage.network, "a1", "a3", None).unwrap();
    assert_eq!(stage.call("a3").usage[0].used, 2, "the account outlives the token");
    assert_eq!(denial(&stage.call("a1")), Some(Denial::TokenUnknown));
}

#[test]
fn a_lost_scope_refuses_the_calls_that_need_it() {
    let stage = Stage::set("x", 1);
    let lose = |scope: &str| Fault::LoseScope { person: "anna".to_owned(), scope: scope.to_owned() };
    stage.inject(lose("read")).unwrap();
    assert_eq!(denial(&stage.call("a1")), Some(Denial::ScopeMissing));
    assert_eq!(denial(&stage.call("a2")), Some(Denial::ScopeMissing));
    assert!(stage.call("b1").is_admitted());
    assert!(stage.inject(lose("read")).is_err(), "it is lost already");
}

#[test]
fn tokens_are_looked_at_before_limits() {
    let stage = Stage::set("x", 1);
    let sample = stage.simulation.network(&stage.network).unwrap().clone();
    let mut short = token(&sample, "short", "carl");
    short.expires_at = Some(stage.simulation.now() + Duration::from_secs(10));
    let mut bare = token(&sample, "bare", "carl");
    bare.scopes.clear();
    stage.simulation.add_token(&stage.network, short).unwrap();
    stage.simulation.add_token(&stage.network, bare).unwrap();
    assert!(stage.call("short").is_admitted());
    stage.clock.advance(Duration::from_secs(10));
    assert_eq!(denial(&stage.call("short")), Some(Denial::TokenExpired));
    assert_eq!(denial(&stage.call("bare")), Some(Denial::ScopeMissing));
    assert_eq!(denial(&stage.call("nobody")), Some(Denial::TokenUnknown));
    assert_eq!(denial(&stage.ask("a1", None)), Some(Denial::NoSuchOperation));
    assert_eq!(stage.report().limits[0].used, 1);
}

#[test]
fn a_wrong_request_costs_a_unit_at_youtube_only() {
    for (id, used) in [("youtube", 1), ("x", 0)] {
        let stage = Stage::set(id, 1);
        assert_eq!(denial(&stage.ask("a1", None)), Some(Denial::NoSuchOperation));
        assert_eq!(stage.report().limits[1].used, used, "{id}");
    }
    let stage = Stage::set("youtube", 1);
    for _ in 0..5 {
        stage.ask("a1", None);
    }
    assert!(stage.ask("a1", None).refused_until().is_some(), "also a wrong request can be over the quota");
}

#[test]
fn others_spend_what_is_left_and_no_more() {
    let cases = [(Owner::Person, "anna", 0, true), (Owner::App, "app", 1, false)];
    for (owner, of, place, ben_can_call) in cases {
        let stage = Stage::set("x", 1);
        let class: ClassId = "calls".parse().unwrap();
        let spend = |units| Fault::SpendElsewhere { class: class.clone(), owner, of: of.to_owned(), units };
        stage.inject(spend(2)).unwrap();
        assert_eq!(stage.report().limits[place].used_elsewhere, 2);
        stage.inject(spend(100)).unwrap();
        assert!(stage.call("a1").refused_until().is_some());
        assert_eq!(stage.call("b1").is_admitted(), ben_can_call);
        stage.inject(Fault::ResetEarly { class: class.clone() }).unwrap();
        assert!(stage.call("a1").is_admitted());
    }
}

#[test]
fn spoilt_answers_say_whether_they_counted() {
    let certain = 1.0;
    let cases = [
        (Fault::DropReplies { share: certain }, Spoilt::Dropped, 1),
        (Fault::ServerErrors { share: certain, status: 502, counted: true }, Spoilt::ServerError(502), 1),
        (Fault::ServerErrors { share: certain, status: 503, counted: false }, Spoilt::ServerError(503), 0),
        (Fault::HtmlPages { share: certain, status: 429, counted: false }, Spoilt::Html(429), 0),
    ];
    for (fault, spoilt, used) in cases {
        let stage = Stage::set("x", 1);
        stage.inject(fault).unwrap();
        assert_eq!(stage.call("a1").spoilt, Some(spoilt));
        assert_eq!((stage.report().spoilt, stage.report().limits[0].used), (1, used));
        stage.inject(Fault::Calm).unwrap();
        assert_eq!(stage.call("a1").spoilt, None);
    }
}

#[test]
fn chance_repeats_with_the_seed() {
    let luck = |seed| {
        let stage = Stage::set("x", seed);
        stage.inject(Fault::DropReplies { share: 0.5 }).unwrap();
        stage.inject(Fault::Delays { share: 0.5, millis: 7 }).unwrap();
        (0..64).map(|_| stage.call("b1")).map(|answer| (answer.spoilt, answer.delay_millis)).collect::<Vec<_>>()
    };
    assert_eq!(luck(1), luck(1));
    assert_ne!(luck(1), luck(2));
    let dropped = luck(1).iter().filter(|(spoilt, _)| spoilt.is_some()).count();
    assert!((10..54).contains(&dropped), "{dropped} of 64 at a share of one half");
}

#[test]
fn facts_raise_a_limit_at_run_time() {
    let mut rule = limit(Owner::Profile, fixed(60), 0);
    rule.amount =
        crate::domain::networks::Amount::Formula { factor: 10, fact: "fans".to_owned(), at_least: 1, start: 1 };
    let sample = Arc::new(network("x", vec![class("calls", Unit::Calls, vec![rule])], Vec::new()));
    let simulation = Simulation::new([sample.clone()], Arc::new(ManualClock::default()), 1).unwrap();
    let mut spec = token(&sample, "a1", "anna");
    spec.profiles = vec!["one".to_owned(), "two".to_owned()];
    spec.facts = BTreeMap::from([("fans".to_owned(), 2)]);
    simulation.add_token(&sample.id, spec).unwrap();
    let capacity = || simulation.report().networks[0].limits[0].capacity;
    assert_eq!(capacity(), 40, "twenty for each profile, though nobody has called yet");
    simulation.set_fact(&sample.id, "a1", "fans", 7).unwrap();
    assert_eq!(capacity(), 140);
    assert!(simulation.set_fact(&sample.id, "zz", "fans", 7).is_err());
}

#[test]
fn impossible_faults_are_refused() {
    let stage = Stage::set("x", 1);
    let nobody = Fault::RevokeToken { secret: "zzz".to_owned() };
    assert_eq!(stage.inject(nobody), Err(FaultError::Nobody("zzz".to_owned())));
    assert!(stage.inject(Fault::ResetEarly { class: "gold".parse().unwrap() }).is_err());
    assert!(stage.inject(Fault::DropReplies { share: 1.5 }).is_err());
    assert!(stage.inject(Fault::DropReplies { share: f64::NAN }).is_err());
    assert!(stage.inject(Fault::ServerErrors { share: 0.1, status: 200, counted: true }).is_err());
    let elsewhere = NetworkFault { network: "y".parse().unwrap(), fault: Fault::Calm };
    assert!(stage.simulation.inject(&elsewhere).is_err());
}
