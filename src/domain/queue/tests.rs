//! Fair shares, starvation, bounds and deadlines.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::EPOCH;

fn waiter(id: u64, team: u32) -> Waiter {
    Waiter {
        id,
        team: TeamIndex(team),
        team_weight: 100,
        priority: Priority::Normal,
        collection: 1,
        collector: 1,
        collector_weight: 100,
        cost: 1,
        signature: 1,
        deadline: Timestamp::NEVER,
    }
}

/// Jain's index of fairness: 1 when all are equal, 1/n when one has everything.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    sum * sum / (shares.len() as f64 * shares.iter().map(|share| share * share).sum::<f64>())
}

/// Serves one waiter per pass, out of flows that always wait, each with `depth` requests. Returns the credit each flow got.
fn backlogged(flows: &[Waiter], depth: u64, rounds: usize) -> Vec<u64> {
    let mut queue = Queue::new(flows.len() * depth as usize);
    let mut next_id = 0;
    let mut flow_of = BTreeMap::new();
    let mut come = |queue: &mut Queue, flow: usize, flow_of: &mut BTreeMap<u64, usize>| {
        next_id += 1;
        flow_of.insert(next_id, flow);
        queue.push(Waiter { id: next_id, ..flows[flow] }).unwrap();
    };
    for flow in 0..flows.len() {
        (0..depth).for_each(|_| come(&mut queue, flow, &mut flow_of));
    }
    let mut got = vec![0; flows.len()];
    for _ in 0..rounds {
        let mut served = None;
        queue.serve(NOW, |waiter| match served {
            None => {
                served = Some(*waiter);
                Attempt::Served
            }
            Some(_) => Attempt::Stop,
        });
        let served = served.expect("somebody always waits");
        let flow = flow_of.remove(&served.id).unwrap();
        got[flow] += served.cost;
        come(&mut queue, flow, &mut flow_of);
    }
    got
}

fn shares(got: &[u64]) -> Vec<f64> {
    let sum: u64 = got.iter().sum();
    got.iter().map(|credit| *credit as f64 / sum as f64).collect()
}

fn assert_shares(flows: &[Waiter], depth: u64, expected: &[f64]) {
    let found = shares(&backlogged(flows, depth, 4000));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 0.02, "{found} instead of {expected}");
    }
}

#[test]
fn teams_share_by_weight() {
    let flows = [(1, 100), (2, 200), (3, 700)].map(|(team, team_weight)| Waiter { team_weight, ..waiter(0, team) });
    assert_shares(&flows, 3, &[0.1, 0.2, 0.7]);
    assert_shares(&flows.map(|flow| Waiter { cost: u64::from(flow.team.0) * 7, ..flow }), 3, &[0.1, 0.2, 0.7]);
}

#[test]
fn priorities_share_within_their_team_only() {
    let flow = |team, priority| Waiter { priority, ..waiter(0, team) };
    let flows = [flow(1, Priority::Low), flow(1, Priority::High), flow(2, Priority::Normal)];
    assert_shares(&flows, 3, &[0.5 / 17.0, 0.5 * 16.0 / 17.0, 0.5]);
}

#[test]
fn collections_share_equally_and_their_collectors_by_weight() {
    let flow =
        |collection, collector, collector_weight| Waiter { collection, collector, collector_weight, ..waiter(0, 1) };
    let flows = [flow(1, 1, 100), flow(1, 2, 300), flow(2, 3, 100)];
    assert_shares(&flows, 3, &[0.125, 0.375, 0.5]);
}

#[test]
fn one_request_at_a_time_gets_the_same_share() {
    let mut flows = [waiter(0, 1), waiter(0, 2), waiter(0, 3)];
    flows[0].cost = 50;
    let found = shares(&backlogged(&flows, 1, 6000));
    assert!(jain(&found) > 0.98, "{found:?}");
}

#[test]
fn a_collector_is_served_in_the_order_of_its_requests() {
    let mut queue = Queue::new(10);
    (0..5).for_each(|id| queue.push(waiter(id, 1)).unwrap());
    let mut order = Vec::new();
    queue.serve(NOW, |waiter| {
        order.push(waiter.id);
        Attempt::Served
    });
    assert_eq!(order, [0, 1, 2, 3, 4]);
    assert!(queue.is_empty());
}

#[test]
fn a_small_request_does_not_overtake_a_large_one_of_its_signature() {
    let mut queue = Queue::new(10);
    queue.push(Waiter { cost: 10, ..waiter(1, 1) }).unwrap();
    queue.push(waiter(2, 2)).unwrap();
    queue.push(Waiter { signature: 2, ..waiter(3, 2) }).unwrap();
    let mut tried = Vec::new();
    let served = queue.serve(NOW, |waiter| {
        tried.push(waiter.id);
        if waiter.cost > 5 { Attempt::NotNow } else { Attempt::Served }
    });
    assert_eq!((served, tried), (1, vec![1, 3]));
    assert_eq!(queue.len(), 2);
}

