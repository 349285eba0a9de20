//! Demand: the credit asked for, counted per team, network, class and collection over three spans.
//!
//! * Demand is what was granted, what waits and what was refused. The caller records each request once it is understood,
//!   whatever becomes of it.
//! * A retry of the same request counts once in every span; [`Identity`] tells what is a retry. It moves the request's demand to
//!   the time of the retry: work that is asked for again and again is still wanted now, and is never wanted twice.
//! * Memory is bounded: rings of slots, a bounded number of collections per team (the rest is counted together as `other`),
//!   a bounded number of remembered requests. Networks and classes come from the catalogue and teams from the operator.

use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};

use crate::base::clock::Timestamp;
use crate::base::ids::TeamId;
use crate::domain::load::retries::{Identity, Recorded, Requests};
use crate::domain::load::rings::{Rings, slots};
use crate::domain::load::{LoadKey, Span, Spans};

/// The collection that demand is charged to once a team has too many, and where a request names none of its own.
pub const OTHER_COLLECTION: &str = "other";

/// What demand is charged to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DemandKey {
    /// The team that asks, and for what.
    pub load: LoadKey,
    /// The collection; empty: [`OTHER_COLLECTION`].
    pub collection: Arc<str>,
}

/// Demand seen so far within a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Credit asked for during the span, as far as it was watched.
    pub credits: u64,
    /// The part of the span that the meter has watched: shorter than the span while the meter is young, and at least
    /// a twentieth of it, so that the first request after a start is not taken for a flood. Never zero once made by a meter.
    pub observed: Duration,
}

impl Demand {
    /// What was asked for, as a number to reckon with.
    pub fn asked(&self) -> f64 {
        self.credits as f64
    }

    /// The demand as it would be over the whole of `span`, if the part that was not watched was like what was.
    pub fn if_it_goes_on(&self, span: Span) -> f64 {
        if self.observed.is_zero() {
            return 0.0;
        }
        self.asked() * (span.length().as_secs_f64() / self.observed.as_secs_f64())
    }
}

/// How much a meter remembers.
#[derive(Debug, Clone, Copy)]
pub struct MeterSize {
    /// Collections per team that are counted by name; about 1.9 KiB each.
    pub collections_per_team: usize,
    /// Requests with a name, and as many without, per team, network and class that are recognised when they are tried again;
    /// about 100 bytes each.
    pub recent_requests: usize,
}

impl Default for MeterSize {
    fn default() -> Self {
        Self { collections_per_team: 100, recent_requests: 2048 }
    }
}

/// Counts demand. One per process; times must not go back.
#[derive(Debug)]
pub struct DemandMeter {
    size: MeterSize,
    started: Timestamp,
    teams: HashMap<TeamId, TeamDemand>,
}

#[derive(Debug, Default)]
struct TeamDemand {
    /// Named collections over all networks and classes.
    named: usize,
    /// When rows without demand were last looked for.
    swept: Option<Timestamp>,
    classes: HashMap<LoadKey, ClassDemand>,
}

#[derive(Debug, Default)]
struct ClassDemand {
    total: Rings,
    rows: HashMap<Arc<str>, Rings>,
    seen: Requests,
}

impl DemandMeter {
    /// A meter that begins to watch at `now`.
    pub fn new(now: Timestamp, size: MeterSize) -> Self {
        Self { size, started: now, teams: HashMap::new() }
    }

    /// Counts `credits` that were asked for, in place of what was recorded if the request was tried before. `identity` tells
    /// whether it was (`None`: it was not); if it was not, it may ask again for what was `left_over` of others.
    pub fn record(
        &mut self,
        now: Timestamp,
        key: &DemandKey,
        credits: u64,
        identity: Option<Identity>,
        left_over: Option<Identity>,
    ) {
        let team = self.teams.entry(key.load.team.clone()).or_default();
        let row = team.row_for(now, key, self.size.collections_per_team);
        let Some(class) = team.classes.get_mut(&key.load) else { return };
        let request = Recorded { at: now, credits, row: row.clone() };
        let before = identity.and_then(|identity| class.seen.came(identity, request, self.size.recent_requests));
        let before = before.or_else(|| class.seen.retried(left_over?));
        if let Some(before) = before {
            class.take_back(&before);
        }
        class.total.add(now, credits);
        class.rows.entry(row).or_default().add(now, credits);
    }

    /// Whether any request without a name ended without being served and was not tried again.
    pub fn has_unserved(&self, key: &LoadKey) -> bool {
        self.class(key).is_some_and(|class| class.seen.has_unserved())
    }

