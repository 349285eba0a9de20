//! An hour of saturating demand on virtual time: the credit is used, nothing is throttled, equal teams get the same. The long form,
//! beside other ways to choose a token, is the bench of the same name.

#[path = "../benches/balance/broker.rs"]
mod broker;
#[path = "../benches/ground/mod.rs"]
mod ground;
#[expect(dead_code, reason = "the bench measures more")]
#[path = "../benches/balance/judge.rs"]
mod judge;
#[expect(dead_code, reason = "the bench measures more")]
#[path = "../benches/balance/run.rs"]
mod run;

use std::time::Duration;

use token_broker::domain::networks::Catalogue;

use broker::Broker;
use judge::{CASES, Judge, START};
use run::Way;

const SPAN: Duration = Duration::from_secs(3600);

#[test]
fn an_hour_of_demand_uses_the_credit_without_a_throttled_call() {
    let catalogue = Catalogue::embedded();
    for (seed, case) in CASES.iter().enumerate() {
        let seed = seed as u64;
        let mut judge = Judge::new(&catalogue, case, seed);
        let mut broker = Broker::new(&judge, seed);
        run::run(&mut judge, &mut broker, SPAN, seed);
        let used = judge.used(START + SPAN);
        let place = format!("{} with seed {seed}: {:?}", case.network, used[0]);
        assert_eq!((judge.throttled, broker.over_granted()), (0, 0), "{place}");
        assert!(used[0].share() >= 0.985, "{place}");
        assert!(used.iter().all(|limit| limit.share() <= 1.0), "the owner's reserve was spent: {place}");
        assert!(judge.fairness() >= 0.98, "{place}: {:?}", judge.admitted);
    }
}