/// A refill of one unit per pass: the large request must collect its ten, although small ones of another team always wait.
#[test]
fn a_large_request_is_served_in_the_end() {
    let mut queue = Queue::new(100);
    queue.push(waiter(1, 2)).unwrap();
    queue.push(Waiter { cost: 10, ..waiter(0, 1) }).unwrap();
    let mut spent = 0;
    for round in 2..40 {
        queue.push(waiter(round, 2)).unwrap();
        queue.serve(NOW, |waiter| {
            if spent + waiter.cost > round - 1 {
                return Attempt::NotNow;
            }
            spent += waiter.cost;
            Attempt::Served
        });
    }
    assert!(queue.remove(0).is_none(), "the large request still waits");
}

#[test]
fn idleness_earns_no_credit_and_waiting_in_vain_no_monopoly() {
    let mut queue = Queue::new(1000);
    let one = |queue: &mut Queue, open: &[u64]| {
        let mut got = None;
        queue.serve(NOW, |waiter| match got {
            _ if !open.contains(&waiter.signature) => Attempt::NotNow,
            Some(_) => Attempt::Stop,
            None => {
                got = Some(waiter.team.0);
                Attempt::Served
            }
        });
        got
    };
    for id in 0..400 {
        queue.push(waiter(id, 1)).unwrap();
        queue.push(Waiter { signature: 2, ..waiter(1000 + id, 2) }).unwrap();
    }
    (0..200).for_each(|_| assert_eq!(one(&mut queue, &[1]), Some(1)));
    (0..100).for_each(|id| queue.push(waiter(2000 + id, 3)).unwrap());
    let mut got = [0; 4];
    (0..90).for_each(|_| got[one(&mut queue, &[1, 2]).unwrap() as usize] += 1);
    assert!(got[1..].iter().all(|served| (29..=31).contains(served)), "{got:?}");
}

#[test]
fn a_full_queue_refuses_the_newcomer() {
    let mut queue = Queue::new(2);
    queue.push(waiter(1, 1)).unwrap();
    queue.push(waiter(2, 1)).unwrap();
    assert_eq!(queue.push(Waiter { priority: Priority::High, ..waiter(3, 2) }), Err(QueueFull { capacity: 2 }));
    assert_eq!(queue.push(waiter(2, 1)), Ok(()), "replacing needs no room");
    assert_eq!((queue.len(), queue.team_len(TeamIndex(1)), queue.team_len(TeamIndex(2))), (2, 2, 0));
}

#[test]
fn nobody_waits_past_the_deadline() {
    let mut queue = Queue::new(10);
    for (id, seconds) in [(1, 30), (2, 10), (3, 20)] {
        queue.push(Waiter { deadline: Timestamp::from_secs(seconds), ..waiter(id, 1) }).unwrap();
    }
    assert_eq!(queue.next_deadline(), Some(Timestamp::from_secs(10)));
    let mut tried = Vec::new();
    queue.serve(Timestamp::from_secs(20), |waiter| {
        tried.push(waiter.id);
        Attempt::NotNow
    });
    assert_eq!(tried, [1]);
    assert_eq!(queue.expire(Timestamp::from_secs(20)), [2, 3]);
    assert_eq!(queue.next_deadline(), Some(Timestamp::from_secs(30)));
}

#[test]
fn ten_thousand_who_want_the_same_cost_one_attempt() {
    let mut queue = Queue::new(10_000);
    for id in 0..10_000 {
        let collection = id % 97;
        let (team, collector) = ((id % 50) as u32, u128::from(id));
        queue.push(Waiter { collection, collector, ..waiter(id, team) }).unwrap();
    }
    for _ in 0..1000 {
        let mut tries = 0;
        queue.serve(NOW, |_| {
            tries += 1;
            Attempt::NotNow
        });
        assert_eq!(tries, 1);
    }
    assert_eq!(queue.serve(NOW, |_| Attempt::Served), 10_000);
}

#[test]
fn those_that_left_are_forgotten_in_time() {
    let mut queue = Queue::new(10);
    queue.push(Waiter { cost: u64::MAX, ..waiter(0, 0) }).unwrap();
    for id in 1..20_000_u64 {
        queue.push(waiter(id, id as u32)).unwrap();
        queue.serve(NOW, |waiter| if waiter.id == 0 { Attempt::NotNow } else { Attempt::Served });
        queue.push(Waiter { signature: 2, ..waiter(id, id as u32) }).unwrap();
        queue.serve(NOW, |waiter| if waiter.id == 0 { Attempt::NotNow } else { Attempt::Served });
    }
    assert!(queue.tree.remembered() <= tree::MOST_IDLE);
}

fn any_waiter() -> impl Strategy<Value = Waiter> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let who = (0_u32..4, 1_u32..300, priority, 0_u64..3, 0_u128..3, 1_u32..300);
    (0_u64..40, who, 0_u64..20, 0_u64..4, 1_i64..50).prop_map(|(id, who, cost, signature, deadline)| {
        let (team, team_weight, priority, collection, collector, collector_weight) = who;
        let deadline = Timestamp::from_secs(deadline);
        let team = TeamIndex(team);
        Waiter { id, team, team_weight, priority, collection, collector, collector_weight, cost, signature, deadline }
    })
}