    /// The request was granted `credits`, all that it asked for or less. What is missing may be told as [`Self::unserved`].
    pub fn served(&mut self, key: &LoadKey, identity: Identity, credits: u64) {
        if let Some(class) = self.class_mut(key) {
            class.seen.served(identity, credits);
        }
    }

    /// The request that was recorded at `at` ended without being served: it may be tried again.
    pub fn unserved(&mut self, at: Timestamp, key: &DemandKey, credits: u64, identity: Identity) {
        let most = self.size.recent_requests;
        if let Some(class) = self.class_mut(&key.load) {
            let row = class.rows.get_key_value(name_of(key)).map(|(row, _)| row.clone());
            let row = row.unwrap_or_else(|| OTHER_COLLECTION.into());
            class.seen.unserved(identity, Recorded { at, credits, row }, most);
        }
    }

    /// The demand of one collection.
    pub fn demand(&self, now: Timestamp, key: &DemandKey) -> Spans<Demand> {
        let rings = self.class(&key.load).and_then(|class| class.rows.get(name_of(key)));
        self.spans(now, rings)
    }

    /// The demand of all collections of a team in one class together.
    pub fn total(&self, now: Timestamp, key: &LoadKey) -> Spans<Demand> {
        self.spans(now, self.class(key).map(|class| &class.total))
    }

    /// Every team, network and class that had demand since the meter began.
    pub fn keys(&self) -> impl Iterator<Item = LoadKey> {
        self.teams.values().flat_map(|team| team.classes.keys().cloned())
    }

    /// Which collections ask for how much of the demand of a span, greatest first. The shares add up to 1, or there are none.
    pub fn causes(&self, now: Timestamp, key: &LoadKey, span: Span) -> Vec<(Arc<str>, f64)> {
        let Some(class) = self.class(key) else { return Vec::new() };
        let asked = |rings: &Rings| rings.of(span).sum(now, slots(span).0);
        let whole: u64 = class.rows.values().map(asked).sum();
        let mut causes: Vec<(Arc<str>, f64)> = class
            .rows
            .iter()
            .filter(|(_, rings)| asked(rings) > 0)
            .map(|(name, rings)| (name.clone(), asked(rings) as f64 / whole as f64))
            .collect();
        causes.sort_by(|(name_a, share_a), (name_b, share_b)| share_b.total_cmp(share_a).then(name_a.cmp(name_b)));
        causes
    }

    fn class(&self, key: &LoadKey) -> Option<&ClassDemand> {
        self.teams.get(&key.team)?.classes.get(key)
    }

    fn class_mut(&mut self, key: &LoadKey) -> Option<&mut ClassDemand> {
        self.teams.get_mut(&key.team)?.classes.get_mut(key)
    }

    fn spans(&self, now: Timestamp, rings: Option<&Rings>) -> Spans<Demand> {
        Spans::each(|span| {
            let credits = rings.map_or(0, |rings| rings.of(span).sum(now, slots(span).0));
            Demand { credits, observed: self.observed(now, span) }
        })
    }

    fn observed(&self, now: Timestamp, span: Span) -> Duration {
        span.length().min(now.since(self.started)).max(span.length() / 20)
    }
}

impl ClassDemand {
    fn take_back(&mut self, before: &Recorded) {
        self.total.take_back(before.at, before.credits);
        if let Some(rings) = self.rows.get_mut(&before.row) {
            rings.take_back(before.at, before.credits);
        }
    }
}

fn name_of(key: &DemandKey) -> &str {
    if key.collection.is_empty() { OTHER_COLLECTION } else { &key.collection }
}

impl TeamDemand {
    /// The row that `key` is counted in, in a class that is there from now on: its own, or `other` once the team has `most` named
    /// ones.
    fn row_for(&mut self, now: Timestamp, key: &DemandKey, most: usize) -> Arc<str> {
        let name = name_of(key);
        match self.classes.get(&key.load) {
            Some(class) => {
                if let Some((row, _)) = class.rows.get_key_value(name) {
                    return row.clone();
                }
            }
            None => {
                self.classes.insert(key.load.clone(), ClassDemand::default());
            }
        }
        if name == OTHER_COLLECTION {
            return name.into();
        }
        if self.named >= most {
            self.sweep(now);
        }
        if self.named >= most {
            return OTHER_COLLECTION.into();
        }
        self.named += 1;
        key.collection.clone()
    }