#[derive(Debug, Clone)]
enum Step {
    Push(Waiter),
    Remove(u64),
    Expire(i64),
    /// Serve while the credit of each signature lasts.
    Serve(i64, [u64; 4]),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_waiter().prop_map(Step::Push),
        1 => (0_u64..40).prop_map(Step::Remove),
        1 => (0_i64..50).prop_map(Step::Expire),
        2 => (0_i64..50, prop::array::uniform4(0_u64..40)).prop_map(|(now, credit)| Step::Serve(now, credit)),
    ]
}

proptest! {
    /// Against a plain map: nobody is lost, doubled, tried late, tried out of turn, or left standing although there is credit.
    #[test]
    fn agrees_with_a_plain_map(steps in prop::collection::vec(any_step(), 0..120)) {
        let mut queue = Queue::new(15);
        let mut model: BTreeMap<u64, Waiter> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Push(waiter) => {
                    model.remove(&waiter.id);
                    let fits = model.len() < 15;
                    prop_assert_eq!(queue.push(waiter).is_ok(), fits);
                    if fits {
                        model.insert(waiter.id, waiter);
                    }
                }
                Step::Remove(id) => prop_assert_eq!(queue.remove(id), model.remove(&id)),
                Step::Expire(now) => {
                    let now = Timestamp::from_secs(now);
                    let expired: HashSet<u64> = queue.expire(now).into_iter().collect();
                    let expected = model.values().filter(|waiter| waiter.deadline <= now).map(|waiter| waiter.id);
                    prop_assert_eq!(&expired, &expected.collect());
                    model.retain(|id, _| !expired.contains(id));
                }
                Step::Serve(now, mut credit) => {
                    let now = Timestamp::from_secs(now);
                    let (mut refused, mut wrong) = (HashSet::new(), None);
                    queue.serve(now, |waiter| {
                        let known = model.get(&waiter.id) == Some(waiter);
                        if !known || waiter.deadline <= now || refused.contains(&waiter.signature) {
                            wrong = Some(*waiter);
                        }
                        let left = &mut credit[waiter.signature as usize];
                        if waiter.cost > *left {
                            refused.insert(waiter.signature);
                            return Attempt::NotNow;
                        }
                        *left -= waiter.cost;
                        model.remove(&waiter.id);
                        Attempt::Served
                    });
                    prop_assert_eq!(wrong, None);
                    let idle = |waiter: &&Waiter| waiter.deadline > now && !refused.contains(&waiter.signature);
                    prop_assert_eq!(model.values().find(idle), None);
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.next_deadline(), model.values().map(|waiter| waiter.deadline).min());
            for signature in 0..5 {
                let wanted = model.values().any(|waiter| waiter.signature == signature);
                prop_assert_eq!(queue.is_wanted(signature), wanted);
            }
            for team in 0..4 {
                let of_team = model.values().filter(|waiter| waiter.team.0 == team).count();
                prop_assert_eq!(queue.team_len(TeamIndex(team)), of_team);
            }
        }
    }

    /// One request of the lowest standing, and others that keep coming, each from somebody new: it is served within a bound.
    #[test]
    fn nobody_starves(crowd in 1_u64..20, cost in 1_u64..5, weight in 1_u32..10) {
        let mut queue = Queue::new(100);
        queue.push(Waiter { team_weight: weight, cost, priority: Priority::Low, ..waiter(0, 0) }).unwrap();
        let mut next_id = 0;
        let mut rounds = 0;
        while queue.waiters.contains_key(&0) {
            while queue.len() <= crowd as usize {
                next_id += 1;
                queue.push(Waiter { priority: Priority::High, ..waiter(next_id, next_id as u32) }).unwrap();
            }
            let mut served = false;
            queue.serve(NOW, |_| if std::mem::replace(&mut served, true) { Attempt::Stop } else { Attempt::Served });
            rounds += 1;
            prop_assert!(rounds <= crowd + 2, "still waiting after {} rounds", rounds);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn equal_teams_get_equal_credit(costs in prop::collection::vec(1_u64..40, 2..8)) {
        let flows: Vec<Waiter> =
            costs.iter().enumerate().map(|(team, cost)| Waiter { cost: *cost, ..waiter(0, team as u32) }).collect();
        let rounds = 40 * costs.len() * 10;
        prop_assert!(jain(&shares(&backlogged(&flows, 2, rounds))) >= 0.98);
    }

    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(1_u32..20, 2..6)) {
        let flows: Vec<Waiter> = weights
            .iter()
            .enumerate()
            .map(|(team, weight)| Waiter { team_weight: *weight, ..waiter(0, team as u32) })
            .collect();
        let whole: u32 = weights.iter().sum();
        for (share, weight) in shares(&backlogged(&flows, 2, 2000)).iter().zip(&weights) {
            prop_assert!((share - f64::from(*weight) / f64::from(whole)).abs() < 0.01);
        }
    }
}