    /// Forgets the collections that asked for nothing within the longest span. At most once per slot of it, since it looks at all.
    fn sweep(&mut self, now: Timestamp) {
        let (length, _) = slots(Span::Day);
        if self.swept.is_some_and(|swept| now.since(swept) < Duration::from_secs(length.unsigned_abs())) {
            return;
        }
        self.swept = Some(now);
        for class in self.classes.values_mut() {
            class.rows.retain(|_, rings| rings.of(Span::Day).sum(now, length) > 0);
        }
        let named = |class: &ClassDemand| class.rows.keys().filter(|name| &***name != OTHER_COLLECTION).count();
        self.named = self.classes.values().map(named).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Span = Span::Hour;
    const ALIKE: Identity = Identity::Alike(7);

    fn key(collection: &str) -> DemandKey {
        let load =
            LoadKey { team: "acme".parse().unwrap(), network: "x".parse().unwrap(), class: "search".parse().unwrap() };
        DemandKey { load, collection: collection.into() }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn meter() -> DemandMeter {
        DemandMeter::new(at(0), MeterSize { collections_per_team: 3, recent_requests: 8 })
    }

    fn total(meter: &DemandMeter, now: Timestamp) -> Spans<Demand> {
        meter.total(now, &key("").load)
    }

    fn causes(meter: &DemandMeter, now: Timestamp) -> Vec<(String, f64)> {
        let causes = meter.causes(now, &key("").load, HOUR);
        causes.into_iter().map(|(name, share)| (name.to_string(), share)).collect()
    }

    #[test]
    fn demand_leaves_each_span_in_its_time() {
        let mut meter = meter();
        meter.record(at(0), &key("a"), 10, None, None);
        for (secs, expected) in [(0, [10, 10, 10]), (280, [10, 10, 10]), (310, [0, 10, 10]), (3700, [0, 0, 10])] {
            let spans = total(&meter, at(secs));
            assert_eq!([spans.five_minutes, spans.hour, spans.day].map(|demand| demand.credits), expected, "{secs}");
        }
        assert_eq!(total(&meter, at(90_000)).day.credits, 0);
    }

    #[test]
    fn a_young_meter_makes_nothing_up() {
        let mut meter = meter();
        meter.record(at(30), &key("a"), 100, None, None);
        let demand = total(&meter, at(600)).hour;
        assert_eq!((demand.credits, demand.observed), (100, Duration::from_secs(600)));
        assert!((demand.if_it_goes_on(HOUR) - 600.0).abs() < 1e-9);
        let first = total(&meter, at(30)).hour;
        assert_eq!((first.credits, first.observed), (100, Duration::from_secs(180)));
        assert_eq!(total(&meter, at(7200)).hour.observed, HOUR.length());
    }

    #[test]
    fn what_leaves_a_span_leaves_it_evenly() {
        let mut meter = meter();
        meter.record(at(0), &key("a"), 900, None, None);
        for (secs, expected) in [(3600, 900), (3615, 675), (3630, 450), (3659, 15), (3660, 0)] {
            let from_slot = at(0).secs().rem_euclid(60);
            assert_eq!(total(&meter, at(secs - from_slot)).hour.credits, expected, "{secs}");
        }
    }

    #[test]
    fn a_steady_demand_reads_the_same_over_every_span() {
        let mut meter = meter();
        for minute in 0..60 * 30 {
            meter.record(at(minute * 60 + 5), &key("a"), 60, None, None);
        }
        let spans = total(&meter, at(60 * 60 * 30));
        for span in Span::ALL {
            let a_second = spans.of(span).asked() / span.length().as_secs_f64();
            assert!((a_second - 1.0).abs() < 0.2, "{span:?}: {a_second}");
        }
    }

    #[test]
    fn requests_under_way_at_once_are_different_ones() {
        let mut meter = meter();
        for second in 0..3 {
            meter.record(at(second), &key("a"), 7, Some(ALIKE), None);
        }
        assert_eq!(total(&meter, at(3)).hour.credits, 21);
        meter.unserved(at(0), &key("a"), 7, ALIKE);
        meter.served(&key("a").load, ALIKE, 7);
        meter.record(at(4), &key("a"), 7, Some(ALIKE), None);
        assert_eq!(total(&meter, at(4)).hour.credits, 21, "one of them was refused and came again");
        meter.record(at(5), &key("a"), 7, Some(ALIKE), None);
        assert_eq!(
            total(&meter, at(5)).hour.credits,
            28,
            "it is tried again once, and the served one is no retry's first"
        );
    }

    #[test]
    fn a_name_is_one_request_however_it_ends() {
        let mut meter = meter();
        let named = Identity::Named(1);
        for served in [false, true, false, false] {
            meter.record(at(0), &key("a"), 7, Some(named), None);
            if served {
                meter.served(&key("a").load, named, 7);
            }
            assert_eq!(total(&meter, at(1)).hour.credits, 7);
        }
        meter.record(at(1), &key("a"), 7, Some(Identity::Named(2)), None);
        assert_eq!(total(&meter, at(1)).hour.credits, 14);
    }

    #[test]
    fn what_was_not_granted_with_the_rest_is_asked_for_again_once() {
        let mut meter = meter();
        for (name, asks) in [(1, 9), (2, 6), (3, 3)] {
            meter.record(at(0), &key("a"), asks, Some(Identity::Named(name)), Some(ALIKE));
            meter.served(&key("a").load, Identity::Named(name), 3);
            if asks > 3 {
                meter.unserved(at(0), &key("a"), asks - 3, ALIKE);
            }
        }
        assert_eq!(total(&meter, at(1)).hour.credits, 9);
        meter.record(at(1), &key("a"), 3, Some(Identity::Named(3)), None);
        assert_eq!(total(&meter, at(1)).hour.credits, 9, "a repetition of the last one");
    }

    #[test]
    fn names_that_were_served_are_forgotten_first() {
        let mut meter = meter();
        meter.record(at(0), &key("a"), 1, Some(Identity::Named(0)), None);
        for name in 1..20 {
            meter.record(at(1), &key("a"), 1, Some(Identity::Named(name)), None);
            meter.served(&key("a").load, Identity::Named(name), 1);
        }
        meter.record(at(2), &key("a"), 1, Some(Identity::Named(0)), None);
        assert_eq!(total(&meter, at(2)).hour.credits, 20);
    }

    #[test]
    fn a_retry_moves_its_demand() {
        let mut meter = meter();
        meter.record(at(0), &key("a"), 10, Some(Identity::Named(7)), None);
        meter.record(at(290), &key("a"), 10, Some(Identity::Named(7)), None);
        meter.record(at(580), &key("b"), 4, Some(Identity::Named(7)), None);
        let spans = total(&meter, at(580));
        assert_eq!([spans.five_minutes, spans.hour, spans.day].map(|demand| demand.credits), [4, 4, 4]);
        assert_eq!(meter.demand(at(580), &key("a")).day.credits, 0);
        assert_eq!(meter.demand(at(580), &key("b")).day.credits, 4);
    }

    #[test]
    fn the_same_fingerprint_in_another_class_is_another_demand() {
        let mut meter = meter();
        let mut posts = key("a");
        posts.load.class = "posts".parse().unwrap();
        meter.record(at(0), &key("a"), 1, Some(Identity::Named(7)), None);
        meter.record(at(0), &posts, 50, Some(Identity::Named(7)), None);
        assert_eq!(meter.demand(at(1), &key("a")).hour.credits, 1);
        assert_eq!(meter.demand(at(1), &posts).hour.credits, 50);
    }

    #[test]
    fn too_many_collections_are_counted_together_until_there_is_room() {
        let mut meter = meter();
        for name in ["a", "b", "c", "d", "e", ""] {
            meter.record(at(0), &key(name), 10, None, None);
        }
        let shares = causes(&meter, at(1));
        assert_eq!(shares[0].0, OTHER_COLLECTION);
        assert!((shares[0].1 - 0.5).abs() < 1e-9);
        assert_eq!(shares.len(), 4);
        meter.record(at(100_000), &key("d"), 10, None, None);
        assert_eq!(causes(&meter, at(100_000)), [("d".to_owned(), 1.0)]);
    }

    #[test]
    fn nothing_asked_has_no_causes() {
        assert_eq!(causes(&meter(), at(0)), []);
        assert_eq!(total(&meter(), at(0)).hour.credits, 0);
    }

    proptest! {
        #[test]
        fn what_is_recorded_is_what_is_read(
            records in prop::collection::vec((0_i64..20, 0_usize..6, 0_u64..1000), 0..60),
        ) {
            let names = ["a", "b", "c", "d", "e", ""];
            let (mut meter, mut now, mut sum) = (meter(), 0, 0);
            for (wait, name, credits) in records {
                now += wait.min(4);
                meter.record(at(now), &key(names[name]), credits, None, None);
                sum += credits;
            }
            let spans = total(&meter, at(now));
            prop_assert_eq!([spans.five_minutes, spans.hour, spans.day].map(|demand| demand.credits), [sum; 3]);
            let shares: f64 = causes(&meter, at(now)).iter().map(|(_, share)| share).sum();
            prop_assert!(sum == 0 || (shares - 1.0).abs() < 1e-9);
        }

        #[test]
        fn a_request_counts_once_however_often_it_is_tried(
            tries in prop::collection::vec((0_i64..600, 0_u64..8), 1..80),
        ) {
            let (mut meter, mut now) = (meter(), 0);
            let mut latest = HashMap::new();
            for (wait, request) in tries {
                now += wait;
                meter.record(at(now), &key("a"), 1 << request, Some(Identity::Named(request)), None);
                latest.insert(request, now);
            }
            for span in Span::ALL {
                let expected = within(now, span, latest.iter().map(|(request, tried)| (*tried, 1 << request)));
                prop_assert_eq!(total(&meter, at(now)).of(span).credits, expected);
            }
        }

        /// Against a list of all that was ever asked, read from end to end.
        #[test]
        fn counts_what_a_list_of_all_requests_counts(
            steps in prop::collection::vec((0_i64..200, 0_u8..4, 0_u64..4, any::<prop::sample::Index>()), 1..120),
        ) {
            let mut meter = DemandMeter::new(at(0), MeterSize { collections_per_team: 3, recent_requests: 1000 });
            let (mut all, mut under_way, mut unserved) = (Vec::<Asked>::new(), Vec::new(), Vec::<usize>::new());
            let mut now = 0;
            for (wait, what, likeness, which) in steps {
                now += wait;
                let identity = if what == 0 { Identity::Named(likeness) } else { Identity::Alike(likeness) };
                if what < 2 {
                    // A name stands for one content.
                    let credits = 1_u64 << if what == 0 { 50 + likeness as usize } else { all.len().min(40) };
                    let named = |asked: &Asked| what == 0 && asked.identity == identity;
                    let oldest = unserved.iter().position(|nth| what == 1 && all[*nth].identity == identity);
                    let retried = oldest.map(|oldest| unserved.remove(oldest));
                    for (nth, asked) in all.iter_mut().enumerate() {
                        asked.counts &= !named(asked) && retried != Some(nth);
                    }
                    meter.record(at(now), &key("a"), credits, Some(identity), None);
                    under_way.push(all.len());
                    all.push(Asked { identity, at: now, credits, counts: true });
                } else if !under_way.is_empty() {
                    let nth = under_way.remove(which.index(under_way.len()));
                    let asked = &all[nth];
                    if what == 2 {
                        meter.served(&key("a").load, asked.identity, asked.credits);
                    } else {
                        meter.unserved(at(asked.at), &key("a"), asked.credits, asked.identity);
                        unserved.push(nth);
                    }
                }
                for span in Span::ALL {
                    let counted = all.iter().filter(|asked| asked.counts).map(|asked| (asked.at, asked.credits));
                    let expected = within(now, span, counted);
                    prop_assert_eq!(total(&meter, at(now)).of(span).credits, expected, "{:?}", span);
                }
            }
        }

        #[test]
        fn memory_is_bounded(requests in prop::collection::vec((any::<u64>(), any::<u32>(), any::<bool>()), 0..200)) {
            let mut meter = meter();
            for (second, (fingerprint, name, served)) in requests.iter().enumerate() {
                let key = key(&name.to_string());
                meter.record(at(second as i64), &key, 1, Some(Identity::Named(*fingerprint)), None);
                meter.record(at(second as i64), &key, 1, Some(Identity::Alike(*fingerprint)), None);
                meter.unserved(at(second as i64), &key, 1, Identity::Alike(*fingerprint));
                if *served {
                    meter.served(&key.load, Identity::Named(*fingerprint), 1);
                }
            }
            for class in meter.teams.values().flat_map(|team| team.classes.values()) {
                prop_assert!(class.rows.len() <= 4);
                let (named, unserved) = class.seen.remembered();
                prop_assert!(named <= 8 && unserved <= 8);
            }
        }
    }

    /// What was asked for within the span, read from a list: whole slots, and an even share of the one before them.
    fn within(now: i64, span: Span, asked: impl Iterator<Item = (i64, u64)>) -> u64 {
        let (length, count) = slots(span);
        let running = at(now).secs().div_euclid(length) * length;
        let first = running - (count as i64 - 1) * length;
        let (mut whole, mut partly) = (0, 0_u64);
        for (when, credits) in asked {
            match at(when).secs() {
                secs if secs >= first => whole += credits,
                secs if secs >= first - length => partly += credits,
                _ => {}
            }
        }
        let share = 1.0 - (at(now).secs() - running) as f64 / length as f64;
        whole + (partly as f64 * share).round() as u64
    }

    struct Asked {
        identity: Identity,
        at: i64,
        credits: u64,
        counts: bool,
    }
}
